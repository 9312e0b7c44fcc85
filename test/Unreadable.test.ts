/** Rows that a newer release wrote, or that something damaged: they are put aside, and nobody stumbles over them. */
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { Conversations } from "../src/Conversations.ts"
import { MessageStore } from "../src/MessageStore.ts"
import { gated, inbox, replies, say, test } from "./fixtures/conversationsRoom.ts"
import { arrival, key, tsAt } from "./fixtures/messages.ts"
import { advance, epoch, settle } from "./fixtures/rooms.ts"

/** Spoils what is stored of the messages with this text. */
const spoil = (text: string, as = "{\"kind\":\"telepathy\"}") =>
  Effect.flatMap(
    SqlClient.SqlClient,
    (sql) => sql`UPDATE slackwater_messages SET message = ${as} WHERE message ->> '$.text' = ${text}`
  )

const append = (text: string, conversation = "D1", second = 0) =>
  Effect.flatMap(
    MessageStore,
    (store) => store.append(arrival({ conversation: key(conversation), channel: conversation, text, ts: tsAt(second) }))
  )

describe("a message that cannot be read", () => {
  for (const [what, as] of [["a newer release wrote", "{\"kind\":\"telepathy\"}"], ["is no JSON", "{"]] as const) {
    const others = gated()
    test(
      `because it ${what} is a dead letter, and the others go on`,
      others.handler,
      () =>
        Effect.gen(function*() {
          assert.deepStrictEqual(others.texts(), ["fine"])
          const sql = yield* SqlClient.SqlClient
          const [row] = yield* sql`SELECT message, reason FROM slackwater_messages WHERE state = 'failed'`
          assert.strictEqual(row?.["message"], as)
          assert.match(String(row?.["reason"]), /cannot be read/)
          yield* others.release("fine")
          yield* say("D1", "next", 2)
          yield* settle
          assert.deepStrictEqual(others.texts(), ["fine", "next"])
        }),
      {},
      {
        before: Effect.gen(function*() {
          yield* append("spoilt", "D1")
          yield* append("fine", "D2")
          yield* spoil("spoilt", as)
        })
      }
    )
  }

  const batch = gated()
  test(
    "takes the turn it belongs to with it, and whoever wrote the rest is told",
    batch.handler,
    () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(batch.texts(), [])
        assert.strictEqual((yield* inbox).failed, 2)
        assert.match((yield* replies)[0] ?? "", /^Sorry/)
      }),
    {},
    {
      before: Effect.gen(function*() {
        yield* append("rest", "D1", 1)
        yield* append("spoilt", "D1", 2)
        yield* spoil("spoilt")
      })
    }
  )

  for (const mode of ["interrupt", "steer"] as const) {
    const running = gated()
    test(`does not disturb a turn that runs in mode ${mode}`, running.handler, () =>
      Effect.gen(function*() {
        yield* say("D1", "one", 1)
        yield* settle
        yield* append("spoilt", "D1", 2)
        yield* spoil("spoilt")
        yield* (yield* Conversations).wake(key("D1"))
        yield* settle
        assert.deepStrictEqual(running.texts(), ["one"])
        yield* running.release("one", "answer")
        yield* advance("1 second")
        assert.deepStrictEqual((yield* replies).slice(0, 1), ["answer"])
        const { done, failed } = yield* inbox
        assert.deepStrictEqual({ done, failed }, { done: 1, failed: 1 })
      }), { mode })
  }

  test(
    "is left out of what a handler reads of the past",
    (turn) =>
      Effect.map(
        turn.history(),
        (lines) => lines.map((line) => line._tag === "Message" ? line.message.text : line.text).join(" ")
      ),
    () =>
      Effect.gen(function*() {
        yield* say("D1", "one", 1)
        yield* settle
        yield* spoil("one")
        yield* (yield* SqlClient.SqlClient)`UPDATE slackwater_outbox SET dispatch = '{"_tag":"Dance"}'`
        yield* say("D1", "two", 2)
        yield* settle
        const sql = yield* SqlClient.SqlClient
        const [row] = yield* sql`SELECT dispatch ->> '$.text' AS text FROM slackwater_outbox ORDER BY id DESC`
        assert.strictEqual(row?.["text"], "two")
      })
  )

  const healed = gated()
  test("is read from its twin when that comes", healed.handler, () =>
    Effect.gen(function*() {
      yield* settle
      const store = yield* MessageStore
      const twin = (event: string) => ({ keys: [`event:${event}`, "message:1"], dueAt: epoch })
      yield* store.append(arrival({ text: "spoilt" }, twin("a")))
      yield* spoil("spoilt")
      yield* store.append(arrival({ text: "whole" }, twin("b")))
      yield* (yield* Conversations).wake(key("D1"))
      yield* settle
      assert.deepStrictEqual(healed.texts(), ["whole"])
    }))
})
