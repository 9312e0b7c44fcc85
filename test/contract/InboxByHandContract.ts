/** What an operator mends in the inbox, on every adapter. Part of MessageStoreContract. */
import { assert, describe } from "@effect/vitest"
import { Effect, Option } from "effect"
import { endedBefore } from "../../src/Cutoff.ts"
import { refusalOf } from "../../src/InboxByHand.ts"
import { MessageStore } from "../../src/MessageStore.ts"
import { arrival, key, post } from "../fixtures/messages.ts"
import { claimed, crashed, me, now, other, ready, refusal, type Test, texts } from "./TurnsContract.ts"

type Store = MessageStore["Service"]

/** A dead letter: a turn of these messages that failed. */
export const failed = Effect.fnUntraced(function*(
  messages: ReadonlyArray<string>,
  { at = now, conversation = "D1", error = "boom" } = {}
) {
  const store = yield* MessageStore
  for (const text of messages) {
    yield* store.append(arrival({ conversation: key(conversation), text }, { receivedAt: at, dueAt: at }))
  }
  const turn = yield* claimed(conversation, me, at)
  yield* store.fail(turn.id, me, error, [], at)
  return turn
})

export const one = Effect.fnUntraced(function*(store: Store, id: number) {
  const detail = yield* store.show(id)
  return yield* Effect.fromOption(Option.fromNullishOr(detail)).pipe(Effect.orDie)
})

const everything = { finishedBefore: endedBefore(now + 1_000_000), keysBefore: 1, most: 99 }

