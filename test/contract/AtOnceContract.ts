/** Replies that begin as `sending`, and what is done for several callers at once. Part of OutboxStoreContract. */
import { assert, describe } from "@effect/vitest"
import { Effect, Option } from "effect"
import { type OwnerId, TurnId } from "../../src/Message.ts"
import type { MessageStore } from "../../src/MessageStore.ts"
import type { NewReply, StoredReply } from "../../src/OutboxStore.ts"
import { arrival, at, failure, key, post } from "../fixtures/messages.ts"
import { claim, keys, type Store } from "./OutboxStoreGuards.ts"
import { Restart } from "./Restart.ts"
import { me, now, other } from "./TurnsContract.ts"

/** A test of the outbox, inside a suite. */
type Test = <A, E>(
  sentence: string,
  body: (store: Store, messages: MessageStore["Service"]) => Effect.Effect<A, E, Restart>
) => void

/** A turn of this conversation runs. */
const running = Effect.fnUntraced(function*(messages: MessageStore["Service"], conversation: string) {
  yield* messages.append(arrival({ conversation: key(conversation) }))
  return Option.getOrThrow(yield* messages.claim(key(conversation), me, now))
})

const states = (rows: ReadonlyArray<StoredReply>) => rows.map(({ state }) => state)

/** All of them, at once; what became of each. */
const together = <A, E extends { readonly reason: { readonly _tag: string } }>(
  calls: ReadonlyArray<Effect.Effect<A, E>>
) =>
  Effect.forEach(
    calls,
    (call) => Effect.match(call, { onSuccess: (value) => value, onFailure: ({ reason }) => reason._tag }),
    {
      concurrency: "unbounded"
    }
  )

const complete = (
  messages: MessageStore["Service"],
  turn: TurnId,
  replies: ReadonlyArray<NewReply>,
  { owner = me, ...left }: { readonly owner?: OwnerId; readonly sender?: OwnerId; readonly state?: string } = {}
) => messages.complete(turn, owner, replies, now, left)

