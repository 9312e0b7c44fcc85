/** How sure the sender is before it sends again what may have arrived, and what happens where nobody can look. */
import { assert, describe } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { OutboxStore } from "../src/OutboxStore.ts"
import { Ambiguous, Configuration, NotSent, Permanent } from "../src/SlackApi.ts"
import { alarms, post, stateOf, test, unpaced } from "./fixtures/outboxRoom.ts"
import { advance, epoch, settle } from "./fixtures/rooms.ts"
import { reset } from "./fixtures/scriptedApi.ts"

const timedOut = new Ambiguous({ detail: "TimeoutError", late: true })
const noScope = new Configuration({ code: "missing_scope", needed: "channels:history" })
const counts = Effect.flatMap(OutboxStore, (store) => store.counts)

describe("after a timeout", () => {
  test("looks count only once no request can still be on its way", (slack) =>
    Effect.gen(function*() {
      slack.script("x", timedOut)
      yield* post("x")
      yield* advance("45 seconds", "1 second")
      assert.deepStrictEqual(slack.texts(), ["x"])
      yield* advance("10 seconds", "1 second")
      assert.deepStrictEqual(slack.texts(), ["x", "x"])
      const counting = slack.looks.filter(({ at }) => at - epoch >= 25_000)
      assert.strictEqual(counting.length, 3)
      assert.isAbove(slack.looks.length, counting.length, "it is looked for at once all the same")
    }), { ...unpaced, requestTimeout: Duration.seconds(25), historyLag: Duration.seconds(1) })

  test("a later message proves nothing", (slack) =>
    Effect.gen(function*() {
      slack.script("x", timedOut)
      slack.look.newest = "1.0"
      yield* post("x")
      yield* advance("11 seconds", "1 second")
      slack.look.newest = "2.0"
      yield* advance("18 seconds", "1 second")
      assert.deepStrictEqual(slack.texts(), ["x"])
    }), unpaced)

  test("what takes effect late is found", (slack) =>
    Effect.gen(function*() {
      slack.script("x", timedOut)
      const handle = yield* post("x")
      yield* advance("9 seconds", "1 second")
      slack.posted.set(slack.sent[0]?.key ?? "", "5.5")
      yield* advance("2 seconds", "1 second")
      assert.strictEqual(yield* stateOf(handle.id), "delivered")
      assert.deepStrictEqual(slack.texts(), ["x"])
    }), unpaced)
})

describe("after a reset", () => {
  test("a later message shortens the wait, and three looks are made all the same", (slack) =>
    Effect.gen(function*() {
      slack.script("x", reset)
      slack.look.newest = "1.0"
      yield* post("x")
      yield* settle
      slack.look.newest = "2.0"
      yield* advance("10 seconds", "1 second")
      assert.deepStrictEqual(slack.texts(), ["x"])
      yield* advance("2 seconds", "500 millis")
      assert.deepStrictEqual(slack.texts(), ["x", "x"])
      assert.strictEqual(slack.looks.length, 3)
    }), unpaced)

  test("no later message does not prolong it", (slack) =>
    Effect.gen(function*() {
      slack.script("x", reset)
      slack.look.newest = "1.0"
      yield* post("x")
      yield* advance("32 seconds", "500 millis")
      assert.deepStrictEqual(slack.texts(), ["x", "x"])
    }), unpaced)

  test("what proves absent after its time to live has expired", (slack) =>
    Effect.gen(function*() {
      slack.script("x", reset)
      const handle = yield* post("x")
      yield* advance("40 seconds", "1 second")
      assert.strictEqual(yield* stateOf(handle.id), "expired")
      assert.deepStrictEqual(slack.texts(), ["x"])
    }), { ...unpaced, outboxTtl: Duration.seconds(20) })
})

describe("where nobody can look", () => {
  for (const reason of [noScope, new Permanent({ code: "not_in_channel" })]) {
    test(
      `(${reason.code}) the row is held, the alarm counts it, and whoever waits is told that nobody knows`,
      (slack) =>
        Effect.gen(function*() {
          slack.script("x", reset)
          slack.look.failure = reason
          const handle = yield* post("x")
          const error = yield* Effect.flip(handle.delivered)
          assert.strictEqual(error.reason._tag, "ReplyUnknown")
          yield* advance("10 minutes", "10 seconds")
          assert.strictEqual(yield* stateOf(handle.id), "unknown")
          assert.deepStrictEqual(slack.texts(), ["x"])
          assert.deepInclude(yield* counts, { unknown: 1, held: 1 })
          assert.include((yield* alarms).codes, "reply-unknown")
        }),
      unpaced
    )
  }

  test("it is tried again less and less often, for hours", (slack) =>
    Effect.gen(function*() {
      slack.script("x", reset)
      slack.look.failure = noScope
      yield* post("x")
      yield* advance("1 day", "1 minute")
      const last = slack.looks.slice(-2).map(({ at }) => at)
      assert.isAtLeast((last[1] ?? 0) - (last[0] ?? 0), 3_600_000)
      assert.isBelow(slack.looks.length, 60)
    }), { ...unpaced, outboxTtl: null })

  test("the policy may be to send again, as if it were absent, and not for ever", (slack) =>
    Effect.gen(function*() {
      slack.script("x", reset, reset, reset, reset)
      slack.look.failure = noScope
      const handle = yield* post("x")
      yield* advance("2 minutes", "1 second")
      assert.strictEqual(slack.sent.length, 3)
      assert.strictEqual(yield* stateOf(handle.id), "failed_terminal")
      assert.notInclude((yield* alarms).codes, "reply-unknown")
    }), { ...unpaced, unknownPolicy: "resend", outboxMaxAttempts: 3 })

  test("looks that all fail are no proof: the row is held when the window is over", (slack) =>
    Effect.gen(function*() {
      slack.script("x", reset)
      slack.look.failure = new NotSent({ detail: "ECONNREFUSED" })
      const handle = yield* post("x")
      yield* advance("25 seconds", "1 second")
      assert.strictEqual((yield* counts).held, 0)
      yield* advance("10 seconds", "1 second")
      assert.strictEqual((yield* counts).held, 1)
      slack.look.failure = undefined
      yield* advance("10 minutes", "10 seconds")
      assert.strictEqual(yield* stateOf(handle.id), "delivered")
      assert.strictEqual((yield* counts).held, 0)
      assert.notInclude((yield* alarms).codes, "reply-unknown")
    }), unpaced)

  test("what only one person saw cannot be looked up, and is held at once", (slack) =>
    Effect.gen(function*() {
      slack.script("psst", reset)
      const handle = yield* post({ text: "psst", ephemeral: "U1" })
      yield* settle
      assert.isEmpty(slack.looks)
      assert.strictEqual((yield* Effect.flip(handle.delivered)).reason._tag, "ReplyUnknown")
    }), unpaced)

  test("an operator settles it, and the alarm is over within a minute", (slack) =>
    Effect.gen(function*() {
      slack.script("x", reset)
      slack.look.failure = noScope
      const handle = yield* post("x")
      yield* settle
      yield* (yield* OutboxStore).discard({ ids: [handle.id] }, epoch)
      yield* advance("61 seconds", "1 second")
      assert.notInclude((yield* alarms).codes, "reply-unknown")
      assert.strictEqual((yield* Effect.flip(handle.delivered)).reason._tag, "ReplyFailed")
    }), unpaced)
})
