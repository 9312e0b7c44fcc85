/** The life of a turn in the inbox: releases, retries, crashes, ends. Part of MessageStoreContract. */
import { assert, describe } from "@effect/vitest"
import { Effect, Option } from "effect"
import { OwnerId, TurnId } from "../../src/Message.ts"
import { MessageStore } from "../../src/MessageStore.ts"
import type { OutboxStore } from "../../src/OutboxStore.ts"
import { arrival, key, post } from "../fixtures/messages.ts"
import { epoch } from "../fixtures/time.ts"
import { Restart } from "./Restart.ts"

export const me = OwnerId.make("me")
export const other = OwnerId.make("other")
export const now = epoch

export const texts = (turn: { readonly messages: ReadonlyArray<{ readonly text: string }> }) =>
  turn.messages.map((message) => message.text)

/** A turn that must be there. */
export const claimed = Effect.fnUntraced(function*(conversation = "D1", owner = me, at = now) {
  const turn = yield* (yield* MessageStore).claim(key(conversation), owner, at)
  return yield* Effect.fromOption(turn).pipe(Effect.orDie)
})

/** Whoever comes after a crash; holds nothing itself. */
const successor = OwnerId.make("successor")

/** The process dies, and the next instance takes what it left. */
export const crashed = Effect.gen(function*() {
  yield* (yield* Restart).crash
  yield* (yield* MessageStore).recover([successor], now, 100)
})

/** Conversations that are ready, in order. */
export const ready = Effect.fnUntraced(function*(at: number, limit = 10) {
  const found = yield* (yield* MessageStore).ready(at, limit)
  return found.map(({ conversation }) => String(conversation))
})

/** Identities of two events about one message. */
export const twin = (event: string) => [`event:${event}`, "message:D1/1"]

/** The reason tag with which a store call fails. */
export const refusal = <A, R>(effect: Effect.Effect<A, { readonly reason: { readonly _tag: string } }, R>) =>
  Effect.map(Effect.flip(effect), (error) => error.reason._tag)

/** A test of the stores, inside a suite. */
export type Test = <A, E>(
  sentence: string,
  body: (
    store: MessageStore["Service"],
    outbox: OutboxStore["Service"]
  ) => Effect.Effect<A, E, MessageStore | OutboxStore | Restart>
) => void

