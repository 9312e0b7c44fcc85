/**
 * WebApiHistory: `conversations.history` and `conversations.replies`.
 *
 * Owns which messages a listing shows (history newest first and without replies, a thread with its root first), what
 * `oldest`, `latest`, `inclusive`, `limit` and cursors mean, and the lag that a fault gives to both. Pure.
 */
import { type Json, listedShape } from "./SlackShapes.ts"
import type { SlackWorld } from "./SlackWorld.ts"
import { fail, flag, inChannel, lacking, type Params, scopeNames, text } from "./WebApiParams.ts"
import type { Message } from "./Workspace.ts"

/** The part of a list that `oldest`, `latest` and `inclusive` name. */
const between = (params: Params) => {
  const [oldest, latest, inclusive] = [text(params, "oldest"), text(params, "latest"), flag(params, "inclusive")]
  const number = (ts: string | undefined, otherwise: number) => ts === undefined || ts === "" ? otherwise : Number(ts)
  const [from, to] = [number(oldest, -1), number(latest, Infinity)]
  return (message: Message) => {
    const at = Number(message.ts)
    return inclusive ? at >= from && at <= to : at > from && at < to
  }
}

const visible = (world: SlackWorld, now: number) => {
  const lag = world.faults.current.historyLagMs ?? 0
  return (message: Message) => message.storedAt + lag <= now
}

/** One page of a listing. The cursor names the first item of the next page. */
export const page = <A>(list: ReadonlyArray<A>, nameOf: (item: A) => string, params: Params, fallback: number) => {
  const asked = Number(text(params, "limit") ?? fallback)
  const limit = Number.isInteger(asked) && asked > 0 ? Math.min(asked, 999) : fallback
  const cursor = text(params, "cursor")
  const start = cursor === undefined || cursor === "" ? 0 : list.findIndex((item) => nameOf(item) === decode(cursor))
  if (start === -1) return undefined
  const next = list[start + limit]
  return {
    items: list.slice(start, start + limit),
    has_more: next !== undefined,
    response_metadata: { next_cursor: next === undefined ? "" : btoa(nameOf(next)) }
  }
}
const decode = (cursor: string) => {
  try {
    return atob(cursor)
  } catch {
    return ""
  }
}

const listing = (world: SlackWorld, list: ReadonlyArray<Message>, params: Params, fallback: number): Json => {
  const found = page(list, ({ ts }) => `next_ts:${ts}`, params, fallback)
  if (found === undefined) return fail("invalid_cursor")
  const { items, ...rest } = found
  const metadata = flag(params, "include_all_metadata")
  return { ok: true, messages: items.map((m) => listedShape(world.workspace, m, { metadata })), ...rest }
}

export const history = inChannel((world, conversation, params, now) => {
  const refused = lacking(world, `${scopeNames[conversation.kind]}:history`)
  if (refused !== undefined) return refused
  const shown = world.workspace.messages(conversation.id)
    .filter((m) => (m.threadTs === undefined || m.broadcast === true) && visible(world, now)(m))
    .filter(between(params))
  return listing(world, shown.toReversed(), params, 100)
})

/** The thread's root first, then its replies. `ts` may name any message of the thread. */
export const replies = inChannel((world, conversation, params, now) => {
  const refused = lacking(world, `${scopeNames[conversation.kind]}:history`)
  if (refused !== undefined) return refused
  const root = world.workspace.root(conversation.id, text(params, "ts") ?? "")
  if (root === undefined || !visible(world, now)(root)) return fail("thread_not_found")
  const shown = world.workspace.replies(conversation.id, root.ts).filter(visible(world, now)).filter(between(params))
  return listing(world, [root, ...shown], params, 200)
})