export const inboxByHandContract = (test: Test) => {
  describe("a retry by hand", () => {
    test("runs the turn again, with its messages, its failures and crashes counted from zero, and its runs counted on", (store) =>
      Effect.gen(function*() {
        yield* store.append(arrival({ text: "one" }))
        yield* store.append(arrival({ text: "two" }))
        const turn = yield* claimed()
        yield* crashed
        const again = yield* claimed()
        yield* store.fail(again.id, me, "boom", [], now)
        assert.deepStrictEqual(yield* store.retry({ ids: [1] }, now + 5), [1, 2])
        assert.deepInclude(yield* store.counts, { failed: 0, queued: 2 })
        assert.deepStrictEqual(yield* ready(now + 4), [])
        assert.deepStrictEqual(yield* ready(now + 5), ["D1"])
        assert.strictEqual(yield* store.nextDueAt, now + 5)
        const byHand = yield* claimed("D1", other, now + 5)
        assert.deepInclude(byHand, { id: turn.id, attempt: 3, failures: 0, crashes: 0, interrupted: false })
        assert.deepStrictEqual(texts(byHand), ["one", "two"])
        yield* store.complete(byHand.id, other, [], now + 6)
        assert.deepInclude(yield* store.counts, { done: 2, failed: 0 })
      }))

    test(
      "does not repeat what was said and done: the turn's replies are recognised, and its steps are kept",
      (store, outbox) =>
        Effect.gen(function*() {
          yield* store.append(arrival())
          const turn = yield* claimed()
          const run = { turn: turn.id, owner: me, attempt: 1 }
          const said = post(`${turn.id}:said`)
          const [first] = yield* outbox.enqueue([said], run, now)
          yield* store.saveStep(run, "search", "42", now)
          yield* store.fail(turn.id, me, "boom", [post(`${turn.id}:notice`)], now)
          yield* store.retry({ ids: [1] }, now)
          const again = yield* claimed()
          const [second] = yield* outbox.enqueue([said], { ...run, attempt: again.attempt }, now)
          assert.strictEqual(second?.id, first?.id)
          assert.deepStrictEqual([...yield* store.steps(turn.id)], [["search", "42"]])
          // Whoever is left of the run before has no say in this one.
          assert.strictEqual(yield* refusal(outbox.enqueue([post("late")], run, now)), "TurnLost")
        })
    )

    test("waits while another turn of its conversation runs or waits, and holds none up", (store) =>
      Effect.gen(function*() {
        yield* failed(["old"])
        yield* store.append(arrival({ text: "new" }))
        const running = yield* claimed()
        yield* store.retry({ ids: [1] }, now + 1)
        assert.deepStrictEqual(yield* ready(now + 9), [])
        assert.isNull(yield* store.nextDueAt)
        assert.isTrue(Option.isNone(yield* store.claim(key("D1"), me, now + 9)))
        yield* store.retryLater(running.id, me, "boom", now + 5)
        assert.deepStrictEqual(texts(yield* claimed("D1", me, now + 9)), ["new"])
        yield* store.complete(running.id, me, [], now + 9)
        assert.deepStrictEqual(texts(yield* claimed("D1", me, now + 9)), ["old"])
      }))

    test("takes its place among what waits: what was due before goes first, and several go one by one", (store) =>
      Effect.gen(function*() {
        yield* failed(["a"])
        yield* failed(["b"])
        yield* store.append(arrival({ text: "c" }, { receivedAt: now + 1, dueAt: now + 1 }))
        assert.deepStrictEqual(yield* store.retry({ states: ["failed"] }, now + 2), [1, 2])
        yield* store.append(arrival({ text: "d" }, { receivedAt: now + 3, dueAt: now + 3 }))
        assert.deepStrictEqual(yield* ready(now + 9), ["D1"])
        // Due at once with what is due already.
        const order = new Array<string>()
        for (let n = 0; n < 3; n++) {
          const turn = yield* claimed("D1", me, now + 9)
          order.push(texts(turn).join("+"))
          yield* store.complete(turn.id, me, [], now + 9)
        }
        assert.deepStrictEqual(order, ["c+d", "a", "b"])
      }))

    test("that fails, crashes or is cut off again is like any turn", (store) =>
      Effect.gen(function*() {
        const { id } = yield* failed(["a"])
        yield* store.retry({ ids: [1] }, now)
        yield* claimed()
        yield* crashed
        assert.deepInclude(yield* claimed(), { id, attempt: 3, crashes: 1, interrupted: true })
        yield* store.releaseAll(me, now)
        yield* store.retryLater((yield* claimed()).id, me, "boom", now)
        assert.deepInclude(yield* claimed(), { id, failures: 1 })
        yield* store.fail(id, me, "again", [], now)
        assert.deepInclude(yield* store.counts, { failed: 1, queued: 0 })
        assert.deepStrictEqual(yield* store.retry({ ids: [1] }, now + 7), [1])
        const { byHand, retriedAt, retries } = yield* one(store, 1)
        assert.deepStrictEqual(byHand, [
          { at: now, action: "retry", reason: "boom" },
          { at: now + 7, action: "retry", reason: "again" }
        ])
        assert.deepStrictEqual([retries, retriedAt], [2, now + 7])
      }))

    test("queues what no turn has failed with as a new message: too many at once, or ignored", (store) =>
      Effect.gen(function*() {
        yield* store.append(arrival({ text: "waits" }))
        yield* store.append(arrival({ text: "too many" }, { cap: 1 }))
        yield* store.append(arrival({ text: "unheard" }, { ignored: "not addressed" }))
        assert.deepStrictEqual(yield* store.retry({ ids: [1, 2, 3, 99] }, now), [2, 3])
        assert.deepStrictEqual(texts(yield* claimed()), ["waits", "too many", "unheard"])
      }))

    test("changes nothing that waits, runs or is done, and repeated it changes nothing", (store) =>
      Effect.gen(function*() {
        yield* failed(["a"])
        yield* store.append(arrival({ conversation: key("D2") }))
        yield* store.complete((yield* claimed("D2")).id, me, [], now)
        yield* store.append(arrival({ conversation: key("D3") }))
        yield* claimed("D3")
        yield* store.append(arrival({ conversation: key("D4") }))
        assert.deepStrictEqual(yield* store.retry({ ids: [1, 2, 3, 4] }, now), [1])
        assert.deepStrictEqual(yield* store.retry({ ids: [1, 2, 3, 4] }, now), [])
        const rows = yield* store.list({ ids: [1, 2, 3, 4] }, { after: 0, limit: 9 })
        assert.deepStrictEqual(rows.map((row) => refusalOf.retry(row)), [
          "waits for its turn already",
          "done",
          "in hand: a turn runs with it",
          "waits for its turn already"
        ])
        yield* claimed("D1")
        assert.deepStrictEqual(yield* store.retry({ ids: [1] }, now), [])
      }))

    test(
      "keeps what it needs: neither message, steps, replies nor history are deleted by age until it has ended",
      (store, outbox) =>
        Effect.gen(function*() {
          yield* store.append(arrival())
          const turn = yield* claimed()
          const run = { turn: turn.id, owner: me, attempt: 1 }
          const [said] = yield* outbox.enqueue([post(`${turn.id}:said`)], run, now)
          yield* store.saveStep(run, "search", "42", now)
          yield* store.fail(turn.id, me, "boom", [], now)
          yield* outbox.discard({ ids: [said?.id ?? 0] }, now)
          // What it has said is known as long as it may be asked for.
          assert.strictEqual(yield* outbox.prune(everything), 0)
          yield* store.retry({ ids: [1] }, now)
          assert.strictEqual(yield* store.prune(everything), 0)
          assert.strictEqual(yield* outbox.prune(everything), 0)
          assert.strictEqual((yield* store.steps(turn.id)).size, 1)
          const { attempt } = yield* claimed()
          assert.strictEqual(attempt, 2)
          yield* store.complete(turn.id, me, [], now)
          assert.strictEqual(yield* store.prune(everything), 1)
          assert.strictEqual(yield* outbox.prune(everything), 1)
          assert.isNull(yield* store.show(1))
        })
    )

    test("finds what its turn has said also where that was deleted by age, and a message of it not yet", (store) =>
      Effect.gen(function*() {
        const { id } = yield* failed(["gone", "kept"])
        yield* store.prune({ ...everything, most: 1 })
        assert.isNull((yield* one(store, 2)).turnRecord)
        assert.deepStrictEqual(yield* store.retry({ ids: [2] }, now + 2), [2])
        const turn = yield* claimed("D1", me, now + 2)
        assert.deepStrictEqual([turn.id, texts(turn)], [id, ["kept"]])
      }))

    test("is brought nearer when the clock was set back", (store) =>
      Effect.gen(function*() {
        yield* failed(["a"])
        yield* store.retry({ ids: [1] }, now + 3_600_000)
        yield* store.nearer(now, { messages: 10, turns: 20 })
        assert.strictEqual(yield* store.nextDueAt, now + 20)
        assert.deepStrictEqual(texts(yield* claimed("D1", me, now + 20)), ["a"])
      }))

    test("counts its conversation among those at work lately", (store) =>
      Effect.gen(function*() {
        yield* failed(["a"])
        yield* store.retry({ ids: [1] }, now)
        assert.deepStrictEqual(yield* store.recentConversations(now + 1_000, 9), [key("D1")])
      }))
  })

  describe("a discard by hand", () => {
    test("ends what waits or failed, says so, and no repetition brings it back", (store) =>
      Effect.gen(function*() {
        yield* failed(["dead"])
        yield* store.append(arrival({ text: "waits" }, { keys: ["event:a", "message:D1/1"] }))
        assert.deepStrictEqual(yield* store.discard({ ids: [1, 2] }, now + 1), [1, 2])
        assert.deepInclude(yield* store.counts, { failed: 0, queued: 0, ignored: 2 })
        assert.deepInclude(yield* one(store, 1), { state: "ignored", reason: "discarded", finishedAt: now + 1 })
        assert.deepStrictEqual((yield* one(store, 1)).byHand, [{ at: now + 1, action: "discard", reason: "boom" }])
        yield* store.append(arrival({ text: "waits" }, { keys: ["event:b", "message:D1/1"] }))
        assert.isTrue(Option.isNone(yield* store.claim(key("D1"), me, now + 9)))
        assert.deepStrictEqual(yield* store.discard({ ids: [1, 2] }, now + 1), [])
      }))

    test("leaves what a turn runs with, what is done and what is ignored", (store) =>
      Effect.gen(function*() {
        yield* store.append(arrival())
        const turn = yield* claimed()
        assert.deepStrictEqual(yield* store.discard({ ids: [1] }, now), [])
        yield* store.complete(turn.id, me, [], now)
        yield* store.append(arrival({}, { ignored: "echo" }))
        assert.deepStrictEqual(yield* store.discard({ ids: [1, 2] }, now), [])
        assert.deepInclude(yield* store.counts, { done: 1, ignored: 1 })
        // A dead instance's turn counts as one that runs, until it is recovered.
        yield* store.append(arrival())
        yield* claimed()
        assert.deepStrictEqual(yield* store.discard({ ids: [3] }, now), [])
        yield* crashed
        assert.deepStrictEqual(yield* store.discard({ ids: [3] }, now), [3])
      }))

    test("ends the turn that waited with nothing else, and frees its conversation", (store) =>
      Effect.gen(function*() {
        yield* store.append(arrival({ text: "bad" }))
        const turn = yield* claimed()
        yield* store.retryLater(turn.id, me, "boom", now + 60_000)
        yield* store.append(arrival({ text: "next" }))
        assert.deepStrictEqual(yield* ready(now), [])
        assert.deepStrictEqual(yield* store.discard({ ids: [1] }, now), [1])
        assert.deepStrictEqual(texts(yield* claimed()), ["next"])
        assert.deepInclude((yield* one(store, 1)).turnRecord, { state: "failed", error: "boom", finishedAt: now })
      }))

    test("takes one message out of its turn, which goes on with the others", (store) =>
      Effect.gen(function*() {
        const { id } = yield* failed(["poison", "innocent"])
        assert.deepStrictEqual(yield* store.discard({ ids: [1] }, now), [1])
        assert.deepStrictEqual(yield* store.retry({ ids: [2] }, now), [2])
        const turn = yield* claimed()
        assert.deepStrictEqual([turn.id, texts(turn)], [id, ["innocent"]])
        yield* store.complete(id, me, [], now)
        assert.deepInclude(yield* store.counts, { done: 1, ignored: 1 })
        // Its turn is over: asked for now, it waits for another.
        assert.deepStrictEqual(yield* store.retry({ ids: [1] }, now), [1])
        const late = yield* claimed()
        assert.deepStrictEqual(texts(late), ["poison"])
        assert.notStrictEqual(late.id, id)
      }))

    test("ends what was asked for again and has not begun, and a retry takes that back", (store) =>
      Effect.gen(function*() {
        const { id } = yield* failed(["a"])
        yield* store.retry({ ids: [1] }, now)
        assert.deepStrictEqual(yield* store.discard({ ids: [1] }, now), [1])
        assert.isNull(yield* store.nextDueAt)
        assert.isTrue(Option.isNone(yield* store.claim(key("D1"), me, now)))
        assert.deepStrictEqual(yield* store.retry({ ids: [1] }, now), [1])
        assert.strictEqual((yield* claimed()).id, id)
      }))
  })
}