export const atOnceContract = (test: Test) => {
  describe("a reply with a sender", () => {
    test("begins as sending where nothing of its lane is unsettled, as if it had been claimed", (store) =>
      Effect.gen(function*() {
        yield* store.enqueue([post("claimed", "A")], null, now)
        const [asClaimed] = yield* claim(store)
        assert.isDefined(asClaimed)
        const [row] = yield* store.enqueue([post("begun", "B")], null, now, me)
        assert.deepStrictEqual(
          row?.begun,
          {
            ...asClaimed,
            id: row?.id ?? 0,
            key: "begun",
            lane: key("B"),
            destination: {
              channel: "B"
            },
            dispatch: { _tag: "Post", text: "begun" }
          }
        )
        assert.deepStrictEqual(yield* claim(store), [])
        const [first, second] = yield* store.list({}, { limit: 2 })
        assert.deepStrictEqual(
          { ...second, id: 0, key: "", lane: "", channel: "", text: "" },
          { ...first, id: 0, key: "", lane: "", channel: "", text: "" }
        )
        yield* store.delivered(row?.id ?? 0, me, at("2.1"), now)
        assert.strictEqual((yield* store.find(row?.id ?? 0))?.state, "delivered")
      }))

    test("waits behind whatever of its lane is queued, being sent, unknown or to be sent again", (store) =>
      Effect.gen(function*() {
        const begun = (lane: string) =>
          Effect.map(store.enqueue([post(`${lane} behind`, lane)], null, now, me), ([row]) => row?.begun)
        for (const lane of ["sending", "unknown", "again", "over"]) yield* store.enqueue([post(lane, lane)], null, now)
        const [, unknown, again, over] = yield* claim(store)
        yield* store.unknown(unknown?.id ?? 0, me, failure("reset"), { now, lookAt: now, late: false })
        yield* store.notSent(again?.id ?? 0, me, failure("dns"), { now, dueAt: now + 500, countAttempt: false })
        yield* store.delivered(over?.id ?? 0, me, at("1.1"), now)
        yield* store.enqueue([post("queued", "queued")], null, now)
        for (const lane of ["queued", "sending", "unknown", "again"]) assert.isUndefined(yield* begun(lane), lane)
        assert.strictEqual((yield* begun("over"))?.key, "over behind")
      }))

    test("is the first of its commit, and the only one", (store) =>
      Effect.gen(function*() {
        const rows = yield* store.enqueue([post("1", "A"), post("2", "A"), post("3", "B")], null, now, me)
        assert.deepStrictEqual(states(rows), ["sending", "queued", "queued"])
        assert.isTrue((yield* store.nextDueAt(now, [], [])).behind)
        assert.deepStrictEqual(keys(yield* claim(store)), ["3"])
        yield* store.delivered(rows[0]?.id ?? 0, me, at("1.1"), now)
        assert.isFalse((yield* store.nextDueAt(now, [], [])).behind)
        assert.deepStrictEqual(keys(yield* claim(store)), ["2"])
      }))

    test("waits where its key is known, or it is no plain post that can be looked up", (store) =>
      Effect.gen(function*() {
        const [known] = yield* store.enqueue([post("known", "K")], null, now, me)
        const again = yield* store.enqueue([post("known", "K")], null, now, me)
        assert.deepStrictEqual([again[0]?.id, again[0]?.begun], [known?.id, undefined])
        const shapes: ReadonlyArray<Partial<NewReply>> = [
          { interim: true },
          { notBefore: now + 1 },
          { target: known?.id ?? 0, dispatch: { _tag: "Update", text: "u" } },
          { dispatch: { _tag: "Ephemeral", user: "U1", text: "e" } },
          { dispatch: { _tag: "StreamStart" } }
        ]
        for (const [n, shape] of shapes.entries()) {
          const [row] = yield* store.enqueue([post(`shape ${n}`, `L${n}`, shape)], null, now, me)
          assert.strictEqual(row?.state, "queued", JSON.stringify(shape))
        }
      }))

    test(
      "goes before progress of its turn that was not sent, which it ends",
      (store, messages) =>
        Effect.gen(function*() {
          const { attempt, id: turn } = yield* running(messages, "D1")
          const [progress] = yield* store.enqueue(
            [post("p", "D1", { interim: true })],
            { turn, owner: me, attempt },
            now
          )
          const { begun, queued } = yield* complete(messages, turn, [post("final")], { sender: me })
          assert.deepStrictEqual([begun?.key, queued], ["final", false])
          assert.strictEqual((yield* store.find(progress?.id ?? 0))?.reason, "interim")
        })
    )

    test("is in doubt when its process dies, like any other that was being sent", (store) =>
      Effect.gen(function*() {
        yield* (yield* Restart).crash
        const [row] = yield* store.enqueue([post("begun", "A")], null, now, me)
        yield* (yield* Restart).crash
        const [unknown] = yield* store.claimUnknown(now, 9)
        assert.deepStrictEqual([unknown?.id, unknown?.sentAt, unknown?.late], [row?.id ?? 0, now, true])
        assert.deepStrictEqual(yield* claim(store), [])
      }))

    test("has its blocks as they were when it was committed", (store) =>
      Effect.gen(function*() {
        const blocks: Array<unknown> = [{ type: "divider" }]
        const [row] = yield* store.enqueue(
          [post("b", "B", { dispatch: { _tag: "Post", text: "t", blocks } })],
          null,
          now,
          me
        )
        blocks.push({ type: "changed" })
        const { dispatch } = row?.begun ?? {}
        assert.deepStrictEqual(dispatch, { _tag: "Post", text: "t", blocks: [{ type: "divider" }] })
      }))
  })

  describe("what comes at once", () => {
    test(
      "completions end as they would alone: lost, known, with a state, and in order",
      (store, messages) =>
        Effect.gen(function*() {
          const [a, b, c, d] = yield* Effect.forEach(["A", "B", "C", "D"], (lane) => running(messages, lane))
          const none = TurnId.make("turn_none")
          yield* store.enqueue([post("known", "B")], null, now)
          yield* messages.saveStep({ turn: c?.id ?? none, owner: me, attempt: 1 }, "step", "1", now)
          const ends = yield* together([
            complete(messages, a?.id ?? none, [post("a", "A")], { sender: me, state: `"left"` }),
            complete(messages, b?.id ?? none, [post("known", "B")], { sender: me }),
            complete(messages, c?.id ?? none, [post("c1", "C"), post("c2", "C")], { sender: me }),
            complete(messages, d?.id ?? none, [post("theirs", "D")], { owner: other, sender: other }),
            complete(messages, a?.id ?? none, [post("twice", "A")], { sender: me }),
            complete(messages, none, [post("nobody's", "N")], { sender: me })
          ])
          assert.deepStrictEqual(
            ends.map((end) => typeof end === "string" ? end : [end.begun?.key, end.queued]),
            [["a", false], [undefined, true], ["c1", true], "TurnLost", "TurnLost", "TurnLost"]
          )
          const rows = yield* store.list({}, { limit: 9 })
          assert.deepStrictEqual(
            rows.map((row) => [row.key, row.state, row.turn]),
            [["known", "queued", null], ["a", "sending", a?.id ?? ""], ["c1", "sending", c?.id ?? ""], [
              "c2",
              "queued",
              c?.id ?? ""
            ]]
          )
          const { done, processing } = yield* messages.counts
          assert.deepStrictEqual([done, processing], [3, 1])
          assert.strictEqual(yield* messages.state(key("A")), `"left"`)
          assert.strictEqual((yield* messages.steps(c?.id ?? none)).size, 0)
        })
    )

    test("a completion that cannot be stored fails alone", (store, messages) =>
      Effect.gen(function*() {
        const [a, b] = yield* Effect.forEach(["A", "B"], (lane) => running(messages, lane))
        const nowhere = post("b", "B", { destination: { channel: null } as unknown as NewReply["destination"] })
        const none = TurnId.make("turn_none")
        const ends = yield* together([
          complete(messages, a?.id ?? none, [post("a", "A")]),
          complete(messages, b?.id ?? none, [nowhere])
        ])
        assert.deepStrictEqual(ends.map((end) => typeof end === "string" ? end : end.queued), [
          true,
          "StoreUnavailable"
        ])
        assert.deepStrictEqual(keys(yield* claim(store)), ["a"])
        const { done, processing } = yield* messages.counts
        assert.deepStrictEqual([done, processing], [1, 1])
      }))

    test("replies and deliveries come to the same as one after the other", (store) =>
      Effect.gen(function*() {
        const rows = yield* together([
          store.enqueue([post("a", "A")], null, now, me),
          store.enqueue([post("a", "A")], null, now, me),
          store.enqueue([post("a2", "A")], null, now, me),
          store.enqueue([post("b", "B"), post("b#1", "B", { part: 1 })], null, now, me),
          store.enqueue([post("c", "C")], null, now)
        ])
        const of = rows.map((row) => typeof row === "string" ? [] : row)
        assert.deepStrictEqual(of.map(states), [["sending"], ["sending"], ["queued"], ["sending", "queued"], [
          "queued"
        ]])
        assert.deepStrictEqual(of.map((row) => row[0]?.begun?.key), ["a", undefined, undefined, "b", undefined])
        const ids = of.flatMap((row) => row.map(({ id }) => id))
        const [a = 0, , , b = 0] = ids
        assert.deepStrictEqual(ids.map((id) => id - a), [0, 0, 1, 2, 3, 4])
        yield* together([
          store.delivered(a, me, at("1.1"), now),
          store.delivered(a, me, at("9.9"), now + 1),
          store.delivered(b, other, at("2.1"), now),
          store.delivered(4_711, me, at("3.1"), now)
        ])
        const ends = yield* Effect.forEach([a, ids[3] ?? 0], (id) => store.find(id))
        assert.deepStrictEqual(ends.map((row) => [row?.state, row?.ts]), [["delivered", "1.1"], ["sending", null]])
      }))
  })
}
