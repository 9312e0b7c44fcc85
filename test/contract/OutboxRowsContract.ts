/** What rows of the outbox do to each other, on every adapter: targets, parts and progress. */
import { assert, describe } from "@effect/vitest"
import { Effect, Option } from "effect"
import { OwnerId } from "../../src/Message.ts"
import type { MessageStore } from "../../src/MessageStore.ts"
import type { NewReply } from "../../src/OutboxStore.ts"
import { arrival, at, failure, key, post } from "../fixtures/messages.ts"
import { epoch } from "../fixtures/time.ts"
import { claim, claimOrExpire, keys, type Store, type Test } from "./OutboxStoreGuards.ts"
import { Restart } from "./Restart.ts"

const me = OwnerId.make("me")
const now = epoch
const hold = 120_000

export const add = (store: Store, ...replies: ReadonlyArray<NewReply>) =>
  Effect.map(store.enqueue(replies, null, now), (rows) => rows.map(({ id }) => id))

export const update = (target: number, text = "new", given: Partial<NewReply> = {}) =>
  post(`update-${target}-${text}`, "D1", { target, dispatch: { _tag: "Update", text }, ...given })

export const stateOf = (store: Store, id = 0) => Effect.map(store.find(id), (row) => row?.state)
export const record = (store: Store, id = 0) => Effect.map(store.list({ ids: [id] }, { limit: 1 }), ([row]) => row)

const running = Effect.fnUntraced(function*(messages: MessageStore["Service"]) {
  yield* messages.append(arrival())
  const { attempt, id: turn } = Option.getOrThrow(yield* messages.claim(key("D1"), me, now))
  return { turn, owner: me, attempt }
})

/** The first part of a text of three fails. */
const brokenText = Effect.fnUntraced(function*(store: Store) {
  const [a = 0, b = 0, c = 0] = yield* add(
    store,
    post("t"),
    post("t#1", "D1", { part: 1 }),
    post("t#2", "D1", { part: 2 })
  )
  yield* claim(store)
  yield* store.failed(a, me, failure("is_archived", "Permanent"), now)
  return { a, b, c }
})

