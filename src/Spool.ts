/**
 * Where the bytes of files wait until they are sent (port). Adapters: `files/Spool.ts`; `memory/Spool.ts`.
 *
 * Guarantees: what was kept under a name is there in full after `kill -9` until it is removed; a name is kept once.
 * Does not: know which file is still wanted (the rows of the outbox do, see `sweepSpool`).
 */
import { Clock, Context, Effect, Schema } from "effect"
import { OutboxStore } from "./OutboxStore.ts"

/** More bytes than are allowed. */
export class TooLarge extends Schema.TaggedError<TooLarge>()("TooLarge", { limit: Schema.Number }) {}
/** No such file, or no room for it. */
export class SpoolUnavailable extends Schema.TaggedError<SpoolUnavailable>()("SpoolUnavailable", {
  detail: Schema.String
}) {}

export class SpoolError extends Schema.TaggedError<SpoolError>()("SpoolError", {
  reason: Schema.Union([TooLarge, SpoolUnavailable])
}) {
  override get message(): string {
    return this.reason._tag === "TooLarge"
      ? `the file is larger than ${this.reason.limit} bytes`
      : `the file cannot be kept or read: ${this.reason.detail}`
  }
}

export type FileContent = Uint8Array | string | { readonly path: string }

/** A copy that has no name yet. */
export interface Staged {
  readonly copy: string
  readonly bytes: number
  readonly digest: string
}

export class Spool extends Context.Service<Spool, {
  /** Copies the bytes. */
  readonly stage: (content: FileContent, limit: number) => Effect.Effect<Staged, SpoolError>
  /** Gives the copy its name, for good; one that is there already stays. */
  readonly keep: (staged: Staged, name: string) => Effect.Effect<void, SpoolError>
  readonly read: (name: string) => Effect.Effect<Blob, SpoolError>
  /** It may be gone already. */
  readonly remove: (name: string) => Effect.Effect<void, SpoolError>
  /** Names and copies that were last changed before the moment (epoch ms). */
  readonly list: (changedBefore: number) => Effect.Effect<ReadonlyArray<string>, SpoolError>
}>()("slackwater/Spool") {}

/** A copy without a row may be about to get one for this long (ms). */
const grace = 3_600_000
/** At a start almost nobody is about to add one: rooms that this start replaces, a transaction of the host. */
const graceAtStart = 60_000

/** Removes what no row needs any more. A row that cannot be read is known by the beginning of its file's name. */
export const sweepSpool = Effect.fnUntraced(function*({ atStart }: { readonly atStart: boolean }) {
  const spool = yield* Spool
  const store = yield* OutboxStore
  const now = yield* Clock.currentTimeMillis
  const there = yield* spool.list(now - (atStart ? graceAtStart : grace))
  if (there.length === 0) return 0
  const wanted = new Set(yield* store.spooled)
  const strays = there.filter((name) => !wanted.has(name) && !wanted.has(name.split(".")[0] ?? name))
  yield* Effect.forEach(strays, spool.remove, { discard: true })
  return strays.length
})
