/** Messages that are stored as a running turn, because a slot is free and nothing else is due. */
import { assert, describe } from "@effect/vitest"
import { Effect, Fiber, Option } from "effect"
import { SqlClient } from "effect/sql"
import { Control } from "../src/Control.ts"
import { Conversations } from "../src/Conversations.ts"
import { OwnerId } from "../src/Message.ts"
import { MessageStore } from "../src/MessageStore.ts"
import { bring, gated, happen, inbox, say, test } from "./fixtures/conversationsRoom.ts"
import { watchDriver } from "./fixtures/driver.ts"
import { arrival, key, tsAt } from "./fixtures/messages.ts"
import { epoch, me, settle } from "./fixtures/rooms.ts"
import { whileTimePasses } from "./fixtures/time.ts"

const turns = Effect.flatMap(
  SqlClient.SqlClient,
  (sql) =>
    sql<
      { readonly state: string; readonly owner: string | null; readonly attempt: number; readonly interrupted: number }
    >`SELECT state, owner, attempt, interrupted FROM slackwater_turns ORDER BY created_at, id`
)

describe("a message that is begun at once", () => {
  const first = gated()
  test("is on disk as the first run of its turn before its handler runs", first.handler, () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* bring("D1", "one"), "begun")
      assert.deepStrictEqual(first.texts(), [])
      assert.deepInclude((yield* turns)[0], { state: "running", owner: me, attempt: 1 })
      yield* settle
      assert.deepStrictEqual(first.texts(), ["one"])
      yield* first.release("one")
      assert.deepInclude(yield* inbox, { done: 1, processing: 0, queued: 0 })
    }))

  const quiet = gated()
  test("costs the dispatcher no statement, and neither does its end", quiet.handler, () =>
    Effect.gen(function*() {
      yield* bring("D0", "warm")
      yield* settle
      yield* quiet.release("warm")
      const { executed } = yield* watchDriver
      yield* bring("D1", "one")
      yield* settle
      yield* quiet.release("one")
      assert.deepStrictEqual(quiet.texts(), ["warm", "one"])
      // Two look-ups, and what they are for: the message, its key, its turn.
      const commit = executed.indexOf("COMMIT")
      assert.lengthOf(executed.slice(0, commit), 1 + 2 + 3)
      assert.deepStrictEqual(executed.filter((text) => /AS recovered|min\(due\)|WITH claim/.test(text)), [])
      assert.lengthOf(executed.filter((text) => text === "COMMIT"), 2)
    }))

  const serial = gated()
  test(
    "has its conversation to itself; what comes meanwhile is the next turn",
    serial.handler,
    () =>
      Effect.gen(function*() {
        assert.strictEqual(yield* bring("D1", "one", 1), "begun")
        assert.strictEqual(yield* bring("D1", "three", 3), "queued")
        assert.strictEqual(yield* bring("D1", "two", 2), "queued")
        yield* settle
        yield* serial.release("one")
        assert.deepStrictEqual(serial.texts(), ["one", "two\nthree"])
        yield* serial.release("two\nthree")
        assert.strictEqual((yield* inbox).done, 3)
      })
  )

  const fair = gated()
  test(
    "goes before nothing that is due: while others wait for a slot it waits behind them",
    fair.handler,
    () =>
      Effect.gen(function*() {
        yield* bring("D1", "a")
        yield* bring("D2", "b")
        assert.strictEqual(yield* bring("D3", "c"), "queued")
        yield* settle
        yield* fair.release("a")
        assert.strictEqual(yield* bring("D4", "d"), "queued")
        yield* settle
        assert.deepStrictEqual(fair.texts(), ["a", "b", "c"])
        yield* fair.release("b")
        assert.deepStrictEqual(fair.texts(), ["a", "b", "c", "d"])
        yield* fair.release("c")
        assert.strictEqual(yield* bring("D5", "e"), "begun")
      }),
    { concurrency: 2 }
  )

  const orphans = gated()
  test(
    "is none as long as a dead instance's turns may be waiting",
    orphans.handler,
    () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(orphans.texts(), ["left 0"])
        assert.strictEqual(yield* bring("D9", "new"), "queued")
        yield* settle
        yield* orphans.release("left 0")
        assert.deepStrictEqual(orphans.texts().slice(0, 2), ["left 0", "new"])
        yield* orphans.release("new")
        yield* orphans.release("left 1")
        assert.strictEqual(yield* bring("D9", "newer"), "begun")
      }),
    { concurrency: 1 },
    {
      before: Effect.gen(function*() {
        const store = yield* MessageStore
        for (const n of [0, 1]) {
          yield* store.append(arrival({ conversation: key(`D${n}`), text: `left ${n}`, ts: tsAt(n) }))
          yield* store.claim(key(`D${n}`), OwnerId.make("dead"), epoch + n)
        }
      })
    }
  )

  const held = gated()
  test(
    "is none where its conversation is paused, and is begun when that ends",
    held.handler,
    () =>
      Effect.gen(function*() {
        const control = yield* Control
        yield* control.pause(key("D1"), epoch)
        assert.strictEqual(yield* bring("D1", "one"), "queued")
        yield* settle
        assert.deepStrictEqual(held.texts(), [])
        yield* control.resume(key("D1"), epoch)
        yield* (yield* Conversations).lookAround
        yield* settle
        assert.deepStrictEqual(held.texts(), ["one"])
      })
  )

  const unused = gated()
  test("gives its slot back when it turns out to be known or ignored", unused.handler, () =>
    Effect.gen(function*() {
      const conversations = yield* Conversations
      const slot = conversations.promise(key("D1"))
      assert.isDefined(slot)
      assert.isUndefined(conversations.promise(key("D2")))
      yield* say("D3", "waits")
      yield* settle
      assert.deepStrictEqual(unused.texts(), [])
      yield* slot.settle(undefined)
      yield* settle
      assert.deepStrictEqual(unused.texts(), ["waits"])
    }), { concurrency: 1 })

  const interrupted = gated()
  test(
    "is started again with what came before it had begun, in mode interrupt",
    interrupted.handler,
    () =>
      Effect.gen(function*() {
        const conversations = yield* Conversations
        const store = yield* MessageStore
        const slot = conversations.promise(key("D1"))
        assert.isDefined(slot)
        const appended = yield* store.append(arrival({ text: "one", ts: tsAt(1) }, { claim: slot.owner }))
        yield* happen("D1", [{ text: "two", ts: tsAt(2) }])
        yield* slot.settle(appended._tag === "Queued" ? appended.claimed : undefined)
        yield* settle
        assert.strictEqual(interrupted.texts().at(-1), "one\ntwo")
      }),
    { mode: "interrupt" }
  )
})