export const rowsContract = (test: Test) => {
  describe("a row that changes another one", () => {
    test("is told where that is in Slack, once it is there", (store) =>
      Effect.gen(function*() {
        const [a = 0] = yield* add(store, post("a", "U1"))
        yield* add(store, update(a, "b", { lane: key("U1") }))
        assert.deepStrictEqual(keys(yield* claim(store)), ["a"])
        yield* store.delivered(a, me, at("5.5", "D9"), now)
        const [row] = yield* claim(store)
        assert.deepStrictEqual(row?.dispatch, { _tag: "Update", text: "b", target: at("5.5", "D9") })
      }))

    test("is claimed where its channel takes no posts, and left where its kind may not go", (store) =>
      Effect.gen(function*() {
        const [a = 0] = yield* add(store, post("a"))
        yield* claim(store)
        yield* store.delivered(a, me, at("5.5"), now)
        yield* add(store, update(a, "b"), post("c", "D2", { destination: { channel: "D1" } }))
        const excluded = { exclude: ["D1"], excludeKinds: ["Update"] } as const
        assert.deepStrictEqual(yield* claim(store, now, excluded), [])
        assert.strictEqual((yield* store.nextDueAt(now, ["D1"], [])).send, now)
        assert.deepStrictEqual(keys(yield* claim(store, now, { exclude: ["D1"] })), [`update-${a}-b`])
        assert.deepStrictEqual(keys(yield* claim(store, now, { excludeKinds: ["Update"] })), ["c"])
      }))

    test("ends when that was never sent, and says why", (store) =>
      Effect.gen(function*() {
        const [a = 0] = yield* add(store, post("a"))
        const [b = 0] = yield* add(store, update(a))
        yield* claim(store)
        yield* store.failed(a, me, failure("is_archived", "Permanent"), now)
        assert.deepStrictEqual(yield* claimOrExpire(store), { claimed: [], expired: [], ended: [b] })
        assert.deepInclude(yield* record(store, b), {
          state: "failed_terminal",
          error: "Target",
          reason: "the message it changes was not sent (is_archived)"
        })
      }))

    test("waits while the fate of that is open, and holds nobody up meanwhile", (store) =>
      Effect.gen(function*() {
        const [a = 0] = yield* add(store, post("a"))
        const [b = 0] = yield* add(store, update(a), post("c"))
        yield* claim(store)
        yield* store.unknown(a, me, failure("reset", "Ambiguous"), { now, lookAt: now, late: false })
        assert.deepStrictEqual(keys(yield* claim(store, now + hold)), ["c"])
        yield* store.delivered(3, me, at("6.6"), now)
        yield* store.delivered(a, me, at("5.5"), now + hold)
        assert.deepStrictEqual((yield* claim(store, now + hold)).map(({ id }) => id), [b])
      }))

    test("becomes a post of its own when that was only progress and was never sent", (store) =>
      Effect.gen(function*() {
        const [a = 0] = yield* add(store, post("a", "D1", { interim: true }))
        yield* add(store, update(a, "final"))
        yield* claim(store)
        yield* store.failed(a, me, failure("interim", "RateLimited"), now)
        const [row] = yield* claim(store)
        assert.deepStrictEqual(row?.dispatch, { _tag: "Post", text: "final" })
        yield* store.delivered(row?.id ?? 0, me, at("7.7"), now)
        yield* add(store, update(a, "again"))
        assert.deepStrictEqual((yield* claim(store))[0]?.dispatch, { _tag: "Update", text: "again", target: at("7.7") })
      }))

    test("is no dead letter when it only takes back progress that was never sent", (store) =>
      Effect.gen(function*() {
        const [a = 0] = yield* add(store, post("a", "D1", { interim: true }))
        const [b = 0] = yield* add(store, post("gone", "D1", { target: a, dispatch: { _tag: "Delete" } }))
        yield* claim(store)
        yield* store.failed(a, me, failure("429", "RateLimited"), now)
        assert.deepStrictEqual((yield* claimOrExpire(store)).ended, [b])
        assert.deepInclude(yield* record(store, b), { state: "failed_terminal", reason: "interim", error: "Target" })
        assert.strictEqual((yield* store.counts).failed_terminal, 0)
      }))

    test("is sent again after a crash, since doing it twice is as good as once", (store) =>
      Effect.gen(function*() {
        const [a = 0] = yield* add(store, post("a"))
        const [b = 0] = yield* add(store, update(a))
        yield* claim(store)
        yield* store.delivered(a, me, at("5.5"), now)
        yield* claim(store)
        yield* (yield* Restart).crash
        assert.deepInclude(yield* record(store, b), { state: "failed_retryable", attempts: 1, tries: 1 })
        assert.strictEqual((yield* claim(store))[0]?.id, b)
      }))
  })

  describe("the parts of a text", () => {
    test("go one after the other; when one fails, those behind it are cancelled and name it", (store) =>
      Effect.gen(function*() {
        const { a, b, c } = yield* brokenText(store)
        assert.deepStrictEqual(yield* claim(store), [])
        for (const id of [b, c]) {
          assert.deepInclude(yield* record(store, id), {
            state: "failed_terminal",
            error: "Cancelled",
            reason: `an earlier part (${a}) was not sent`,
            partOf: a
          })
        }
      }))

    test("are cancelled also where one was under way when an earlier one failed", (store) =>
      Effect.gen(function*() {
        const [a = 0, b = 0] = yield* add(store, post("t"), post("t#1", "D1", { part: 1 }))
        yield* claim(store)
        yield* store.unknown(a, me, failure("reset", "Ambiguous"), { now, lookAt: now, late: false })
        yield* claim(store, now + hold)
        yield* store.failed(a, me, failure("gone", "Permanent"), now)
        yield* store.notSent(b, me, failure("refused"), { now, dueAt: now, countAttempt: false })
        assert.deepStrictEqual((yield* claimOrExpire(store, now + hold)).ended, [b])
      }))

    test("come back together by hand, behind the part that is retried", (store) =>
      Effect.gen(function*() {
        const { a, b, c } = yield* brokenText(store)
        assert.deepStrictEqual(yield* store.retry({ ids: [b] }, now), [b, c])
        assert.strictEqual(yield* stateOf(store, a), "failed_terminal")
        assert.deepStrictEqual(yield* store.retry({ ids: [a] }, now), [a])
        assert.deepStrictEqual(keys(yield* claim(store)), ["t"])
      }))

    test("belong to the first part of their first commit, also when it is repeated", (store) =>
      Effect.gen(function*() {
        const text = [post("t"), post("t#1", "D1", { part: 1 })]
        assert.deepStrictEqual(yield* add(store, ...text), yield* add(store, ...text))
        assert.strictEqual((yield* store.counts).queued, 2)
      }))
  })

  describe("what is only progress", () => {
    test("ends when a final reply of its turn is committed behind it", (store, messages) =>
      Effect.gen(function*() {
        const run = yield* running(messages)
        const [a] = yield* store.enqueue([post("thinking", "D1", { interim: true })], run, now)
        yield* store.enqueue([post("other", "D2")], null, now)
        assert.strictEqual(yield* stateOf(store, a?.id), "queued")
        yield* store.enqueue([post("answer")], run, now)
        assert.deepInclude(yield* record(store, a?.id), {
          state: "failed_terminal",
          reason: "interim",
          error: "Interim"
        })
        assert.strictEqual((yield* store.counts).failed_terminal, 0)
      }))

    test("ends with the final replies of the completion too", (store, messages) =>
      Effect.gen(function*() {
        const run = yield* running(messages)
        const [a] = yield* store.enqueue([post("thinking", "D1", { interim: true })], run, now)
        yield* messages.complete(run.turn, me, [post("answer")], now)
        assert.strictEqual(yield* stateOf(store, a?.id), "failed_terminal")
        assert.deepStrictEqual(keys(yield* claim(store)), ["answer"])
      }))

    test("is not ended by more progress, and keeps its order with it", (store, messages) =>
      Effect.gen(function*() {
        const run = yield* running(messages)
        yield* store.enqueue(["1", "2"].map((text) => post(text, "D1", { interim: true })), run, now)
        assert.deepStrictEqual(keys(yield* claim(store)), ["1"])
        assert.deepStrictEqual(keys(yield* claim(store)), [])
      }))

    test("holds no final reply up while it waits for its pace, and does not come after it", (store) =>
      Effect.gen(function*() {
        const [a = 0] = yield* add(store, post("progress", "D1", { interim: true }), post("final"))
        let asked = 0
        const taken = yield* claimOrExpire(store, now, { admit: () => ++asked > 1 })
        assert.deepStrictEqual(keys(taken.claimed), ["final"])
        assert.deepStrictEqual(taken.ended, [a])
        assert.strictEqual(yield* stateOf(store, a), "failed_terminal")
      }))

    test("is not sent after a crash, whether it waited or was on its way", (store) =>
      Effect.gen(function*() {
        const progress = ["A", "B"].map((lane) => post(lane, lane, { interim: true }))
        const ids = yield* add(store, ...progress)
        yield* claim(store, now, { limit: 1 })
        yield* (yield* Restart).crash
        for (const id of ids) {
          assert.deepInclude(yield* record(store, id), { state: "failed_terminal", reason: "interim" })
        }
        assert.deepStrictEqual(yield* claim(store), [])
        assert.deepStrictEqual(yield* store.claimUnknown(now + hold, 9), [])
      }))

    test("never waits for a retry and never becomes unknown", (store) =>
      Effect.gen(function*() {
        const [id = 0] = yield* add(store, post("a", "D1", { interim: true }))
        yield* claim(store)
        yield* store.notSent(id, me, failure("refused"), { now, dueAt: now, countAttempt: false })
        yield* store.unknown(id, me, failure("reset"), { now, lookAt: now, late: false })
        assert.strictEqual(yield* stateOf(store, id), "sending")
        yield* store.failed(id, me, failure("refused"), now)
        assert.deepInclude(yield* record(store, id), { state: "failed_terminal", reason: "interim", error: "NotSent" })
      }))

    test("is not brought back by hand", (store) =>
      Effect.gen(function*() {
        const [id = 0] = yield* add(store, post("a", "D1", { interim: true }))
        yield* claim(store)
        yield* store.failed(id, me, failure("refused"), now)
        assert.deepStrictEqual(yield* store.retry({ ids: [id] }, now), [])
        assert.deepStrictEqual(yield* store.retry({ states: ["failed_terminal"] }, now), [])
      }))
  })
}
