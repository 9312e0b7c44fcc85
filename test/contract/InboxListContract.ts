/** What an operator sees of the inbox, on every adapter. Part of MessageStoreContract. */
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import type { MessageSelection } from "../../src/InboxByHand.ts"
import { MessageStore } from "../../src/MessageStore.ts"
import { arrival, key, post, tsAt } from "../fixtures/messages.ts"
import { failed, one } from "./InboxByHandContract.ts"
import { claimed, me, now, type Test } from "./TurnsContract.ts"

type Store = MessageStore["Service"]

const idsOf = (store: Store, which: MessageSelection) =>
  Effect.map(store.list(which, { limit: 99 }), (rows) => rows.map(({ id }) => id))

export const inboxListContract = (test: Test) => {
  describe("the list", () => {
    const some = Effect.gen(function*() {
      const store = yield* MessageStore
      yield* failed(["dead"], { conversation: "C1/1.0", error: "no such model" })
      yield* store.append(arrival({ conversation: key("C1") }, { ignored: "not addressed", receivedAt: now + 1 }))
      yield* store.append(arrival({ conversation: key("C1/2.0") }, { receivedAt: now + 2, dueAt: now + 2 }))
      yield* claimed("C1/2.0", me, now + 2)
      yield* store.append(arrival({ conversation: key("C10/1.0") }, { receivedAt: now + 3, dueAt: now + 3 }))
      yield* store.complete((yield* claimed("C10/1.0", me, now + 3)).id, me, [], now + 3)
      yield* store.append(arrival({ conversation: key("D1") }, { receivedAt: now + 4, dueAt: now + 9 }))
      yield* store.append(arrival({ conversation: key("D1") }, { ignored: "own message", receivedAt: now + 5 }))
    })

    test("has what was asked for, the newest first", (store) =>
      Effect.gen(function*() {
        yield* some
        assert.deepStrictEqual(yield* idsOf(store, {}), [6, 5, 4, 3, 2, 1])
        assert.deepStrictEqual(yield* idsOf(store, { states: ["failed", "queued"] }), [5, 1])
        assert.deepStrictEqual(yield* idsOf(store, { states: ["ignored"] }), [6, 2])
        assert.deepStrictEqual(yield* idsOf(store, { states: ["processing", "done"] }), [4, 3])
        assert.deepStrictEqual(yield* idsOf(store, { states: [] }), [])
        assert.deepStrictEqual(yield* idsOf(store, { ids: [1, 4, 99] }), [4, 1])
        assert.deepStrictEqual(yield* idsOf(store, { ids: [] }), [])
        assert.deepStrictEqual(yield* idsOf(store, { ids: [1, 4], states: ["done"] }), [4])
        assert.deepStrictEqual(yield* idsOf(store, { conversation: key("D1") }), [6, 5])
        assert.deepStrictEqual(yield* idsOf(store, { conversation: key("C1") }), [2])
        assert.deepStrictEqual(yield* idsOf(store, { channel: "C1" }), [3, 2, 1])
        assert.deepStrictEqual(yield* idsOf(store, { reason: "such" }), [1])
        assert.deepStrictEqual(yield* idsOf(store, { states: ["ignored"], reason: "own" }), [6])
        assert.deepStrictEqual(yield* idsOf(store, { receivedFrom: now + 1, receivedBefore: now + 4 }), [4, 3, 2])
      }))

    test("goes page by page, back from the newest or on from one", (store) =>
      Effect.gen(function*() {
        yield* some
        const page = (options: Parameters<Store["list"]>[1], states?: MessageSelection["states"]) =>
          Effect.map(store.list(states === undefined ? {} : { states }, options), (rows) => rows.map(({ id }) => id))
        assert.deepStrictEqual(yield* page({ limit: 2 }), [6, 5])
        assert.deepStrictEqual(yield* page({ limit: 2, before: 5 }), [4, 3])
        assert.deepStrictEqual(yield* page({ limit: 9, before: 2 }), [1])
        assert.deepStrictEqual(yield* page({ limit: 2, after: 0 }), [1, 2])
        assert.deepStrictEqual(yield* page({ limit: 2, after: 2 }, ["queued", "ignored"]), [5, 6])
      }))

    test("says of each what is known, also while it is asked for again", (store) =>
      Effect.gen(function*() {
        const { id: turn } = yield* failed(["dead"])
        const [row] = yield* store.list({ turns: [turn] }, { limit: 9 })
        assert.deepStrictEqual(row, {
          id: 1,
          state: "failed",
          conversation: key("D1"),
          kind: "message",
          channel: "D1",
          user: "U1",
          text: "dead",
          ts: tsAt(0),
          threadTs: null,
          reason: "boom",
          turn,
          attempts: 1,
          failures: 1,
          crashes: 0,
          receivedAt: now,
          dueAt: now,
          finishedAt: now,
          retries: 0,
          retriedAt: null,
          blanked: false
        })
        yield* store.retry({ ids: [1] }, now + 7)
        const [again] = yield* store.list({ states: ["queued"] }, { limit: 9 })
        assert.deepInclude(again, { id: 1, reason: null, failures: 0, dueAt: now + 7, finishedAt: null, retries: 1 })
      }))
  })

  describe("what is shown of a message", () => {
    test(
      "is everything: payload, keys, and its turn with messages, steps and replies",
      (store, outbox) =>
        Effect.gen(function*() {
          const payload = { event: { text: "every word" }, authorizations: [{ team_id: "T1" }] }
          yield* store.append(arrival({ payload, text: "one" }, { keys: ["event:a", "message:D1/1"] }))
          yield* store.append(arrival({ text: "two" }, { keys: ["event:b", "message:D1/1"], receivedAt: now + 60_000 }))
          yield* store.append(arrival({ text: "two", ts: tsAt(1) }))
          const turn = yield* claimed()
          const run = { turn: turn.id, owner: me, attempt: 1 }
          yield* store.saveStep(run, "search", "42", now)
          yield* store.saveStatus(run, "searching")
          yield* outbox.enqueue(
            [post(`${turn.id}:said`, "D1", { dispatch: { _tag: "Post", text: "so far" } })],
            run,
            now
          )
          yield* store.fail(turn.id, me, "boom", [], now + 1)
          const shown = yield* one(store, 1)
          assert.deepInclude(shown, { id: 1, payload, keys: ["event:a", "event:b", "message:D1/1"], byHand: [] })
          assert.deepStrictEqual(shown.turnRecord, {
            id: turn.id,
            state: "failed",
            interrupted: false,
            status: "searching",
            error: "boom",
            createdAt: now,
            dueAt: now,
            finishedAt: now + 1,
            messages: [
              { id: 1, state: "failed", ts: tsAt(0), text: "one" },
              { id: 2, state: "failed", ts: tsAt(1), text: "two" }
            ],
            steps: ["search"],
            replies: [{ id: 1, state: "queued", kind: "Post", text: "so far", ts: null, reason: null }]
          })
        })
    )

    test("is nothing that lets anybody act in Slack", (store) =>
      Effect.gen(function*() {
        const payload = { token: "s3cret", trigger_id: "1.2.s3cret", deep: [{ response_url: "https://s3cret" }], ok: 1 }
        yield* store.append(arrival({ payload }))
        const shown = yield* one(store, 1)
        assert.notInclude(JSON.stringify(shown), "s3cret")
        assert.deepInclude(shown.payload, { ok: 1, token: "(hidden)" })
      }))

    test("is nothing of a message that never was, and no turn of one that none has taken", (store) =>
      Effect.gen(function*() {
        assert.isNull(yield* store.show(7))
        yield* store.append(arrival())
        assert.isNull((yield* one(store, 1)).turnRecord)
      }))
  })
}
