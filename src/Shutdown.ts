/**
 * The end, and the one deadline everything shares.
 *
 * Owns the phase (starting, running, draining, stopped), the absolute deadline, and the counts of the closing line.
 * `begin` is idempotent: every finalizer calls it (through `within`), since a half-built gateway never has the top
 * one. The order of the end is not written here: it is the order of the Layers in `Gateway.ts`.
 * Does not: install signal handlers (`bin.ts` does) or end the process.
 */
import { Cause, Clock, Context, Duration, Effect, Fiber, Layer, SubscriptionRef } from "effect"
import { GatewayConfig } from "./GatewayConfig.ts"

export type Phase = "starting" | "running" | "draining" | "stopped"

/** What the closing line counts. */
export type Tally = "flushed" | "drained" | "requeued" | "sent"

/**
 * The part of the whole time that a step must leave to the steps after it. Shares, not seconds, so that a short
 * deadline is split like a long one.
 */
export const reserves = {
  socket: 0.7,
  debouncer: 0.6,
  conversations: 0.3,
  outbox: 0.1,
  requeue: 0.02,
  clean: 0
} as const

export class Shutdown extends Context.Service<Shutdown, {
  readonly phase: SubscriptionRef.SubscriptionRef<Phase>
  /** Everything is up. */
  readonly running: Effect.Effect<void>
  /** The end has begun: fixes the deadline, turns readiness off. Idempotent. */
  readonly begin: Effect.Effect<void>
  readonly count: (what: Tally, by: number) => Effect.Effect<void>
  /**
   * Runs a step of the end under the shared deadline less its reserve. The step runs detached, so that even
   * uninterruptible work cannot hold the end up. Never fails; answers whether it finished in time.
   */
  readonly within: <E, R>(
    step: keyof typeof reserves,
    effect: Effect.Effect<unknown, E, R>
  ) => Effect.Effect<boolean, never, R>
}>()("slackwater/Shutdown") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function*() {
      const total = Duration.toMillis((yield* GatewayConfig).shutdownTimeout)
      const phase = yield* SubscriptionRef.make<Phase>("starting")
      const tally: Record<Tally, number> = { flushed: 0, drained: 0, requeued: 0, sent: 0 }
      let deadline: number | undefined
      /** A gateway that never got up says why, and nothing about its end. */
      let wasUp = false
      const say = (line: string, ...counts: ReadonlyArray<unknown>) =>
        Effect.suspend(() => wasUp ? Effect.logInfo(line, ...counts) : Effect.void)

      const begin = Effect.suspend(() => {
        if (deadline !== undefined) return Effect.void
        return Effect.flatMap(Clock.currentTimeMillis, (now) => {
          deadline = now + total
          wasUp = SubscriptionRef.getUnsafe(phase) === "running"
          return Effect.andThen(SubscriptionRef.set(phase, "draining"), say("stopping"))
        })
      })

      yield* Effect.addFinalizer(() =>
        begin.pipe(
          Effect.andThen(SubscriptionRef.set(phase, "stopped")),
          Effect.andThen(Effect.suspend(() => say("stopped", { ...tally })))
        )
      )

      return Shutdown.of({
        phase,
        running: SubscriptionRef.update(phase, (now) => now === "starting" ? "running" : now),
        begin,
        count: (what, by) =>
          Effect.sync(() => {
            // `sent` and the rest are about the end only.
            if (deadline !== undefined) tally[what] += by
          }),
        within: Effect.fnUntraced(function*(step, effect) {
          yield* begin
          const now = yield* Clock.currentTimeMillis
          const left = Math.max(0, (deadline ?? now) - total * reserves[step] - now)
          const fiber = yield* Effect.forkDetach(effect, { startImmediately: true })
          const exit = yield* Effect.timeoutOption(Fiber.await(fiber), left)
          if (exit._tag === "None") {
            fiber.interruptUnsafe()
            yield* Effect.logWarning("out of time, going on with the next step").pipe(Effect.annotateLogs({ step }))
            return false
          }
          if (exit.value._tag === "Failure" && !Cause.hasInterruptsOnly(exit.value.cause)) {
            yield* Effect.logError("a step of the shutdown failed", exit.value.cause).pipe(
              Effect.annotateLogs({ step })
            )
          }
          return true
        })
      })
    })
  )
}
