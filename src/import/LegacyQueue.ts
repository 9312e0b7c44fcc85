/**
 * A legacy file queue, read as a plan: what becomes of each file. Pure, from names and contents.
 *
 * Owns the rules. An entry is `<id>.json`; `<id>.delivered` beside it says that it was sent. What only a person can
 * judge is never sent by itself: no enqueue time, older than the time to live, perhaps sent already. What this release
 * cannot send whole stays where it is, with the reason.
 * Does not: touch files or the database.
 */
import { Option, Schema } from "effect"
import { partsOf } from "../Dispatch.ts"
import type { Destination } from "../Message.ts"
import { cancelled, type Failure, type ImportedReply, interimReason } from "../OutboxStore.ts"
import { laneOf } from "../replyRows.ts"
import { isPlace, isTs } from "../slackIds.ts"

export interface LegacyName {
  readonly folder: string
  readonly name: string
}

export interface LegacyFile extends LegacyName {
  /** It lies where entries go that will never be sent. */
  readonly isFailed: boolean
  /** Its text, or why nobody read it; `skip` when that is as it should be. */
  readonly content: string | { readonly unread: string; readonly skip: boolean }
}

export type Outcome = "queued" | "delivered" | "unknown" | "expired" | "interim" | "failed"

/** An entry to take over, and the files to delete once its rows are committed. */
export interface Entry {
  readonly id: string
  readonly outcome: Outcome
  readonly rows: ReadonlyArray<ImportedReply>
  readonly files: ReadonlyArray<LegacyName>
}

export interface Stayed extends LegacyName {
  /** Somebody has to look at it; the others are rightly left. */
  readonly malformed: boolean
  readonly reason: string
}

export interface Plan {
  /** In the order in which they were enqueued. */
  readonly entries: ReadonlyArray<Entry>
  readonly stayed: ReadonlyArray<Stayed>
}

export interface PlanOptions {
  readonly now: number
  /** How long after it was enqueued a reply is still worth sending (ms); null is for ever. */
  readonly ttl: number | null
  /** Whose entries are taken over. Those that name no account are the default one's. */
  readonly account: string
}

export const defaultAccount = "default"

/** How far the clocks of two machines may be apart (ms); what was enqueued later than that has no believable time. */
const clockSkew = 300_000
const reasonLimit = 500

const maybe = <S extends Schema.Top>(schema: S) => Schema.optional(Schema.NullOr(schema))
const Payload = Schema.StructWithRest(
  Schema.Struct({
    text: maybe(Schema.String),
    mediaUrl: maybe(Schema.String),
    mediaUrls: maybe(Schema.Array(Schema.String))
  }),
  [Schema.Record(Schema.String, Schema.Unknown)]
)
/** A moment, in milliseconds, that a Date can hold. */
const Moment = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 8.64e15 }))
const LegacyEntry = Schema.Struct({
  id: Schema.NonEmptyString,
  enqueuedAt: maybe(Moment),
  to: Schema.String,
  accountId: maybe(Schema.String),
  payloads: Schema.Array(Payload),
  threadId: maybe(Schema.String),
  replyToId: maybe(Schema.String),
  dispatchKind: maybe(Schema.Literals(["tool", "block", "final"])),
  retryCount: maybe(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))),
  lastAttemptAt: maybe(Moment),
  lastError: maybe(Schema.String),
  recoveryState: maybe(Schema.String)
})
type LegacyEntry = typeof LegacyEntry.Type
const decode = Schema.decodeUnknownResult(LegacyEntry)
const channelOf = Schema.decodeUnknownOption(Schema.Struct({ channel: Schema.String }))
const parse = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Unknown))

class Refused {
  readonly malformed: boolean
  readonly reason: string
  constructor(reason: string, malformed: boolean) {
    this.malformed = malformed
    this.reason = reason.replaceAll(/\s+/g, " ").slice(0, reasonLimit)
  }
}
const malformed = (reason: string) => new Refused(reason, true)
const left = (reason: string) => new Refused(reason, false)

const isEmpty = (value: unknown) =>
  value === undefined || value === null || value === false || value === "" ||
  (Array.isArray(value) && value.length === 0)

