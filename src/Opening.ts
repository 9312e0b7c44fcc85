/**
 * The one queue of everybody who opens a connection to Slack: one attempt at a time, and one pause for all.
 *
 * So however many connections fall at once, Slack sees one caller, whose waits double with each failure in a row, with
 * full jitter, and are over when a connection has proven healthy. An attempt lasts until what it replaces is closed, so
 * that there is never more than one connection beyond those that are wanted.
 * Does not: open anything itself. Holds no resource.
 */
import { Effect, Latch, Random, Semaphore } from "effect"
import { monotonicMillis } from "./monotonic.ts"

const firstPause = 200
const maxPause = 30_000

export interface Opening {
  /** Makes an attempt when it is its turn and the pause is over. */
  readonly inTurn: <A, E, R>(attempt: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Nobody opens for so many ms. */
  readonly postpone: (ms: number) => Effect.Effect<void>
  /** Counts a failure, and postpones the next attempt. Answers for how many ms. */
  readonly backOff: (atLeastMs?: number) => Effect.Effect<number>
  /** Connecting works: the pauses start anew. */
  readonly healthy: Effect.Effect<void>
  /** Cuts the present pause short. */
  readonly hurry: Effect.Effect<void>
}

export const make: Effect.Effect<Opening> = Effect.gen(function*() {
  const turn = yield* Semaphore.make(1)
  const hurried = yield* Latch.make()
  let failures = 0
  /** Of the monotonic clock: who sets the other one back keeps nobody from connecting. */
  let notBefore = -Infinity

  const postpone = (ms: number) =>
    Effect.map(monotonicMillis, (now) => {
      notBefore = Math.max(notBefore, now + ms)
    })
  const pause = Effect.flatMap(
    monotonicMillis,
    (now) => now >= notBefore ? Effect.void : Effect.timeoutOption(hurried.await, notBefore - now)
  )

  return {
    inTurn: (attempt) => turn.withPermit(Effect.andThen(pause, attempt)),
    postpone,
    backOff: Effect.fnUntraced(function*(atLeastMs = 0) {
      const most = Math.min(maxPause, firstPause * 2 ** Math.min(failures, 12))
      const wait = Math.max(atLeastMs, firstPause / 2 + (yield* Random.nextBetween(0, most)))
      failures += 1
      yield* postpone(wait)
      return Math.round(wait)
    }),
    healthy: Effect.sync(() => {
      failures = 0
    }),
    hurry: Effect.suspend(() => {
      notBefore = -Infinity
      return hurried.release
    })
  }
})
