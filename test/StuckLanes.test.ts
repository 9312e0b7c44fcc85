/**
 * How other gateways got conversations stuck after they had gone durable, and that this one does not: the way in. What
 * another file shows already is not repeated here.
 */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Option } from "effect"
import { SqlClient, Statement } from "effect/sql"
import { LocalSlack } from "slackwater/testing"
import { Conversations } from "../src/Conversations.ts"
import { Handler } from "../src/Handler.ts"
import { type Appended, MessageStore } from "../src/MessageStore.ts"
import { Shutdown } from "../src/Shutdown.ts"
import { gated, happen, inbox, inConversations, picky, replies, say, test } from "./fixtures/conversationsRoom.ts"
import {
  answered,
  answers,
  eventually,
  startGateway,
  temporaryDirectory,
  withDatabase,
  withSlack
} from "./fixtures/gateway.ts"
import { arrival, key, tsAt } from "./fixtures/messages.ts"
import { advance, epoch, me, settle } from "./fixtures/rooms.ts"

describe("poison", () => {
  const poison = picky()
  test(
    "leaves its conversation within a minute, and what waited behind it is handled",
    poison.handler,
    () =>
      Effect.gen(function*() {
        yield* say("D1", "bad")
        yield* settle
        yield* say("D1", "good", 1)
        yield* advance("1 minute", "1 second")
        assert.deepStrictEqual(poison.runs, ["bad", "bad", "bad", "good"])
        assert.deepInclude(yield* inbox, { done: 1, failed: 1, queued: 0 })
        assert.include(yield* replies, "did good")
      })
  )
})

describe("what is queued", () => {
  test(
    "is not stalled: 40 messages behind turns that take their time are all handled, though they wait for hours",
    (turn) => Effect.delay(Effect.succeed(turn.text), "10 minutes"),
    () =>
      Effect.gen(function*() {
        const texts = Array.from({ length: 40 }, (_, n) => `m${n}`)
        yield* happen("D1", texts.map((text, n) => ({ text, ts: tsAt(n) })))
        yield* advance("7 hours", "1 minute")
        assert.deepStrictEqual(yield* replies, texts)
        assert.deepInclude(yield* inbox, { done: 40, failed: 0 })
      }),
    { handlerTimeout: Duration.minutes(15), maxAttempts: 1 },
    { mode: () => "followup" }
  )

  const full = gated()
  test(
    "and finds no room costs the others no attempt and keeps its exact payload",
    full.handler,
    () =>
      Effect.gen(function*() {
        const store = yield* MessageStore
        const payload = { blocks: [{ type: "rich_text", text: "all \"of\" it" }] }
        yield* say("D1", "running")
        yield* settle
        const add = (text: string): Effect.Effect<Appended, unknown> =>
          store.append({ ...arrival({ text, ts: tsAt(1), payload }), cap: 2 })
        for (const text of ["one", "two"]) assert.strictEqual((yield* add(text))._tag, "Queued")
        for (let n = 0; n < 50; n++) assert.strictEqual((yield* add(`beyond ${n}`))._tag, "Overflow")
        const sql = yield* SqlClient.SqlClient
        const rows = yield* sql<{ readonly message: string }>`SELECT * FROM slackwater_messages WHERE state = 'failed'`
        assert.strictEqual(rows.length, 50)
        assert.include(JSON.stringify(rows[49]), JSON.stringify(JSON.stringify(payload)).slice(1, -1))
        yield* (yield* Conversations).wake(key("D1"))
        yield* full.release("running")
        assert.deepStrictEqual(full.started.map(({ attempt, text }) => [text, attempt]), [["running", 1], [
          "one\ntwo",
          1
        ]])
        yield* full.release("one\ntwo")
      })
  )
})

