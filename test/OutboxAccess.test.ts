/** When the sender begins, pauses and goes on: Slack must be known to answer, and to take our token. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { GatewayStatus } from "../src/GatewayStatus.ts"
import { Outbox } from "../src/Outbox.ts"
import { OutboxStore } from "../src/OutboxStore.ts"
import { Configuration, Credentials, NotSent, RateLimited } from "../src/SlackApi.ts"
import { alarms, post, stateOf, test, unpaced } from "./fixtures/outboxRoom.ts"
import { advance, epoch, ground, inRooms, settle } from "./fixtures/rooms.ts"
import { scriptedApi } from "./fixtures/scriptedApi.ts"

const alarmText = Effect.flatMap(
  GatewayStatus,
  (status) => Effect.map(status.snapshot, ({ alarms }) => alarms.map(({ text }) => text).join("\n"))
)
const revoked = new Credentials({ code: "token_revoked" })
const record = (id: number) =>
  Effect.flatMap(OutboxStore, (store) => Effect.map(store.list({ ids: [id] }, { limit: 1 }), ([row]) => row))

describe("at the start", () => {
  test("Slack is asked first, and no row is tried before it answers", (slack) =>
    Effect.gen(function*() {
      slack.access.failure = new NotSent({ detail: "ECONNREFUSED" })
      const handle = yield* post("a", "C1")
      for (let channel = 2; channel < 12; channel++) yield* post("b", `C${channel}`)
      yield* advance("30 minutes", "30 seconds")
      assert.isEmpty(slack.sent)
      assert.isAbove(slack.access.asked, 10)
      assert.deepInclude(yield* record(handle.id), { state: "queued", tries: 0, attempts: 0 })
      slack.access.failure = undefined
      yield* advance("2 minutes", "10 seconds")
      assert.strictEqual(slack.sent.length, 11)
    }), unpaced)

  test("nobody is asked where nothing waits", (slack) =>
    Effect.gen(function*() {
      yield* advance("5 minutes", "30 seconds")
      assert.strictEqual(slack.access.asked, 0)
    }))

  test("a rate limit is waited for", (slack) =>
    Effect.gen(function*() {
      slack.access.failure = new RateLimited({ retryAfterMs: 5_000 })
      yield* post("a")
      yield* settle
      slack.access.failure = undefined
      yield* advance("4 seconds", "1 second")
      assert.isEmpty(slack.sent)
      yield* advance("2 seconds", "1 second")
      assert.deepStrictEqual(slack.texts(), ["a"])
    }))
})

describe("six hours without Slack", () => {
  test("cost nothing: every reply is delivered once afterwards, in order", (slack) =>
    Effect.gen(function*() {
      const down = new NotSent({ detail: "ENOTFOUND" })
      yield* post("first")
      yield* settle
      slack.access.failure = down
      slack.script("a", down)
      for (const text of ["a", "b", "c"]) yield* post(text)
      yield* advance("6 hours", "1 minute")
      assert.deepStrictEqual(slack.texts(), ["first", "a"])
      slack.access.failure = undefined
      yield* advance("3 minutes", "1 second")
      assert.deepStrictEqual(slack.texts(), ["first", "a", "a", "b", "c"])
    }))
})

describe("a refused token", () => {
  test("is noticed before any row is tried, keeps every row, and ends by itself", (slack) =>
    Effect.gen(function*() {
      slack.access.failure = revoked
      const handle = yield* post("a")
      yield* advance("10 minutes", "10 seconds")
      assert.isEmpty(slack.sent)
      assert.deepStrictEqual(yield* alarms, { codes: ["slack-access"], paused: true })
      slack.access.failure = undefined
      yield* advance("1 minute", "10 seconds")
      assert.strictEqual(yield* stateOf(handle.id), "delivered")
      assert.deepStrictEqual(yield* alarms, { codes: [], paused: false })
    }))

  test(
    "lets what grows too old expire, which the alarm counts until somebody sends it again",
    (slack) =>
      Effect.gen(function*() {
        slack.access.failure = revoked
        const old = [yield* post("a"), yield* post("b"), yield* post("c", "C2")]
        yield* advance("2 hours", "1 minute")
        yield* post("young")
        for (const { id } of old) assert.strictEqual(yield* stateOf(id), "expired")
        assert.match(yield* alarmText, /token_revoked.*3 replies grew too old.*slackwater outbox retry --state expired/)
        slack.access.failure = undefined
        yield* advance("1 minute", "10 seconds")
        assert.deepStrictEqual(slack.texts(), ["young"])
        assert.match(yield* alarmText, /^3 replies grew too old.*slackwater outbox retry --state expired/)
        const now = epoch + 7_300_000
        assert.strictEqual((yield* (yield* OutboxStore).retry({ states: ["expired"] }, now)).length, 3)
        yield* advance("3 minutes", "10 seconds")
        assert.sameMembers(slack.texts(), ["young", "a", "b", "c"])
        assert.deepStrictEqual(yield* alarms, { codes: [], paused: false })
      }),
    { ...unpaced, outboxTtl: Duration.hours(1) }
  )

  test(
    "that the database cannot write down at once leaves the row unsent, and not in doubt",
    (slack) =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* sql`CREATE TRIGGER full BEFORE UPDATE ON slackwater_outbox
        WHEN NEW.error_class = 'Credentials' AND NEW.state = 'queued' BEGIN SELECT RAISE(ABORT, 'disk is full'); END`
        slack.script("a", revoked)
        const handle = yield* post("a")
        yield* post("b")
        yield* advance("3 seconds", "1 second")
        yield* sql`DROP TRIGGER full`
        yield* advance("2 minutes", "5 seconds")
        assert.isEmpty(slack.looks)
        assert.deepInclude(yield* record(handle.id), { state: "delivered", attempts: 0 })
        assert.deepStrictEqual(slack.texts(), ["a", "a", "b"])
        assert.deepStrictEqual(yield* alarms, { codes: [], paused: false })
      }),
    unpaced
  )

  test("in the middle of a conversation costs it neither a reply nor its order", (slack) =>
    Effect.gen(function*() {
      slack.script("b", revoked, revoked)
      slack.access.failure = undefined
      for (const text of ["a", "b", "c"]) yield* post(text)
      yield* settle
      slack.access.failure = revoked
      for (const text of ["d", "e"]) yield* post(text)
      yield* advance("10 minutes", "10 seconds")
      assert.deepStrictEqual(slack.texts(), ["a", "b"])
      slack.access.failure = undefined
      yield* advance("2 minutes", "10 seconds")
      assert.deepStrictEqual(slack.texts(), ["a", "b", "b", "b", "c", "d", "e"])
      assert.deepStrictEqual(yield* alarms, { codes: [], paused: false })
    }), unpaced)

  test(
    "is not said to keep replies waiting once those that met it have expired",
    (slack) =>
      Effect.gen(function*() {
        slack.script("a", revoked)
        yield* post("a")
        yield* settle
        slack.access.failure = revoked
        yield* advance("2 hours", "1 minute")
        slack.access.failure = undefined
        yield* post("young")
        yield* advance("1 minute", "10 seconds")
        assert.deepStrictEqual(slack.texts(), ["a", "young"])
        assert.match(yield* alarmText, /^1 replies grew too old/)
        yield* (yield* OutboxStore).discard({ states: ["expired"] }, epoch + 7_300_000)
        yield* advance("2 minutes", "10 seconds")
        assert.deepStrictEqual(yield* alarms, { codes: [], paused: false })
      }),
    { ...unpaced, outboxTtl: Duration.hours(1) }
  )

  test("that a person took the waiting reply away from is no alarm any more", (slack) =>
    Effect.gen(function*() {
      slack.script("a", new Configuration({ code: "missing_scope", needed: "chat:write" }))
      const { id } = yield* post("a")
      yield* settle
      assert.match(yield* alarmText, /chat:write.*replies wait/)
      yield* (yield* OutboxStore).discard({ ids: [id] }, epoch)
      yield* advance("2 minutes", "10 seconds")
      assert.deepStrictEqual(yield* alarms, { codes: [], paused: false })
    }), unpaced)

  it.effect("is remembered over a restart also where no row was tried; what is young goes on in its order", () => {
    const slack = scriptedApi()
    slack.access.failure = revoked
    return inRooms(ground({ outboxTtl: Duration.hours(1) }))(
      Effect.gen(function*() {
        yield* Effect.scoped(Effect.gen(function*() {
          const built = yield* Layer.build(Layer.fresh(Outbox.layer).pipe(Layer.provide(slack.layer)))
          yield* Effect.provide(post("a"), built)
          yield* advance("50 minutes", "1 minute")
          for (const text of ["b", "c"]) yield* Effect.provide(post(text), built)
          yield* advance("1 minute", "10 seconds")
        }))
        yield* advance("30 minutes", "10 minutes")
        slack.access.failure = undefined
        yield* Layer.build(Layer.fresh(Outbox.layer).pipe(Layer.provide(slack.layer)))
        assert.match(yield* alarmText, /^Slack did not let us post before the restart/)
        yield* advance("1 minute", "10 seconds")
        assert.deepStrictEqual(slack.texts(), ["b", "c"])
        assert.match(yield* alarmText, /^1 replies grew too old/)
      }).pipe(Effect.scoped)
    )
  })

  it.effect("is remembered over a restart: what grew too old meanwhile is named", () => {
    const slack = scriptedApi()
    const room = Layer.fresh(Outbox.layer)
    return inRooms(ground({ outboxTtl: Duration.hours(1) }))(
      Effect.gen(function*() {
        const api = slack.layer
        yield* Effect.scoped(Effect.gen(function*() {
          const built = yield* Layer.build(room.pipe(Layer.provide(api)))
          slack.script("a", revoked)
          yield* Effect.provide(post("a"), built)
          yield* Effect.provide(post("b"), built)
          yield* settle
        }))
        yield* advance("2 hours", "10 minutes")
        yield* Layer.build(Layer.fresh(Outbox.layer).pipe(Layer.provide(api)))
        yield* advance("1 minute", "10 seconds")
        assert.match(yield* alarmText, /^2 replies grew too old/)
      }).pipe(Effect.scoped)
    )
  })
})
