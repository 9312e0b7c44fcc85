/** What the handler answers, how it fails and how long it takes. */
import { assert, describe } from "@effect/vitest"
import { Clock, Duration, Effect } from "effect"
import { SqlClient } from "effect/sql"
import { GatewayStatus } from "../src/GatewayStatus.ts"
import { type Answer, Handler, type PromiseTurn, type Turn } from "../src/Handler.ts"
import { MessageStore } from "../src/MessageStore.ts"
import type { HandlerError } from "../src/TurnError.ts"
import { gated, inbox, replies, say, test } from "./fixtures/conversationsRoom.ts"
import { advance, epoch, me, settle } from "./fixtures/rooms.ts"

describe("the end of a turn", () => {
  test(
    "commits what the handler returned, and what it said meanwhile before that",
    (turn) => Effect.as(turn.reply("working"), ["a", { text: "b" }]),
    () =>
      Effect.gen(function*() {
        yield* say("D1", "x")
        yield* settle
        assert.deepStrictEqual(yield* replies, ["working", "a", "b"])
        assert.strictEqual((yield* inbox).done, 1)
      })
  )

  const nonsense: ReadonlyArray<readonly [string, unknown]> = [
    ["something that is no answer", 42],
    ["blocks that are no JSON", { text: "x", blocks: [1n] }],
    [
      "blocks that contain themselves",
      (() => {
        const blocks: Array<unknown> = []
        blocks.push(blocks)
        return { text: "x", blocks }
      })()
    ]
  ]
  for (const [what, answer] of nonsense) {
    test(
      `is a failure when the handler returns ${what}`,
      () => Effect.succeed(answer as Answer),
      () =>
        Effect.gen(function*() {
          yield* say("D1", "x")
          yield* settle
          assert.strictEqual((yield* inbox).failed, 1)
        }),
      { maxAttempts: 1 }
    )
  }

  const away = gated()
  test("waits for a database that is away, and is then written down", away.handler, () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* say("D1", "x")
      yield* settle
      yield* sql`CREATE TRIGGER away BEFORE UPDATE ON slackwater_turns BEGIN SELECT RAISE(ABORT, 'away'); END`
      yield* away.release("x", "answer")
      yield* advance("30 seconds", "1 second")
      yield* sql`DROP TRIGGER away`
      yield* advance("30 seconds", "1 second")
      assert.deepStrictEqual(yield* replies, ["answer"])
      assert.deepStrictEqual(away.texts(), ["x"])
      assert.deepStrictEqual((yield* (yield* GatewayStatus).snapshot).alarms, [])
    }))

  const two = gated()
  test(
    "keeps the alarm up while one turn waits for the database and another one does not",
    two.handler,
    () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const alarms = Effect.flatMap(
          GatewayStatus,
          (status) => Effect.map(status.snapshot, ({ alarms }) => alarms.map(({ code }) => code))
        )
        for (const name of ["D1", "D2"]) yield* say(name, name)
        yield* settle
        yield* sql`CREATE TRIGGER away BEFORE UPDATE ON slackwater_turns WHEN old.conversation = 'D1'
        BEGIN SELECT RAISE(ABORT, 'away'); END`
        yield* two.release("D1")
        yield* two.release("D2")
        assert.strictEqual((yield* inbox).done, 1)
        assert.deepStrictEqual(yield* alarms, ["database:turns"])
        yield* sql`DROP TRIGGER away`
        yield* advance("30 seconds", "1 second")
        assert.strictEqual((yield* inbox).done, 2)
        assert.deepStrictEqual(yield* alarms, [])
      })
  )

  const lost = gated()
  test("does not count once the turn is no longer ours", lost.handler, () =>
    Effect.gen(function*() {
      const store = yield* MessageStore
      yield* say("D1", "x")
      yield* settle
      yield* store.releaseAll(me, epoch + 3_600_000)
      yield* lost.release("x", "too late")
      assert.deepStrictEqual(yield* replies, [])
      assert.strictEqual((yield* inbox).queued, 1)
      const error = yield* Effect.flip((lost.started[0] as Turn).reply("later still"))
      assert.strictEqual(error.reason._tag, "TurnOver")
    }))
})

