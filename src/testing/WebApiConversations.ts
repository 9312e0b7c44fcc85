/**
 * WebApiConversations: `conversations.list` and `users.conversations`.
 *
 * Owns which kinds of conversations a listing names and which scope each kind takes. The bot is in all of them; there
 * are no private channels and no group messages here. Pure.
 */
import { conversationShape } from "./SlackShapes.ts"
import { page } from "./WebApiHistory.ts"
import { fail, lacking, type Method, scopeNames, text } from "./WebApiParams.ts"

const kinds: Readonly<Record<string, keyof typeof scopeNames | undefined>> = { public_channel: "channel", im: "im" }

const listing: Method = {
  token: "bot",
  run: (world, { params }) => {
    const types = (text(params, "types") ?? "public_channel").split(",").map((type) => type.trim())
    const wanted = types.flatMap((type) => kinds[type] ?? [])
    for (const kind of wanted) {
      const refused = lacking(world, `${scopeNames[kind]}:read`)
      if (refused !== undefined) return refused
    }
    const found = world.workspace.conversations.filter(({ kind }) => wanted.includes(kind))
    const listed = page(found, ({ id }) => `next_id:${id}`, params, 100)
    if (listed === undefined) return fail("invalid_cursor")
    return {
      ok: true,
      channels: listed.items.map(conversationShape),
      response_metadata: listed.response_metadata
    }
  }
}

export const conversationsList = listing
/** Of the bot. */
export const usersConversations = listing
