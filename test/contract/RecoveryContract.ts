/** What becomes of turns that a dead instance left running. Part of MessageStoreContract. */
import { assert, describe } from "@effect/vitest"
import { Effect, Option } from "effect"
import { TestClock } from "effect/testing"
import { MessageStore } from "../../src/MessageStore.ts"
import { arrival, key } from "../fixtures/messages.ts"
import { Restart } from "./Restart.ts"
import { claimed, crashed, me, now, other, ready, refusal, type Test, texts } from "./TurnsContract.ts"

const say = Effect.fnUntraced(function*(...conversations: ReadonlyArray<string>) {
  for (const name of conversations) {
    yield* (yield* MessageStore).append(arrival({ conversation: key(name), text: name }))
  }
})

/** Runs these conversations' turns into a crash, so many times, with everything recovered after each. */
const crashWhileRunning = Effect.fnUntraced(function*(times: number, ...conversations: ReadonlyArray<string>) {
  for (let crash = 0; crash < times; crash++) {
    for (const name of conversations) yield* claimed(name)
    yield* crashed
  }
})

export const recoveryContract = (test: Test) => {
  describe("a crash", () => {
    test("is told from a clean stop", () =>
      Effect.gen(function*() {
        const { crash, restart } = yield* Restart
        const stops: Array<string> = []
        for (const start of [crash, crash, restart, crash]) {
          yield* TestClock.adjust(1)
          stops.push(yield* start)
        }
        assert.deepStrictEqual(stops, ["none", "crash", "clean", "crash"])
      }))

    test("is told in the order of the starts, also when the clock was set back", () =>
      Effect.gen(function*() {
        const { crash, restart } = yield* Restart
        yield* crash
        yield* TestClock.setTime(now - 3_600_000)
        assert.strictEqual(yield* restart, "clean")
        // The last one to start was not stopped, although an earlier one has the later time.
        assert.strictEqual(yield* crash, "crash")
      }))

    test("leaves the moment up to which everything was heard, to whoever comes next", () =>
      Effect.gen(function*() {
        const { crash, instance, restart } = yield* Restart
        yield* crash
        assert.isNull(yield* (yield* instance).heardUntil)
        for (const [until, start] of [[now, crash], [now + 1, restart]] as const) {
          yield* (yield* instance).markHeard(until)
          assert.strictEqual(yield* (yield* instance).heardUntil, until)
          yield* TestClock.adjust(1)
          yield* start
          assert.strictEqual(yield* (yield* instance).heardUntil, until)
        }
        // Nobody marked anything in between.
        yield* TestClock.adjust(1)
        yield* crash
        assert.strictEqual(yield* (yield* instance).heardUntil, now + 1)
      }))

    test("leaves its turns running, and their conversations held, until they are recovered", (store) =>
      Effect.gen(function*() {
        yield* say("D1")
        const turn = yield* claimed()
        yield* (yield* Restart).crash
        yield* store.append(arrival({ text: "fresh" }))
        assert.deepStrictEqual(yield* ready(now), [])
        assert.isNull(yield* store.nextDueAt)
        assert.isTrue(Option.isNone(yield* store.claim(key("D1"), other, now)))
        assert.strictEqual((yield* store.counts).processing, 1)
        assert.strictEqual(yield* store.recover([other], now, 10), 1)
        assert.deepStrictEqual(yield* store.ready(now, 10), [{ conversation: key("D1"), recovered: true }])
        const again = yield* claimed("D1", other)
        assert.deepStrictEqual([again.id, again.attempt, texts(again)], [turn.id, 2, ["D1"]])
        yield* store.complete(again.id, other, [], now)
        assert.deepStrictEqual(texts(yield* claimed("D1", other)), ["fresh"])
      }))

    test("lets no late write of the dead instance count once its turn is recovered", (store) =>
      Effect.gen(function*() {
        yield* say("D1")
        const { attempt, id } = yield* claimed()
        yield* crashed
        assert.strictEqual(yield* refusal(store.complete(id, me, [], now)), "TurnLost")
        assert.strictEqual(yield* refusal(store.saveStatus({ turn: id, owner: me, attempt }, "late")), "TurnLost")
        assert.strictEqual(yield* store.releaseAll(me, now), 0)
      }))
  })

  describe("recover", () => {
    test("takes as many as asked for, those that waited longest first, until none is left", (store) =>
      Effect.gen(function*() {
        yield* say("D1", "D2", "D3")
        for (const [name, at] of [["D2", now], ["D3", now + 5], ["D1", now + 10]] as const) {
          yield* claimed(name, me, at)
        }
        yield* (yield* Restart).crash
        assert.strictEqual(yield* store.recover([other], now + 20, 2), 2)
        assert.deepStrictEqual(yield* ready(now + 20), ["D2", "D3"])
        assert.strictEqual(yield* store.recover([other], now + 20, 2), 1)
        assert.deepStrictEqual(yield* ready(now + 20), ["D2", "D3", "D1"])
        assert.strictEqual(yield* store.recover([other], now + 20, 2), 0)
      }))

    test("spares what its own instance runs", (store) =>
      Effect.gen(function*() {
        yield* say("D1", "D2")
        yield* claimed("D1", me)
        yield* claimed("D2", other)
        assert.strictEqual(yield* store.recover([other], now, 10), 1)
        assert.deepStrictEqual(yield* ready(now), ["D1"])
        assert.strictEqual((yield* store.counts).processing, 1)
      }))

    test("counts one crash for a run, however many instances died before it was taken", (store) =>
      Effect.gen(function*() {
        yield* say("D1")
        yield* claimed()
        const { crash } = yield* Restart
        for (let instance = 0; instance < 3; instance++) yield* crash
        yield* store.recover([other], now, 10)
        const again = yield* claimed("D1", other)
        assert.deepStrictEqual([again.crashes, again.attempt], [1, 2])
      }))

    test("counts no crash for a turn that waited through it", (store) =>
      Effect.gen(function*() {
        yield* say("D1")
        yield* claimed()
        yield* crashed
        yield* (yield* Restart).crash
        assert.strictEqual(yield* store.recover([other], now, 10), 0)
        assert.strictEqual((yield* claimed("D1", other)).crashes, 1)
      }))
  })

  describe("crashes", () => {
    test("in a row are what counts: a run that ended clears them", (store) =>
      Effect.gen(function*() {
        yield* say("D1", "D2")
        yield* crashWhileRunning(1, "D1", "D2")
        yield* claimed("D1")
        yield* store.releaseAll(me, now)
        yield* store.retryLater((yield* claimed("D2")).id, me, "boom", now)
        yield* crashWhileRunning(1, "D1", "D2")
        assert.deepStrictEqual([(yield* claimed("D1")).crashes, (yield* claimed("D2")).crashes], [1, 1])
      }))

    test("let a suspect run alone, and others beside it", (store) =>
      Effect.gen(function*() {
        yield* say("D1", "D2")
        yield* crashWhileRunning(2, "D1", "D2")
        yield* say("D3")
        const suspect = yield* claimed("D1")
        assert.isTrue(Option.isNone(yield* store.claim(key("D2"), me, now)))
        yield* claimed("D3")
        assert.strictEqual(yield* store.nextDueAt, now + 1_000)
        yield* store.complete(suspect.id, me, [], now)
        yield* claimed("D2", me, now + 1_000)
      }))

    test("keep no suspect from running because of turns that a dead instance left", (store) =>
      Effect.gen(function*() {
        yield* say("D1", "D2")
        yield* crashWhileRunning(2, "D1", "D2")
        yield* claimed("D1", other)
        yield* (yield* Restart).crash
        assert.strictEqual((yield* claimed("D2")).crashes, 2)
        yield* store.recover([me], now, 10)
        assert.isTrue(Option.isNone(yield* store.claim(key("D1"), me, now)))
      }))
  })

  describe("a turn that was cut off", () => {
    test("is told as such, by a crash and by a shutdown, until it ran to a failure", (store) =>
      Effect.gen(function*() {
        yield* say("D1")
        const seen: Array<boolean> = [(yield* claimed()).interrupted]
        yield* crashed
        const again = yield* claimed()
        seen.push(again.interrupted)
        yield* store.retryLater(again.id, me, "boom", now)
        seen.push((yield* claimed()).interrupted)
        yield* store.releaseAll(me, now)
        const { id, interrupted } = yield* claimed()
        seen.push(interrupted)
        yield* store.complete(id, me, [], now)
        assert.deepStrictEqual(seen, [false, true, false, true])
      }))

    test("still knows what it said it was doing; one that failed does not", (store) =>
      Effect.gen(function*() {
        yield* say("D1")
        const first = yield* claimed()
        assert.isNull(first.status)
        yield* store.saveStatus({ turn: first.id, owner: me, attempt: 1 }, "is searching…")
        yield* store.saveStatus({ turn: first.id, owner: me, attempt: 1 }, "is writing…")
        yield* crashed
        const again = yield* claimed()
        assert.strictEqual(again.status, "is writing…")
        assert.strictEqual(
          yield* refusal(store.saveStatus({ turn: first.id, owner: me, attempt: 1 }, "former run")),
          "TurnLost"
        )
        yield* store.releaseAll(me, now)
        assert.strictEqual((yield* claimed()).status, "is writing…")
        yield* store.retryLater(first.id, me, "boom", now)
        assert.isNull((yield* claimed()).status)
      }))

    test("is listed beside the others, at most so many of either kind, the longest waiting first", (store) =>
      Effect.gen(function*() {
        yield* say("R1", "R2", "R3")
        yield* crashWhileRunning(1, "R3", "R2", "R1")
        for (const [name, dueAt] of [["F1", 10], ["F2", -10], ["F3", 20]] as const) {
          yield* store.append(arrival({ conversation: key(name) }, { dueAt: now + dueAt }))
        }
        const listed = yield* store.ready(now + 30, 2)
        assert.deepStrictEqual(listed.filter(({ recovered }) => !recovered).map((row) => String(row.conversation)), [
          "F2",
          "F1"
        ])
        assert.strictEqual(listed.filter(({ recovered }) => recovered).length, 2)
        assert.strictEqual(listed[0]?.conversation, "F2")
        assert.strictEqual(listed.at(-1)?.conversation, "F1")
      }))
  })
}
