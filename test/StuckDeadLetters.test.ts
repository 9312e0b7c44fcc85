/** How other gateways lost work in their dead letters and retries, or got stuck on them, and that this one does not. */
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { Conversations } from "../src/Conversations.ts"
import { GatewayStatus } from "../src/GatewayStatus.ts"
import { Handler } from "../src/Handler.ts"
import { MessageStore } from "../src/MessageStore.ts"
import { happen, inbox, picky, replies, say, test } from "./fixtures/conversationsRoom.ts"
import { arrival, key } from "./fixtures/messages.ts"
import { advance, settle } from "./fixtures/rooms.ts"

describe("a dead letter that cannot be written", () => {
  const stuck = picky()
  test(
    "holds its own conversation only, with an alarm, and lets it go on by itself",
    stuck.handler,
    () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const { snapshot } = yield* GatewayStatus
        const codes = Effect.map(snapshot, ({ alarms }) => alarms.map(({ code }) => code))
        yield* sql`CREATE TRIGGER refuse BEFORE UPDATE ON slackwater_turns WHEN new.state = 'failed'
        BEGIN SELECT RAISE(ABORT, 'no dead letters today'); END`
        yield* say("D1", "bad")
        yield* settle
        yield* say("D1", "behind", 1)
        yield* say("D2", "elsewhere")
        yield* advance("2 hours", "10 seconds")
        assert.deepStrictEqual(stuck.runs, ["bad", "elsewhere"])
        assert.deepStrictEqual(yield* codes, ["database:turns"])
        yield* sql`DROP TRIGGER refuse`
        yield* advance("1 minute", "1 second")
        assert.deepStrictEqual(stuck.runs, ["bad", "elsewhere", "behind"])
        assert.deepInclude(yield* inbox, { done: 2, failed: 1, processing: 0 })
        assert.isEmpty(yield* codes)
      }),
    { maxAttempts: 1 }
  )
})

describe("a dead letter", () => {
  const letters = picky()
  test(
    "keeps its payload and what went wrong, and is no reason to refuse what comes later",
    letters.handler,
    () =>
      Effect.gen(function*() {
        const payload = { event: { text: "every word of it" } }
        yield* happen("D1", [{ text: "bad", payload }])
        yield* advance("1 minute", "1 second")
        const sql = yield* SqlClient.SqlClient
        const [row] = yield* sql`SELECT m.*, t.error AS turn_error FROM slackwater_messages m
        JOIN slackwater_turns t ON t.id = m.turn_id WHERE m.state = 'failed'`
        assert.include(JSON.stringify(row), "every word of it")
        assert.include(JSON.stringify(row), "always")
        yield* say("D1", "good", 1)
        yield* settle
        assert.strictEqual(letters.runs.at(-1), "good")
      })
  )
})

describe("a message that is tried again", () => {
  let runs = 0
  test(
    "is not refused by its own keys, and Slack's repetition meanwhile is no second turn",
    () => Effect.suspend(() => ++runs === 1 ? Effect.fail("once") : Effect.succeed("answer")),
    () =>
      Effect.gen(function*() {
        const store = yield* MessageStore
        const message = arrival({ text: "again" })
        yield* store.append(message)
        yield* (yield* Conversations).wake(key("D1"))
        yield* settle
        assert.strictEqual(runs, 1)
        assert.strictEqual((yield* store.append(message))._tag, "Duplicate")
        yield* advance("1 minute", "1 second")
        assert.strictEqual(runs, 2)
        assert.deepStrictEqual(yield* replies, ["answer"])
        assert.deepInclude(yield* inbox, { done: 1, queued: 0 })
      })
  )
})

describe("a handler whose work failed", () => {
  const tried: Array<string> = []
  const promise = Handler.promise(async (turn) => {
    await turn.step("work", async () => {
      tried.push(`attempt ${turn.attempt}`)
      if (turn.attempt === 1) throw new Error("not done")
    })
    return "done"
  })
  test("has not done it: neither the turn nor its step counts until it worked", promise, () =>
    Effect.gen(function*() {
      yield* say("D1", "x")
      yield* advance("1 minute", "1 second")
      assert.deepStrictEqual(tried, ["attempt 1", "attempt 2"])
      assert.deepStrictEqual(yield* replies, ["done"])
    }))
})