describe("a planned drain", () => {
  const drained = picky()
  const tenDrains = Effect.gen(function*() {
    const store = yield* MessageStore
    yield* store.append(arrival({ conversation: key("D1"), text: "bad" }))
    for (let stop = 0; stop < 10; stop++) {
      assert.isTrue(Option.isSome(yield* store.claim(key("D1"), me, epoch)))
      yield* store.releaseAll(me, epoch)
    }
  })
  test(
    "costs no attempt: after ten of them a turn still has all of its runs",
    drained.handler,
    () =>
      Effect.gen(function*() {
        yield* advance("1 minute", "1 second")
        assert.deepStrictEqual(drained.runs, ["bad", "bad", "bad"])
      }),
    {},
    { before: tenDrains }
  )

  it.effect("asks the database once a second whether a turn was cancelled, and no more, whoever wakes it", () => {
    const held = gated()
    let statements = 0
    return inConversations(held.handler, () =>
      Effect.gen(function*() {
        yield* say("D1", "running")
        yield* settle
        yield* (yield* Shutdown).begin
        for (let n = 0; n < 100; n++) yield* say(`D${n + 2}`, "meanwhile")
        yield* settle
        statements = 0
        yield* advance("10 seconds", "10 millis")
        // What is paused, and what runs.
        assert.isAtMost(statements, 2 * 11)
        assert.deepStrictEqual(held.texts(), ["running"])
        yield* held.release("running")
        assert.deepInclude(yield* inbox, { queued: 100, failed: 0 })
      })).pipe(Effect.provideService(Statement.CurrentTransformer, (self) =>
        Effect.sync(() => {
          statements += 1
          return self
        })))
  })
})

describe("the lane", () => {
  const held = gated()
  test(
    "is the conversation and not the channel: a thread that hangs holds no other one up",
    held.handler,
    () =>
      Effect.gen(function*() {
        yield* say("C1/1.0", "hangs")
        for (let thread = 2; thread < 12; thread++) yield* say(`C1/${thread}.0`, `thread ${thread}`)
        yield* settle
        for (let thread = 2; thread < 12; thread++) yield* held.release(`thread ${thread}`, "done")
        assert.strictEqual((yield* inbox).done, 10)
      })
  )

  const head = picky()
  test("goes on with its head, whatever window is open for its tail", head.handler, () =>
    Effect.gen(function*() {
      yield* say("D1", "bad head")
      yield* settle
      yield* (yield* MessageStore).append(arrival({ text: "tail", ts: tsAt(1) }, { dueAt: epoch + 600_000 }))
      yield* advance("1 minute", "1 second")
      assert.deepStrictEqual(head.runs, ["bad head", "bad head", "bad head"])
      yield* advance("10 minutes", "10 seconds")
      assert.deepStrictEqual(head.runs.slice(3), ["tail"])
    }))
})

it.live("a thread that could not be looked up once is not taken for one without the bot", () =>
  withSlack(Effect.gen(function*() {
    const slack = yield* LocalSlack
    const dataDir = yield* temporaryDirectory
    yield* startGateway(dataDir, Handler.make((turn) => turn.reply(`heard ${turn.text}`)))
    const root = yield* slack.say({ channel: "C0GENERAL", user: "U0ALICE", text: "<@U0BOT> root" })
    yield* answered("C0GENERAL", "heard root")
    yield* withDatabase(dataDir, (db) => db.exec("ALTER TABLE slackwater_outbox RENAME TO away"))
    yield* slack.say({ channel: "C0GENERAL", user: "U0ALICE", text: "and this", thread_ts: root })
    yield* slack.awaitJournal((entry) => entry._tag === "EnvelopeSent" && entry.attempt > 0)
    yield* withDatabase(dataDir, (db) => db.exec("ALTER TABLE away RENAME TO slackwater_outbox"))
    yield* answered("C0GENERAL", "heard and this")
    yield* eventually("all acked", Effect.map(slack.unacked, ({ length }) => length === 0))
    assert.deepStrictEqual(yield* answers("C0GENERAL"), ["heard root", "heard and this"])
  })))