/** Each account is a workspace of its own: what is another's would be posted in the wrong one. */
const accountProblem = ({ accountId }: LegacyEntry, account: string): Refused | undefined => {
  const own = accountId == null || accountId === "" ? defaultAccount : accountId
  if (own === account) return undefined
  const [whose, how] = own === defaultAccount
    ? ["the default account", "without --account"]
    : [`the account "${own.slice(0, 100)}"`, `with --account "${own.slice(0, 100)}"`]
  return left(`it is of ${whose}: take it over ${how}, into the data directory of that workspace`)
}

/** The texts to send, in order. */
const textsOf = ({ payloads }: LegacyEntry): ReadonlyArray<string> | Refused => {
  const texts: Array<string> = []
  for (const { mediaUrl, mediaUrls, text, ...rest } of payloads) {
    if (!isEmpty(mediaUrl) || !isEmpty(mediaUrls)) {
      return left("it has media, which is not taken over: send it by hand, then delete the entry")
    }
    const unknown = Object.keys(rest).find((key) => !isEmpty(rest[key]))
    if (unknown !== undefined) return left(`a payload has "${unknown}", which this release does not know`)
    if (text != null && text.trim() !== "") texts.push(text)
  }
  return texts.length === 0 ? left("there is no text in its payloads") : texts
}

/** Where it goes. A thread that cannot be used is an error: the channel is no substitute for it. */
const destinationOf = ({ replyToId, threadId, to }: LegacyEntry): Destination | Refused => {
  const [, kind, channel = ""] = /^(?:(channel|user):)?(.+)$/.exec(to) ?? []
  const isRight = isPlace(channel) && (kind === undefined || (kind === "user") === /^[UW]/.test(channel))
  if (!isRight) return malformed(`"to" is "${to}", and not a Slack id like C…, D…, U…, channel:C… or user:U…`)
  const threadTs = [threadId, replyToId].find((ts) => !isEmpty(ts))
  if (threadTs == null) return { channel }
  if (!isTs(threadTs)) return malformed(`its thread is "${threadTs}", which is no ts of Slack`)
  return { channel, threadTs }
}

interface Fate {
  readonly outcome: Outcome
  readonly failure: Failure | null
}

/** What becomes of it; the first rule that holds. */
const fateOf = (
  entry: LegacyEntry,
  { isFailed, now, ttl, wasSent }: Omit<PlanOptions, "account"> & {
    readonly isFailed: boolean
    readonly wasSent: boolean
  }
): Fate => {
  const { dispatchKind, enqueuedAt, lastError, recoveryState } = entry
  const said = isEmpty(lastError) ? undefined : lastError?.slice(0, reasonLimit)
  const fate = (outcome: Outcome, error: string, reason: string): Fate => ({ outcome, failure: { error, reason } })
  if (wasSent) return { outcome: "delivered", failure: null }
  if (dispatchKind === "tool" || dispatchKind === "block") return fate("interim", "Interim", interimReason)
  if (isFailed) return fate("failed", "Imported", said ?? "it had failed before it was taken over")
  if (!isEmpty(recoveryState)) {
    const why = `it may have been sent before it was taken over (${recoveryState?.slice(0, 100)})`
    return fate("unknown", "Ambiguous", said === undefined ? why : `${why}: ${said}`)
  }
  if (enqueuedAt == null) return fate("expired", "NoTime", "it does not say when it was enqueued")
  if (enqueuedAt > now + clockSkew) return fate("expired", "NoTime", "its enqueue time lies in the future")
  if (ttl !== null && enqueuedAt < now - ttl) return fate("expired", "Expired", "older than its time to live")
  return { outcome: "queued", failure: said === undefined ? null : { error: "Imported", reason: said } }
}

const stateOf = (outcome: Outcome): ImportedReply["state"] =>
  outcome === "interim" || outcome === "failed" ? "failed_terminal" : outcome

/** A later part goes with the one before it: cancelled where that has ended, so that a retry brings back both. */
const laterPart = ({ outcome }: Fate): Partial<ImportedReply> =>
  outcome === "failed" || outcome === "expired"
    ? { state: "failed_terminal", failure: { error: cancelled, reason: "an earlier part was not sent" } }
    : {}

