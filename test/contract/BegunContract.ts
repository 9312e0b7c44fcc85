/** Messages that are stored as a running turn at once, and appends that come together. Part of MessageStoreContract. */
import { assert, describe } from "@effect/vitest"
import { Effect, Option } from "effect"
import type { Appended, ClaimedTurn, NewMessage } from "../../src/MessageStore.ts"
import { MessageStore, notAddressed } from "../../src/MessageStore.ts"
import { arrival, inbound, key, tsAt } from "../fixtures/messages.ts"
import { claimed, crashed, me, now, other, ready, type Test, texts, twin } from "./TurnsContract.ts"

const begin = (given: Parameters<typeof arrival>[0] = {}, options: Partial<NewMessage> = {}) =>
  Effect.flatMap(MessageStore, (store) => store.append(arrival(given, { claim: me, ...options })))

const turnOf = (appended: Appended): ClaimedTurn | undefined =>
  appended._tag === "Queued" ? appended.claimed : undefined

const begun = (given: Parameters<typeof arrival>[0] = {}, options: Partial<NewMessage> = {}) =>
  Effect.map(begin(given, options), (appended) => {
    const turn = turnOf(appended)
    assert.isDefined(turn)
    return turn
  })

const together = Effect.fnUntraced(function*(messages: ReadonlyArray<NewMessage>) {
  const store = yield* MessageStore
  return yield* Effect.forEach(messages, (message) => store.append(message), { concurrency: "unbounded" })
})

const addedIn = (name: string, given: Partial<NewMessage> = {}) =>
  arrival({ conversation: key(name), text: name }, given)

export const begunContract = (test: Test) => {
  describe("a message that is begun at once", () => {
    test("is the first run of a turn of its own, as if it had been claimed", (store) =>
      Effect.gen(function*() {
        const turn = yield* begun({ text: "one" }, { receivedAt: now - 5, dueAt: now - 5 })
        yield* store.append(addedIn("D2", { receivedAt: now - 5, dueAt: now - 5 }))
        const { id: _, ...likewise } = yield* claimed("D2", me, now - 5)
        assert.deepStrictEqual(turn, {
          ...likewise,
          id: turn.id,
          conversation: key("D1"),
          messages: [inbound({ text: "one" })],
          ids: [1]
        })
        assert.deepInclude(yield* store.counts, { queued: 0, processing: 2 })
        assert.deepStrictEqual([yield* ready(now), yield* store.nextDueAt], [[], null])
        yield* store.complete(turn.id, me, [], now)
        assert.strictEqual((yield* store.counts).done, 1)
      }))

    test("holds its conversation: what comes later waits, and no other owner gets it", (store) =>
      Effect.gen(function*() {
        const turn = yield* begun({ text: "one" })
        assert.deepStrictEqual(yield* begin({ text: "two" }), { _tag: "Queued" })
        assert.isTrue(Option.isNone(yield* store.claim(key("D1"), other, now)))
        yield* store.complete(turn.id, me, [], now)
        assert.deepStrictEqual(texts(yield* claimed("D1", other)), ["two"])
      }))

    test("runs again after a crash, as the same turn and one attempt later", () =>
      Effect.gen(function*() {
        const turn = yield* begun({ text: "one" })
        yield* crashed
        const again = yield* claimed("D1", other)
        assert.deepStrictEqual([again.id, again.attempt, again.crashes, texts(again)], [turn.id, 2, 1, ["one"]])
      }))

    test("goes back with what else its owner holds, and costs no attempt", (store) =>
      Effect.gen(function*() {
        const turn = yield* begun({ text: "one" })
        assert.strictEqual(yield* store.releaseAll(me, now), 1)
        const again = yield* claimed("D1", other)
        assert.deepStrictEqual([again.id, again.attempt, again.interrupted], [turn.id, 1, true])
      }))

    test("is none where its window is open, or where something waits before it", (store) =>
      Effect.gen(function*() {
        assert.isUndefined(turnOf(yield* begin({}, { dueAt: now + 500 })))
        assert.isUndefined(turnOf(yield* begin({}, { dueAt: now })))
        assert.strictEqual((yield* store.counts).queued, 2)
      }))

    test("is none where a turn waits to run again, or was asked for by hand", (store) =>
      Effect.gen(function*() {
        const turn = yield* begun()
        yield* store.retryLater(turn.id, me, "boom", now + 500)
        assert.isUndefined(turnOf(yield* begin({ text: "two" })))
        const failed = yield* begun({ conversation: key("D2") })
        yield* store.fail(failed.id, me, "boom", [], now)
        yield* store.retry({ ids: failed.ids }, now)
        assert.isUndefined(turnOf(yield* begin({ conversation: key("D2") })))
      }))

    test("is none when it is ignored, a repetition, a twin, or takes others along", (store) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* begin({}, { keys: twin("a"), ignored: "own message" }), { _tag: "Ignored" })
        assert.deepStrictEqual(yield* begin({}, { keys: twin("a") }), { _tag: "Duplicate", revived: false })
        assert.deepStrictEqual(yield* begin({}, { keys: twin("b") }), { _tag: "Duplicate", revived: true })
        const late = { conversation: key("D2"), ts: tsAt(3) }
        yield* store.append(arrival(late, { ignored: notAddressed }))
        assert.deepStrictEqual(yield* begin({ conversation: key("D2"), ts: tsAt(2) }), { _tag: "Queued" })
        assert.strictEqual((yield* claimed("D2")).messages.length, 2)
      }))
  })

  describe("appends that come together", () => {
    test("each get what they would have got alone", (store) =>
      Effect.gen(function*() {
        yield* store.append(arrival({}, { keys: twin("known"), ignored: notAddressed }))
        yield* store.append(addedIn("D4", { dueAt: now + 900 }))
        const answers = yield* together([
          addedIn("D2", { claim: me }),
          arrival({}, { keys: twin("b") }),
          addedIn("D2", { claim: me }),
          addedIn("D3", { ignored: "own message" }),
          addedIn("D3", { claim: me, keys: ["event:x"] }),
          addedIn("D5", { claim: me, keys: ["event:x"] }),
          addedIn("D4", { dueAt: now + 500 }),
          addedIn("D6", { cap: 1 }),
          addedIn("D6", { cap: 1 })
        ])
        assert.deepStrictEqual(
          answers.map((answer) =>
            turnOf(answer) === undefined
              ? answer
              : { ...answer, claimed: turnOf(answer)?.messages.map(({ text }) => text) }
          ),
          [
            { _tag: "Queued", claimed: ["D2"] },
            { _tag: "Duplicate", revived: true },
            { _tag: "Queued" },
            { _tag: "Ignored" },
            { _tag: "Queued", claimed: ["D3"] },
            { _tag: "Duplicate", revived: false },
            { _tag: "Queued" },
            { _tag: "Queued" },
            { _tag: "Overflow" }
          ]
        )
        assert.deepStrictEqual(yield* ready(now + 500), ["D1", "D6", "D4"])
      }))

    test("are there in the order in which they came, however many", (store) =>
      Effect.gen(function*() {
        const names = Array.from({ length: 83 }, (_, n) => `D${n}`)
        const answers = yield* together(names.map((name, n) => addedIn(name, n % 3 === 0 ? {} : { claim: me })))
        assert.strictEqual(answers.filter((answer) => turnOf(answer) !== undefined).length, 55)
        const rows = yield* store.list({}, { limit: 100 })
        assert.deepStrictEqual(rows.map(({ text }) => text).toReversed(), names)
        assert.deepInclude(yield* store.counts, { queued: 28, processing: 55 })
      }))
  })
}
