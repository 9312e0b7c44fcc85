/** One turn at a time per conversation, over the real stores, in virtual time. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Duration, Effect, Layer, Option, Scope } from "effect"
import { SqlClient } from "effect/sql"
import { Conversations } from "../src/Conversations.ts"
import type { Settings } from "../src/GatewayConfig.ts"
import { GatewayStatus } from "../src/GatewayStatus.ts"
import { type Answer, Handler, type Turn } from "../src/Handler.ts"
import { MessageStore } from "../src/MessageStore.ts"
import { Outbox } from "../src/Outbox.ts"
import { OutboxStore } from "../src/OutboxStore.ts"
import { Shutdown } from "../src/Shutdown.ts"
import { arrival, key, tsAt } from "./fixtures/messages.ts"
import { advance, epoch, ground, inRooms, me, settle } from "./fixtures/rooms.ts"
import { whileTimePasses } from "./fixtures/time.ts"

/** Commits like the real one, and sends nothing. */
const outbox = Layer.effect(
  Outbox,
  Effect.map(OutboxStore, (store) =>
    Outbox.of({
      enqueue: () => Effect.die("not here"),
      commit: (replies, from) => store.enqueue(replies, from, epoch),
      wake: Effect.void,
      delivered: () => Effect.never
    }))
)

type Needs = Conversations | MessageStore | OutboxStore | GatewayStatus | SqlClient.SqlClient | Shutdown | Scope.Scope

interface Room {
  /** Ends the room, and nothing below it. */
  readonly close: Effect.Effect<void>
}

const test = <A, E>(
  sentence: string,
  handler: (turn: Turn) => Effect.Effect<Answer, unknown>,
  body: (room: Room) => Effect.Effect<A, E, Needs>,
  given: Partial<Settings> = {}
) =>
  it.effect(sentence, () =>
    inRooms(outbox.pipe(Layer.provideMerge(ground(given))))(Effect.gen(function*() {
      const scope = yield* Effect.acquireRelease(Scope.make(), (scope, exit) => whileTimePasses(Scope.close(scope, exit)))
      const layer = Conversations.layer.pipe(Layer.provide(Handler.layer(Handler.make(handler))))
      const room = yield* Layer.buildWithScope(Layer.fresh(layer), scope)
      const close = Effect.exit(Effect.void).pipe(Effect.flatMap((exit) => whileTimePasses(Scope.close(scope, exit))))
      yield* Effect.provide(body({ close }), room)
    })))

/** A handler that notes its turns and waits until the test lets it go on. */
const gated = () => {
  const started: Array<Turn> = []
  const gates = new Map<string, Deferred.Deferred<Answer>>()
  const gate = (text: string) => {
    const found = gates.get(text) ?? Deferred.makeUnsafe<Answer>()
    gates.set(text, found)
    return found
  }
  return {
    started,
    texts: () => started.map(({ text }) => text),
    handler: (turn: Turn) => Effect.suspend(() => {
      started.push(turn)
      return Deferred.await(gate(turn.text))
    }),
    release: (text: string, answer: Answer = undefined) => Effect.andThen(Deferred.succeed(gate(text), answer), settle)
  }
}

const say = Effect.fnUntraced(function*(conversation: string, text: string, second = 0) {
  const store = yield* MessageStore
  yield* store.append(arrival({ conversation: key(conversation), channel: conversation, text, ts: tsAt(second) }))
  yield* (yield* Conversations).wake(key(conversation))
})

const inbox = Effect.flatMap(MessageStore, (store) => store.counts)
const replies = Effect.flatMap(SqlClient.SqlClient, (sql) =>
  Effect.map(
    sql<{ readonly dispatch: string }>`SELECT dispatch FROM slackwater_outbox ORDER BY id`,
    (rows) => rows.map(({ dispatch }) => (JSON.parse(dispatch) as { readonly text: string }).text)
  ))

describe("which turns run", () => {
  const bounded = gated()
  test("are at most as many as the bound, the longest waiting first", bounded.handler, () =>
    Effect.gen(function*() {
      for (const [index, text] of ["a", "b", "c", "d"].entries()) {
        yield* (yield* MessageStore).append(arrival({ conversation: key(text), text }, { dueAt: epoch - 100 + index }))
      }
      yield* (yield* Conversations).wake(key("a"))
      yield* settle
      assert.deepStrictEqual(bounded.texts(), ["a", "b"])
      yield* bounded.release("b")
      assert.deepStrictEqual(bounded.texts(), ["a", "b", "c"])
      yield* bounded.release("a")
      assert.deepStrictEqual(bounded.texts(), ["a", "b", "c", "d"])
    }), { concurrency: 2 })

  const serial = gated()
  test("are one at a time per conversation; what comes meanwhile is the next turn", serial.handler, () =>
    Effect.gen(function*() {
      yield* say("D1", "one", 1)
      yield* settle
      yield* say("D1", "three", 3)
      yield* say("D1", "two", 2)
      yield* settle
      assert.deepStrictEqual(serial.texts(), ["one"])
      yield* advance("10 millis")
      yield* serial.release("one")
      assert.deepStrictEqual(serial.texts(), ["one", "two\nthree"])
    }))

  const parallel = gated()
  test("are not held up by another conversation's", parallel.handler, () =>
    Effect.gen(function*() {
      yield* say("D1", "slow")
      yield* settle
      yield* say("D2", "quick")
      yield* settle
      assert.deepStrictEqual(parallel.texts(), ["slow", "quick"])
    }))

  const swept = gated()
  test("are found by the sweep when nobody woke the dispatcher", swept.handler, () =>
    Effect.gen(function*() {
      yield* settle
      yield* (yield* MessageStore).append(arrival({ text: "forgotten" }))
      yield* advance("59 seconds")
      assert.deepStrictEqual(swept.texts(), [])
      yield* advance("1 second")
      assert.deepStrictEqual(swept.texts(), ["forgotten"])
    }))
})

