/**
 * Deletes what is finished and old, or more than is to be kept, in small batches on a schedule, so that the tables stop
 * growing and no batch holds the writer for long.
 *
 * Guarantees: the oldest finished go first; nothing unfinished goes, nor a reply that an unfinished turn may ask for
 * again. Keys by which repetitions are recognised have a horizon of their own: neither age nor number of the messages
 * shortens it, and what the host posted under a key of its own is kept for as long. Files in the
 * spool that no row needs any more go too.
 * Does not: hold a number between two sweeps, or make the file smaller (its free pages are used again).
 */
import { Clock, Context, Duration, Effect, Layer } from "effect"
import { endedBefore, later } from "./Cutoff.ts"
import { GatewayConfig } from "./GatewayConfig.ts"
import { MessageStore } from "./MessageStore.ts"
import { OutboxStore } from "./OutboxStore.ts"
import { Spool, sweepSpool } from "./Spool.ts"
import { Supervisor } from "./Supervisor.ts"

/** A gateway that is restarted often sweeps too. */
const first = Duration.minutes(5)
const longest = Duration.hours(1)
const shortest = Duration.minutes(1)
/** Nothing is kept for much longer than it should be: an age of minutes is looked at more often than once an hour. */
const everyFor = (age: Duration.Duration) =>
  Duration.clamp(Duration.divideUnsafe(age, 5), { minimum: shortest, maximum: longest })
const most = 500
const between = Duration.millis(50)

export class Retention extends Context.Service<Retention, {
  /** Deletes everything that is due; answers how many rows, of each batch only those of the most numerous kind. */
  readonly sweep: Effect.Effect<number>
}>()("slackwater/Retention") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function*() {
      const { keyHorizon, retention, retentionCount } = yield* GatewayConfig
      const messages = yield* MessageStore
      const outbox = yield* OutboxStore
      const spool = yield* Spool
      const supervisor = yield* Supervisor

      /** An age that reaches beyond 1970 keeps everything. */
      const ago = (age: Duration.Duration, now: number) => Math.max(1, Math.floor(now - Duration.toMillis(age)))

      const sweep = Effect.gen(function*() {
        const counted = retentionCount === null
          ? { messages: null, replies: null }
          : {
            messages: yield* messages.cutoffKeeping(retentionCount),
            replies: yield* outbox.cutoffKeeping(retentionCount)
          }
        let total = 0
        while (true) {
          const now = yield* Clock.currentTimeMillis
          const aged = endedBefore(ago(retention, now))
          const keysBefore = ago(keyHorizon, now)
          const deleted =
            (yield* messages.prune({ finishedBefore: later(aged, counted.messages ?? aged), keysBefore, most })) +
            (yield* outbox.prune({ finishedBefore: later(aged, counted.replies ?? aged), keysBefore, most }))
          total += deleted
          if (deleted < most) break
          yield* Effect.sleep(between)
        }
        yield* sweepSpool({ atStart: false }).pipe(
          Effect.provideService(Spool, spool),
          Effect.provideService(OutboxStore, outbox)
        )
        return total
      }).pipe(
        Effect.tap((total) =>
          total === 0
            ? Effect.void
            : Effect.logInfo("deleted what was finished and old", { rowsOfTheMostNumerousKind: total })
        ),
        Effect.catch((error) =>
          Effect.as(Effect.logWarning("could not delete what is old; trying again later", error), 0)
        )
      )

      const every = everyFor(retention)
      const sweeping = Effect.andThen(
        Effect.sleep(Duration.min(first, every)),
        Effect.forever(Effect.andThen(sweep, Effect.sleep(every)))
      )
      yield* supervisor.fork("retention", sweeping)
      return Retention.of({ sweep })
    })
  )
}
