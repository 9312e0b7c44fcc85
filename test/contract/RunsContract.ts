/** What a run of a turn keeps, takes in and gives back: steps, state, adoption, supersession. Part of MessageStoreContract. */
import { assert, describe } from "@effect/vitest"
import { Effect, Option } from "effect"
import { MessageStore } from "../../src/MessageStore.ts"
import { arrival, key, post, tsAt } from "../fixtures/messages.ts"
import { claimed, crashed, me, now, other, ready, refusal, type Test, texts } from "./TurnsContract.ts"

/** A run that is current, of a turn with the message "one". */
const running = Effect.gen(function*() {
  yield* (yield* MessageStore).append(arrival({ text: "one", ts: tsAt(1) }))
  const turn = yield* claimed()
  return { turn, run: { turn: turn.id, owner: me, attempt: turn.attempt } }
})

/** The id under which the only message that waits can be adopted. */
const waitingId = Effect.gen(function*() {
  const [waiting] = yield* (yield* MessageStore).waiting(key("D1"), now)
  return waiting?.id ?? -1
})

export const runsContract = (test: Test) => {
  describe("steps", () => {
    test("outlive a crash and a retry of their turn, and end with it", (store) =>
      Effect.gen(function*() {
        const { run, turn } = yield* running
        assert.deepStrictEqual(yield* store.steps(turn.id), new Map())
        yield* store.saveStep(run, "search", "[1]", now)
        yield* crashed
        const again = yield* claimed()
        yield* store.saveStep({ ...run, attempt: again.attempt }, "write", "null", now)
        yield* store.retryLater(turn.id, me, "boom", now)
        yield* claimed()
        assert.deepStrictEqual(yield* store.steps(turn.id), new Map([["search", "[1]"], ["write", "null"]]))
        yield* store.complete(turn.id, me, [], now)
        assert.deepStrictEqual(yield* store.steps(turn.id), new Map())
      }))

    test("are taken from the present run only", (store) =>
      Effect.gen(function*() {
        const { run, turn } = yield* running
        for (const from of [{ ...run, owner: other }, { ...run, attempt: run.attempt - 1 }]) {
          assert.strictEqual(yield* refusal(store.saveStep(from, "search", "1", now)), "TurnLost")
        }
        yield* store.retryLater(turn.id, me, "boom", now)
        assert.strictEqual(yield* refusal(store.saveStep(run, "search", "1", now)), "TurnLost")
        yield* claimed()
        assert.strictEqual(yield* refusal(store.saveStep(run, "search", "1", now)), "TurnLost")
        assert.deepStrictEqual(yield* store.steps(turn.id), new Map())
      }))

    test("keep their first result when one is saved again", (store) =>
      Effect.gen(function*() {
        const { run, turn } = yield* running
        yield* store.saveStep(run, "search", "1", now)
        yield* store.saveStep(run, "search", "2", now)
        assert.deepStrictEqual(yield* store.steps(turn.id), new Map([["search", "1"]]))
      }))

    test("of one turn are not those of another", (store) =>
      Effect.gen(function*() {
        const { run } = yield* running
        yield* store.saveStep(run, "search", "1", now)
        yield* store.append(arrival({ conversation: key("D2") }))
        assert.deepStrictEqual(yield* store.steps((yield* claimed("D2")).id), new Map())
      }))
  })

  describe("state", () => {
    test("is what the last completed turn of the conversation left", (store) =>
      Effect.gen(function*() {
        assert.isNull(yield* store.state(key("D1")))
        for (const state of ["{\"n\":1}", undefined, "{\"n\":2}", undefined]) {
          yield* store.append(arrival())
          yield* store.complete((yield* claimed()).id, me, [], now, { state })
        }
        assert.strictEqual(yield* store.state(key("D1")), "{\"n\":2}")
        assert.isNull(yield* store.state(key("D2")))
      }))

    test("of a completion that is refused or fails is not kept", (store) =>
      Effect.gen(function*() {
        const { turn } = yield* running
        assert.strictEqual(yield* refusal(store.complete(turn.id, other, [], now, { state: "1" })), "TurnLost")
        const unstorable = post("bad", "D1", { destination: { channel: null as unknown as string } })
        yield* Effect.exit(store.complete(turn.id, me, [unstorable], now, { state: "1" }))
        assert.isNull(yield* store.state(key("D1")))
      }))

    test("stays as it was when a turn fails or is superseded", (store) =>
      Effect.gen(function*() {
        const { turn } = yield* running
        yield* store.complete(turn.id, me, [], now, { state: "1" })
        yield* store.append(arrival())
        yield* store.supersede((yield* claimed()).id, me, now)
        yield* store.fail((yield* claimed()).id, me, "boom", [], now)
        assert.strictEqual(yield* store.state(key("D1")), "1")
      }))
  })

  describe("what waits beside a running turn", () => {
    test("is shown when it is due, in the order of Slack's ts, and nothing else is", (store) =>
      Effect.gen(function*() {
        yield* running
        for (const second of [4, 3]) yield* store.append(arrival({ text: String(second), ts: tsAt(second) }))
        yield* store.append(arrival({ conversation: key("D2") }))
        yield* store.append(arrival({}, { ignored: "echo" }))
        const waiting = yield* store.waiting(key("D1"), now)
        assert.deepStrictEqual(waiting.map(({ message }) => message.text), ["3", "4"])
        assert.deepStrictEqual(yield* store.waiting(key("D1"), now - 1), [])
      }))

    test("joins the turn that adopts it, completes with it and runs again with it", (store) =>
      Effect.gen(function*() {
        const { run, turn } = yield* running
        yield* store.append(arrival({ text: "zero", ts: tsAt(0) }))
        const id = yield* waitingId
        assert.isTrue(yield* store.adopt(run, id))
        assert.isFalse(yield* store.adopt(run, id))
        assert.deepStrictEqual(yield* store.waiting(key("D1"), now), [])
        yield* crashed
        const again = yield* claimed()
        assert.deepStrictEqual([again.id, texts(again)], [turn.id, ["zero", "one"]])
        yield* store.complete(turn.id, me, [], now)
        assert.strictEqual((yield* store.counts).done, 2)
        assert.isTrue(Option.isNone(yield* store.claim(key("D1"), me, now)))
      }))

    test("waits for the next turn when it was adopted and nobody saw it", (store) =>
      Effect.gen(function*() {
        const { run, turn } = yield* running
        yield* store.append(arrival({ text: "zero", ts: tsAt(0) }))
        const id = yield* waitingId
        yield* store.adopt(run, id)
        yield* store.append(arrival({ text: "two", ts: tsAt(2) }))
        yield* store.complete(turn.id, me, [], now + 5, { unseen: [id, 4_711] })
        const { done, queued } = yield* store.counts
        assert.deepStrictEqual({ done, queued }, { done: 1, queued: 2 })
        assert.deepStrictEqual(texts(yield* claimed("D1", me, now + 5)), ["zero", "two"])
      }))

    test("stays where it is when it is called unseen by a turn that never adopted it", (store) =>
      Effect.gen(function*() {
        const { turn } = yield* running
        yield* store.append(arrival({ text: "later", ts: tsAt(2) }, { dueAt: now + 500 }))
        yield* store.append(arrival({ conversation: key("D2") }))
        const elsewhere = yield* claimed("D2")
        yield* store.complete(turn.id, me, [], now, { unseen: [2, 3] })
        assert.deepStrictEqual(yield* ready(now), [])
        assert.deepStrictEqual(yield* ready(now + 500), ["D1"])
        yield* store.complete(elsewhere.id, me, [], now)
        assert.strictEqual((yield* store.counts).done, 2)
      }))

    test("is adopted by the present run only", (store) =>
      Effect.gen(function*() {
        const { run, turn } = yield* running
        yield* store.append(arrival({ text: "two", ts: tsAt(2) }))
        const id = yield* waitingId
        assert.strictEqual(yield* refusal(store.adopt({ ...run, owner: other }, id)), "TurnLost")
        assert.strictEqual(yield* refusal(store.adopt({ ...run, attempt: 0 }, id)), "TurnLost")
        yield* store.complete(turn.id, me, [], now)
        assert.strictEqual(yield* refusal(store.adopt(run, id)), "TurnLost")
        assert.deepStrictEqual(texts(yield* claimed()), ["two"])
      }))

    test("is not adopted into another conversation", (store) =>
      Effect.gen(function*() {
        const { run } = yield* running
        yield* store.append(arrival({ conversation: key("D2") }))
        const [waiting] = yield* store.waiting(key("D2"), now)
        assert.isFalse(yield* store.adopt(run, waiting?.id ?? -1))
        yield* claimed("D2")
      }))
  })

  describe("a superseded turn", () => {
    test("gives its messages to a new one, together with what came since", (store) =>
      Effect.gen(function*() {
        const { run, turn } = yield* running
        yield* store.saveStep(run, "search", "1", now)
        yield* store.append(arrival({ text: "zero", ts: tsAt(0) }))
        yield* store.supersede(turn.id, me, now + 5)
        assert.deepStrictEqual(yield* ready(now + 5), ["D1"])
        const next = yield* claimed("D1", me, now + 5)
        assert.notStrictEqual(next.id, turn.id)
        assert.deepStrictEqual([next.attempt, texts(next)], [1, ["zero", "one"]])
        assert.deepStrictEqual(yield* store.steps(turn.id), new Map())
        assert.deepStrictEqual(yield* store.steps(next.id), new Map())
      }))

    test("waits for the end of the window that is open in its conversation", (store) =>
      Effect.gen(function*() {
        const { turn } = yield* running
        yield* store.append(arrival({ text: "two", ts: tsAt(2) }, { dueAt: now + 500 }))
        yield* store.supersede(turn.id, me, now)
        assert.deepStrictEqual(yield* ready(now), [])
        assert.deepStrictEqual(texts(yield* claimed("D1", me, now + 500)), ["one", "two"])
      }))

    test("is followed by a turn with an id of its own, even within the same millisecond", (store) =>
      Effect.gen(function*() {
        const ids = new Set<string>()
        const { turn } = yield* running
        ids.add(turn.id)
        for (let last = turn; ids.size < 4; ids.add(last.id)) {
          yield* store.supersede(last.id, me, now)
          last = yield* claimed()
          assert.isFalse(ids.has(last.id))
        }
      }))

    test("is over: its run changes nothing any more", (store, outbox) =>
      Effect.gen(function*() {
        const { run, turn } = yield* running
        assert.strictEqual(yield* refusal(store.supersede(turn.id, other, now)), "TurnLost")
        yield* store.supersede(turn.id, me, now)
        yield* store.append(arrival({ text: "two", ts: tsAt(2) }))
        const id = yield* waitingId
        const late: ReadonlyArray<Effect.Effect<unknown, { readonly reason: { readonly _tag: string } }>> = [
          store.complete(turn.id, me, [post("late")], now, { state: "1" }),
          store.retryLater(turn.id, me, "late", now),
          store.fail(turn.id, me, "late", [post("late")], now),
          store.supersede(turn.id, me, now),
          store.saveStep(run, "late", "1", now),
          store.adopt(run, id),
          outbox.enqueue([post("late")], run, now)
        ]
        for (const call of late) assert.strictEqual(yield* refusal(call), "TurnLost")
        assert.strictEqual(yield* store.releaseAll(me, now), 0)
        assert.strictEqual((yield* outbox.counts).queued, 0)
        assert.deepStrictEqual(texts(yield* claimed()), ["one", "two"])
      }))

    test("keeps the replies that it committed", (store, outbox) =>
      Effect.gen(function*() {
        const { run, turn } = yield* running
        yield* outbox.enqueue([post("on it")], run, now)
        yield* store.supersede(turn.id, me, now)
        assert.strictEqual((yield* outbox.counts).queued, 1)
      }))
  })

  describe("claim with a bound", () => {
    test("takes so many, the earliest in Slack first, and leaves the rest for the next turns", (store) =>
      Effect.gen(function*() {
        for (const second of [3, 1, 2]) yield* store.append(arrival({ text: String(second), ts: tsAt(second) }))
        for (const expected of [["1", "2"], ["3"]]) {
          const turn = Option.getOrThrow(yield* store.claim(key("D1"), me, now, 2))
          assert.deepStrictEqual(texts(turn), expected)
          yield* store.complete(turn.id, me, [], now)
        }
      }))

    test("gives each of the turns an id of its own, even within the same millisecond", (store) =>
      Effect.gen(function*() {
        for (const second of [3, 2, 1]) yield* store.append(arrival({ text: String(second), ts: tsAt(second) }))
        const ids = new Set<string>()
        for (const expected of ["1", "2", "3"]) {
          const turn = Option.getOrThrow(yield* store.claim(key("D1"), me, now, 1))
          assert.deepStrictEqual(texts(turn), [expected])
          ids.add(turn.id)
          yield* store.complete(turn.id, me, [], now)
        }
        assert.strictEqual(ids.size, 3)
      }))

    test("does not divide a turn that runs again", (store) =>
      Effect.gen(function*() {
        for (const second of [1, 2]) yield* store.append(arrival({ text: String(second), ts: tsAt(second) }))
        yield* store.retryLater((yield* claimed()).id, me, "boom", now)
        const again = Option.getOrThrow(yield* store.claim(key("D1"), me, now, 1))
        assert.deepStrictEqual(texts(again), ["1", "2"])
      }))
  })
}
