/** What `forget` takes away and what it leaves, row by row, over the real stores. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import type { InboundMessage } from "../../src/Message.ts"
import { MessageStore } from "../../src/MessageStore.ts"
import { OutboxStore } from "../../src/OutboxStore.ts"
import { forget } from "../../src/sql/forget.ts"
import { planOf, type Who } from "../../src/sql/forgetPlan.ts"
import { claimed, me, now } from "../contract/TurnsContract.ts"
import { arrival, at, key, post } from "../fixtures/messages.ts"
import { stores } from "../fixtures/stores.ts"

type Needs = MessageStore | OutboxStore | SqlClient.SqlClient

/** Real time: it pauses between its transactions. */
const test = <A, E>(sentence: string, body: Effect.Effect<A, E, Needs>) =>
  it.live(sentence, () => Effect.provide(body, Layer.fresh(stores)))

/** Everything that the database holds, as text. */
const dump = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const tables = yield* sql<{ readonly name: string }>`SELECT name FROM sqlite_schema
    WHERE type = 'table' AND name LIKE 'slackwater_%'`
  const rows = yield* Effect.forEach(tables, ({ name }) => sql.unsafe(`SELECT * FROM ${name}`))
  return JSON.stringify(rows)
})

const carry = Effect.fnUntraced(function*(who: Who) {
  const plan = yield* planOf(who)
  return { plan, done: yield* forget(plan, now) }
})

let count = 0
const message = (conversation: string, user: string, text: string, given: Partial<InboundMessage> = {}) => {
  const [channel = ""] = conversation.split("/")
  const ts = `${1_700_000_000 + ++count}.000100`
  return arrival(
    { conversation: key(conversation), channel, user, text, ts, direct: channel.startsWith("D"), ...given },
    { keys: [`event:Ev${count}`, `message:${channel}/${ts}`] }
  )
}

/** Said, answered, and delivered; with state, a step and a status behind it. */
const spoken = Effect.fnUntraced(function*(conversation: string, said: ReadonlyArray<ReturnType<typeof message>>) {
  const store = yield* MessageStore
  const outbox = yield* OutboxStore
  for (const one of said) yield* store.append(one)
  const turn = yield* claimed(conversation)
  const run = { turn: turn.id, owner: me, attempt: 1 }
  const text = said.map((one) => one.message.text).join()
  yield* store.saveStatus(run, `reads ${text}`)
  const answer = post(`${turn.id}:answer`, conversation, { dispatch: { _tag: "Post", text: `re ${text}` } })
  yield* store.complete(turn.id, me, [answer], now, { state: JSON.stringify(text) })
  const { claimed: rows } = yield* outbox.claim({
    owner: me,
    now,
    limit: 9,
    exclude: [],
    admit: () => true,
    expireBefore: 0
  })
  for (const row of rows) yield* outbox.delivered(row.id, me, at("1.1", conversation.split("/")[0]), now)
  return turn
})

