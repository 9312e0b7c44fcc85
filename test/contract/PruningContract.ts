/** What the stores delete of their past, and what never. Part of MessageStoreContract. */
import { assert, describe } from "@effect/vitest"
import { Effect, Option } from "effect"
import { type Cutoff, endedBefore } from "../../src/Cutoff.ts"
import { OwnerId } from "../../src/Message.ts"
import type { MessageStore } from "../../src/MessageStore.ts"
import type { OutboxStore } from "../../src/OutboxStore.ts"
import { arrival, at, failure, key, post } from "../fixtures/messages.ts"
import { claimed, me, now, refusal, type Test, texts, twin } from "./TurnsContract.ts"

/** One message, handled at `at`. */
const handled = Effect.fnUntraced(
  function*(store: MessageStore["Service"], at: number, keys: ReadonlyArray<string>, state?: string) {
    yield* store.append(arrival({}, { keys, receivedAt: at, dueAt: at }))
    yield* store.complete((yield* claimed("D1", me, at)).id, me, [], at, { state })
  }
)

/** Everything that waits to be sent is delivered. */
const deliver = Effect.fnUntraced(function*(outbox: OutboxStore["Service"], when: number) {
  const { claimed } = yield* outbox.claim({
    owner: me,
    now: when,
    limit: 99,
    exclude: [],
    admit: () => true,
    expireBefore: 0
  })
  for (const { id } of claimed) yield* outbox.delivered(id, me, at("1.1"), when)
})

/** Later than anything here. */
const forever = now * 2
const everything = { finishedBefore: endedBefore(forever), keysBefore: 1, most: 100 }

