/** One turn at a time per conversation, bounded in all, and what a drain does. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Option } from "effect"
import { Conversations } from "../src/Conversations.ts"
import { OwnerId } from "../src/Message.ts"
import { MessageStore } from "../src/MessageStore.ts"
import { Shutdown } from "../src/Shutdown.ts"
import { gated, inbox, inConversations, replies, say, test } from "./fixtures/conversationsRoom.ts"
import { arrival, key, tsAt } from "./fixtures/messages.ts"
import { advance, epoch, me, settle } from "./fixtures/rooms.ts"
import { whileTimePasses, withWallClock } from "./fixtures/time.ts"

describe("which turns run", () => {
  const bounded = gated()
  test("are at most as many as the bound, the longest waiting first", bounded.handler, () =>
    Effect.gen(function*() {
      for (const [index, text] of ["a", "b", "c", "d"].entries()) {
        yield* (yield* MessageStore).append(arrival({ conversation: key(text), text }, { dueAt: epoch - 100 + index }))
      }
      for (const name of ["a", "b", "c", "d"]) yield* (yield* Conversations).wake(key(name))
      yield* settle
      assert.deepStrictEqual(bounded.texts(), ["a", "b"])
      yield* bounded.release("b")
      assert.deepStrictEqual(bounded.texts(), ["a", "b", "c"])
      yield* bounded.release("a")
      assert.deepStrictEqual(bounded.texts(), ["a", "b", "c", "d"])
    }), { concurrency: 2 })

  const queueing = gated()
  test(
    "come in the order in which they fell due, also for who adds a word while all slots are taken",
    queueing.handler,
    () =>
      Effect.gen(function*() {
        const store = yield* MessageStore
        const add = (conversation: string, text: string, at: number) =>
          store.append(arrival({ conversation: key(conversation), text, ts: tsAt(at) }, {
            receivedAt: epoch + at * 1_000,
            dueAt: epoch + at * 1_000 + 500
          }))
        yield* say("D0", "running", 0)
        yield* settle
        yield* add("D1", "a", 1)
        for (const at of [2, 3, 4]) {
          yield* add(`D${at}`, "somebody else", at)
          yield* add("D1", "and", at + 0.2)
        }
        yield* advance("10 seconds")
        for (const name of ["D1", "D2", "D3", "D4", "D1"]) yield* (yield* Conversations).wake(key(name))
        yield* queueing.release("running")
        assert.deepStrictEqual(queueing.texts(), ["running", "a\nand\nand\nand"])
      }),
    { concurrency: 1 }
  )

  const serial = gated()
  test(
    "are one at a time per conversation; what comes meanwhile is the next turn",
    serial.handler,
    () =>
      Effect.gen(function*() {
        yield* say("D1", "one", 1)
        yield* settle
        yield* say("D1", "three", 3)
        yield* say("D1", "two", 2)
        yield* settle
        assert.deepStrictEqual(serial.texts(), ["one"])
        yield* advance("10 millis")
        yield* serial.release("one")
        assert.deepStrictEqual(serial.texts(), ["one", "two\nthree"])
      })
  )

  const parallel = gated()
  test("are not held up by another conversation's", parallel.handler, () =>
    Effect.gen(function*() {
      yield* say("D1", "slow")
      yield* settle
      yield* say("D2", "quick")
      yield* settle
      assert.deepStrictEqual(parallel.texts(), ["slow", "quick"])
    }))

  const swept = gated()
  test("are found by the sweep when nobody woke the dispatcher", swept.handler, () =>
    Effect.gen(function*() {
      yield* settle
      yield* (yield* MessageStore).append(arrival({ text: "forgotten" }))
      yield* advance("59 seconds")
      assert.deepStrictEqual(swept.texts(), [])
      yield* advance("1 second")
      assert.deepStrictEqual(swept.texts(), ["forgotten"])
    }))

  const besides = gated()
  test(
    "are found by the sweep also where others are told of all the time",
    besides.handler,
    () =>
      Effect.gen(function*() {
        yield* (yield* MessageStore).append(arrival({ text: "forgotten" }))
        for (let second = 0; second < 7; second++) {
          yield* say(`D${second + 2}`, "told of")
          yield* advance("10 seconds")
        }
        assert.include(besides.texts(), "forgotten")
      })
  )

  const behind = gated()
  test(
    "do not keep the slots of others when they were told of between their claim and their begin",
    behind.handler,
    () =>
      Effect.gen(function*() {
        yield* say("D2", "and more", 2)
        yield* advance("1 second")
        yield* say("D3", "somebody else")
        yield* settle
        assert.deepStrictEqual(behind.texts(), ["cut off", "waits", "somebody else"])
        yield* behind.release("waits")
        assert.deepStrictEqual(behind.texts(), ["cut off", "waits", "somebody else", "and more"])
      }),
    { concurrency: 3 },
    {
      mode: (conversation) => conversation === "D1" ? "interrupt" : "collect",
      before: Effect.gen(function*() {
        const store = yield* MessageStore
        yield* store.append(arrival({ conversation: key("D1"), text: "cut off" }))
        yield* store.claim(key("D1"), OwnerId.make("dead"), epoch)
        yield* store.append(arrival({ conversation: key("D2"), text: "waits", ts: tsAt(1) }))
      }),
      // So D2 is claimed, and begins a while later.
      through: (store) => ({ waiting: (...args) => Effect.delay(store.waiting(...args), "1 second") })
    }
  )
})

describe("a clock that is set back by an hour", () => {
  it.effect("holds a message back no longer than the longest window", () =>
    withWallClock((setBack) => {
      const held = gated()
      return inConversations(held.handler, () =>
        Effect.gen(function*() {
          const store = yield* MessageStore
          yield* store.append(arrival({ text: "in the window" }, { dueAt: epoch + 1_000 }))
          yield* setBack("1 hour")
          yield* advance("1 second")
          yield* (yield* Conversations).wake(key("D1"))
          yield* advance("5999 millis")
          assert.deepStrictEqual(held.texts(), [])
          yield* advance("1 millis")
          assert.deepStrictEqual(held.texts(), ["in the window"])
        }), { debounce: Duration.seconds(1) })
    }))

  it.effect("is noticed by the sweep, and holds a retry back no longer than the longest one", () =>
    withWallClock((setBack) => {
      let runs = 0
      const fails = () => Effect.suspend(() => ++runs === 1 ? Effect.fail("boom") : Effect.succeed("ok"))
      return inConversations(fails, () =>
        Effect.gen(function*() {
          yield* say("D1", "one")
          yield* settle
          yield* setBack("1 hour")
          yield* advance("362 seconds", "1 second")
          assert.strictEqual(runs, 2)
        }), { retryDelay: Duration.minutes(4) })
    }))

  it.effect("before a start is noticed by the start", () =>
    withWallClock((setBack) => {
      const held = gated()
      const before = Effect.gen(function*() {
        const store = yield* MessageStore
        yield* store.append(arrival({ text: "one" }))
        const turn = Option.getOrThrow(yield* store.claim(key("D1"), me, epoch))
        yield* store.retryLater(turn.id, me, "boom", epoch + 60_000)
        yield* setBack("1 hour")
      })
      return inConversations(
        held.handler,
        () =>
          Effect.gen(function*() {
            assert.deepStrictEqual(held.texts(), [])
            yield* advance("301 seconds", "1 second")
            assert.deepStrictEqual(held.texts(), ["one"])
          }),
        {},
        { before }
      )
    }))
})

describe("an open quiet window", () => {
  const open = gated()
  test(
    "is ended neither by the end of the running turn nor by a wake-up nor by a sweep",
    open.handler,
    () =>
      Effect.gen(function*() {
        const store = yield* MessageStore
        yield* say("D1", "running")
        yield* settle
        yield* store.append(arrival({ text: "in the window", ts: tsAt(1) }, { dueAt: epoch + 90_000 }))
        yield* open.release("running")
        yield* (yield* Conversations).wake(key("D1"))
        // Past a sweep, and short of the end of the window.
        yield* advance("89 seconds", "1 second")
        assert.deepStrictEqual(open.texts(), ["running"])
        yield* advance("1 second")
        assert.deepStrictEqual(open.texts(), ["running", "in the window"])
      })
  )
})

describe("the drain", () => {
  const counted = gated()
  test(
    "answers what ended and what did not, and says that once",
    counted.handler,
    ({ lines }) =>
      Effect.gen(function*() {
        for (const text of ["ends", "stays", "stays too"]) yield* say(`D-${text}`, text)
        yield* settle
        const { drain } = yield* Conversations
        const drained = yield* Effect.forkChild(drain)
        yield* counted.release("ends")
        assert.deepStrictEqual(yield* whileTimePasses(Fiber.join(drained)), { drained: 1, remaining: 2 })
        const warnings = lines.filter((line) => line.startsWith("Warn"))
        assert.deepStrictEqual(warnings, ["Warn out of time: 2 turns are cut off and run again later"])
      })
  )

  test("is over at once where nothing runs, whatever waits", () => Effect.never, () =>
    Effect.gen(function*() {
      yield* (yield* MessageStore).append(arrival({}, { dueAt: epoch + 3_600_000 }))
      assert.deepStrictEqual(yield* (yield* Conversations).drain, { drained: 0, remaining: 0 })
    }))

  const draining = gated()
  test(
    "runs what was flushed and what was running, and claims no backlog",
    draining.handler,
    ({ close }) =>
      Effect.gen(function*() {
        yield* say("D1", "running")
        yield* settle
        yield* (yield* Shutdown).begin
        yield* (yield* MessageStore).append(arrival({ conversation: key("D2"), text: "backlog" }))
        yield* (yield* MessageStore).append(arrival({ conversation: key("D3"), text: "flushed" }))
        yield* (yield* Conversations).flush([key("D3")])
        yield* settle
        assert.deepStrictEqual(draining.texts(), ["running", "flushed"])
        yield* draining.release("flushed", "answer")
        yield* draining.release("running")
        yield* close
        assert.deepStrictEqual(draining.texts(), ["running", "flushed"])
        const { done, processing, queued } = yield* inbox
        assert.deepStrictEqual({ done, processing, queued }, { done: 2, processing: 0, queued: 1 })
        assert.deepStrictEqual(yield* replies, ["answer"])
      })
  )

  const behind = gated()
  test(
    "runs a flushed conversation's messages after its running turn",
    behind.handler,
    ({ close }) =>
      Effect.gen(function*() {
        yield* say("D1", "first")
        yield* settle
        yield* (yield* Shutdown).begin
        yield* (yield* MessageStore).append(arrival({ text: "second", conversation: key("D1") }))
        yield* (yield* Conversations).flush([key("D1")])
        yield* behind.release("second")
        yield* behind.release("first")
        yield* close
        assert.deepStrictEqual(behind.texts(), ["first", "second"])
        assert.strictEqual((yield* inbox).done, 2)
      })
  )

  for (
    const [what, wait] of [["", Effect.never], [
      " and cannot be interrupted",
      Effect.uninterruptible(Effect.never)
    ]] as const
  ) {
    test(
      `gives back a turn that does not end in time${what}, without spending an attempt`,
      () => wait,
      ({ close }) =>
        Effect.gen(function*() {
          yield* say("D1", "x")
          yield* settle
          yield* close
          assert.strictEqual((yield* inbox).queued, 1)
          const again = yield* (yield* MessageStore).claim(key("D1"), me, epoch + 3_600_000)
          assert.strictEqual(Option.getOrThrow(again).attempt, 1)
        })
    )
  }
})

describe("one conversation that always fails", () => {
  const runs: Array<string> = []
  test("costs the other 49 nothing: each needs one run", (turn) =>
    Effect.suspend(() => {
      runs.push(turn.text)
      return turn.text === "bad" ? Effect.fail("always") : Effect.succeed("fine")
    }), () =>
    Effect.gen(function*() {
      yield* say("D0", "bad")
      for (let n = 1; n < 50; n++) yield* say(`D${n}`, `good ${n}`)
      yield* settle
      const { done } = yield* inbox
      assert.strictEqual(done, 49)
      // Without any time passing: nobody waited for the bad one's pauses.
      assert.strictEqual(runs.filter((text) => text !== "bad").length, 49)
      assert.strictEqual(runs.filter((text) => text === "bad").length, 1)
    }))
})