const rowsOf = (
  entry: LegacyEntry,
  destination: Destination,
  texts: ReadonlyArray<string>,
  fate: Fate,
  now: number
) => {
  const enqueuedAt = Math.min(Math.round(entry.enqueuedAt ?? now), now)
  const parts = texts.flatMap((text) => partsOf({ text }).map((content, part) => ({ content, part })))
  return parts.map(({ content, part }, index): ImportedReply => ({
    key: `legacy:${entry.id}:${index}`,
    lane: laneOf(destination),
    destination,
    dispatch: { _tag: "Post", ...content },
    state: stateOf(fate.outcome),
    attempts: entry.retryCount ?? 0,
    enqueuedAt,
    failure: fate.failure,
    failedAt: fate.failure === null ? null : Math.min(Math.round(entry.lastAttemptAt ?? enqueuedAt), now),
    ...(fate.outcome === "interim" ? { interim: true } : {}),
    ...(part === 0 ? {} : { part, ...laterPart(fate) })
  }))
}

const read = (
  { content, isFailed, name }: LegacyFile,
  hasMarker: boolean,
  { account, now, ttl }: PlanOptions
): Refused | (Omit<Entry, "files"> & { readonly enqueuedAt: number }) => {
  if (typeof content !== "string") return new Refused(content.unread, !content.skip)
  const json = Option.getOrUndefined(parse(content))
  if (json === undefined) return malformed("it is not JSON")
  const channel = Option.getOrUndefined(channelOf(json))
  if (channel === undefined) return malformed("it is no entry: it names no channel")
  if (channel.channel !== "slack") return left(`it is for ${channel.channel.slice(0, 50)}`)
  const decoded = decode(json)
  if (decoded._tag === "Failure") return malformed(`it is no entry: ${decoded.failure.message}`)
  const entry = decoded.success
  if (`${entry.id}.json` !== name) return malformed(`its id is "${entry.id}", which is not its name`)
  const problem = accountProblem(entry, account)
  if (problem !== undefined) return problem
  const destination = destinationOf(entry)
  if (destination instanceof Refused) return destination
  const texts = textsOf(entry)
  if (texts instanceof Refused) return texts
  const fate = fateOf(entry, { isFailed, now, ttl, wasSent: hasMarker })
  return {
    id: entry.id,
    outcome: fate.outcome,
    rows: rowsOf(entry, destination, texts, fate, now),
    enqueuedAt: entry.enqueuedAt ?? Infinity
  }
}

/** What it is called in a report: its path, from where the queue lies. */
export const pathOf = ({ folder, name }: LegacyName): string => `${folder}/${name}`

export const plan = (files: ReadonlyArray<LegacyFile>, options: PlanOptions): Plan => {
  const names = new Set(files.map(pathOf))
  const entries: Array<Entry & { readonly enqueuedAt: number }> = []
  const stayed: Array<Stayed> = []
  for (const file of files) {
    const { folder, name } = file
    const stays = ({ malformed, reason }: Refused) => stayed.push({ folder, name, malformed, reason })
    if (name.endsWith(".delivered")) {
      if (!names.has(pathOf({ folder, name: name.replace(/\.delivered$/, ".json") }))) {
        stays(left("it says that an entry was sent which is not here any more"))
      }
      continue
    }
    if (!name.endsWith(".json")) {
      stays(left("it is no entry: its name does not end with .json"))
      continue
    }
    const marker = { folder, name: name.replace(/\.json$/, ".delivered") }
    const hasMarker = names.has(pathOf(marker))
    const result = read(file, hasMarker, options)
    if (result instanceof Refused) stays(result)
    else entries.push({ ...result, files: hasMarker ? [{ folder, name }, marker] : [{ folder, name }] })
  }
  const before = (a: string, b: string) => a < b ? -1 : a > b ? 1 : 0
  return {
    entries: entries.toSorted((a, b) =>
      a.enqueuedAt === b.enqueuedAt ? before(a.id, b.id) : a.enqueuedAt - b.enqueuedAt
    ),
    stayed: stayed.toSorted((a, b) => before(pathOf(a), pathOf(b)))
  }
}
