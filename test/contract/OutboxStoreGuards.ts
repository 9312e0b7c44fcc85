/** Which states each write of the outbox may leave, and for whom. Part of OutboxStoreContract. */
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { OwnerId } from "../../src/Message.ts"
import type { MessageStore } from "../../src/MessageStore.ts"
import { type OutboxStore, type ReplyState } from "../../src/OutboxStore.ts"
import { at, failure, post } from "../fixtures/messages.ts"
import { epoch } from "../fixtures/time.ts"
import type { Restart } from "./Restart.ts"

const me = OwnerId.make("me")
const other = OwnerId.make("other")
const now = epoch

export type Store = OutboxStore["Service"]
type ClaimOptions = Parameters<Store["claim"]>[0]

export const claimOrExpire = (store: Store, at = now, given: Partial<ClaimOptions> = {}) =>
  store.claim({ owner: me, now: at, limit: 10, exclude: [], admit: () => true, expireBefore: 0, ...given })

export const claim = (store: Store, at = now, given: Partial<ClaimOptions> = {}) =>
  Effect.map(claimOrExpire(store, at, given), ({ claimed }) => claimed)

export const keys = (rows: ReadonlyArray<{ readonly key: string }>) => rows.map((row) => row.key)

/** Puts one row (`key` = its state) into each of the states. */
export const seed = Effect.fnUntraced(function*(store: Store) {
  const ids = {} as Record<ReplyState, number>
  const add = Effect.fnUntraced(function*(state: ReplyState, to: (id: number) => Effect.Effect<unknown, unknown>) {
    const [row] = yield* store.enqueue([post(state, `D-${state}`)], null, now)
    ids[state] = row?.id ?? -1
    if (state !== "queued") yield* Effect.orDie(to(ids[state]))
  })
  yield* add("sending", () => claim(store))
  yield* add(
    "unknown",
    (id) =>
      Effect.andThen(claim(store), store.unknown(id, me, failure("reset"), { now: now, lookAt: now, late: false }))
  )
  yield* add(
    "failed_retryable",
    (id) =>
      Effect.andThen(
        claim(store),
        store.notSent(id, me, failure("refused"), { now, dueAt: now + 60_000, countAttempt: false })
      )
  )
  yield* add("delivered", (id) => Effect.andThen(claim(store), store.delivered(id, me, at("1.000001"), now)))
  yield* add("failed_terminal", (id) => Effect.andThen(claim(store), store.failed(id, me, failure("is_archived"), now)))
  yield* add("expired", () => claim(store, now, { expireBefore: now + 1 }))
  yield* add("queued", () => Effect.void)
  return ids
})

/** Each write, and the states it may leave. Everything else stays as it is. */
const writes: ReadonlyArray<
  readonly [
    name: string,
    leaves: ReadonlyArray<ReplyState>,
    write: (store: Store, id: number) => Effect.Effect<unknown, unknown>
  ]
> = [
  ["delivered", ["sending", "unknown"], (store, id) => store.delivered(id, me, at("9.000009"), now)],
  [
    "notSent",
    ["sending"],
    (store, id) => store.notSent(id, me, failure("again"), { now, dueAt: now, countAttempt: true })
  ],
  [
    "unknown",
    ["sending"],
    (store, id) => store.unknown(id, me, failure("again"), { now: now, lookAt: now, late: false })
  ],
  ["absent", ["unknown"], (store, id) => store.absent(id, now)],
  ["failed", ["sending", "unknown"], (store, id) => store.failed(id, me, failure("again"), now)],
  ["retry", ["unknown", "failed_terminal", "expired"], (store, id) => store.retry({ ids: [id] }, now)]
]

export const states: ReadonlyArray<ReplyState> = [
  "queued",
  "sending",
  "unknown",
  "failed_retryable",
  "delivered",
  "failed_terminal",
  "expired"
]

/** A test of the store, inside a suite. */
export type Test = <A, E>(
  sentence: string,
  body: (store: Store, messages: MessageStore["Service"]) => Effect.Effect<A, E, Restart>
) => void

export const guards = (test: Test) =>
  describe("guarded writes", () => {
    for (const [name, leaves, write] of writes) {
      test(`${name} leaves ${leaves.join(" or ")} and changes nothing else`, (store) =>
        Effect.gen(function*() {
          const ids = yield* seed(store)
          for (const state of states) {
            const before = yield* store.find(ids[state])
            assert.strictEqual(before?.state, state)
            yield* Effect.orDie(write(store, ids[state]))
            const after = yield* store.find(ids[state])
            if (leaves.includes(state)) assert.notStrictEqual(after?.state, state)
            else assert.deepStrictEqual(after, before)
          }
        }))
    }

    test("expire and discard leave what waits, and what is on its way or done stays", (store) =>
      Effect.gen(function*() {
        const ids = yield* seed(store)
        yield* store.expire(now + 1, failure("again"), now)
        const after = yield* Effect.forEach(states, (state) => store.find(ids[state]))
        const expired = ["expired", "sending", "unknown", "expired", "delivered", "failed_terminal", "expired"]
        assert.deepStrictEqual(after.map((row) => row?.state ?? ""), expired)
        yield* store.discard({}, now)
        const discarded = yield* Effect.forEach(states, (state) => store.find(ids[state]))
        const kept = expired.map((state) => state === "sending" || state === "delivered" ? state : "failed_terminal")
        assert.deepStrictEqual(discarded.map((row) => row?.state ?? ""), kept)
      }))

    test("are refused to a sender that no longer holds the row", (store) =>
      Effect.gen(function*() {
        const { sending } = yield* seed(store)
        yield* store.delivered(sending, other, at("9.9"), now)
        yield* store.notSent(sending, other, failure("x"), { now, dueAt: now, countAttempt: false })
        yield* store.unknown(sending, other, failure("x"), { now: now, lookAt: now, late: false })
        yield* store.failed(sending, other, failure("x"), now)
        assert.strictEqual((yield* store.find(sending))?.state, "sending")
      }))

    test("leave an ended row out of every later claim", (store) =>
      Effect.gen(function*() {
        yield* seed(store)
        const later = yield* claim(store, now + 1_000_000)
        assert.deepStrictEqual(keys(later), ["failed_retryable", "queued"])
      }))

    test("count an unknown error as an attempt, an outage not", (store) =>
      Effect.gen(function*() {
        yield* store.enqueue([post("1")], null, now)
        for (const countAttempt of [true, false]) {
          const [row] = yield* claim(store)
          yield* store.notSent(row?.id ?? 0, me, failure("x"), { now, dueAt: now, countAttempt })
        }
        assert.strictEqual((yield* claim(store))[0]?.attempts, 1)
      }))
  })
