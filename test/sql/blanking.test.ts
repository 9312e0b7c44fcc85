/** What is left of texts and payloads where they are not to be kept: over the real stores, with the setting on. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import { endedBefore } from "../../src/Cutoff.ts"
import { refusalOf } from "../../src/InboxByHand.ts"
import { heardLate, MessageStore, notAddressed } from "../../src/MessageStore.ts"
import { OutboxStore } from "../../src/OutboxStore.ts"
import { BlankPayloads } from "../../src/sql/blanking.ts"
import { claimed, me, now, texts } from "../contract/TurnsContract.ts"
import { arrival, at, failure, key, post, tsAt } from "../fixtures/messages.ts"
import { stores } from "../fixtures/stores.ts"
import { epoch } from "../fixtures/time.ts"

const test = <A, E>(
  sentence: string,
  body: (
    store: MessageStore["Service"],
    outbox: OutboxStore["Service"]
  ) => Effect.Effect<A, E, MessageStore | OutboxStore | SqlClient.SqlClient>
) =>
  it.effect(sentence, () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(epoch)
      return yield* body(yield* MessageStore, yield* OutboxStore)
    }).pipe(Effect.provide(Layer.fresh(stores.pipe(Layer.provide(Layer.succeed(BlankPayloads, true)))))))

const kept = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const messages = yield* sql`SELECT state, reason, message FROM slackwater_messages`
  const replies = yield* sql`SELECT state, dispatch FROM slackwater_outbox`
  const byHand = yield* sql`SELECT action, reason FROM slackwater_by_hand`
  return JSON.stringify({ messages, replies, byHand })
})

const ask = (text: string) => arrival({ text, payload: { text: `payload of ${text}` }, ts: tsAt(1) })

const send = Effect.gen(function*() {
  const options = { owner: me, now, limit: 9, exclude: [], admit: () => true, expireBefore: 0 }
  return (yield* (yield* OutboxStore).claim(options)).claimed
})

describe("with SLACKWATER_BLANK_PAYLOADS", () => {
  test(
    "a turn's messages lose their words when it is done, and its replies when they are delivered",
    (store, outbox) =>
      Effect.gen(function*() {
        yield* store.append(ask("question"))
        const turn = yield* claimed()
        const run = { turn: turn.id, owner: me, attempt: 1 }
        yield* outbox.enqueue([post(`${turn.id}:0:a`, "D1")], run, now)
        for (const row of yield* send) yield* outbox.delivered(row.id, me, at("1.1"), now)
        assert.include(yield* kept, ":0:a", "while it runs it may read what it said")
        assert.strictEqual((yield* store.history(key("D1"), 9)).at(-1)?._tag, "Reply")
        yield* store.complete(turn.id, me, [post(`${turn.id}:1:answer`, "D1")], now)
        const unsent = yield* kept
        for (const gone of ["question", "payload of", ":0:a"]) assert.notInclude(unsent, gone)
        assert.include(unsent, "answer", "what is not delivered is whole")
        for (const row of yield* send) yield* outbox.delivered(row.id, me, at("2.2"), now)
        assert.notInclude(yield* kept, "answer")
        const [first] = yield* outbox.list({}, { limit: 9 })
        assert.deepInclude(first, { kind: "Post", text: "", state: "delivered", turn: turn.id })
        assert.deepStrictEqual(
          (yield* store.history(key("D1"), 9)).map((entry) => entry._tag === "Reply" ? entry.text : entry.message.text),
          ["", "", ""]
        )
      })
  )

  test("what failed and may be tried again by hand stays whole", (store, outbox) =>
    Effect.gen(function*() {
      yield* store.append(ask("question"))
      const turn = yield* claimed()
      yield* store.fail(turn.id, me, "boom", [post(`${turn.id}:notice`, "D1")], now)
      for (const row of yield* send) yield* outbox.failed(row.id, me, failure("is_archived", "Permanent"), now)
      const whole = yield* kept
      for (const there of ["question", "payload of question", "notice"]) assert.include(whole, there)
    }))

  test("a turn that runs again has its words", (store) =>
    Effect.gen(function*() {
      yield* store.append(ask("question"))
      const turn = yield* claimed()
      yield* store.retryLater(turn.id, me, "boom", now)
      assert.deepStrictEqual(texts(yield* claimed()), ["question"])
    }))

  test("why a message had failed goes too, once it was handled again and is done", (store) =>
    Effect.gen(function*() {
      yield* store.append(ask("question"))
      yield* store.fail((yield* claimed()).id, me, "cannot answer \"question\"", [], now)
      yield* store.retry({ ids: [1] }, now)
      yield* store.complete((yield* claimed()).id, me, [], now)
      const left = yield* kept
      assert.notInclude(left, "question")
      assert.include(left, "retry")
    }))

  test("what has no words left is not handled again by hand: it says so", (store) =>
    Effect.gen(function*() {
      yield* store.append(arrival({ text: "chatter", ts: tsAt(2) }, { ignored: "own message" }))
      yield* store.append(arrival({ text: "reply", ts: tsAt(3) }, { ignored: notAddressed }))
      assert.deepStrictEqual(yield* store.retry({ states: ["ignored"] }, now), [2])
      assert.deepStrictEqual(yield* store.retry({ ids: [1] }, now), [])
      assert.deepStrictEqual(texts(yield* claimed()), ["reply"])
      const rows = yield* store.list({}, { limit: 9, after: 0 })
      assert.match(rows.map((row) => refusalOf.retry(row)).join("; "), /^blanked: .*; in hand/)
    }))

  test("what starts no turn is not kept, but for what a late mention may still take along", (store) =>
    Effect.gen(function*() {
      yield* store.append(arrival({ text: "chatter", ts: tsAt(2) }, { ignored: "own message" }))
      yield* store.append(arrival({ text: "reply", ts: tsAt(2) }, { ignored: notAddressed }))
      const first = yield* kept
      assert.notInclude(first, "chatter")
      assert.include(first, "own message")
      assert.include(first, "reply")
      const prune = store.prune({ finishedBefore: endedBefore(1), keysBefore: 1, most: 9 })
      yield* prune
      assert.include(yield* kept, "reply")
      yield* TestClock.setTime(epoch + heardLate + 1)
      yield* prune
      assert.notInclude(yield* kept, "reply")
    }))

  test("an ignored message comes back whole with a twin that addresses the bot", (store) =>
    Effect.gen(function*() {
      const keys = (event: string) => [event, "message:D1/1"]
      yield* store.append(arrival({ text: "hello" }, { keys: keys("event:a"), ignored: "own message" }))
      yield* store.append(arrival({ text: "hello", kind: "app_mention" }, { keys: keys("event:b") }))
      assert.deepStrictEqual(texts(yield* claimed()), ["hello"])
    }))

  test("a stream keeps its parts until its end is in Slack", (store, outbox) =>
    Effect.gen(function*() {
      yield* store.append(ask("question"))
      const turn = yield* claimed()
      const run = { turn: turn.id, owner: me, attempt: 1 }
      const one = (suffix: string, dispatch: NonNullable<Parameters<typeof post>[2]>["dispatch"], target?: number) =>
        outbox.enqueue(
          [post(`${turn.id}:s${suffix}`, "D1", {
            ...(dispatch === undefined ? {} : { dispatch }),
            ...(target === undefined ? {} : { target })
          })],
          run,
          now
        )
      const deliver = Effect.gen(function*() {
        for (const row of yield* send) yield* outbox.delivered(row.id, me, at("1.1"), now)
      })
      const [start] = yield* one("", { _tag: "StreamStart" })
      yield* deliver
      yield* one(":append:0", { _tag: "StreamAppend", markdown: "part" }, start?.id)
      yield* deliver
      yield* one(":stop", { _tag: "StreamStop", text: "part and whole" }, start?.id)
      yield* store.complete(turn.id, me, [], now)
      assert.include(yield* kept, "part")
      const [stop] = yield* send
      assert.deepInclude(stop?.dispatch, { _tag: "StreamStop", shown: 4 })
      yield* outbox.delivered(stop?.id ?? 0, me, at("1.1"), now)
      assert.notInclude(yield* kept, "part")
    }))
})
