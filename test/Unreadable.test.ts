/** Rows that a newer release wrote, or that something damaged: they are put aside, and nobody stumbles over them. */
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { Conversations } from "../src/Conversations.ts"
import { MessageStore } from "../src/MessageStore.ts"
import { Outbox } from "../src/Outbox.ts"
import { OutboxStore } from "../src/OutboxStore.ts"
import { NotSent } from "../src/SlackApi.ts"
import { gated, inbox, replies, say, test } from "./fixtures/conversationsRoom.ts"
import { arrival, key, post as row, tsAt } from "./fixtures/messages.ts"
import { post, stateOf, test as testOutbox } from "./fixtures/outboxRoom.ts"
import { advance, epoch, settle } from "./fixtures/rooms.ts"
import { reset } from "./fixtures/scriptedApi.ts"

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

describe("a reply that cannot be read", () => {
  const spoilReply = (id: number) =>
    Effect.flatMap(
      SqlClient.SqlClient,
      (sql) => sql`UPDATE slackwater_outbox SET dispatch = '{"_tag":"Dance"}' WHERE id = ${id}`
    )

  testOutbox("is a dead letter, and the others go on", (slack) =>
    Effect.gen(function*() {
      const store = yield* OutboxStore
      const rows = yield* store.enqueue(
        ["spoilt", "behind", "other"].map((text) => row(text, text === "other" ? "D2" : "D1")),
        null,
        epoch
      )
      yield* spoilReply(rows[0]?.id ?? 0)
      yield* (yield* Outbox).wake
      yield* settle
      assert.sameMembers(slack.texts(), ["behind", "other"])
      const [ended] = yield* store.list({ states: ["failed_terminal"] }, { limit: 9 })
      assert.deepInclude(ended, { id: rows[0]?.id ?? 0, error: "Unreadable", text: "" })
      assert.match(ended?.reason ?? "", /cannot be read/)
    }))

  testOutbox("is not looked for in Slack either", (slack) =>
    Effect.gen(function*() {
      slack.script("lost", reset)
      slack.look.failure = new NotSent({ detail: "ECONNREFUSED" })
      const handle = yield* post("lost", "D1")
      yield* settle
      assert.strictEqual(yield* stateOf(handle.id), "unknown")
      yield* spoilReply(handle.id)
      yield* advance("1 minute", "1 second")
      assert.strictEqual(yield* stateOf(handle.id), "failed_terminal")
      yield* post("next", "D1")
      yield* settle
      assert.deepStrictEqual(slack.texts(), ["lost", "next"])
    }))
})

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
