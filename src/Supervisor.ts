/**
 * Supervised fibers: nothing that runs in the background may die in silence.
 *
 * A supervised fiber lives in the caller's scope, so that the order of the end holds. When it fails or stops it is
 * started again after a growing pause; a healthy run clears the count; too many failures in a row are fatal, and
 * `fatal` fails with the cause.
 * Does not: end the process. Whoever waits for `fatal` decides.
 */
import { Cause, Clock, Context, Deferred, Duration, Effect, Exit, Layer, Metric, Random, Runtime, Schema } from "effect"
import type { Scope } from "effect"
import { fiberRestarts } from "./Telemetry.ts"

export class FiberStopped extends Schema.TaggedError<FiberStopped>()("FiberStopped", { fiber: Schema.String }) {
  override get message(): string {
    return `${this.fiber} ended although it must run for ever`
  }
}

export class GaveUp extends Schema.TaggedError<GaveUp>()("GaveUp", {
  fiber: Schema.String,
  exitCode: Schema.Int,
  detail: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = this.exitCode
  override get message(): string {
    return this.detail
  }
}

const base = 50
const cap = 30_000
const healthyAfter = 60_000
const maxFailures = 20

export class Supervisor extends Context.Service<Supervisor, {
  /** Runs `effect` for ever in the caller's scope. */
  readonly fork: <E, R>(
    fiber: string,
    effect: Effect.Effect<unknown, E, R>
  ) => Effect.Effect<void, never, R | Scope.Scope>
  /** Ends the gateway with this failure. */
  readonly giveUp: (failure: GaveUp) => Effect.Effect<void>
  readonly fatal: Effect.Effect<never, GaveUp>
}>()("slackwater/Supervisor") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function*() {
      const fatal = yield* Deferred.make<never, GaveUp>()
      const giveUp = (failure: GaveUp) => Effect.asVoid(Deferred.fail(fatal, failure))

      const forever = Effect.fnUntraced(function*<E, R>(fiber: string, effect: Effect.Effect<unknown, E, R>) {
        let failures = 0
        while (true) {
          const started = yield* Clock.currentTimeMillis
          const exit = yield* Effect.exit(effect)
          if (Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)) return
          const ran = (yield* Clock.currentTimeMillis) - started
          failures = ran >= healthyAfter ? 1 : failures + 1
          const cause = Exit.isFailure(exit) ? exit.cause : Cause.fail(new FiberStopped({ fiber }))
          if (failures > maxFailures) {
            yield* Effect.logFatal("gave up", cause)
            return yield* giveUp(
              new GaveUp({
                fiber,
                exitCode: 70,
                detail: `${fiber} failed ${failures} times in a row; see the log above`
              })
            )
          }
          const delay = Math.min(cap, base * 2 ** (failures - 1)) * (yield* Random.nextBetween(0.5, 1))
          yield* Effect.logWarning("restarting after a failure", cause).pipe(
            Effect.annotateLogs({ failures, delayMs: Math.round(delay) })
          )
          yield* Metric.update(Metric.withAttributes(fiberRestarts, { fiber }), 1)
          yield* Effect.sleep(Duration.millis(delay))
        }
      })

      return Supervisor.of({
        giveUp,
        fatal: Deferred.await(fatal),
        fork: (fiber, effect) =>
          forever(fiber, effect).pipe(
            Effect.annotateLogs({ fiber }),
            Effect.forkScoped({ startImmediately: true }),
            Effect.asVoid
          )
      })
    })
  )
}