export const turnsContract = (test: Test) => {
  describe("a turn", () => {
    test("keeps its id and its messages over a release, which costs no attempt", (store) =>
      Effect.gen(function*() {
        yield* store.append(arrival({ text: "one" }))
        const turn = yield* claimed()
        assert.strictEqual(yield* store.releaseAll(me, now), 1)
        yield* store.append(arrival({ text: "two" }))
        const again = yield* claimed("D1", other)
        assert.deepStrictEqual([again.id, again.attempt, texts(again)], [turn.id, 1, ["one"]])
      }))

    test("gives back only what its owner holds", (store) =>
      Effect.gen(function*() {
        yield* store.append(arrival())
        yield* claimed("D1", other)
        assert.strictEqual(yield* store.releaseAll(me, now), 0)
        assert.strictEqual((yield* store.counts).processing, 1)
      }))

    test("keeps its id and its messages over a retry, and waits for its time", (store) =>
      Effect.gen(function*() {
        yield* store.append(arrival({ text: "one" }))
        const turn = yield* claimed()
        yield* store.retryLater(turn.id, me, "boom", now + 1_000.4)
        yield* store.append(arrival({ text: "two" }))
        assert.deepStrictEqual(yield* ready(now + 999), [])
        assert.strictEqual(yield* store.nextDueAt, now + 1_000)
        assert.isTrue(Option.isNone(yield* store.claim(key("D1"), me, now + 999)))
        const again = yield* claimed("D1", me, now + 1_000)
        assert.deepStrictEqual([again.id, again.attempt, again.failures, texts(again)], [turn.id, 2, 1, ["one"]])
      }))

    test("keeps its id and its messages over a crash, which counts as an attempt", (store) =>
      Effect.gen(function*() {
        yield* store.append(arrival({ text: "one" }))
        const turn = yield* claimed()
        yield* store.append(arrival({ text: "two" }, { dueAt: now + 60_000 }))
        yield* crashed
        const again = yield* claimed("D1", other)
        assert.deepStrictEqual([again.id, again.attempt, texts(again)], [turn.id, 2, ["one"]])
        yield* store.complete(again.id, other, [], now)
        assert.deepStrictEqual(texts(yield* claimed("D1", other)), ["two"])
      }))

    test("keeps the messages it has when a twin of one of them comes while it waits for its retry", (store) =>
      Effect.gen(function*() {
        yield* store.append(arrival({ text: "one" }, { keys: twin("a") }))
        const turn = yield* claimed()
        yield* store.retryLater(turn.id, me, "boom", now)
        yield* store.append(arrival({ text: "one", threadTs: "7.0" }, { keys: twin("b") }))
        assert.deepStrictEqual((yield* claimed()).messages, turn.messages)
      }))
  })

  describe("the end of a turn", () => {
    for (const call of ["complete", "retryLater", "fail"] as const) {
      test(`is refused to a former owner (${call}), who changes nothing`, (store, outbox) =>
        Effect.gen(function*() {
          yield* store.append(arrival())
          const turn = yield* claimed()
          yield* store.releaseAll(me, now)
          yield* claimed("D1", other)
          const before = yield* store.counts
          const late = call === "complete"
            ? store.complete(turn.id, me, [post("late")], now)
            : call === "retryLater"
            ? store.retryLater(turn.id, me, "late", now)
            : store.fail(turn.id, me, "late", [post("late")], now)
          assert.strictEqual(yield* refusal(late), "TurnLost")
          assert.deepStrictEqual(yield* store.counts, before)
          assert.strictEqual((yield* outbox.counts).queued, 0)
          yield* store.complete(turn.id, other, [], now)
          assert.strictEqual(yield* refusal(store.complete(turn.id, other, [], now)), "TurnLost")
        }))
    }

    test("refuses a turn that never was", (store) =>
      Effect.gen(function*() {
        assert.strictEqual(yield* refusal(store.complete(TurnId.make("turn_x"), me, [], now)), "TurnLost")
      }))

    test("commits completion and replies together", (store, outbox) =>
      Effect.gen(function*() {
        yield* store.append(arrival())
        yield* store.complete((yield* claimed()).id, me, [post("a"), post("b")], now)
        const { done, processing, queued } = yield* store.counts
        assert.deepStrictEqual({ done, processing, queued }, { done: 1, processing: 0, queued: 0 })
        assert.strictEqual((yield* outbox.counts).queued, 2)
      }))

    test("rolls the completion back when a reply cannot be stored", (store, outbox) =>
      Effect.gen(function*() {
        yield* store.append(arrival())
        const turn = yield* claimed()
        const unstorable = post("bad", "D1", { destination: { channel: null as unknown as string } })
        const ended = yield* Effect.exit(store.complete(turn.id, me, [post("good"), unstorable], now))
        assert.strictEqual(ended._tag, "Failure")
        assert.strictEqual((yield* store.counts).processing, 1)
        assert.strictEqual((yield* outbox.counts).queued, 0)
        yield* store.complete(turn.id, me, [post("good")], now)
        assert.strictEqual((yield* outbox.counts).queued, 1)
      }))

    test(
      "dead-letters the turn's messages with the notice, and lets the conversation go on",
      (store, outbox) =>
        Effect.gen(function*() {
          yield* store.append(arrival({ text: "poison" }))
          const turn = yield* claimed()
          yield* store.append(arrival({ text: "next" }))
          yield* store.fail(turn.id, me, "boom", [post("notice")], now)
          const { failed, queued } = yield* store.counts
          assert.deepStrictEqual({ failed, queued }, { failed: 1, queued: 1 })
          assert.strictEqual((yield* outbox.counts).queued, 1)
          assert.deepStrictEqual(texts(yield* claimed()), ["next"])
        })
    )

    test("tells which conversations were at work lately, each once, the last one first", (store) =>
      Effect.gen(function*() {
        const recent = (since: number, limit = 9) =>
          Effect.map(store.recentConversations(since, limit), (found) => found.map(String))
        for (const [at, name] of ["D1", "D2", "D3", "D2", "D4"].entries()) {
          yield* store.append(arrival({ conversation: key(name) }))
          const turn = yield* claimed(name)
          if (name === "D3") yield* store.fail(turn.id, me, "boom", [], now + at)
          else if (name !== "D4") yield* store.complete(turn.id, me, [], now + at)
        }
        // What waits and what is ignored is none.
        yield* store.append(arrival({ conversation: key("D5") }))
        yield* store.append(arrival({ conversation: key("D6") }, { ignored: "not addressed" }))
        assert.deepStrictEqual(yield* recent(now), ["D4", "D2", "D3", "D1"])
        assert.deepStrictEqual(yield* recent(now + 2), ["D4", "D2", "D3"])
        assert.deepStrictEqual(yield* recent(now, 2), ["D4", "D2"])
      }))
  })
}
