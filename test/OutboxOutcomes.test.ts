/** What becomes of a reply that may have arrived, or that Slack does not take. */
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { Configuration, Credentials, NotSent, Permanent } from "../src/SlackApi.ts"
import { alarms, post, stateOf, test } from "./fixtures/outboxRoom.ts"
import { advance, settle } from "./fixtures/rooms.ts"
import { reset } from "./fixtures/scriptedApi.ts"

describe("what may have arrived", () => {
  test("is looked up by its key before anything else, and delivered when found", (slack) =>
    Effect.gen(function*() {
      slack.script("x", reset)
      const handle = yield* post("x")
      yield* settle
      slack.posted.set(slack.sent[0]?.key ?? "", "5.5")
      yield* advance("20 seconds", "1 second")
      assert.deepStrictEqual(slack.texts(), ["x"])
      assert.strictEqual(slack.looks[0]?.key, slack.sent[0]?.key)
      assert.deepStrictEqual(yield* handle.delivered, { channel: "C1", ts: "5.5" })
    }))

  test("is sent again only after several looks over the whole window found nothing", (slack) =>
    Effect.gen(function*() {
      slack.script("x", reset)
      const handle = yield* post("x")
      yield* advance("29 seconds", "1 second")
      assert.strictEqual(slack.sent.length, 1)
      assert.strictEqual(yield* stateOf(handle.id), "unknown")
      yield* advance("3 seconds", "500 millis")
      assert.isAtLeast(slack.looks.length, 3)
      assert.isAtLeast((slack.looks.at(-1)?.at ?? 0) - (slack.looks[0]?.at ?? 0), 30_000)
      assert.deepStrictEqual(slack.texts(), ["x", "x"])
      assert.strictEqual(slack.sent[0]?.key, slack.sent[1]?.key)
      assert.strictEqual(yield* stateOf(handle.id), "delivered")
    }))

  test("is not absent because looking fails", (slack) =>
    Effect.gen(function*() {
      slack.script("x", reset)
      slack.look.failure = new NotSent({ detail: "ECONNREFUSED" })
      const handle = yield* post("x")
      yield* advance("10 minutes", "5 seconds")
      assert.isAbove(slack.looks.length, 3)
      assert.deepStrictEqual(slack.texts(), ["x"])
      assert.strictEqual(yield* stateOf(handle.id), "unknown")
    }))

  test("is held with an alarm where nobody may look, and settled when one may", (slack) =>
    Effect.gen(function*() {
      slack.script("x", reset)
      slack.look.failure = new Configuration({ code: "missing_scope", needed: "channels:history" })
      const handle = yield* post("x")
      yield* advance("5 minutes", "10 seconds")
      assert.include((yield* alarms).codes, "reply-unknown")
      slack.look.failure = undefined
      slack.posted.set(slack.sent[0]?.key ?? "", "5.5")
      yield* advance("2 minutes", "10 seconds")
      assert.strictEqual(yield* stateOf(handle.id), "delivered")
      assert.notInclude((yield* alarms).codes, "reply-unknown")
    }))

  test("holds its lane for two minutes, then lets it go on", (slack) =>
    Effect.gen(function*() {
      slack.script("x", reset)
      slack.look.failure = new Configuration({ code: "missing_scope" })
      yield* post("x")
      yield* post("behind")
      yield* advance("119 seconds", "1 second")
      assert.deepStrictEqual(slack.texts(), ["x"])
      yield* advance("2 seconds", "500 millis")
      assert.deepStrictEqual(slack.texts(), ["x", "behind"])
    }))

  test("is looked up after the last attempt too, before it counts as failed", (slack) =>
    Effect.gen(function*() {
      slack.script("x", reset)
      const handle = yield* post("x")
      yield* settle
      slack.posted.set(slack.sent[0]?.key ?? "", "5.5")
      yield* advance("40 seconds", "1 second")
      assert.strictEqual(yield* stateOf(handle.id), "delivered")
    }), { outboxMaxAttempts: 1 })

  test("fails for good when every attempt stayed without a trace", (slack) =>
    Effect.gen(function*() {
      slack.script("x", ...Array.from({ length: 20 }, () => reset))
      const handle = yield* post("x")
      yield* advance("5 minutes", "5 seconds")
      assert.strictEqual(yield* stateOf(handle.id), "failed_terminal")
      assert.strictEqual(slack.sent.length, 3)
    }), { outboxMaxAttempts: 3 })
})

describe("refusals", () => {
  test("that are permanent fail the row and whoever waits for it, and free the lane", (slack) =>
    Effect.gen(function*() {
      slack.script("x", new Permanent({ code: "is_archived" }))
      const handle = yield* post("x")
      yield* post("behind")
      const error = yield* Effect.flip(handle.delivered)
      assert.include(error.message, "is_archived")
      yield* settle
      assert.strictEqual(yield* stateOf(handle.id), "failed_terminal")
      assert.deepStrictEqual(slack.texts(), ["x", "behind"])
    }))

  test("of the token pause everything with an alarm, and all goes on once it is accepted again", (slack) =>
    Effect.gen(function*() {
      slack.script("a", new Credentials({ code: "token_revoked" }), new Credentials({ code: "token_revoked" }))
      yield* post("a", "C1")
      yield* settle
      yield* post("b", "C2")
      yield* settle
      assert.deepStrictEqual(slack.texts(), ["a"])
      assert.deepStrictEqual(yield* alarms, { codes: ["slack-access"], paused: true })
      yield* advance("2 minutes", "5 seconds")
      assert.sameMembers(slack.texts(), ["a", "a", "a", "b"])
      assert.deepStrictEqual(yield* alarms, { codes: [], paused: false })
    }))

  test("of a scope hold their own lane only, and their alarm stays while they last", (slack) =>
    Effect.gen(function*() {
      slack.script("a", ...Array.from({ length: 99 }, () => new Configuration({ code: "missing_scope" })))
      const handle = yield* post("a", "C1")
      yield* settle
      yield* post("b", "C2")
      yield* settle
      assert.deepStrictEqual(slack.texts(), ["a", "b"])
      assert.strictEqual(yield* stateOf(handle.id), "failed_retryable")
      assert.include((yield* alarms).codes, "slack-access", "another channel's success ended the alarm")
    }))
})
