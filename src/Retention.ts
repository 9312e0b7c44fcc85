/**
 * Deletes what is finished and old, in small batches on a schedule, so that the tables stop growing and no batch holds
 * the writer for long.
 *
 * Keys by which repetitions are recognised have a horizon of their own: they are never deleted earlier, whatever
 * happens to their message. Files in the spool that no row needs any more go too.
 */
import { Clock, Context, Duration, Effect, Layer } from "effect"
import { GatewayConfig } from "./GatewayConfig.ts"
import { MessageStore } from "./MessageStore.ts"
import { OutboxStore } from "./OutboxStore.ts"
import { Spool, sweepSpool } from "./Spool.ts"
import { Supervisor } from "./Supervisor.ts"

const every = Duration.hours(1)
const most = 500
const between = Duration.millis(50)

export class Retention extends Context.Service<Retention, {
  /** Deletes everything that is due; answers how many messages and replies that were. */
  readonly sweep: Effect.Effect<number>
}>()("slackwater/Retention") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function*() {
      const config = yield* GatewayConfig
      const messages = yield* MessageStore
      const outbox = yield* OutboxStore
      const spool = yield* Spool
      const supervisor = yield* Supervisor

      const sweep = Effect.gen(function*() {
        let total = 0
        while (true) {
          const now = yield* Clock.currentTimeMillis
          const finishedBefore = now - Duration.toMillis(config.retention)
          const keysBefore = now - Duration.toMillis(config.keyHorizon)
          const deleted = (yield* messages.prune({ finishedBefore, keysBefore, most })) +
            (yield* outbox.prune({ finishedBefore, most }))
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
          total === 0 ? Effect.void : Effect.logInfo("deleted what was finished and old", { total })
        ),
        Effect.catch((error) =>
          Effect.as(Effect.logWarning("could not delete what is old; trying again later", error), 0)
        )
      )

      yield* supervisor.fork("retention", Effect.forever(Effect.andThen(Effect.sleep(every), sweep)))
      return Retention.of({ sweep })
    })
  )
}