describe("the end of a turn", () => {
  test("commits what the handler returned, and what it said meanwhile before that", (turn) =>
    Effect.as(turn.reply("working"), ["a", { text: "b" }]), () =>
    Effect.gen(function*() {
      yield* say("D1", "x")
      yield* settle
      assert.deepStrictEqual(yield* replies, ["working", "a", "b"])
      assert.strictEqual((yield* inbox).done, 1)
    }))

  const nonsense: ReadonlyArray<readonly [string, unknown]> = [
    ["something that is no answer", 42],
    ["blocks that are no JSON", { text: "x", blocks: [1n] }],
    ["blocks that contain themselves", (() => {
      const blocks: Array<unknown> = []
      blocks.push(blocks)
      return { text: "x", blocks }
    })()]
  ]
  for (const [what, answer] of nonsense) {
    test(`is a failure when the handler returns ${what}`, () => Effect.succeed(answer as Answer), () =>
      Effect.gen(function*() {
        yield* say("D1", "x")
        yield* settle
        assert.strictEqual((yield* inbox).failed, 1)
      }), { maxAttempts: 1 })
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
  test("runs again with growing pauses as the same turn, and is a dead letter in the end", (turn) =>
    Effect.flatMap(Clock.currentTimeMillis, (at) => {
      runs.push({ attempt: turn.attempt, id: turn.id, at })
      return Effect.fail(new Error("boom"))
    }), () =>
    Effect.gen(function*() {
      yield* say("D1", "x")
      yield* advance("1 minute", "50 millis")
      assert.deepStrictEqual(runs.map(({ attempt }) => attempt), [1, 2, 3])
      assert.strictEqual(new Set(runs.map(({ id }) => id)).size, 1)
      const [first = 0, second = 0, third = 0] = runs.map(({ at }) => at)
      assert.isTrue(second - first >= 500 && second - first <= 1_000)
      assert.isTrue(third - second >= 1_000 && third - second <= 2_000)
      assert.strictEqual((yield* inbox).failed, 1)
      assert.match((yield* replies)[0] ?? "", /^Sorry, I could not finish this/)
    }), { maxAttempts: 3, retryDelay: Duration.seconds(1) })

  test("by a defect or by throwing is no different", (turn) => {
    if (turn.attempt === 1) throw new Error("thrown")
    return turn.attempt === 2 ? Effect.die(new Error("defect")) : turn.attempt === 3 ? Effect.interrupt : Effect.succeed("done")
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
  test("is interrupted, its signal is aborted, and what it says afterwards does not count", (turn) =>
    Effect.onInterrupt(Effect.never, () =>
      Effect.gen(function*() {
        seen.interrupted = true
        seen.aborted = turn.signal.aborted
        seen.late = (yield* Effect.flip(turn.reply("late"))).reason._tag
      })), () =>
    Effect.gen(function*() {
      yield* say("D1", "x")
      yield* advance("59 seconds")
      assert.deepStrictEqual(seen, {})
      yield* advance("2 seconds")
      assert.deepStrictEqual(seen, { interrupted: true, aborted: true, late: "TurnOver" })
      assert.strictEqual((yield* inbox).failed, 1)
    }), { handlerTimeout: Duration.minutes(1), maxAttempts: 1 })

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
})

describe("the drain", () => {
  const draining = gated()
  test("runs what was flushed and what was running, and claims no backlog", draining.handler, ({ close }) =>
    Effect.gen(function*() {
      yield* say("D1", "running")
      yield* settle
      yield* (yield* Shutdown).begin
      yield* (yield* MessageStore).append(arrival({ conversation: key("D2"), text: "backlog" }))
      yield* (yield* MessageStore).append(arrival({ conversation: key("D3"), text: "flushed" }))
      yield* (yield* Conversations).flush([key("D3")])
      yield* settle
      assert.deepStrictEqual(draining.texts(), ["running", "flushed"])
      yield* draining.release("flushed", "answer")
      yield* draining.release("running")
      yield* close
      assert.deepStrictEqual(draining.texts(), ["running", "flushed"])
      const { done, processing, queued } = yield* inbox
      assert.deepStrictEqual({ done, processing, queued }, { done: 2, processing: 0, queued: 1 })
      assert.deepStrictEqual(yield* replies, ["answer"])
    }))

  const behind = gated()
  test("runs a flushed conversation's messages after its running turn", behind.handler, ({ close }) =>
    Effect.gen(function*() {
      yield* say("D1", "first")
      yield* settle
      yield* (yield* Shutdown).begin
      yield* (yield* MessageStore).append(arrival({ text: "second", conversation: key("D1") }))
      yield* (yield* Conversations).flush([key("D1")])
      yield* behind.release("second")
      yield* behind.release("first")
      yield* close
      assert.deepStrictEqual(behind.texts(), ["first", "second"])
      assert.strictEqual((yield* inbox).done, 2)
    }))

  for (const [what, wait] of [["", Effect.never], [" and cannot be interrupted", Effect.uninterruptible(Effect.never)]] as const) {
    test(`gives back a turn that does not end in time${what}, without spending an attempt`, () => wait, ({ close }) =>
      Effect.gen(function*() {
        yield* say("D1", "x")
        yield* settle
        yield* close
        assert.strictEqual((yield* inbox).queued, 1)
        const again = yield* (yield* MessageStore).claim(key("D1"), me, epoch + 3_600_000)
        assert.strictEqual(Option.getOrThrow(again).attempt, 1)
      }))
  }
})