describe("forget a person", () => {
  test(
    "takes what they said, their direct messages, the answers, the state and their name, and leaves what others said",
    Effect.gen(function*() {
      yield* spoken("D1", [message("D1", "U1", "secret-dm")])
      yield* spoken("C1/1.1", [message("C1/1.1", "U1", "secret-thread"), message("C1/1.1", "U2", "theirs")])
      yield* spoken("C1/2.2", [message("C1/2.2", "U2", "about <@U1>")])
      yield* (yield* MessageStore).append(message("C1/1.1", "U1", "secret-ignored", {}))
      const { done, plan } = yield* carry({ user: "U1" })
      const left = yield* dump
      for (const gone of ["secret", "\"U1\"", "D1", "reads secret"]) {
        assert.notInclude(left.replaceAll("<@U1>", ""), gone)
      }
      for (const kept of ["theirs", "about <@U1>", "re about", "sha256:"]) assert.include(left, kept)
      assert.deepStrictEqual([plan.messages.size, done.messages, done.replies, done.states], [3, 3, 2, 2])
      assert.deepStrictEqual(plan.left, { turns: [], replies: [] })
    })
  )

  test(
    "leaves of each key a hash, by which a repetition and a twin are recognised, and are not stored again",
    Effect.gen(function*() {
      const store = yield* MessageStore
      const said = message("D1", "U1", "secret")
      yield* spoken("D1", [said])
      yield* carry({ user: "U1" })
      assert.deepStrictEqual(yield* store.append(said), { _tag: "Duplicate", revived: false })
      const twin = { ...said, keys: ["event:other", said.keys[1] ?? ""] }
      assert.deepStrictEqual(yield* store.append(twin), { _tag: "Duplicate", revived: false })
      const left = yield* dump
      assert.notInclude(left, "secret")
      assert.notInclude(left, "message:D1")
    })
  )

  test(
    "takes a reply that was not sent yet and a post of the host; the host's own key stays used",
    Effect.gen(function*() {
      const outbox = yield* OutboxStore
      const own = post("host:key:daily", "U1", { dispatch: { _tag: "Post", text: "secret-daily" } })
      yield* outbox.enqueue(
        [own, post("host:1:2:abc", "U1", { dispatch: { _tag: "Post", text: "secret" } })],
        null,
        now
      )
      yield* outbox.enqueue([post("other", "C1")], null, now)
      const { done, plan } = yield* carry({ user: "U1" })
      assert.deepStrictEqual([plan.unsent, done.replies], [2, 2])
      const left = yield* dump
      assert.notInclude(left, "secret")
      assert.notInclude(left, "U1")
      const [again] = yield* outbox.enqueue([own], null, now)
      assert.strictEqual(again?.state, "failed_terminal")
      assert.strictEqual((yield* outbox.counts).queued, 1)
    })
  )
})

describe("forget a channel", () => {
  test(
    "takes everything in it, whoever said it, and no channel whose name begins alike",
    Effect.gen(function*() {
      for (const place of ["C1/1.1", "C1/2.2", "C11/1.1", "D1"]) {
        yield* spoken(place, [message(place, "U1", `said in ${place}`)])
      }
      yield* (yield* MessageStore).append(message("C1/3.3", "U2", "waits in C1"))
      const { done } = yield* carry({ channel: "C1" })
      const left = yield* dump
      for (const gone of ["in C1/", "in C1\"", "\"C1\"", "C1/1.1\"", "\"C1/"]) {
        assert.notInclude(left.replaceAll("C11/1.1", ""), gone)
      }
      for (const kept of ["said in C11/1.1", "said in D1"]) assert.include(left, kept)
      assert.deepStrictEqual([done.messages, done.replies, done.states], [3, 2, 2])
    })
  )
})