describe("a handler that fails", () => {
  const runs: Array<{ readonly attempt: number; readonly id: string; readonly at: number }> = []
  test(
    "runs again with growing pauses as the same turn, and is a dead letter in the end",
    (turn) =>
      Effect.flatMap(Clock.currentTimeMillis, (at) => {
        runs.push({ attempt: turn.attempt, id: turn.id, at })
        return Effect.fail("boom")
      }),
    () =>
      Effect.gen(function*() {
        yield* say("D1", "x")
        yield* advance("1 minute", "50 millis")
        assert.deepStrictEqual(runs.map(({ attempt }) => attempt), [1, 2, 3])
        assert.strictEqual(new Set(runs.map(({ id }) => id)).size, 1)
        const [first = 0, second = 0, third = 0] = runs.map(({ at }) => at)
        assert.isTrue(second - first >= 500 && second - first <= 1_000)
        assert.isTrue(third - second >= 1_000 && third - second <= 2_000)
        assert.strictEqual((yield* inbox).failed, 1)
        assert.match((yield* replies)[0] ?? "", /^Sorry, I could not answer this/)
      }),
    { maxAttempts: 3, retryDelay: Duration.seconds(1) }
  )

  test("by a defect or by throwing is no different", (turn) => {
    if (turn.attempt === 1) throw new Error("thrown")
    return turn.attempt === 2
      ? Effect.die(new Error("defect"))
      : turn.attempt === 3
      ? Effect.interrupt
      : Effect.succeed("done")
  }, () =>
    Effect.gen(function*() {
      yield* say("D1", "x")
      yield* advance("3 minutes", "1 second")
      assert.deepStrictEqual(yield* replies, ["done"])
    }), { maxAttempts: 9 })

  test("does not repeat a reply that it made before, and may make another one", (turn) =>
    Effect.gen(function*() {
      yield* turn.reply("looking into it")
      yield* turn.reply(`attempt ${turn.attempt}`)
      if (turn.attempt === 1) return yield* Effect.fail("boom")
      return "done"
    }), () =>
    Effect.gen(function*() {
      yield* say("D1", "x")
      yield* advance("10 seconds", "500 millis")
      assert.deepStrictEqual(yield* replies, ["looking into it", "attempt 1", "attempt 2", "done"])
    }))
})

describe("a handler that takes too long", () => {
  const seen: { aborted?: boolean; interrupted?: boolean; late?: string } = {}
  test(
    "is interrupted, its signal is aborted, and what it says afterwards does not count",
    (turn) =>
      Effect.onInterrupt(Effect.never, () =>
        Effect.gen(function*() {
          seen.interrupted = true
          seen.aborted = turn.signal.aborted
          seen.late = (yield* Effect.flip(turn.reply("late"))).reason._tag
        })),
    () =>
      Effect.gen(function*() {
        yield* say("D1", "x")
        yield* advance("59 seconds")
        assert.deepStrictEqual(seen, {})
        yield* advance("2 seconds")
        assert.deepStrictEqual(seen, { interrupted: true, aborted: true, late: "TurnOver" })
        assert.strictEqual((yield* inbox).failed, 1)
      }),
    { handlerTimeout: Duration.minutes(1), maxAttempts: 1 }
  )

  const stuck: Array<string> = []
  test("and cannot be interrupted gives up its slot all the same", (turn) =>
    Effect.suspend(() => {
      stuck.push(turn.text)
      return turn.text === "stuck" ? Effect.uninterruptible(Effect.never) : Effect.succeed("fine")
    }), () =>
    Effect.gen(function*() {
      yield* say("D1", "stuck")
      yield* settle
      yield* say("D2", "other")
      yield* settle
      assert.deepStrictEqual(stuck, ["stuck"])
      yield* advance("62 seconds", "1 second")
      assert.deepStrictEqual(stuck, ["stuck", "other"])
      assert.include(yield* replies, "fine")
    }), { concurrency: 1, handlerTimeout: Duration.minutes(1), maxAttempts: 1 })

  const patient = gated()
  test("is not judged by the time its message waited for a slot", patient.handler, () =>
    Effect.gen(function*() {
      for (const text of ["a", "b", "c"]) yield* say(text, text)
      for (const text of ["a", "b", "c"]) {
        yield* advance("50 seconds")
        yield* patient.release(text, text)
      }
      assert.deepStrictEqual(patient.texts(), ["a", "b", "c"])
      assert.deepStrictEqual(yield* replies, ["a", "b", "c"])
    }), { concurrency: 1, handlerTimeout: Duration.minutes(1), maxAttempts: 1 })

  const ignored: { turn?: PromiseTurn; late?: string } = {}
  const deaf = Handler.promise((turn) => {
    ignored.turn ??= turn
    return turn.text === "deaf" ? new Promise<never>(() => {}) : Promise.resolve("heard")
  })
  test(
    "as a promise that ignores its signal gives up its slot, and what it says later does not count",
    (turn) => deaf.run(turn) as Effect.Effect<Answer, HandlerError>,
    () =>
      Effect.gen(function*() {
        yield* say("D1", "deaf")
        yield* settle
        yield* say("D1", "next", 1)
        yield* advance("59 seconds")
        assert.isFalse(ignored.turn?.signal.aborted)
        yield* advance("2 seconds", "1 second")
        assert.isTrue(ignored.turn?.signal.aborted)
        const late = ignored.turn.reply("too late")
        ignored.late = yield* Effect.promise(() => late.then(() => "posted", (error: Error) => error.message))
        assert.match(ignored.late, /over/)
        // Its conversation has gone on to the next turn, on the only slot there is.
        const said = yield* replies
        assert.lengthOf(said, 2)
        assert.match(said[0] ?? "", /^Sorry/)
        assert.strictEqual(said[1], "heard")
      }),
    { concurrency: 1, handlerTimeout: Duration.minutes(1), maxAttempts: 1 }
  )
})
