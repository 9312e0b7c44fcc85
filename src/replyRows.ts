/**
 * The rows that one reply, or one change of a reply, becomes. Pure but for the hash.
 *
 * Owns the idempotency keys: the scope (a turn, or the host), the place within it, a hash of the content, and a number
 * where the same was said there before; or the caller's own key instead of all but the scope. No order is in a key: what
 * runs side by side ends in any order. Later parts of a long text have the same key with `#n` behind it.
 */
import { Clock, Effect, Random } from "effect"
import { type Content, contentOf, type Dispatch, markdownLimit, partsOf, type Response } from "./Dispatch.ts"
import { fingerprint } from "./fingerprint.ts"
import { ConversationKey, type Destination, type Reply } from "./Message.ts"
import type { NewReply } from "./OutboxStore.ts"
import type { Change, Messages } from "./ReplyHandle.ts"
import { splitText } from "./splitText.ts"
import type { FileContent, Staged } from "./Spool.ts"

/** A file to post. `content` is its bytes, its text, or where it lies on this machine. */
export interface FileUpload {
  readonly filename: string
  readonly content: FileContent
  readonly title?: string
  /** What is said with it. */
  readonly comment?: string
  readonly key?: string
}

/** A stream that was begun: its row, and the key of that. */
export interface Begun {
  readonly spot: Spot
  readonly key: string
  readonly start: number
}

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

/** A caller's own key, in which nothing reads as the number of a part. */
const owned = (scope: string, key: string) => `${scope}:key:${key.replaceAll("%", "%25").replaceAll("#", "%23")}`

/** A call, and how it stands to others. */
type Part = Pick<NewReply, "dispatch" | "target" | "part">

/** The key of what is said now, which may have been said there before. */
const keyed = (same: string, said: Set<string> | undefined) => {
  let key = same
  for (let n = 2; said?.has(key) === true; n++) key = `${same}:${n}`
  said?.add(key)
  return key
}

const named = (
  { destination, lane, place, said, scope }: Spot,
  parts: ReadonlyArray<Part>,
  options: { readonly key?: string | undefined; readonly interim?: boolean | undefined; readonly notBefore?: number }
) =>
  Effect.map(fingerprint(JSON.stringify(parts)), (hash) => {
    const beginning = `${scope}:${place}:`
    const same = `${beginning}${hash}`
    const key = options.key === undefined ? keyed(same, said) : owned(scope, options.key)
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

/** The beginning of a stream has the same key in a re-run, whatever is said in it. */
export const rowOfStream = (
  spot: Spot,
  key: string | undefined,
  to: { readonly user?: string; readonly team?: string }
) => {
  const { destination, lane, place, scope } = spot
  const dispatch: Dispatch = {
    _tag: "StreamStart",
    ...(to.user === undefined ? {} : { recipientUser: to.user }),
    ...(to.team === undefined ? {} : { recipientTeam: to.team })
  }
  const row: NewReply = {
    key: key === undefined ? `${scope}:${place}` : owned(scope, key),
    lane,
    destination,
    dispatch
  }
  return row
}

export const rowOfAppend = ({ key, spot, start }: Begun, markdown: string, ordinal: string): NewReply => ({
  key: `${key}:append:${ordinal}`,
  lane: spot.lane,
  destination: spot.destination,
  dispatch: { _tag: "StreamAppend", markdown },
  target: start,
  interim: true
})

/** The end of a stream: all of its text, in as many messages as it takes. */
export const rowsOfStop = ({ key, spot, start }: Begun, whole: string) => {
  const { destination, lane } = spot
  if (whole.trim() === "") {
    return Effect.succeed<ReadonlyArray<NewReply>>([
      { key: `${key}:end`, lane, destination, dispatch: { _tag: "StreamEnd" }, target: start }
    ])
  }
  const [first = whole, ...rest] = splitText(whole, markdownLimit)
  return Effect.map(fingerprint(whole), (hash): ReadonlyArray<NewReply> => [
    { key: `${key}:stop:${hash}`, lane, destination, dispatch: { _tag: "StreamStop", text: first }, target: start },
    ...rest.map((markdown, index): NewReply => ({
      key: `${key}:stop:${hash}#${index + 1}`,
      lane,
      destination,
      dispatch: { _tag: "Post", text: "", markdown },
      part: index + 1
    }))
  ])
}

/**
 * A file that was copied; its name in the spool comes from its key, so that a re-run finds the same one. The host has no
 * re-runs: each of its attempts has a file of its own.
 */
export const rowOfUpload = Effect.fnUntraced(function*(
  spot: Spot,
  file: FileUpload,
  { bytes, digest }: Staged,
  notBefore?: number
) {
  const { destination, lane, place, said, scope } = spot
  const { comment, filename, title } = file
  const hash = yield* fingerprint(JSON.stringify([filename, title, comment, digest]))
  const beginning = `${scope}:${place}:`
  const key = file.key === undefined ? keyed(`${beginning}${hash}`, said) : owned(scope, file.key)
  const ofKey = yield* fingerprint(key)
  const spool = said === undefined ? `${ofKey}.${(yield* fingerprint(place)).slice(0, 8)}` : ofKey
  const dispatch: Dispatch = {
    _tag: "Upload",
    spool,
    filename,
    bytes,
    ...(title === undefined ? {} : { title }),
    ...(comment === undefined ? {} : { comment })
  }
  const row: NewReply = {
    key,
    lane,
    destination,
    dispatch,
    ...(notBefore === undefined ? {} : { notBefore }),
    ...(file.key === undefined && said !== undefined ? { place: { beginning, said } } : {})
  }
  return { row, spool }
})

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
