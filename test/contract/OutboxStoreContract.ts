/** What every adapter of OutboxStore must do. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import { TestClock } from "effect/testing"
import { OwnerId, TurnId } from "../../src/Message.ts"
import { MessageStore } from "../../src/MessageStore.ts"
import { holdLaneFor, OutboxStore, unavailable } from "../../src/OutboxStore.ts"
import { arrival, at, failure, key, post } from "../fixtures/messages.ts"
import { epoch } from "../fixtures/time.ts"
import { atOnceContract } from "./AtOnceContract.ts"
import { filesContract } from "./FilesContract.ts"
import { byHandContract } from "./OutboxByHandContract.ts"
import { importContract } from "./OutboxImportContract.ts"
import { rowsContract } from "./OutboxRowsContract.ts"
import { claim, claimOrExpire, guards, keys, seed, states, type Store } from "./OutboxStoreGuards.ts"
import { Restart } from "./Restart.ts"
import { streamsContract } from "./StreamsContract.ts"

const me = OwnerId.make("me")
const other = OwnerId.make("other")
const now = epoch
const hold = 120_000

export const suite = (name: string, layer: Layer.Layer<MessageStore | OutboxStore | Restart>) =>
  describe(`OutboxStore on ${name}`, () => {
    const test = <A, E>(
      sentence: string,
      body: (store: Store, messages: MessageStore["Service"]) => Effect.Effect<A, E, Restart>
    ) =>
      it.effect(sentence, () =>
        Effect.gen(function*() {
          yield* TestClock.setTime(epoch)
          return yield* body(yield* OutboxStore, yield* MessageStore)
        }).pipe(Effect.provide(Layer.fresh(layer))))

    describe("enqueue", () => {
      test("makes one row per key and answers the first one for a repetition, in the order given", (store) =>
        Effect.gen(function*() {
          const [a] = yield* store.enqueue([post("a")], null, now)
          const rows = yield* store.enqueue([post("b"), post("a", "D9")], null, now)
          assert.strictEqual(rows[1]?.id, a?.id)
          assert.strictEqual(rows.length, 2)
          assert.strictEqual((yield* store.counts).queued, 2)
        }))

      test("takes the replies of a turn from its present run only", (store, messages) =>
        Effect.gen(function*() {
          yield* messages.append(arrival())
          const { attempt, id: turn } = Option.getOrThrow(yield* messages.claim(key("D1"), me, now))
          const mine = { turn, owner: me, attempt }
          yield* store.enqueue([post("mine")], mine, now)
          for (
            const from of [
              { ...mine, owner: other },
              { ...mine, turn: TurnId.make("turn_x") },
              { ...mine, attempt: attempt - 1 }
            ]
          ) {
            const error = yield* Effect.flip(store.enqueue([post("theirs")], from, now))
            assert.strictEqual(error.reason._tag, "TurnLost")
          }
          yield* messages.complete(turn, me, [], now)
          assert.strictEqual((yield* Effect.flip(store.enqueue([post("late")], mine, now))).reason._tag, "TurnLost")
          assert.strictEqual((yield* store.counts).queued, 1)
        }))

      test("keeps thread, text and blocks of a reply", (store) =>
        Effect.gen(function*() {
          const reply = post("k", "C1/7.0", {
            destination: { channel: "C1", threadTs: "7.0" },
            dispatch: { _tag: "Post", text: "a'b\u0000\u{1F600}", blocks: [{ type: "divider" }, null] }
          })
          yield* store.enqueue([reply], null, now)
          const [row] = yield* claim(store)
          assert.deepInclude(row, { ...reply, interim: false, attempts: 0, enqueuedAt: now })
        }))
    })

    describe("claim", () => {
      test("hands out the heads of lanes only, oldest first", (store) =>
        Effect.gen(function*() {
          yield* store.enqueue([post("a1", "A"), post("a2", "A"), post("b1", "B"), post("b2", "B")], null, now)
          assert.deepStrictEqual(keys(yield* claim(store)), ["a1", "b1"])
          assert.deepStrictEqual(yield* claim(store), [])
        }))

      test("hands out the next of a lane when the one before is settled, in the order of the commits", (store) =>
        Effect.gen(function*() {
          yield* store.enqueue([post("1"), post("2"), post("3")], null, now)
          const order: Array<string> = []
          for (let round = 0; round < 3; round++) {
            for (const row of yield* claim(store)) {
              order.push(row.key)
              if (round === 1) yield* store.failed(row.id, me, failure("is_archived"), now)
              else yield* store.delivered(row.id, me, at("1.1"), now)
            }
          }
          assert.deepStrictEqual(order, ["1", "2", "3"])
        }))

      test("keeps the lane of a row that waits for its retry closed, and waits for it", (store) =>
        Effect.gen(function*() {
          yield* store.enqueue([post("1"), post("2")], null, now)
          const [row] = yield* claim(store)
          yield* store.notSent(row?.id ?? 0, me, failure("refused"), { now, dueAt: now + 500.4, countAttempt: false })
          assert.deepStrictEqual(yield* claim(store, now + 499), [])
          assert.strictEqual((yield* store.nextDueAt(now, [], [])).send, now + 500)
          const [again] = yield* claim(store, now + 500)
          assert.deepInclude(again, { key: "1", attempts: 0 })
        }))

      test("takes no more than the limit and no excluded channel", (store) =>
        Effect.gen(function*() {
          yield* store.enqueue(["A", "B", "C", "D"].map((lane) => post(lane, lane)), null, now)
          assert.deepStrictEqual(keys(yield* claim(store, now, { limit: 2, exclude: ["A"] })), ["B", "C"])
        }))

      test("asks for each row's place once and leaves a row without a place", (store) =>
        Effect.gen(function*() {
          yield* store.enqueue(["A/1", "A/2", "B/1"].map((lane) => post(lane, lane)), null, now)
          const asked: Array<string> = []
          const admit = (channel: string) => asked.push(channel) !== 2
          assert.deepStrictEqual(keys(yield* claim(store, now, { admit })), ["A/1", "B/1"])
          assert.deepStrictEqual(asked, ["A", "A", "B"])
          assert.deepStrictEqual(keys(yield* claim(store)), ["A/2"])
        }))

      test("sets what is older than its time to live to expired instead, and goes on behind it", (store) =>
        Effect.gen(function*() {
          const [old] = yield* store.enqueue([post("old")], null, now)
          yield* store.enqueue([post("new")], null, now + 100)
          const taken = yield* claimOrExpire(store, now + 100, { expireBefore: now + 1 })
          assert.deepStrictEqual(taken, { claimed: [], expired: [old?.id ?? 0], ended: [] })
          assert.strictEqual((yield* store.find(old?.id ?? 0))?.state, "expired")
          assert.deepStrictEqual(keys(yield* claim(store, now + 100, { expireBefore: now + 1 })), ["new"])
        }))
    })

    describe("a row that may have arrived", () => {
      const lost = Effect.fnUntraced(function*(store: Store) {
        yield* store.enqueue([post("1"), post("2")], null, now)
        const [row] = yield* claim(store)
        yield* store.unknown(row?.id ?? 0, me, failure("reset"), { now: now + 10, lookAt: now + 20, late: false })
        return row?.id ?? 0
      })

      test("holds its lane for two minutes and no longer", (store) =>
        Effect.gen(function*() {
          yield* lost(store)
          assert.deepStrictEqual(yield* claim(store, now + 9 + hold), [])
          assert.strictEqual((yield* store.nextDueAt(now + 10, [], [])).send, now + 10 + hold)
          assert.deepStrictEqual(keys(yield* claim(store, now + 10 + hold)), ["2"])
        }))

      test("is looked up when its time has come, with what is known about it", (store) =>
        Effect.gen(function*() {
          const id = yield* lost(store)
          assert.deepStrictEqual(yield* store.claimUnknown(now + 19, 9), [])
          assert.strictEqual((yield* store.nextDueAt(now, [], [])).look, now + 20)
          assert.isNull((yield* store.nextDueAt(now, [], [id])).look)
          const [row] = yield* store.claimUnknown(now + 20, 9)
          assert.deepInclude(row, { id, key: "1", sentAt: now, unknownSince: now + 10, looks: 0 })
        }))

      test("counts the looks that worked, and only those", (store) =>
        Effect.gen(function*() {
          const id = yield* lost(store)
          yield* store.looked(id, { lookAt: now + 30, counts: true, newest: null, held: false })
          yield* store.looked(id, { lookAt: now + 40, counts: false, newest: null, held: false })
          yield* store.looked(id, { lookAt: now + 50.5, counts: true, newest: null, held: false })
          const [row] = yield* store.claimUnknown(now + 60, 9)
          assert.strictEqual(row?.looks, 2)
        }))

      test("is sent again as one attempt more once it counts as absent", (store) =>
        Effect.gen(function*() {
          yield* store.absent(yield* lost(store), now + 50)
          const rows = yield* claim(store, now + 50)
          assert.deepStrictEqual(rows.map(({ attempts, key }) => ({ attempts, key })), [{ attempts: 1, key: "1" }])
        }))

      test("stays in doubt when the look was for an earlier send", (store) =>
        Effect.gen(function*() {
          const id = yield* lost(store)
          const [looked] = yield* store.claimUnknown(now + 60, 9)
          yield* store.absent(id, now + 50, { sentAt: looked?.sentAt ?? 0 })
          yield* claim(store, now + 100)
          yield* store.unknown(id, me, failure("reset"), { now: now + 100, lookAt: now + 100, late: false })
          yield* store.absent(id, now + 110, { sentAt: looked?.sentAt ?? 0 })
          assert.strictEqual((yield* store.find(id))?.state, "unknown")
        }))

      test("costs no attempt where Slack was not there, which it knows of itself", (store) =>
        Effect.gen(function*() {
          yield* store.enqueue([post("1")], null, now)
          const [row] = yield* claim(store)
          const id = row?.id ?? 0
          yield* store.unknown(id, me, failure("HTTP 503", unavailable), { now, lookAt: now, late: false })
          assert.deepInclude((yield* store.claimUnknown(now, 9))[0], { id, isFree: true })
          yield* store.absent(id, now + 50, { free: true })
          assert.deepInclude((yield* claim(store, now + 50))[0], { id, attempts: 0 })
          yield* store.unknown(id, me, failure("reset"), { now: now + 50, lookAt: now + 50, late: false })
          assert.deepInclude((yield* store.claimUnknown(now + 50, 9))[0], { id, isFree: false })
        }))

      test("holds its lane anew where nobody could look before", (store) =>
        Effect.gen(function*() {
          const id = yield* lost(store)
          const since = now + hold + 10
          yield* store.looked(id, { lookAt: since, counts: true, newest: null, held: false, since })
          assert.deepInclude((yield* store.claimUnknown(since, 9))[0], { id, unknownSince: since, looks: 1 })
          assert.deepStrictEqual(keys(yield* claim(store, since + hold - 1)), [])
          assert.deepStrictEqual(keys(yield* claim(store, since + hold)), ["2"])
        }))

      test("is what a crash makes of everything in sending, looked up at once", (store) =>
        Effect.gen(function*() {
          yield* store.enqueue([post("1"), post("2")], null, now)
          yield* claim(store)
          yield* TestClock.setTime(now + 5_000)
          yield* (yield* Restart).crash
          assert.deepStrictEqual(yield* claim(store, now + 5_000, { owner: other }), [])
          const [row] = yield* store.claimUnknown(now + 5_000, 9)
          assert.deepInclude(row, { key: "1", sentAt: now, unknownSince: now + 5_000, looks: 0 })
        }))

      test("is looked for at once after a restart, which may have brought what looking needs", (store) =>
        Effect.gen(function*() {
          const id = yield* lost(store)
          yield* store.looked(id, { lookAt: now + 3_600_000, counts: false, newest: null, held: true })
          yield* (yield* Restart).restart
          assert.deepStrictEqual((yield* store.claimUnknown(now, 9)).map((row) => row.id), [id])
        }))

      test("that nobody has looked for holds its lane from the restart on, however long that took", (store) =>
        Effect.gen(function*() {
          yield* lost(store)
          yield* TestClock.setTime(now + 3_600_000)
          yield* (yield* Restart).crash
          assert.deepStrictEqual(yield* claim(store, now + 3_600_000, { owner: other }), [])
          const rows = yield* claim(store, now + 3_600_000 + holdLaneFor, { owner: other })
          assert.deepStrictEqual(rows.map(({ key }) => key), ["2"])
        }))

      test("that nobody has found yet holds its lane anew from the restart on, since the clock may have jumped", (store) =>
        Effect.gen(function*() {
          const id = yield* lost(store)
          yield* store.looked(id, { lookAt: now + 30, counts: true, newest: null, held: false })
          yield* TestClock.setTime(now + 3_600_000)
          yield* (yield* Restart).crash
          assert.deepStrictEqual(yield* claim(store, now + 3_600_000, { owner: other }), [])
          const rows = yield* claim(store, now + 3_600_000 + holdLaneFor, { owner: other })
          assert.deepStrictEqual(rows.map(({ key }) => key), ["2"])
        }))

      test("that is left to a person holds its lane no longer for a restart", (store) =>
        Effect.gen(function*() {
          const id = yield* lost(store)
          yield* store.looked(id, { lookAt: now + 30, counts: false, newest: null, held: true })
          yield* TestClock.setTime(now + 3_600_000)
          yield* (yield* Restart).crash
          const rows = yield* claim(store, now + 3_600_000, { owner: other })
          assert.deepStrictEqual(rows.map(({ key }) => key), ["2"])
        }))

      test("is unknown since the restart where that is earlier, since a clock was wrong", (store) =>
        Effect.gen(function*() {
          const id = yield* lost(store)
          yield* store.looked(id, { lookAt: now + 30, counts: true, newest: null, held: false })
          yield* TestClock.setTime(now - 3_600_000)
          yield* (yield* Restart).crash
          const [row] = yield* store.claimUnknown(now - 3_600_000, 9)
          assert.strictEqual(row?.unknownSince, now - 3_600_000)
        }))

      test("is what a shutdown makes of what its owner has in sending, and of nothing else", (store) =>
        Effect.gen(function*() {
          yield* store.enqueue([post("mine", "A"), post("theirs", "B")], null, now)
          yield* claim(store, now, { limit: 1 })
          yield* claim(store, now, { owner: other })
          assert.strictEqual(yield* store.releaseAll(me, now), 1)
          const { sending, unknown } = yield* store.counts
          assert.deepStrictEqual({ sending, unknown }, { sending: 1, unknown: 1 })
        }))
    })

    atOnceContract(test)
    guards(test)
    rowsContract(test)
    byHandContract(test)
    importContract(test)
    streamsContract(test)
    filesContract(test)

    describe("what it knows", () => {
      test("says when claim has something, and claim has it then", (store) =>
        Effect.gen(function*() {
          assert.deepStrictEqual(yield* store.nextDueAt(now, [], []), { send: null, look: null, behind: false })
          yield* seed(store)
          const { send } = yield* store.nextDueAt(now, [], [])
          assert.strictEqual(send, now)
          yield* claim(store)
          const { send: next } = yield* store.nextDueAt(now, [], [])
          assert.strictEqual(next, now + 60_000)
          assert.deepStrictEqual(yield* claim(store, now + 59_999), [])
          assert.deepStrictEqual(keys(yield* claim(store, now + 60_000)), ["failed_retryable"])
        }))

      test("does not count excluded channels and rows that are held up", (store) =>
        Effect.gen(function*() {
          yield* store.enqueue([post("a", "A"), post("b1", "B"), post("b2", "B")], null, now)
          yield* claim(store, now, { exclude: ["A"] })
          assert.isNull((yield* store.nextDueAt(now, ["A"], [])).send)
        }))

      test("counts each state and the age of what waits", (store) =>
        Effect.gen(function*() {
          yield* seed(store)
          const counts = yield* store.counts
          assert.deepStrictEqual(
            counts,
            { ...Object.fromEntries(states.map((s) => [s, 1])), held: 0, oldestQueuedAt: now } as typeof counts
          )
        }))

      test("knows nothing of a row that never was", (store) =>
        Effect.gen(function*() {
          assert.isNull(yield* store.find(4_711))
        }))
    })
  })
