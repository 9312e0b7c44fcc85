/** Rows taken over from another queue, on every adapter. */
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { endedBefore } from "../../src/Cutoff.ts"
import { OwnerId } from "../../src/Message.ts"
import { cancelled, type ImportedReply } from "../../src/OutboxStore.ts"
import { at, failure, key, post } from "../fixtures/messages.ts"
import { epoch } from "../fixtures/time.ts"
import { record, stateOf } from "./OutboxRowsContract.ts"
import { claim, claimOrExpire, keys, type Store, type Test } from "./OutboxStoreGuards.ts"
import { Restart } from "./Restart.ts"

const me = OwnerId.make("me")
const now = epoch
const before = now - 1_000

const imported = (name: string, lane = "D1", given: Partial<ImportedReply> = {}): ImportedReply => ({
  key: name,
  lane: key(lane),
  destination: { channel: lane },
  dispatch: { _tag: "Post", text: name },
  state: "queued",
  attempts: 0,
  enqueuedAt: before,
  failure: null,
  failedAt: null,
  ...given
})

const unknown = (name: string) =>
  imported(name, "D1", { state: "unknown", failure: failure("it may have been sent", "Ambiguous"), failedAt: before })

const take = (store: Store, ...groups: ReadonlyArray<ReadonlyArray<ImportedReply>>) => store.import(groups, now)
const all = (store: Store) => store.list({}, { limit: 99 })

export const importContract = (test: Test) => {
  describe("import", () => {
    test("takes rows over in the order given, and they are sent in it", (store) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* take(store, [imported("a"), imported("b")], [imported("c")]), [true, true])
        const [first] = yield* claim(store)
        yield* store.delivered(first?.id ?? 0, me, at("1.1"), now)
        const [second] = yield* claim(store)
        assert.deepStrictEqual([first?.key, second?.key], ["a", "b"])
      }))

    test("takes all of a group, or nothing where one of its rows is known", (store) =>
      Effect.gen(function*() {
        yield* take(store, [imported("a")])
        assert.deepStrictEqual(yield* take(store, [imported("a"), imported("a2")], [imported("b")]), [false, true])
        assert.deepStrictEqual(keys(yield* all(store)), ["a", "b"])
      }))

    test("takes nothing of a group whose later row alone is left", (store) =>
      Effect.gen(function*() {
        yield* take(store, [imported("a2")])
        const groups = [[imported("a"), imported("a2", "D1", { part: 1 })], [imported("b")]]
        assert.deepStrictEqual(yield* take(store, ...groups), [false, true])
        assert.deepStrictEqual(keys(yield* all(store)), ["a2", "b"])
      }))

    test("keeps attempts and the beginning of its life", (store) =>
      Effect.gen(function*() {
        const failed = { attempts: 3, failure: failure("timeout", "Imported"), failedAt: before + 5 }
        yield* take(store, [imported("a", "D1", failed)], [imported("b", "D2", { enqueuedAt: now - 5_000 })])
        assert.deepInclude(yield* record(store, 1), {
          state: "queued",
          tries: 3,
          attempts: 3,
          enqueuedAt: before,
          error: "Imported",
          reason: "timeout",
          failedAt: before + 5,
          dueAt: now,
          finishedAt: null
        })
        const taken = yield* claimOrExpire(store, now, { expireBefore: now - 2_000 })
        assert.deepStrictEqual([keys(taken.claimed), taken.expired], [["a"], [2]])
      }))

    test("what ended there has ended here, from now on; only progress is no dead letter", (store) =>
      Effect.gen(function*() {
        const ended = { state: "failed_terminal", failure: failure("gone", "Imported") } as const
        yield* take(
          store,
          [imported("failed", "D1", ended)],
          [imported("progress", "D1", { ...ended, interim: true, failure: failure("interim", "Interim") })],
          [imported("old", "D1", { state: "expired", failure: failure("old", "Expired") })],
          [imported("sent", "D1", { state: "delivered" })]
        )
        assert.deepStrictEqual((yield* all(store)).map((row) => row.finishedAt), [now, now, now, now])
        assert.deepInclude(yield* store.find(4), { state: "delivered", channel: "D1", ts: "" })
        const { delivered, expired, failed_terminal } = yield* store.counts
        assert.deepStrictEqual([failed_terminal, expired, delivered], [1, 1, 1])
        assert.deepStrictEqual(yield* claim(store), [])
        assert.strictEqual(yield* store.prune({ finishedBefore: endedBefore(now), keysBefore: now, most: 9 }), 0)
      }))

    test("what may have been sent there is held and never looked for, also after a restart", (store) =>
      Effect.gen(function*() {
        yield* take(store, [unknown("a")])
        assert.deepInclude(yield* store.find(1), { state: "unknown", held: true })
        assert.strictEqual(yield* store.held, 1)
        yield* (yield* Restart).crash
        assert.deepStrictEqual(yield* store.claimUnknown(now + 1e9, 9), [])
        assert.isNull((yield* store.nextDueAt(now, [], [])).look)
        assert.deepStrictEqual(yield* claim(store), [])
      }))

    test("what may have been sent there goes out after a retry by hand, and is looked for from then on", (store) =>
      Effect.gen(function*() {
        yield* take(store, [unknown("a")])
        assert.deepStrictEqual(yield* store.retry({ ids: [1] }, now), [1])
        assert.deepStrictEqual(keys(yield* claim(store)), ["a"])
        yield* store.unknown(1, me, failure("reset", "Ambiguous"), { now, lookAt: now, late: false })
        assert.deepStrictEqual(keys(yield* store.claimUnknown(now, 9)), ["a"])
      }))

    test("keeps the parts of a text together: a retry of the first brings back the rest", (store) =>
      Effect.gen(function*() {
        const first = { state: "failed_terminal", failure: failure("gone", "Imported") } as const
        const rest = { part: 1, ...first, failure: failure("an earlier part", cancelled) }
        yield* take(store, [imported("t", "D1", first), imported("t1", "D1", rest), imported("u", "D1", first)])
        assert.strictEqual((yield* record(store, 2))?.partOf, 1)
        assert.isNull((yield* record(store, 3))?.partOf ?? null)
        assert.deepStrictEqual(yield* store.retry({ ids: [1] }, now), [1, 2])
        assert.strictEqual(yield* stateOf(store, 3), "failed_terminal")
      }))

    test("does not disturb what is here already", (store) =>
      Effect.gen(function*() {
        yield* store.enqueue([post("here")], null, now)
        yield* take(store, [imported("there")])
        assert.deepStrictEqual(keys(yield* claim(store)), ["here"])
      }))
  })
}
