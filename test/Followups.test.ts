/** What `turn.followups` gives away while adoptions are slow and askers are stopped: nothing is taken and not seen. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Option, Stream } from "effect"
import { Handler } from "../src/Handler.ts"
import { type InboundMessage, OwnerId, TurnId } from "../src/Message.ts"
import { MessageStore } from "../src/MessageStore.ts"
import { Outbox } from "../src/Outbox.ts"
import { makeRun } from "../src/Turn.ts"
import { inbound, key, tsAt } from "./fixtures/messages.ts"
import { settle } from "./fixtures/time.ts"

/** A run in mode `steer` beside which the messages 1 and 2 wait; the store adopts when it is told to. */
const steered = Effect.gen(function*() {
  const waiting = new Map([1, 2].map((id) => [id, inbound({ text: `m${id}`, ts: tsAt(id) })]))
  const asked: Array<number> = []
  const gate = yield* Deferred.make<void>()
  const store = Layer.mock(MessageStore)({
    waiting: () => Effect.sync(() => [...waiting].map(([id, message]) => ({ id, message }))),
    adopt: (_, id) =>
      Effect.suspend(() => {
        asked.push(id)
        return Effect.as(Deferred.await(gate), waiting.delete(id))
      })
  })
  const ports = yield* Layer.build(Layer.merge(store, Layer.mock(Outbox)({})))
  return yield* Effect.provideContext(
    Effect.gen(function*() {
      const run = makeRun({
        claimed: {
          id: TurnId.make("turn_1"),
          conversation: key("D1"),
          attempt: 1,
          failures: 0,
          crashes: 0,
          interrupted: false,
          status: null,
          unreadable: null,
          hasOthers: false,
          ids: [1],
          traces: [],
          receivedAt: 0,
          messages: [inbound()]
        },
        slackApiUrl: "https://slack.com/api/",
        owner: OwnerId.make("me"),
        outbox: yield* Outbox,
        store: yield* MessageStore,
        steer: true
      })
      return { run, asked, adopt: Effect.andThen(Deferred.succeed(gate, undefined), settle) }
    }),
    ports
  )
})

const test = (
  sentence: string,
  body: (room: Effect.Success<typeof steered>) => Effect.Effect<void, unknown>
) => it.effect(sentence, () => Effect.scoped(Effect.flatMap(steered, body)))

/** An asker that is stopped while the message it asked for is joining the turn. */
const stoppedAsker = Effect.fnUntraced(function*({ adopt, asked, run }: Effect.Success<typeof steered>) {
  const asker = yield* Effect.forkChild(Stream.runHead(run.turn.followups))
  yield* settle
  assert.deepStrictEqual(asked, [1])
  const stopped = yield* Effect.forkChild(Fiber.interrupt(asker))
  yield* settle
  assert.deepStrictEqual(run.unseen(), [1])
  yield* adopt
  yield* Fiber.join(stopped)
})

describe("a message that joins the turn while its asker is stopped", () => {
  test("is given to the next asker, before anything else", (room) =>
    Effect.gen(function*() {
      yield* stoppedAsker(room)
      assert.deepStrictEqual(room.run.unseen(), [1])
      const two = yield* Stream.runCollect(Stream.take(room.run.turn.followups, 2))
      assert.deepStrictEqual(two.map(({ text }) => text), ["m1", "m2"])
      assert.deepStrictEqual(room.run.unseen(), [])
      assert.deepStrictEqual(room.asked, [1, 2])
    }))

  test("is unseen when the run ends without another one", (room) =>
    Effect.gen(function*() {
      yield* stoppedAsker(room)
      room.run.ended()
      yield* room.run.settled
      room.run.close()
      assert.deepStrictEqual(room.run.unseen(), [1])
      assert.isTrue(Option.isNone(yield* Stream.runHead(room.run.turn.followups)))
    }))

  test("is one message for two askers at once", (room) =>
    Effect.gen(function*() {
      const askers = yield* Effect.forkChild(
        Effect.all([1, 2].map(() => Stream.runHead(room.run.turn.followups)), { concurrency: 2 })
      )
      yield* room.adopt
      const given = (yield* Fiber.join(askers)).flatMap(Option.toArray)
      assert.sameMembers(given.map(({ text }) => text), ["m1", "m2"])
      assert.deepStrictEqual(room.run.unseen(), [])
    }))
})

describe("the end of a handler", () => {
  test("waits for a message that is joining, and leaves it unseen", ({ adopt, run }) =>
    Effect.gen(function*() {
      const asker = yield* Effect.forkChild(Stream.runHead(run.turn.followups))
      yield* settle
      run.ended()
      const settled = yield* Effect.forkChild(run.settled)
      yield* settle
      assert.isUndefined(settled.pollUnsafe())
      yield* adopt
      yield* Fiber.join(settled)
      assert.isTrue(Option.isNone(yield* Fiber.join(asker)))
      assert.deepStrictEqual(run.unseen(), [1])
    }))

  test("does not wait for an asker to whom nobody writes", ({ adopt, run }) =>
    Effect.gen(function*() {
      yield* adopt
      const asker = yield* Effect.forkChild(Stream.runCollect(run.turn.followups))
      yield* settle
      run.ended()
      yield* run.settled
      assert.strictEqual((yield* Fiber.join(asker)).length, 2)
    }))

  test("ends an async function's `next()` that was left waiting, without a message", ({ adopt, asked, run }) =>
    Effect.gen(function*() {
      let left: Promise<IteratorResult<InboundMessage>> | undefined
      const handler = Handler.promise(async (turn) => {
        left = turn.followups[Symbol.asyncIterator]().next()
        await Promise.resolve()
      })
      yield* handler.run(run.turn)
      yield* settle
      assert.deepStrictEqual(asked, [1])
      run.ended()
      yield* adopt
      assert.isTrue((yield* Effect.promise(async () => await left))?.done)
      assert.deepStrictEqual(run.unseen(), [1])
    }))

  test("takes nothing more from the database", ({ asked, run }) =>
    Effect.gen(function*() {
      run.ended()
      assert.deepStrictEqual(yield* Stream.runCollect(run.turn.followups), [])
      assert.deepStrictEqual(asked, [])
    }))
})
