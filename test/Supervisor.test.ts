/** Nothing that runs in the background dies in silence. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { GaveUp, Supervisor } from "../src/Supervisor.ts"
import { logged } from "./fixtures/rooms.ts"
import { advance, settle } from "./fixtures/time.ts"

const test = <A, E>(
  sentence: string,
  body: (supervisor: Supervisor["Service"], lines: ReadonlyArray<string>) => Effect.Effect<A, E, Scope.Scope>
) =>
  it.effect(sentence, () => {
    const log = logged()
    return Effect.provide(
      Effect.flatMap(Supervisor, (supervisor) => body(supervisor, log.lines)),
      Layer.fresh(Supervisor.layer).pipe(Layer.merge(log.layer))
    )
  })

/** Notes when it was started. */
const noting = (starts: Array<number>, then: Effect.Effect<unknown, unknown>) =>
  Effect.flatMap(Clock.currentTimeMillis, (now) => {
    starts.push(now)
    return then
  })

describe("Supervisor", () => {
  for (
    const [what, end] of [
      ["fails", Effect.fail("boom")],
      ["dies", Effect.die(new Error("boom"))],
      ["ends although it must not", Effect.void]
    ] as const
  ) {
    test(`starts a fiber again that ${what}, and says so`, (supervisor, lines) =>
      Effect.gen(function*() {
        const starts: Array<number> = []
        yield* supervisor.fork("worker", noting(starts, starts.length === 0 ? end : Effect.never))
        yield* advance("50 millis")
        assert.isAtLeast(starts.length, 2)
        assert.match(lines[0] ?? "", /^Warn restarting after a failure/)
      }))
  }

  test("waits longer after each failure, up to half a minute", (supervisor) =>
    Effect.gen(function*() {
      const starts: Array<number> = []
      yield* supervisor.fork("worker", noting(starts, Effect.fail("boom")))
      yield* advance("4 minutes", "1 second")
      const pauses = starts.slice(1).map((at, index) => at - (starts[index] ?? 0))
      for (const [index, pause] of pauses.entries()) {
        const longest = Math.min(30_000, 50 * 2 ** index)
        assert.isTrue(pause >= longest / 2 - 1 && pause <= longest + 1, `pause ${index} was ${pause}`)
      }
    }))

  test(
    "gives up after too many failures in a row, with the code for an inner failure",
    (supervisor, lines) =>
      Effect.gen(function*() {
        const starts: Array<number> = []
        const fatal = yield* Effect.forkChild(Effect.flip(supervisor.fatal))
        yield* supervisor.fork("worker", noting(starts, Effect.fail("boom")))
        yield* advance("15 minutes", "10 seconds")
        const failure = yield* Fiber.join(fatal)
        assert.deepInclude(failure, { _tag: "GaveUp", fiber: "worker", exitCode: 70 })
        assert.strictEqual(starts.length, 21)
        assert.isTrue(lines.some((line) => line.startsWith("Fatal gave up")))
      })
  )

  test("never gives up on a fiber whose failures lie far apart", (supervisor) =>
    Effect.gen(function*() {
      const starts: Array<number> = []
      const fatal = yield* Effect.forkChild(Effect.exit(supervisor.fatal))
      yield* supervisor.fork("worker", noting(starts, Effect.andThen(Effect.sleep("2 minutes"), Effect.fail("boom"))))
      yield* advance("3 hours", "30 seconds")
      assert.isAbove(starts.length, 40)
      assert.isUndefined(fatal.pollUnsafe())
      const pauses = starts.slice(1).map((at, index) => at - (starts[index] ?? 0))
      assert.isAtMost(Math.max(...pauses), 120_100)
    }))

  test("lets a fiber end in silence with its scope", (supervisor, lines) =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      let ended = false
      yield* Scope.provide(
        supervisor.fork(
          "worker",
          Effect.onInterrupt(Effect.never, () =>
            Effect.sync(() => {
              ended = true
            }))
        ),
        scope
      )
      yield* settle
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(ended)
      assert.deepStrictEqual(lines, [])
    }))

  test("does not let one fiber's failures touch another", (supervisor) =>
    Effect.gen(function*() {
      const other: Array<number> = []
      yield* supervisor.fork("bad", Effect.fail("boom"))
      yield* supervisor.fork("good", noting(other, Effect.never))
      yield* advance("1 minute", "10 seconds")
      assert.strictEqual(other.length, 1)
    }))

  test("answers everybody who waits with the first reason to give up", (supervisor) =>
    Effect.gen(function*() {
      yield* supervisor.giveUp(new GaveUp({ fiber: "socket", exitCode: 78, detail: "refused" }))
      yield* supervisor.giveUp(new GaveUp({ fiber: "watchdog", exitCode: 75, detail: "deaf" }))
      for (let asked = 0; asked < 2; asked++) assert.strictEqual((yield* Effect.flip(supervisor.fatal)).exitCode, 78)
    }))
})
