/** What the stores keep, for whom and how long: history, full conversations, pruning. Part of MessageStoreContract. */
import { assert, describe } from "@effect/vitest"
import { Effect, Option } from "effect"
import { OwnerId } from "../../src/Message.ts"
import type { HistoryEntry, MessageStore } from "../../src/MessageStore.ts"
import { arrival, at, failure, inbound, key, post, tsAt } from "../fixtures/messages.ts"
import { claimed, me, now, type Test, texts, twin } from "./TurnsContract.ts"

const lines = (entries: ReadonlyArray<HistoryEntry>) =>
  entries.map((entry) => entry._tag === "Message" ? `< ${entry.message.text}` : `> ${entry.text}`)

/** One message, handled at `at`. */
const handled = Effect.fnUntraced(
  function*(store: MessageStore["Service"], at: number, keys: ReadonlyArray<string>, state?: string) {
    yield* store.append(arrival({}, { keys, receivedAt: at, dueAt: at }))
    yield* store.complete((yield* claimed("D1", me, at)).id, me, [], at, state)
  }
)

const everything = { finishedBefore: Infinity, keysBefore: 0, most: 100 }

export const keepingContract = (test: Test) => {
  describe("history", () => {
    test(
      "tells messages and replies as they came, oldest first, the last of them",
      (store, outbox) =>
        Effect.gen(function*() {
          for (let n = 0; n < 4; n++) {
            const at = now + 10 * n
            yield* store.append(arrival({ text: `q${n}`, ts: tsAt(n) }, { receivedAt: at, dueAt: at }))
            yield* store.complete((yield* claimed("D1", me, at)).id, me, [post(`a${n}`)], at + 1)
          }
          yield* store.append(arrival({ conversation: key("D2"), text: "elsewhere" }))
          yield* outbox.enqueue([post("elsewhere", "D2")], null, now)
          assert.deepStrictEqual(lines(yield* store.history(key("D1"), 3)), ["> a2", "< q3", "> a3"])
          assert.lengthOf(yield* store.history(key("D1"), 100), 8)
          assert.deepStrictEqual(yield* store.history(key("D1"), 0), [])
          assert.deepStrictEqual(yield* store.history(key("D3"), 9), [])
        })
    )

    test("keeps the order of what came in one millisecond, a reply behind its message", (store) =>
      Effect.gen(function*() {
        for (const text of ["one", "two", "three"]) yield* store.append(arrival({ text }))
        yield* store.complete((yield* claimed()).id, me, [post("a"), post("b")], now)
        const told = ["< one", "< two", "< three", "> a", "> b"]
        assert.deepStrictEqual(lines(yield* store.history(key("D1"), 9)), told)
        assert.deepStrictEqual(lines(yield* store.history(key("D1"), 3)), told.slice(2))
      }))

    test(
      "leaves out what was ignored and what will never be sent, and knows what was posted",
      (store, outbox) =>
        Effect.gen(function*() {
          yield* store.append(arrival({ text: "not for us" }, { ignored: "not addressed" }))
          yield* outbox.enqueue([post("posted"), post("refused")], null, now)
          for (let n = 0; n < 2; n++) {
            const { claimed: [row] } = yield* outbox.claim({
              owner: me,
              now,
              limit: 1,
              exclude: [],
              admit: () => true,
              expireBefore: 0
            })
            if (row?.key === "refused") yield* outbox.failed(row.id, me, failure("is_archived"), now)
            else yield* outbox.delivered(row?.id ?? -1, me, at("1.000001"), now)
          }
          assert.deepStrictEqual(yield* store.history(key("D1"), 9), [
            { _tag: "Reply", at: now, text: "posted", ts: "1.000001" }
          ])
        })
    )
  })

  describe("a full conversation", () => {
    const fill = (store: MessageStore["Service"]) =>
      Effect.forEach(["one", "two"], (text) => store.append(arrival({ text }, { cap: 2 })))

    test("keeps what is too much as a dead letter, out of every turn", (store) =>
      Effect.gen(function*() {
        yield* fill(store)
        const keys = twin("x")
        assert.deepStrictEqual(yield* store.append(arrival({ text: "three" }, { cap: 2, keys })), { _tag: "Overflow" })
        const { failed, queued } = yield* store.counts
        assert.deepStrictEqual({ failed, queued }, { failed: 1, queued: 2 })
        for (const event of ["x", "y"]) {
          const again = yield* store.append(arrival({ text: "three" }, { cap: 2, keys: twin(event) }))
          assert.deepStrictEqual(again, { _tag: "Duplicate", revived: false })
        }
        // With its payload: it is there to be retried by hand.
        assert.deepInclude((yield* store.history(key("D1"), 1))[0], { message: inbound({ text: "three" }) })
        assert.deepStrictEqual(texts(yield* claimed()), ["one", "two"])
      }))

    test("does not count what is ignored, at work or elsewhere", (store) =>
      Effect.gen(function*() {
        yield* fill(store)
        yield* claimed()
        yield* store.append(arrival({}, { ignored: "echo" }))
        yield* store.append(arrival({ conversation: key("D2") }))
        for (const _tag of ["Queued", "Queued", "Overflow"] as const) {
          assert.deepStrictEqual(yield* store.append(arrival({}, { cap: 2 })), { _tag })
        }
        assert.deepStrictEqual(yield* store.append(arrival({}, { cap: 2, ignored: "echo" })), { _tag: "Ignored" })
      }))

    test("does not let in by a twin what it would keep out", (store) =>
      Effect.gen(function*() {
        yield* store.append(arrival({}, { keys: twin("a"), ignored: "not addressed" }))
        yield* fill(store)
        const mention = arrival({ kind: "app_mention" }, { keys: twin("b"), cap: 2 })
        assert.deepStrictEqual(yield* store.append(mention), { _tag: "Overflow" })
        const { failed, ignored, queued } = yield* store.counts
        assert.deepStrictEqual({ failed, ignored, queued }, { failed: 1, ignored: 0, queued: 2 })
      }))
  })

  describe("pruning", () => {
    test("deletes what ended before the moment, the oldest first, as many as allowed", (store) =>
      Effect.gen(function*() {
        for (let n = 0; n < 4; n++) yield* handled(store, now + n, [`event:p${n}`])
        yield* store.append(arrival({}, { ignored: "echo", receivedAt: now }))
        const before = { finishedBefore: now + 3, keysBefore: 0 }
        assert.strictEqual(yield* store.prune({ ...before, most: 2 }), 2)
        assert.strictEqual(yield* store.prune({ ...before, most: 5 }), 2)
        assert.strictEqual(yield* store.prune({ ...before, most: 5 }), 0)
        const { done, ignored } = yield* store.counts
        assert.deepStrictEqual({ done, ignored }, { done: 1, ignored: 0 })
      }))

    test("never deletes what waits or runs, however old, nor what a conversation remembers", (store) =>
      Effect.gen(function*() {
        yield* handled(store, now, ["event:done"], "1")
        yield* store.append(arrival({ text: "runs" }))
        const turn = yield* claimed()
        yield* store.saveStep({ turn: turn.id, owner: me, attempt: 1 }, "search", "1", now)
        yield* store.append(arrival({ text: "waits" }))
        yield* store.prune({ ...everything, keysBefore: Infinity })
        assert.deepStrictEqual(yield* store.steps(turn.id), new Map([["search", "1"]]))
        yield* store.complete(turn.id, me, [], now)
        assert.deepStrictEqual(texts(yield* claimed()), ["waits"])
        assert.strictEqual(yield* store.state(key("D1")), "1")
      }))

    test("leaves the keys behind: a repetition is still recognised until their own horizon", (store) =>
      Effect.gen(function*() {
        yield* handled(store, now, twin("a"))
        yield* store.prune({ ...everything, keysBefore: now })
        assert.strictEqual((yield* store.counts).done, 0)
        for (const event of ["a", "b"]) {
          const again = yield* store.append(arrival({}, { keys: twin(event) }))
          assert.deepStrictEqual(again, { _tag: "Duplicate", revived: false })
        }
        assert.strictEqual(yield* store.prune({ ...everything, keysBefore: now + 1 }), 3)
        assert.deepStrictEqual(yield* store.append(arrival({}, { keys: twin("a") })), { _tag: "Queued" })
      }))

    test("does not mistake a new message for one that is gone", (store) =>
      Effect.gen(function*() {
        yield* store.append(arrival({ text: "gone" }, { keys: twin("a"), ignored: "not addressed" }))
        yield* store.prune({ ...everything, keysBefore: now })
        yield* store.append(arrival({ text: "new" }, { ignored: "echo" }))
        const late = arrival({ text: "late" }, { keys: twin("b") })
        assert.deepStrictEqual(yield* store.append(late), { _tag: "Duplicate", revived: false })
        assert.isTrue(Option.isNone(yield* store.claim(key("D1"), me, now)))
      }))

    test("counts turns too, and deletes the steps of failed ones with them", (store) =>
      Effect.gen(function*() {
        yield* store.append(arrival())
        let turn = yield* claimed()
        for (let n = 0; n < 3; n++) {
          yield* store.supersede(turn.id, me, now)
          turn = yield* claimed()
        }
        yield* store.saveStep({ turn: turn.id, owner: me, attempt: 1 }, "search", "1", now)
        yield* store.fail(turn.id, me, "boom", [], now)
        assert.strictEqual(yield* store.prune({ ...everything, most: 3 }), 3)
        assert.strictEqual(yield* store.prune({ ...everything, most: 3 }), 1)
        assert.deepStrictEqual(yield* store.steps(turn.id), new Map())
      }))

    test(
      "of replies deletes those that ended, oldest first, and gives no id twice",
      (_store, outbox) =>
        Effect.gen(function*() {
          const rows = yield* outbox.enqueue(["a", "b", "c", "d"].map((lane) => post(lane, lane)), null, now)
          const ids = rows.map(({ id }) => id)
          yield* outbox.claim({ owner: me, now, limit: 9, exclude: [], admit: () => true, expireBefore: 0 })
          const [a = 0, b = 0, c = 0, d = 0] = ids
          yield* outbox.delivered(d, me, at("1.1"), now + 1)
          yield* outbox.failed(a, me, failure("is_archived"), now + 2)
          yield* outbox.unknown(b, me, failure("reset"), { now: now, lookAt: now, late: false })
          yield* outbox.delivered(c, me, at("1.1"), now + 9)
          assert.strictEqual(yield* outbox.prune({ finishedBefore: now + 9, most: 1 }), 1)
          assert.isNull(yield* outbox.find(d))
          assert.strictEqual(yield* outbox.prune({ finishedBefore: now + 9, most: 9 }), 1)
          assert.strictEqual(yield* outbox.releaseAll(OwnerId.make("nobody"), now), 0)
          const left = yield* Effect.forEach(ids, (id) => outbox.find(id))
          assert.deepStrictEqual(left.map((row) => row?.state ?? null), [null, "unknown", "delivered", null])
          const [next] = yield* outbox.enqueue([post("next")], null, now)
          assert.isAbove(next?.id ?? 0, d)
        })
    )
  })
}
