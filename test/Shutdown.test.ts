/** The end: one deadline, shared by every step, that nothing holds up. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, SubscriptionRef } from "effect"
import { Shutdown } from "../src/Shutdown.ts"
import { settings } from "./fixtures/stores.ts"
import { advance, settle } from "./fixtures/time.ts"

const layer = Shutdown.layer.pipe(Layer.provide(settings({ shutdownTimeout: Duration.seconds(100) })))

const test = <A, E>(sentence: string, body: (shutdown: Shutdown["Service"]) => Effect.Effect<A, E>) =>
  it.effect(sentence, () => Effect.provide(Effect.flatMap(Shutdown, body), Layer.fresh(layer)))

/** Runs a step and says whether it ended in time, as soon as that is known. */
const step = (
  shutdown: Shutdown["Service"],
  name: Parameters<typeof shutdown.within>[0],
  work: Effect.Effect<unknown, unknown>
) => Effect.forkChild(shutdown.within(name, work))

describe("Shutdown", () => {
  test("goes from starting over running to draining", (shutdown) =>
    Effect.gen(function*() {
      assert.strictEqual(yield* SubscriptionRef.get(shutdown.phase), "starting")
      yield* shutdown.running
      assert.strictEqual(yield* SubscriptionRef.get(shutdown.phase), "running")
      yield* shutdown.begin
      assert.strictEqual(yield* SubscriptionRef.get(shutdown.phase), "draining")
      yield* shutdown.running
      assert.strictEqual(yield* SubscriptionRef.get(shutdown.phase), "draining")
    }))

  it.effect("is stopped once everything is closed, also when it never got up", () =>
    Effect.gen(function*() {
      const { phase } = yield* Effect.scoped(Effect.flatMap(Layer.build(Layer.fresh(layer)), (context) =>
        Effect.provide(
          Effect.map(Shutdown, (shutdown) => shutdown),
          context
        )))
      assert.strictEqual(yield* SubscriptionRef.get(phase), "stopped")
    }))

  test("gives a step until the deadline less what the steps after it need", (shutdown) =>
    Effect.gen(function*() {
      const conversations = yield* step(shutdown, "conversations", Effect.never)
      yield* advance("69 seconds")
      assert.isUndefined(conversations.pollUnsafe())
      yield* advance("1 second")
      assert.isFalse(yield* Fiber.join(conversations))
    }))

  test("counts from its beginning, not from the step's", (shutdown) =>
    Effect.gen(function*() {
      yield* shutdown.begin
      yield* advance("60 seconds")
      yield* shutdown.begin
      const conversations = yield* step(shutdown, "conversations", Effect.never)
      yield* advance("9 seconds")
      assert.isUndefined(conversations.pollUnsafe())
      yield* advance("1 second")
      assert.isFalse(yield* Fiber.join(conversations))
    }))

  test("shares the deadline: what one step uses up the next has not", (shutdown) =>
    Effect.gen(function*() {
      const first = yield* step(shutdown, "conversations", Effect.never)
      yield* advance("70 seconds")
      assert.isFalse(yield* Fiber.join(first))
      const second = yield* step(shutdown, "outbox", Effect.never)
      yield* advance("20 seconds")
      assert.isFalse(yield* Fiber.join(second))
      const third = yield* step(shutdown, "requeue", Effect.never)
      yield* advance("8 seconds")
      assert.isFalse(yield* Fiber.join(third))
    }))

  test("lets a step that needs no time run even when none is left", (shutdown) =>
    Effect.gen(function*() {
      yield* shutdown.begin
      yield* advance("1 hour")
      let done = false
      assert.isTrue(
        yield* shutdown.within(
          "requeue",
          Effect.sync(() => {
            done = true
          })
        )
      )
      assert.isTrue(done)
    }))

  test("is not held up by a step that cannot be interrupted", (shutdown) =>
    Effect.gen(function*() {
      const stuck = yield* Effect.forkChild(
        Effect.uninterruptible(shutdown.within("socket", Effect.uninterruptible(Effect.never)))
      )
      yield* advance("30 seconds")
      assert.isFalse(yield* Fiber.join(stuck))
      assert.isTrue(yield* shutdown.within("debouncer", Effect.void))
    }))

  test("interrupts the step that is out of time", (shutdown) =>
    Effect.gen(function*() {
      let interrupted = false
      const late = yield* step(
        shutdown,
        "socket",
        Effect.onInterrupt(Effect.never, () =>
          Effect.sync(() => {
            interrupted = true
          }))
      )
      yield* advance("30 seconds")
      yield* Fiber.join(late)
      yield* settle
      assert.isTrue(interrupted)
    }))

  test("takes failures and defects of a step as its end", (shutdown) =>
    Effect.gen(function*() {
      assert.isTrue(yield* shutdown.within("socket", Effect.fail("boom")))
      assert.isTrue(yield* shutdown.within("socket", Effect.die("boom")))
    }))

  test("begins with the first step where nobody began it", (shutdown) =>
    Effect.gen(function*() {
      yield* shutdown.running
      yield* shutdown.within("outbox", Effect.void)
      assert.strictEqual(yield* SubscriptionRef.get(shutdown.phase), "draining")
    }))
})
