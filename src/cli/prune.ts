/**
 * `slackwater prune`: deletes what is finished and old, or too much, now and not at the gateway's next hour.
 *
 * Guarantees, also after `kill -9`: what the gateway's own Retention keeps stays too: all that is unfinished, replies
 * that an unfinished turn may ask for again, and keys, with the host's posts, up to their own horizon. Small batches,
 * each one short transaction, with a pause between them; cut off, it is finished by the same command.
 * Does not: make the file smaller (its free pages are used again), or delete files in the spool (the gateway does).
 */
import { Clock, Console, Duration, Effect, Option, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { type Cutoff, endedBefore, later } from "../Cutoff.ts"
import { setting } from "../GatewayConfig.ts"
import { MessageStore } from "../MessageStore.ts"
import { OutboxStore } from "../OutboxStore.ts"
import { countPrunable, type Prunable } from "../sql/prunable.ts"
import { changing, looking } from "./besideGateway.ts"
import { confirm, NotConfirmed, somebodyToAsk } from "./confirm.ts"
import { noProgress, progress } from "./progress.ts"
import * as rowFlags from "./rowFlags.ts"
import { reading } from "./settings.ts"
import { UsageError } from "./usage.ts"

const command = "prune"
/** Rows of a kind in one transaction, and the pause behind it, in which a gateway beside us writes. */
const together = 500
const between = "20 millis"

const count = Schema.Int

/** What `prune --json` prints. Fields may be added, never changed. */
export const Pruned = Schema.Struct({
  dryRun: Schema.Boolean,
  /** Finished before this age (ms); null where the age did not matter. */
  olderThanMs: Schema.NullOr(Schema.Finite),
  /** All but the newest so many; null where the number did not matter. */
  keep: Schema.NullOr(count),
  /** Rows that were deleted, or would be. */
  rows: Schema.Struct({ messages: count, turns: count, replies: count, keys: count })
})

const units: Readonly<Record<string, string>> = { s: "seconds", m: "minutes", h: "hours", d: "days", w: "weeks" }

/** Like "7d", or as settings have it, like "7 days". */
const ageOf = (text: string) => {
  const [, number = "", unit = ""] = /^\s*(\d+)\s*([smhdw])\s*$/.exec(text) ?? []
  const written = number === "" ? text : `${number} ${units[unit]}`
  const age = Duration.fromInput(written as Duration.Input)
  return Option.isSome(age) && Duration.isFinite(age.value) && Duration.toMillis(age.value) > 0
    ? Effect.succeed(age.value)
    : Effect.fail(
      new UsageError({ command, detail: `--older-than is "${text}", and must be an age like 7d or "12 hours"` })
    )
}

/** What is asked for; without a word of it, what the gateway itself goes by. */
const read = Effect.fnUntraced(
  function*(given: { readonly olderThan: Option.Option<string>; readonly keep: Option.Option<number> }) {
    const all = yield* Effect.all({
      dataDir: setting("dataDir"),
      keyHorizon: setting("keyHorizon"),
      retention: setting("retention"),
      retentionCount: setting("retentionCount")
    })
    if (Option.isSome(given.keep) && given.keep.value < 1) {
      return yield* new UsageError({ command, detail: `--keep is ${given.keep.value}, and must be 1 or more` })
    }
    const asUsual = Option.isNone(given.olderThan) && Option.isNone(given.keep)
    return {
      dataDir: all.dataDir,
      keyHorizon: all.keyHorizon,
      age: Option.isSome(given.olderThan) ? yield* ageOf(given.olderThan.value) : asUsual ? all.retention : null,
      keep: asUsual ? all.retentionCount : Option.getOrNull(given.keep)
    }
  }
)

/** No row ended before it. */
const never = endedBefore(1)

/** An age that reaches beyond 1970 keeps everything. */
const ago = (age: Duration.Duration, now: number) => Math.max(1, Math.floor(now - Duration.toMillis(age)))

const cutoffs = Effect.fnUntraced(function*({ age, keep, keyHorizon }: Effect.Success<ReturnType<typeof read>>) {
  const now = yield* Clock.currentTimeMillis
  const aged = age === null ? never : endedBefore(ago(age, now))
  const beyond = (found: Cutoff | null) => later(aged, found ?? never)
  return {
    keysBefore: ago(keyHorizon, now),
    messages: beyond(keep === null ? null : yield* (yield* MessageStore).cutoffKeeping(keep)),
    replies: beyond(keep === null ? null : yield* (yield* OutboxStore).cutoffKeeping(keep))
  }
})

/** As many rows as the stores count: of each kind that goes in one batch, the most numerous. */
const steps = ({ answers, keys, messages, posts, turns }: Prunable) =>
  Math.max(messages, turns, keys) + Math.max(answers, posts)

const deleteAll = Effect.fnUntraced(
  function*({ keysBefore, messages, replies }: Effect.Success<ReturnType<typeof cutoffs>>, total: number) {
    const tell = progress("deleting", "rows")
    const [inbox, outbox] = [yield* MessageStore, yield* OutboxStore]
    let done = 0
    for (const [store, finishedBefore] of [[inbox, messages], [outbox, replies]] as const) {
      for (let isMore = true; isMore;) {
        yield* tell(done, total)
        const deleted = yield* store.prune({ finishedBefore, keysBefore, most: together })
        done += deleted
        isMore = deleted === together
        if (isMore) yield* Effect.sleep(between)
      }
    }
  },
  Effect.ensuring(noProgress)
)

const words = ({ answers, keys, messages, posts, turns }: Prunable) =>
  `${messages} messages, ${turns} turns, ${answers + posts} replies and ${keys} keys`

const ask = Effect.fnUntraced(function*(foreseen: Prunable) {
  if (!(yield* confirm(`This deletes ${words(foreseen)} for good. Delete them?`))) return yield* new NotConfirmed()
})

const less = (before: Prunable, after: Prunable): Prunable => ({
  messages: before.messages - after.messages,
  turns: before.turns - after.turns,
  keys: before.keys - after.keys,
  answers: before.answers - after.answers,
  posts: before.posts - after.posts
})

export const prune = Command.make(
  "prune",
  {
    olderThan: Flag.String("older-than").pipe(
      Flag.withDescription("Rows that finished longer ago than this, like 7d, 12h or \"2 weeks\""),
      Flag.optional
    ),
    keep: Flag.Int("keep").pipe(
      Flag.withDescription("Finished messages, and finished replies, to keep: all but the newest so many go"),
      Flag.optional
    ),
    dryRun: rowFlags.dryRun,
    yes: rowFlags.yes.pipe(Flag.withDescription("Do not ask; needed where there is no terminal")),
    json: rowFlags.json
  },
  Effect.fn(command)(function*({ dryRun, json, yes, ...given }) {
    const wanted = yield* reading(read(given))
    if (!dryRun && !yes) yield* somebodyToAsk(command)
    const { bounds, foreseen } = yield* Effect.gen(function*() {
      const bounds = yield* cutoffs(wanted)
      return { bounds, foreseen: yield* countPrunable(bounds) }
    }).pipe(looking(wanted.dataDir))
    const isNeeded = !dryRun && steps(foreseen) > 0
    if (isNeeded && !yes) yield* ask(foreseen)
    const gone = isNeeded
      ? yield* Effect.map(
        Effect.andThen(deleteAll(bounds, steps(foreseen)), countPrunable(bounds)),
        (left) => less(foreseen, left)
      ).pipe(changing(wanted.dataDir, { mayMake: false }))
      : foreseen
    const report: typeof Pruned.Type = {
      dryRun,
      olderThanMs: wanted.age === null ? null : Duration.toMillis(wanted.age),
      keep: wanted.keep,
      rows: { messages: gone.messages, turns: gone.turns, replies: gone.answers + gone.posts, keys: gone.keys }
    }
    yield* Console.log(json ? JSON.stringify(report) : `${dryRun ? "would delete" : "deleted"} ${words(gone)}`)
  })
).pipe(
  Command.withDescription(
    "Delete finished messages and replies by age or number, dead letters too; without flags as the gateway does by itself"
  ),
  Command.withExamples([
    { command: "slackwater prune --older-than 7d --dry-run", description: "See how much would go" },
    { command: "slackwater prune --older-than 7d --yes", description: "From cron" },
    { command: "slackwater prune --keep 10000", description: "All but the newest" }
  ])
)
