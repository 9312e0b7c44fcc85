/** A reply that nothing stands before goes straight from its commit to Slack. */
import { assert, describe } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Latch } from "effect"
import { SqlClient } from "effect/sql"
import { OutboxStore } from "../src/OutboxStore.ts"
import { post, test } from "./fixtures/outboxRoom.ts"
import { Rooms, settle } from "./fixtures/rooms.ts"
import { whileTimePasses } from "./fixtures/time.ts"

/** Slack was asked, and answers; nothing waits. */
const ready = Effect.andThen(post("first"), settle)

const states = Effect.flatMap(
  OutboxStore,
  (store) => Effect.map(store.list({}, { limit: 99 }), (rows) => rows.map(({ state, text }) => `${text} ${state}`))
)

describe("a post that nothing stands before", () => {
  test("is being sent when it is committed, and what comes behind it in its lane waits", (slack) =>
    Effect.gen(function*() {
      yield* ready
      const answer = yield* Deferred.make<{ readonly ts: string }>()
      slack.script("now", answer)
      yield* post("now")
      assert.deepStrictEqual(yield* states, ["first delivered", "now sending"])
      yield* post("behind")
      yield* settle
      assert.deepStrictEqual(yield* states, ["first delivered", "now sending", "behind queued"])
      yield* Deferred.succeed(answer, { ts: "9.9" })
      yield* settle
      assert.deepStrictEqual(slack.texts(), ["first", "now", "behind"])
      assert.deepStrictEqual(yield* states, ["first delivered", "now delivered", "behind delivered"])
    }))

  test("is sent though its caller was interrupted while it was committed", (slack) =>
    Effect.gen(function*() {
      yield* ready
      const sql = yield* SqlClient.SqlClient
      const over = yield* Latch.make()
      // Somebody else has the connection.
      const holder = yield* Effect.forkChild(sql.withTransaction(over.await), { startImmediately: true })
      const caller = yield* Effect.forkChild(post("held"), { startImmediately: true })
      yield* Effect.repeat(Effect.yieldNow, { times: 20 })
      yield* Fiber.interrupt(caller)
      yield* over.open
      yield* Fiber.join(holder)
      yield* settle
      yield* post("next")
      yield* settle
      assert.deepStrictEqual(slack.texts(), ["first", "held", "next"])
    }))

  test(
    "gives its place in the pace back where it could not be committed",
    (slack) =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* ready
        yield* sql`CREATE TRIGGER refused BEFORE INSERT ON slackwater_outbox BEGIN SELECT RAISE(ABORT, 'no'); END`
        assert.isTrue(Exit.isFailure(yield* Effect.exit(post("refused", "C2"))))
        yield* sql`DROP TRIGGER refused`
        yield* post("taken", "C2")
        yield* settle
        assert.deepStrictEqual(slack.texts(), ["first", "taken"])
      }),
    { paceBurst: 1 }
  )

  test(
    "is waited for by a stop that comes while it is committed",
    (slack) =>
      Effect.gen(function*() {
        yield* whileTimePasses(post("first"))
        yield* settle
        const caller = yield* Effect.forkChild(post("held"), { startImmediately: true })
        yield* settle
        yield* (yield* Rooms).close
        assert.deepStrictEqual(slack.texts(), ["first", "held"])
        assert.isTrue(Exit.isSuccess(yield* Fiber.await(caller)))
      }),
    {},
    // Somebody else writes to the file meanwhile.
    (store) => ({ enqueue: (...args) => Effect.delay(store.enqueue(...args), "1 second") })
  )
})