export const pruningContract = (test: Test) => {
  describe("pruning", () => {
    test("deletes what ended before the moment, the oldest first, as many as allowed", (store) =>
      Effect.gen(function*() {
        for (let n = 0; n < 4; n++) yield* handled(store, now + n, [`event:p${n}`])
        yield* store.append(arrival({}, { ignored: "echo", receivedAt: now }))
        const before = { finishedBefore: endedBefore(now + 3), keysBefore: 1 }
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
        yield* store.prune({ ...everything, keysBefore: forever })
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
          yield* outbox.unknown(b, me, failure("reset"), { now, lookAt: now, late: false })
          yield* outbox.delivered(c, me, at("1.1"), now + 9)
          const before = { finishedBefore: endedBefore(now + 9), keysBefore: forever }
          assert.strictEqual(yield* outbox.prune({ ...before, most: 1 }), 1)
          assert.isNull(yield* outbox.find(d))
          assert.strictEqual(yield* outbox.prune({ ...before, most: 9 }), 1)
          assert.strictEqual(yield* outbox.releaseAll(OwnerId.make("nobody"), now), 0)
          const left = yield* Effect.forEach(ids, (id) => outbox.find(id))
          assert.deepStrictEqual(left.map((row) => row?.state ?? null), [null, "unknown", "delivered", null])
          const [next] = yield* outbox.enqueue([post("next")], null, now)
          assert.isAbove(next?.id ?? 0, d)
        })
    )

    test(
      "takes replies of finished turns only: a run that is repeated finds what it has said",
      (store, outbox) =>
        Effect.gen(function*() {
          yield* store.append(arrival())
          const turn = yield* claimed()
          const run = { turn: turn.id, owner: me, attempt: turn.attempt }
          const [said] = yield* outbox.enqueue([post("said")], run, now)
          yield* deliver(outbox, now)
          yield* outbox.prune({ ...everything, keysBefore: forever })
          yield* store.releaseAll(me, now)
          yield* outbox.prune({ ...everything, keysBefore: forever })
          const again = yield* claimed()
          const [repeated] = yield* outbox.enqueue([post("said")], { ...run, attempt: again.attempt }, now)
          assert.strictEqual(repeated?.id, said?.id)
          assert.strictEqual(repeated?.state, "delivered")
          yield* store.complete(again.id, me, [], now)
          assert.strictEqual(yield* outbox.prune(everything), 1)
        })
    )

    test(
      "leaves what the host posted until the horizon of its key, whatever its age and number",
      (_store, outbox) =>
        Effect.gen(function*() {
          const [posted] = yield* outbox.enqueue([post("build-1")], null, now)
          yield* deliver(outbox, now)
          assert.strictEqual(yield* outbox.prune({ ...everything, keysBefore: now }), 0)
          const [again] = yield* outbox.enqueue([post("build-1")], null, now)
          assert.strictEqual(again?.id, posted?.id)
          assert.strictEqual(yield* outbox.prune({ ...everything, keysBefore: now + 1 }), 1)
        })
    )

    test("refuses moments that are none, and deletes nothing then", (store, outbox) =>
      Effect.gen(function*() {
        yield* handled(store, now, ["event:kept"])
        yield* outbox.enqueue([post("kept")], null, now)
        yield* deliver(outbox, now)
        for (const bad of [NaN, Infinity, -Infinity, 0, -1]) {
          for (const wrong of [{ finishedBefore: endedBefore(bad) }, { keysBefore: bad }]) {
            assert.strictEqual(yield* refusal(store.prune({ ...everything, ...wrong })), "InvalidCutoff")
            assert.strictEqual(yield* refusal(outbox.prune({ ...everything, ...wrong })), "InvalidCutoff")
          }
        }
        assert.deepStrictEqual([(yield* store.counts).done, (yield* outbox.counts).delivered], [1, 1])
        assert.deepStrictEqual(yield* store.append(arrival({}, { keys: ["event:kept"] })), {
          _tag: "Duplicate",
          revived: false
        })
      }))
  })

  describe("keeping the newest", () => {
    const keep = (cutoff: Cutoff | null) => ({ ...everything, finishedBefore: cutoff ?? endedBefore(1) })

    test("of messages is exact, also among those that ended in the same millisecond", (store) =>
      Effect.gen(function*() {
        for (let n = 0; n < 5; n++) {
          const at = now + (n < 4 ? 0 : 1)
          yield* store.append(arrival({ text: `m${n}` }, { receivedAt: at, dueAt: at }))
          yield* store.complete((yield* claimed("D1", me, at)).id, me, [], at)
        }
        assert.isNull(yield* store.cutoffKeeping(6))
        yield* store.prune(keep(yield* store.cutoffKeeping(5)))
        assert.strictEqual((yield* store.counts).done, 5)
        yield* store.prune(keep(yield* store.cutoffKeeping(2)))
        const left = (yield* store.history(key("D1"), 9)).map((entry) => entry._tag === "Message" && entry.message.text)
        assert.deepStrictEqual(left, ["m3", "m4"])
      }))

    test("of messages counts what is finished in whatever way, and nothing else", (store) =>
      Effect.gen(function*() {
        yield* store.append(arrival({}, { ignored: "echo" }))
        yield* store.append(arrival({ text: "fails" }))
        yield* store.fail((yield* claimed()).id, me, "boom", [], now)
        yield* store.append(arrival({ text: "runs" }))
        yield* claimed()
        yield* store.append(arrival({ text: "waits" }))
        assert.isNull(yield* store.cutoffKeeping(3))
        yield* store.prune(keep(yield* store.cutoffKeeping(1)))
        const { failed, ignored, processing, queued } = yield* store.counts
        assert.deepStrictEqual({ failed, ignored, processing, queued }, {
          failed: 1,
          ignored: 0,
          processing: 1,
          queued: 1
        })
      }))

    test("of messages forgets no key before its horizon: a repetition makes no turn", (store) =>
      Effect.gen(function*() {
        yield* handled(store, now, twin("a"))
        yield* handled(store, now + 1, ["event:later"])
        const cutoff = yield* store.cutoffKeeping(1)
        assert.strictEqual(yield* store.prune({ ...keep(cutoff), keysBefore: now }), 1)
        assert.strictEqual((yield* store.counts).done, 1)
        for (const event of ["a", "b"]) {
          const again = yield* store.append(arrival({}, { keys: twin(event), receivedAt: now + 2 }))
          assert.deepStrictEqual(again, { _tag: "Duplicate", revived: false })
        }
        assert.isTrue(Option.isNone(yield* store.claim(key("D1"), me, now + 2)))
      }))

    test("of replies counts those of turns and those of the host together", (store, outbox) =>
      Effect.gen(function*() {
        for (let n = 0; n < 2; n++) {
          yield* outbox.enqueue([post(`host-${n}`, `H${n}`)], null, now)
          yield* deliver(outbox, now + 2 * n)
          yield* store.append(arrival())
          yield* store.complete((yield* claimed()).id, me, [post(`turn-${n}`, `T${n}`)], now)
          yield* deliver(outbox, now + 2 * n + 1)
        }
        assert.isNull(yield* outbox.cutoffKeeping(5))
        const cutoff = yield* outbox.cutoffKeeping(3)
        assert.strictEqual(cutoff?.at, now + 1)
        yield* outbox.prune({ ...keep(cutoff), keysBefore: forever })
        assert.strictEqual((yield* outbox.counts).delivered, 3)
        // The posts are younger than the horizon: they stay, and the oldest of the rest goes.
        yield* outbox.prune(keep(yield* outbox.cutoffKeeping(1)))
        assert.strictEqual((yield* outbox.counts).delivered, 2)
      }))
  })
}
