/** What is listed a page at a time: the bot's channels, what was said in one, and the replies of a thread. */
import { Effect } from "effect"
import type { Destination } from "../Message.ts"
import { Ambiguous, type ChannelKind, type Page, SlackApiError } from "../SlackApi.ts"
import { fieldIn, textIn } from "../untrustedJson.ts"

/** Slack gives no more than it likes; for some apps that is 15. */
const pageSize = 200

type Call = (method: string, args: Record<string, unknown>) => Effect.Effect<unknown, SlackApiError>

export const listings = (call: Call) => {
  const list = Effect.fnUntraced(
    function*(method: string, field: string, args: Record<string, unknown>, cursor: string | undefined) {
      const answer = yield* call(method, { ...args, limit: pageSize, ...(cursor === undefined ? {} : { cursor }) })
      const items: unknown = fieldIn(answer, field)
      if (!Array.isArray(items)) {
        return yield* new SlackApiError({ method, reason: new Ambiguous({ detail: `ok without ${field}` }) })
      }
      const next = textIn(fieldIn(answer, "response_metadata"), "next_cursor")
      return { items: items as ReadonlyArray<unknown>, cursor: next } satisfies Page<unknown>
    }
  )

  const from = (since: number) => ({ oldest: (since / 1_000).toFixed(6), inclusive: true })

  return {
    conversations: Effect.fn("SlackApi.conversations")(function*(kind: ChannelKind, cursor?: string) {
      const args = { types: kind, exclude_archived: true }
      const { items, ...page } = yield* list("users.conversations", "channels", args, cursor)
      return { ...page, items: items.flatMap((channel) => textIn(channel, "id") ?? []) }
    }),
    history: Effect.fn("SlackApi.history")((channel: string, since: number, cursor?: string) =>
      list("conversations.history", "messages", { channel, ...from(since) }, cursor)
    ),
    replies: Effect.fn("SlackApi.replies")((
      { channel, threadTs }: Required<Destination>,
      since: number,
      cursor?: string
    ) => list("conversations.replies", "messages", { channel, ts: threadTs, ...from(since) }, cursor))
  }
}
