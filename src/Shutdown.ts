/**
 * The end, and the one deadline everything shares.
 *
 * Owns the phase (starting, running, draining, stopped), the absolute deadline, the counts of the closing line, and
 * whether the end is somebody's fault.
 * `begin` is idempotent: every finalizer calls it (through `within`), since a half-built gateway never has the top
 * one. The order of the end is not written here: it is the order of the Layers in `Gateway.ts`.
 * Rooms that a reload replaces end in the same order under a deadline of their own (`layerOfRooms`), and nothing below
 * them notices. Rooms that are not replaced are the whole: their end is the gateway's.
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
const reserves = {
  catchUp: 0.8,
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
  /** From now on the end may take this long; an end that has begun keeps its deadline. */
  readonly allow: (timeout: Duration.Duration) => Effect.Effect<void>
  /** The end is somebody's fault: turns that still run then keep their owner, and the next start counts it as a crash. */
  readonly blame: Effect.Effect<void>
  readonly isBlamed: () => boolean
  readonly count: (what: Tally, by: number) => Effect.Effect<void>
  /**
   * Runs a step of the end under the shared deadline less its reserve. The step runs detached, so that even
   * uninterruptible work cannot hold the end up. Never fails; answers whether it finished in time. Where it did not,
   * `outOfTime` says so, or the log does.
   */
  readonly within: <E, R>(
    step: keyof typeof reserves,
    effect: Effect.Effect<unknown, E, R>,
    outOfTime?: Effect.Effect<void>
  ) => Effect.Effect<boolean, never, R>
}>()("slackwater/Shutdown") {
  static readonly layer = Layer.effect(
    this,
    Effect.flatMap(
      GatewayConfig,
      ({ shutdownTimeout }) => make(shutdownTimeout, { isSaid: true })
    )
  )

  /** For one set of rooms above the gateway's own: their end is its end too, unless others take their place. */
  static readonly layerOfRooms = (areReplaced: () => boolean) =>
    Layer.effect(
      this,
      Effect.gen(function*() {
        const { shutdownTimeout } = yield* GatewayConfig
        const whole = yield* Shutdown
        const own = yield* make(shutdownTimeout, { isSaid: false })
        return Shutdown.of({
          ...own,
          blame: whole.blame,
          isBlamed: whole.isBlamed,
          running: Effect.andThen(own.running, whole.running),
          begin: Effect.suspend(() => areReplaced() ? own.begin : Effect.andThen(whole.begin, own.begin)),
          within: (step, effect, outOfTime) =>
            Effect.suspend(() => areReplaced() ? Effect.void : whole.begin).pipe(
              Effect.andThen(own.within(step, effect, outOfTime))
            ),
          count: (what, by) => areReplaced() ? Effect.void : whole.count(what, by)
        })
      })
    )
}

const tooLate = "out of time, going on with the next step"

const make = Effect.fnUntraced(function*(
  timeout: Duration.Duration,
  { isSaid }: { readonly isSaid: boolean }
) {
  let total = Duration.toMillis(timeout)
  const phase = yield* SubscriptionRef.make<Phase>("starting")
  const tally: Record<Tally, number> = { flushed: 0, drained: 0, requeued: 0, sent: 0 }
  let deadline: number | undefined
  let isBlamed = false
  /** A gateway that never got up says why, and nothing about its end. */
  let wasUp = false
  const say = (...line: ReadonlyArray<unknown>) =>
    Effect.suspend(() => isSaid && wasUp ? Effect.logInfo(...line) : Effect.void)

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
    blame: Effect.sync(() => {
      isBlamed = true
    }),
    isBlamed: () => isBlamed,
    allow: (timeout) =>
      Effect.sync(() => {
        total = Duration.toMillis(timeout)
      }),
    count: (what, by) =>
      Effect.sync(() => {
        // `sent` and the rest are about the end only.
        if (deadline !== undefined) tally[what] += by
      }),
    within: Effect.fnUntraced(function*(step, effect, outOfTime = Effect.logWarning(tooLate)) {
      yield* begin
      const now = yield* Clock.currentTimeMillis
      const left = Math.max(0, (deadline ?? now) - total * reserves[step] - now)
      const fiber = yield* Effect.forkDetach(effect, { startImmediately: true })
      const exit = yield* Effect.timeoutOption(Fiber.await(fiber), left)
      if (exit._tag === "None") {
        fiber.interruptUnsafe()
        yield* Effect.annotateLogs(outOfTime, { step })
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
