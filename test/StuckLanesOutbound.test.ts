/** How other gateways got replies stuck after they had gone durable, and that this one does not: the way out. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Layer, Scope } from "effect"
import { SqlClient } from "effect/sql"
import { GatewayStatus } from "../src/GatewayStatus.ts"
import { Outbox } from "../src/Outbox.ts"
import { OutboxStore } from "../src/OutboxStore.ts"
import { Ambiguous, NotSent, Permanent, RateLimited } from "../src/SlackApi.ts"
import { alarms, post, stateOf, test, unpaced } from "./fixtures/outboxRoom.ts"
import { advance, epoch, ground, inRooms, logged, settle } from "./fixtures/rooms.ts"
import { reset, scriptedApi } from "./fixtures/scriptedApi.ts"
import { whileTimePasses } from "./fixtures/time.ts"

const down = new NotSent({ detail: "ECONNREFUSED" })
const timedOut = new Ambiguous({ detail: "TimeoutError", late: true })
const many = <A>(reason: A) => Array.from({ length: 10_000 }, () => reason)
const counts = Effect.flatMap(OutboxStore, (store) => store.counts)

describe("poison", () => {
  for (const reason of [reset, timedOut]) {
    test(`(${reason.detail}) leaves its lane within minutes, and what stands behind it goes out`, (slack) =>
      Effect.gen(function*() {
        slack.script("poison", ...many(reason))
        const handle = yield* post("poison")
        yield* post("behind")
        yield* advance("10 minutes", "1 second")
        assert.strictEqual(yield* stateOf(handle.id), "failed_terminal")
        assert.strictEqual(slack.texts().at(-1), "behind")
        assert.deepInclude(yield* counts, { delivered: 1, failed_terminal: 1 })
      }))
  }
})

describe("what waits behind others", () => {
  test(
    "is not stalled: it is sent when its pace allows, and none of it is given up",
    (slack) =>
      Effect.gen(function*() {
        const texts = Array.from({ length: 300 }, (_, n) => `${n}`)
        yield* Effect.forEach(texts, (text) => post(text))
        yield* advance("6 minutes", "1 second")
        assert.deepStrictEqual(slack.texts(), texts)
        assert.deepInclude(yield* counts, { delivered: 300, failed_terminal: 0 })
      }),
    { outboxMaxAttempts: 1 }
  )

  test("is not held up by what stands behind it: the tail's time is the tail's", (slack) =>
    Effect.gen(function*() {
      const outbox = yield* Outbox
      slack.script("head", new RateLimited({ retryAfterMs: 5_000 }))
      yield* post("head")
      yield* outbox.enqueue({ channel: "C1", text: "tail" }, { notBefore: new Date(epoch + 3_600_000) })
      yield* advance("6 seconds", "1 second")
      assert.deepStrictEqual(slack.texts(), ["head", "head"])
      yield* advance("1 hour", "1 minute")
      assert.deepStrictEqual(slack.texts(), ["head", "head", "tail"])
    }), unpaced)

  test("is held up by its conversation only: a thread that fails for ever lets the channel's others go", (slack) =>
    Effect.gen(function*() {
      slack.script("bad", ...many(new NotSent({ detail: "streaming_state_conflict", onlyThis: true })))
      yield* post("bad", "C1", "1.0")
      for (let thread = 2; thread < 130; thread++) yield* post(`${thread}`, "C1", `${thread}.0`)
      yield* advance("3 minutes", "1 second")
      const others = slack.texts().filter((text) => text !== "bad")
      assert.strictEqual(others.length, 128)
    }))
})

describe("a planned drain", () => {
  it.effect("costs a reply no attempt, however often it comes, and asks Slack for nothing in a loop", () => {
    const slack = scriptedApi()
    return inRooms(Layer.mergeAll(ground({ outboxMaxAttempts: 1 }), slack.layer))(Effect.gen(function*() {
      slack.access.failure = down
      const ids: Array<number> = []
      for (let start = 0; start < 10; start++) {
        const scope = yield* Scope.make()
        const room = yield* Layer.buildWithScope(Layer.fresh(Outbox.layer), scope)
        if (start === 0) ids.push((yield* Effect.provide(post("x"), room)).id)
        yield* advance("1 second")
        const asked = slack.access.asked
        yield* whileTimePasses(Scope.close(scope, Exit.void))
        assert.isAtMost(slack.access.asked - asked, 1)
      }
      const [row] = yield* Effect.flatMap(OutboxStore, (store) => store.list({ ids }, { limit: 1 }))
      assert.deepInclude(row, { state: "queued", tries: 0, attempts: 0 })
      assert.isEmpty(slack.sent)
    }))
  })
})

describe("a dead letter", () => {
  test(
    "that cannot be written holds its own lane only, with an alarm, and lets it go on by itself",
    (slack) =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* sql`CREATE TRIGGER refuse BEFORE UPDATE ON slackwater_outbox WHEN new.state = 'failed_terminal'
        BEGIN SELECT RAISE(ABORT, 'no dead letters today'); END`
        slack.script("bad", new Permanent({ code: "is_archived" }))
        yield* post("bad", "C1")
        yield* post("behind", "C1")
        yield* post("elsewhere", "C2")
        yield* advance("2 hours", "10 seconds")
        assert.sameMembers(slack.texts(), ["bad", "elsewhere"])
        assert.include((yield* alarms).codes, "database:sends")
        yield* sql`DROP TRIGGER refuse`
        yield* advance("10 seconds", "1 second")
        assert.strictEqual(slack.texts().at(-1), "behind")
        assert.isEmpty((yield* alarms).codes)
      }),
    unpaced
  )

  test(
    "is listed with its reason, and goes out whole when it is sent again by hand",
    (slack) =>
      Effect.gen(function*() {
        const store = yield* OutboxStore
        slack.script("every word", new Permanent({ code: "not_in_channel" }))
        const blocks = [{ type: "divider" }]
        const handle = yield* post({ text: "every word", blocks }, "C1", "7.0")
        yield* settle
        const [letter] = yield* store.list({ states: ["failed_terminal"] }, { limit: 9 })
        assert.deepInclude(letter, { id: handle.id, text: "every word", error: "Permanent", reason: "not_in_channel" })
        assert.deepStrictEqual(yield* store.retry({ states: ["failed_terminal"] }, epoch), [handle.id])
        yield* (yield* Outbox).lookAround
        yield* settle
        const [first, again] = slack.sent
        assert.deepInclude(again, { text: "every word", channel: "C1", threadTs: "7.0", hasBlocks: true })
        assert.strictEqual(again?.key, first?.key)
        assert.strictEqual(yield* stateOf(handle.id), "delivered")
      }),
    unpaced
  )
})

describe("a reply in a thread", () => {
  it.effect("goes to its thread after every retry and every restart, and to nowhere else", () => {
    const slack = scriptedApi()
    return inRooms(Layer.mergeAll(ground(), slack.layer))(Effect.gen(function*() {
      slack.script("x", down, new RateLimited({ retryAfterMs: 60_000 }), reset, down)
      for (let start = 0; start < 4; start++) {
        const scope = yield* Scope.make()
        const room = yield* Layer.buildWithScope(Layer.fresh(Outbox.layer), scope)
        if (start === 0) yield* Effect.provide(post("x", "C1", "7.0"), room)
        yield* advance("1 minute", "1 second")
        yield* whileTimePasses(Scope.close(scope, Exit.void))
      }
      assert.strictEqual(slack.sent.length, 5)
      for (const sent of slack.sent) assert.deepInclude(sent, { channel: "C1", threadTs: "7.0" })
      assert.deepInclude(yield* counts, { delivered: 1 })
    }))
  })
})

describe("recovery", () => {
  it.effect("is paced, and an outage is not told once per reply", () => {
    const slack = scriptedApi()
    const log = logged()
    const rooms = Outbox.layer.pipe(
      Layer.provideMerge(ground({ paceInterval: Duration.seconds(1), paceBurst: 4 })),
      Layer.provide(slack.layer),
      Layer.provideMerge(log.layer)
    )
    return inRooms(rooms)(Effect.gen(function*() {
      slack.access.failure = down
      for (let n = 0; n < 199; n++) yield* post(`${n}`, "C1", `${n}.0`)
      const { snapshot } = yield* GatewayStatus
      yield* advance("1 hour", "10 seconds")
      assert.isEmpty(slack.sent)
      slack.access.failure = undefined
      yield* advance("5 minutes", "500 millis")
      assert.strictEqual((yield* snapshot).outbox.delivered, 199)
      const perSecond = new Map<number, number>()
      for (const { at } of slack.sent.slice(4)) {
        const second = Math.floor(at / 1_000)
        perSecond.set(second, (perSecond.get(second) ?? 0) + 1)
      }
      assert.isAtMost(Math.max(...perSecond.values()), 2)
      assert.isAtMost(log.lines.length, 5, log.lines.slice(0, 9).join("\n"))
    }))
  })
})