describe("what is in use", () => {
  test(
    "stays until its turn has ended, and is named; then it goes",
    Effect.gen(function*() {
      const store = yield* MessageStore
      const outbox = yield* OutboxStore
      yield* store.append(message("D1", "U1", "secret-running"))
      const turn = yield* claimed("D1")
      const run = { turn: turn.id, owner: me, attempt: 1 }
      yield* store.saveStep(run, "step", "\"secret-step\"", now)
      yield* outbox.enqueue([post(`${turn.id}:a`, "D1")], run, now)
      yield* store.append(message("D1", "U1", "secret-behind"))
      const before = yield* carry({ user: "U1" })
      assert.deepStrictEqual(before.plan.left, { turns: [turn.id], replies: [] })
      assert.deepStrictEqual([before.done.messages, before.done.replies], [1, 0])
      const during = yield* dump
      for (const kept of ["secret-running", "secret-step"]) assert.include(during, kept)
      assert.notInclude(during, "secret-behind")
      yield* store.complete(turn.id, me, [], now)
      const after = yield* carry({ user: "U1" })
      assert.deepStrictEqual([after.done.messages, after.done.replies, after.plan.left.turns], [1, 1, []])
      assert.notInclude(yield* dump, "secret")
    })
  )

  test(
    "is left where a turn began, or a reply was taken in hand, after the plan was made",
    Effect.gen(function*() {
      const store = yield* MessageStore
      const outbox = yield* OutboxStore
      yield* store.append(message("D1", "U1", "begins"))
      yield* outbox.enqueue([post("host:1:2:abc", "D1")], null, now)
      const plan = yield* planOf({ user: "U1" })
      const turn = yield* claimed("D1")
      yield* outbox.claim({ owner: me, now, limit: 9, exclude: [], admit: () => true, expireBefore: 0 })
      const done = yield* forget(plan, now)
      assert.deepStrictEqual([done.messages, done.replies, done.left.length], [0, 0, 1])
      assert.include(yield* dump, "begins")
      yield* store.complete(turn.id, me, [], now)
    })
  )

  test(
    "is nothing of a superseded turn: what it said goes with the conversation",
    Effect.gen(function*() {
      const store = yield* MessageStore
      const outbox = yield* OutboxStore
      yield* store.append(message("C1/1.1", "U1", "secret-one"))
      const first = yield* claimed("C1/1.1")
      const early = post(`${first.id}:early`, "C1/1.1", { dispatch: { _tag: "Post", text: "secret-early" } })
      yield* outbox.enqueue([early], { turn: first.id, owner: me, attempt: 1 }, now)
      yield* store.supersede(first.id, me, now)
      const second = yield* claimed("C1/1.1")
      yield* store.complete(second.id, me, [], now)
      yield* carry({ user: "U1" })
      assert.notInclude(yield* dump, "secret")
    })
  )

  test(
    "is a turn that was asked for again by hand too: it is named, and keeps the state it runs with",
    Effect.gen(function*() {
      const store = yield* MessageStore
      yield* spoken("D1", [message("D1", "U1", "earlier")])
      yield* store.append(message("D1", "U1", "asked again"))
      const turn = yield* claimed("D1")
      yield* store.fail(turn.id, me, "boom", [], now)
      yield* store.retry({ states: ["failed"] }, now)
      const { done, plan } = yield* carry({ user: "U1" })
      assert.deepStrictEqual(plan.left, { turns: [turn.id], replies: [] })
      assert.deepStrictEqual([plan.messages.size, done.messages, done.states, done.left], [1, 1, 0, []])
      yield* store.complete((yield* claimed("D1")).id, me, [], now)
      yield* carry({ user: "U1" })
      const left = yield* dump
      for (const gone of ["asked again", "earlier", "\"U1\""]) assert.notInclude(left, gone)
    })
  )
})

describe("what people did by hand", () => {
  const failed = Effect.fnUntraced(function*(conversation: string, said: ReadonlyArray<ReturnType<typeof message>>) {
    const store = yield* MessageStore
    for (const one of said) yield* store.append(one)
    const turn = yield* claimed(conversation)
    yield* store.fail(turn.id, me, "cannot answer \"secret\"", [], now)
    yield* store.retry({ states: ["failed"] }, now)
    return yield* claimed(conversation)
  })

  test(
    "goes with the message, and tells nothing of it where the message of somebody else stays",
    Effect.gen(function*() {
      const store = yield* MessageStore
      const both = yield* failed("C1/1.1", [message("C1/1.1", "U1", "secret"), message("C1/1.1", "U2", "theirs")])
      yield* store.complete(both.id, me, [], now)
      yield* carry({ user: "U1" })
      const left = yield* dump
      assert.notInclude(left, "secret")
      assert.include(left, "theirs")
      const sql = yield* SqlClient.SqlClient
      assert.deepStrictEqual(
        yield* sql`SELECT message_id, action, reason FROM slackwater_by_hand`,
        [{ message_id: 2, action: "retry", reason: "forgotten" }]
      )
    })
  )
})