describe("a message that is begun at once while the room ends", () => {
  const draining = gated()
  test(
    "is none when the drain has begun, and the message is left for the next start",
    draining.handler,
    () =>
      Effect.gen(function*() {
        yield* (yield* Conversations).drain
        assert.strictEqual(yield* bring("D1", "one"), "queued")
        yield* settle
        assert.deepStrictEqual(draining.texts(), [])
        assert.strictEqual((yield* inbox).queued, 1)
      })
  )

  const flushed = gated()
  test("runs in the drain when its slot was promised before", flushed.handler, () =>
    Effect.gen(function*() {
      const conversations = yield* Conversations
      const store = yield* MessageStore
      const slot = conversations.promise(key("D1"))
      assert.isDefined(slot)
      const drain = yield* Effect.forkChild(conversations.drain)
      yield* settle
      assert.isUndefined(drain.pollUnsafe())
      const appended = yield* store.append(arrival({ text: "one" }, { claim: slot.owner }))
      yield* slot.settle(appended._tag === "Queued" ? appended.claimed : undefined)
      yield* settle
      assert.deepStrictEqual(flushed.texts(), ["one"])
      yield* flushed.release("one")
      yield* Fiber.join(drain)
      assert.strictEqual((yield* inbox).done, 1)
    }))

  const late = gated()
  test(
    "goes back and costs no attempt when it is stored after the room has ended",
    late.handler,
    ({ close }) =>
      Effect.gen(function*() {
        const conversations = yield* Conversations
        const store = yield* MessageStore
        const slot = conversations.promise(key("D1"))
        assert.isDefined(slot)
        yield* close
        const appended = yield* store.append(arrival({ text: "one" }, { claim: slot.owner }))
        yield* slot.settle(appended._tag === "Queued" ? appended.claimed : undefined)
        assert.deepStrictEqual(late.texts(), [])
        assert.deepInclude((yield* turns)[0], { state: "waiting", owner: null, attempt: 0, interrupted: 1 })
        const again = yield* store.claim(key("D1"), OwnerId.make("next"), epoch * 2)
        assert.deepInclude(Option.getOrThrow(again), { attempt: 1, crashes: 0 })
      }).pipe(whileTimePasses)
  )
})
