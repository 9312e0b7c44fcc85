/**
 * The rows that one reply, or one change of a reply, becomes. Pure but for the hash.
 *
 * Owns the idempotency keys: the scope (a turn, or the host), the place within it, a hash of the content, and a number
 * where the same was said there before; or the caller's own key instead of all but the scope. No order is in a key: what
 * runs side by side ends in any order. Later parts of a long text have the same key with `#n` behind it.
 */
import { Clock, Effect, Random } from "effect"
import { type Content, contentOf, type Dispatch, partsOf, type Response } from "./Dispatch.ts"
import { fingerprint } from "./fingerprint.ts"
import { ConversationKey, type Destination, type Reply } from "./Message.ts"
import type { NewReply } from "./OutboxStore.ts"
import type { Change, Messages } from "./ReplyHandle.ts"
import { splitText } from "./splitText.ts"

export interface Spot {
  /** Whose keys these are. */
  readonly scope: string
  /** Where in the scope. */
  readonly place: string
  /** The keys of what was said there; none where each call has a place of its own. */
  readonly said?: Set<string>
  readonly lane: ConversationKey
  readonly destination: Destination
}

/** The conversation of what is sent to a place. */
export const laneOf = ({ channel, threadTs }: Destination): ConversationKey =>
  ConversationKey.make(threadTs === undefined ? channel : `${channel}/${threadTs}`)

/** The host repeats nothing, so every call is a place of its own. */
export const hostSpot = Effect.fnUntraced(function*(destination: Destination, lane = laneOf(destination)) {
  const nonce = yield* Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER)
  const place = `${yield* Clock.currentTimeMillis}:${nonce}`
  return { scope: "host", place, lane, destination } satisfies Spot
})

/** A call, and how it stands to others. */
type Part = Pick<NewReply, "dispatch" | "target" | "part">

const named = (
  { destination, lane, place, said, scope }: Spot,
  parts: ReadonlyArray<Part>,
  options: { readonly key?: string | undefined; readonly interim?: boolean | undefined; readonly notBefore?: number }
) =>
  Effect.map(fingerprint(JSON.stringify(parts)), (hash) => {
    const beginning = `${scope}:${place}:`
    const same = `${beginning}${hash}`
    let key = options.key === undefined ? same : `${scope}:key:${options.key}`
    if (options.key === undefined) {
      for (let n = 2; said?.has(key) === true; n++) key = `${same}:${n}`
      said?.add(key)
    }
    return parts.map((part, index): NewReply => ({
      ...part,
      key: index === 0 ? key : `${key}#${index}`,
      lane,
      destination,
      ...(options.interim === true ? { interim: true } : {}),
      ...(options.notBefore === undefined ? {} : { notBefore: options.notBefore }),
      ...(options.key === undefined && index === 0 && said !== undefined ? { place: { beginning, said } } : {})
    }))
  })

const numbered = (dispatches: ReadonlyArray<Dispatch>): ReadonlyArray<Part> =>
  dispatches.map((dispatch, part) => part === 0 ? { dispatch } : { dispatch, part })

export const rowsOfReply = (spot: Spot, reply: Reply, notBefore?: number) => {
  const { ephemeral: user } = reply
  const parts = partsOf(contentOf(reply)).map((content): Dispatch =>
    user === undefined ? { _tag: "Post", ...content } : { _tag: "Ephemeral", user, ...content }
  )
  return named(spot, numbered(parts), { ...reply, ...(notBefore === undefined ? {} : { notBefore }) })
}

/** An answer to a command is one call: its address takes five at most, so what is long is not cut. */
export const rowsOfResponse = (spot: Spot, response: Response, url: string) => {
  const { deleteOriginal, replaceOriginal, responseType } = response
  const dispatch: Dispatch = {
    _tag: "Respond",
    url,
    ...contentOf(response),
    ...(responseType === undefined ? {} : { responseType }),
    ...(replaceOriginal === undefined ? {} : { replaceOriginal }),
    ...(deleteOriginal === undefined ? {} : { deleteOriginal })
  }
  return named(spot, [{ dispatch }], response)
}

/** Slack edits no text that is longer; beside blocks it is only what a notification says. */
const editable = (content: Content): Content =>
  content.blocks === undefined ? content : { ...content, text: splitText(content.text)[0] ?? "" }

/**
 * The rows of a change, and which messages remain: those of `kept` and those that new posts among the rows make. What
 * is only progress takes nothing away, since nobody knows whether it is sent.
 */
export const rowsOfChange = (spot: Spot, change: Change, { destination, lane, rows }: Messages) => {
  const there: Spot = { ...spot, lane, destination }
  const [first] = rows
  if (change._tag === "React") {
    const { message: target, name, remove } = change
    const dispatch: Dispatch = {
      _tag: "React",
      name,
      ...(remove ? { remove } : {}),
      ...(target === undefined ? {} : { target: { channel: target.channel, ts: target.ts } })
    }
    const part = { dispatch, ...(first === undefined ? {} : { target: first }) }
    return Effect.map(named(there, [part], {}), (made) => ({ rows: made, kept: rows }))
  }
  if (change._tag === "Delete") {
    const parts = rows.map((target): Part => ({ dispatch: { _tag: "Delete" }, target }))
    return Effect.map(named(there, parts, {}), (made) => ({ rows: made, kept: rows }))
  }
  const { reply } = change
  const contents = partsOf(contentOf(reply))
  const parts = [
    ...rows.slice(0, contents.length).map((target, index): Part => ({
      dispatch: { _tag: "Update", ...editable(contents[index] ?? { text: "" }) },
      target
    })),
    ...numbered(contents.slice(rows.length).map((content) => ({ _tag: "Post", ...content }))),
    ...(reply.interim === true ? [] : rows.slice(contents.length)).map((target): Part => ({
      dispatch: { _tag: "Delete" },
      target
    }))
  ]
  const kept = reply.interim === true ? rows : rows.slice(0, contents.length)
  return Effect.map(named(there, parts, reply), (made) => ({ rows: made, kept }))
}
