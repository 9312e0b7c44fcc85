/** The sender: in order, at Slack's pace, for as long as it takes. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { SqlClient } from "effect/sql"
import { GatewayStatus } from "../src/GatewayStatus.ts"
import { Outbox } from "../src/Outbox.ts"
import { Credentials, NotSent, RateLimited } from "../src/SlackApi.ts"
import { post, stateOf, test, unpaced } from "./fixtures/outboxRoom.ts"
import { advance, ground, inRooms, Rooms, settle } from "./fixtures/rooms.ts"
import { scriptedApi } from "./fixtures/scriptedApi.ts"
import { whileTimePasses } from "./fixtures/time.ts"

describe("order and pace", () => {
  test("sends a lane in the order of the commits, the next after the last was answered", (slack) =>
    Effect.gen(function*() {
      const answer = yield* Deferred.make<{ readonly ts: string }>()
      slack.script("1", answer)
      yield* Effect.forEach(["1", "2", "3"], (text) => post(text))
      yield* settle
      assert.deepStrictEqual(slack.texts(), ["1"])
      yield* Deferred.succeed(answer, { ts: "9.9" })
      yield* settle
      assert.deepStrictEqual(slack.texts(), ["1", "2", "3"])
    }))

  test("does not let one lane hold up another", (slack) =>
    Effect.gen(function*() {
      slack.script("stuck", yield* Deferred.make<{ readonly ts: string }>())
      yield* post("stuck", "C1", "1.0")
      yield* post("free", "C1", "2.0")
      yield* settle
      assert.sameMembers(slack.texts(), ["stuck", "free"])
    }))

  test(
    "keeps the pace of a channel over all of its threads, and no other channel's",
    (slack) =>
      Effect.gen(function*() {
        for (let thread = 1; thread <= 4; thread++) yield* post(`a${thread}`, "C1", `${thread}.0`)
        yield* post("b", "C2")
        yield* settle
        assert.deepStrictEqual(slack.texts(), ["a1", "a2", "b"])
        yield* advance("999 millis")
        assert.strictEqual(slack.sent.length, 3)
        yield* advance("1 millis")
        yield* advance("1 second")
        assert.deepStrictEqual(slack.texts(), ["a1", "a2", "b", "a3", "a4"])
      }),
    { paceBurst: 2 }
  )

  test("makes one post of a repeated key and answers both with it", (slack) =>
    Effect.gen(function*() {
      const outbox = yield* Outbox
      const one = yield* outbox.enqueue({ channel: "C1", text: "green", key: "build-1" })
      const two = yield* outbox.enqueue({ channel: "C1", text: "green", key: "build-1" })
      assert.deepStrictEqual(yield* two.delivered, yield* one.delivered)
      assert.deepStrictEqual(slack.texts(), ["green"])
    }))

  test("takes no part of a long text for what was said under another key", (slack) =>
    Effect.gen(function*() {
      yield* post({ text: `${"x".repeat(3_999)}\n${"y".repeat(10)}`, key: "report" })
      for (const key of ["report#1", "report%231"]) yield* post({ text: key, key })
      yield* advance("10 seconds", "1 second")
      assert.deepStrictEqual(slack.texts().slice(2), ["report#1", "report%231"])
    }), unpaced)

  test("posts into the thread that the row names, under a key that says nothing", (slack) =>
    Effect.gen(function*() {
      yield* post("x", "C1", "7.0")
      yield* settle
      assert.deepInclude(slack.sent[0], { channel: "C1", threadTs: "7.0" })
      assert.match(slack.sent[0]?.key ?? "", /^[0-9a-f]{32}$/)
    }))
})

describe("not sent", () => {
  test("is tried again for ever, with growing pauses, and no attempt is counted", (slack) =>
    Effect.gen(function*() {
      slack.script("x", ...Array.from({ length: 40 }, () => new NotSent({ detail: "ECONNREFUSED" })))
      const handle = yield* post("x")
      yield* advance("20 minutes", "1 second")
      assert.strictEqual(slack.sent.length, 41)
      assert.strictEqual(yield* stateOf(handle.id), "delivered")
      const pauses = slack.sent.slice(1).map(({ at }, index) => at - (slack.sent[index]?.at ?? 0))
      assert.isAtMost(Math.max(...pauses), 31_000)
      assert.isAtMost(pauses[0] ?? Infinity, 1_000)
    }), { ...unpaced, outboxMaxAttempts: 2 })

  test(
    "keeps later posts waiting: there is no point in asking a Slack that is not there",
    (slack) =>
      Effect.gen(function*() {
        slack.script("a", ...Array.from({ length: 20 }, () => new NotSent({ detail: "ENOTFOUND" })))
        yield* post("a", "C1")
        yield* settle
        yield* post("b", "C2")
        yield* settle
        assert.deepStrictEqual(slack.texts(), ["a"])
      }),
    unpaced
  )

  test("expires when it has become too old, and the handle says so", (slack) =>
    Effect.gen(function*() {
      slack.script("x", ...Array.from({ length: 1_000 }, () => new NotSent({ detail: "ECONNREFUSED" })))
      const handle = yield* post("x")
      const waiting = yield* Effect.forkChild(Effect.exit(handle.delivered))
      yield* advance("61 minutes", "10 seconds")
      assert.strictEqual(yield* stateOf(handle.id), "expired")
      yield* settle
      const exit = waiting.pollUnsafe()
      assert.isDefined(exit, "whoever waits for a reply that expired waits for ever")
      if (exit !== undefined && Exit.isSuccess(exit)) assert.isTrue(Exit.isFailure(exit.value))
    }), { ...unpaced, outboxTtl: Duration.hours(1) })

  test("never expires where that is switched off", (slack) =>
    Effect.gen(function*() {
      slack.script("x", new Credentials({ code: "token_expired" }))
      const handle = yield* post("x")
      yield* settle
      yield* advance("30 hours", "10 hours")
      assert.strictEqual(yield* stateOf(handle.id), "delivered")
    }), { outboxTtl: null })
})

describe("a rate limit", () => {
  test("pauses its channel for as long as Slack says, and no other", (slack) =>
    Effect.gen(function*() {
      slack.script("a1", new RateLimited({ retryAfterMs: 7_000 }))
      yield* post("a1", "C1", "1.0")
      yield* settle
      yield* post("a2", "C1", "2.0")
      yield* post("b", "C2")
      yield* settle
      assert.deepStrictEqual(slack.texts(), ["a1", "b"])
      yield* advance("6999 millis")
      assert.strictEqual(slack.sent.length, 2)
      yield* advance("1 millis")
      assert.deepStrictEqual(slack.texts(), ["a1", "b", "a1", "a2"])
    }), unpaced)

  test("counts as no attempt, however often it comes", (slack) =>
    Effect.gen(function*() {
      slack.script("x", ...Array.from({ length: 8 }, () => new RateLimited({ retryAfterMs: 1_000 })))
      const handle = yield* post("x")
      yield* advance("10 seconds", "500 millis")
      assert.strictEqual(yield* stateOf(handle.id), "delivered")
    }), { outboxMaxAttempts: 1 })
})

describe("the end", () => {
  test("sends what can be sent at once", (slack) =>
    Effect.gen(function*() {
      const answer = yield* Deferred.make<{ readonly ts: string }>()
      slack.script("1", answer)
      yield* post("1")
      yield* post("2")
      yield* settle
      const closing = yield* Effect.forkChild(Effect.flatMap(Rooms, (rooms) => rooms.close))
      yield* settle
      yield* Deferred.succeed(answer, { ts: "1.1" })
      yield* Fiber.join(closing)
      assert.deepStrictEqual(slack.texts(), ["1", "2"])
    }))

  test("does not wait for an outage to end", (slack) =>
    Effect.gen(function*() {
      slack.script("x", ...Array.from({ length: 999 }, () => new NotSent({ detail: "ECONNREFUSED" })))
      yield* post("x")
      yield* settle
      const sent = slack.sent.length
      yield* (yield* Rooms).close
      assert.isAtMost(slack.sent.length - sent, 3)
    }))

  it.effect("makes a request that it cuts off unknown", () => {
    const slack = scriptedApi()
    return inRooms(Layer.mergeAll(ground(), slack.layer))(Effect.gen(function*() {
      const scope = yield* Scope.make()
      const room = yield* Layer.buildWithScope(Layer.fresh(Outbox.layer), scope)
      slack.script("x", yield* Deferred.make<{ readonly ts: string }>())
      const { id } = yield* Effect.provide(post("x"), room)
      yield* settle
      assert.strictEqual(yield* stateOf(id), "sending")
      yield* whileTimePasses(Scope.close(scope, Exit.void))
      assert.strictEqual(yield* stateOf(id), "unknown")
    }))
  })
})

describe("the database", () => {
  test("that was away for a moment leaves no alarm behind", (slack) =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TRIGGER away BEFORE UPDATE ON slackwater_outbox BEGIN SELECT RAISE(ABORT, 'away'); END`
      yield* post("x")
      yield* settle
      assert.include(yield* Effect.orDie(Effect.flatMap(GatewayStatus, (status) => status.notReady)), "database")
      yield* sql`DROP TRIGGER away`
      yield* advance("3 seconds", "500 millis")
      assert.deepStrictEqual(slack.texts(), ["x"])
      assert.notInclude(yield* Effect.flatMap(GatewayStatus, (status) => status.notReady), "database")
    }))
})
