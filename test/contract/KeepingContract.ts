/** What the stores keep, for whom and how long: history, full conversations. Part of MessageStoreContract. */
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import type { HistoryEntry, MessageStore } from "../../src/MessageStore.ts"
import { arrival, at, failure, inbound, key, post, tsAt } from "../fixtures/messages.ts"
import { claimed, me, now, type Test, texts, twin } from "./TurnsContract.ts"

const lines = (entries: ReadonlyArray<HistoryEntry>) =>
  entries.map((entry) => entry._tag === "Message" ? `< ${entry.message.text}` : `> ${entry.text}`)

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
}
