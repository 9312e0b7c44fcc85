/** What every adapter of MessageStore must do. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import { TestClock } from "effect/testing"
import { heardLate, MessageStore, type NewMessage, notAddressed } from "../../src/MessageStore.ts"
import { OutboxStore } from "../../src/OutboxStore.ts"
import { arrival, inbound, key, post, tsAt } from "../fixtures/messages.ts"
import { epoch } from "../fixtures/time.ts"
import { begunContract } from "./BegunContract.ts"
import { inboxByHandContract } from "./InboxByHandContract.ts"
import { inboxListContract } from "./InboxListContract.ts"
import { keepingContract } from "./KeepingContract.ts"
import { pruningContract } from "./PruningContract.ts"
import { recoveryContract } from "./RecoveryContract.ts"
import type { Restart } from "./Restart.ts"
import { runsContract } from "./RunsContract.ts"
import { traceContract } from "./TraceContract.ts"
import { claimed, me, now, other, ready, texts, turnsContract, twin } from "./TurnsContract.ts"

export const suite = (name: string, layer: Layer.Layer<MessageStore | OutboxStore | Restart>) =>
  describe(`MessageStore on ${name}`, () => {
    const test = <A, E>(
      sentence: string,
      body: (
        store: MessageStore["Service"],
        outbox: OutboxStore["Service"]
      ) => Effect.Effect<A, E, MessageStore | OutboxStore | Restart>
    ) =>
      it.effect(sentence, () =>
        Effect.gen(function*() {
          yield* TestClock.setTime(epoch)
          return yield* body(yield* MessageStore, yield* OutboxStore)
        }).pipe(Effect.provide(Layer.fresh(layer))))

    describe("append", () => {
      test("queues a message and recognises it by any of its keys", (store) =>
        Effect.gen(function*() {
          const message = arrival({}, { keys: ["event:a", "message:D1/1"] })
          assert.deepStrictEqual(yield* store.append(message), { _tag: "Queued" })
          for (const keys of [["event:a"], ["event:b", "message:D1/1"], ["event:b"]]) {
            assert.deepStrictEqual(yield* store.append({ ...message, keys }), { _tag: "Duplicate", revived: false })
          }
          assert.strictEqual((yield* store.counts).queued, 1)
        }))

      test("keeps an ignored message with its payload out of every turn", (store) =>
        Effect.gen(function*() {
          assert.deepStrictEqual(yield* store.append(arrival({}, { ignored: "not addressed" })), { _tag: "Ignored" })
          assert.deepStrictEqual(yield* ready(now), [])
          assert.isTrue(Option.isNone(yield* store.claim(key("D1"), me, now)))
          assert.strictEqual((yield* store.counts).ignored, 1)
        }))

      test("gives a queued message what only its twin knows, and lets it keep its own", (store) =>
        Effect.gen(function*() {
          yield* store.append(arrival({ text: "first" }, { keys: twin("a") }))
          yield* store.append(arrival({ text: "second", threadTs: "7.0" }, { keys: twin("b") }))
          const [message] = (yield* claimed()).messages
          assert.strictEqual(message?.text, "first")
          assert.strictEqual(message?.threadTs, "7.0")
        }))

      test("revives an ignored message when a twin addresses the bot, once, with what both know", (store) =>
        Effect.gen(function*() {
          yield* store.append(arrival({ threadTs: "7.0" }, { keys: twin("a"), ignored: "not addressed" }))
          const mention = arrival({ kind: "app_mention" }, { keys: twin("b") })
          assert.deepStrictEqual(yield* store.append(mention), { _tag: "Duplicate", revived: true })
          const again = arrival({}, { keys: twin("c") })
          assert.deepStrictEqual(yield* store.append(again), { _tag: "Duplicate", revived: false })
          const [message] = (yield* claimed()).messages
          assert.deepInclude(message, { kind: "app_mention", threadTs: "7.0" })
        }))

      test("does not revive what it ignored because the very same event comes again", (store) =>
        Effect.gen(function*() {
          yield* store.append(arrival({}, { keys: twin("a"), ignored: "not addressed" }))
          assert.deepStrictEqual(yield* store.append(arrival({}, { keys: twin("a") })), {
            _tag: "Duplicate",
            revived: false
          })
        }))

      test("does not revive what an operator discarded", (store) =>
        Effect.gen(function*() {
          yield* store.append(arrival({}, { keys: twin("a"), ignored: "discarded" }))
          yield* store.append(arrival({}, { keys: twin("b") }))
          assert.deepStrictEqual(yield* ready(now), [])
        }))

      const thread = { conversation: key("C1/1.0"), channel: "C1", threadTs: "1.0", direct: false }
      const reply = (second: number, given: Partial<NewMessage> = {}) =>
        arrival({ ...thread, text: `reply ${second}`, ts: tsAt(second) }, { ignored: notAddressed, ...given })
      const mention = (given: Partial<NewMessage> = {}) =>
        arrival({ ...thread, kind: "app_mention", text: "mention", ts: tsAt(2) }, {
          receivedAt: now + 60_000,
          ...given
        })

      test("takes replies along that came before the mention they follow, into its window", (store) =>
        Effect.gen(function*() {
          for (const second of [4, 3]) yield* store.append(reply(second))
          yield* store.append(mention({ dueAt: now + 500 }))
          assert.deepStrictEqual(yield* ready(now + 499), [])
          assert.deepStrictEqual(texts(yield* claimed("C1/1.0", me, now + 500)), ["mention", "reply 3", "reply 4"])
          assert.strictEqual((yield* store.counts).ignored, 0)
        }))

      test("takes them along likewise when a twin makes the mention wait", (store) =>
        Effect.gen(function*() {
          yield* store.append(mention({ keys: twin("a"), ignored: notAddressed }))
          yield* store.append(reply(3))
          const revived = { _tag: "Duplicate", revived: true } as const
          assert.deepStrictEqual(yield* store.append(mention({ keys: twin("b") })), revived)
          assert.deepStrictEqual(texts(yield* claimed("C1/1.0")), ["mention", "reply 3"])
        }))

      test("leaves what was said before the mention, elsewhere, long ago, or is ignored for another reason", (store) =>
        Effect.gen(function*() {
          yield* store.append(reply(1))
          yield* store.append(
            arrival({ ...thread, conversation: key("C1/9.0"), ts: tsAt(3) }, { ignored: notAddressed })
          )
          yield* store.append(reply(3, { receivedAt: now + 60_000 - heardLate - 1 }))
          yield* store.append(reply(3, { ignored: "own message" }))
          yield* store.append(mention())
          assert.deepStrictEqual(texts(yield* claimed("C1/1.0")), ["mention"])
          assert.strictEqual((yield* store.counts).ignored, 4)
        }))

      test("leaves it too where somebody had spoken to the bot before", (store) =>
        Effect.gen(function*() {
          yield* store.append(arrival({ ...thread, text: "first", ts: tsAt(0) }))
          const turn = yield* claimed("C1/1.0")
          yield* store.complete(turn.id, me, [], now)
          yield* store.append(reply(3))
          yield* store.append(mention())
          assert.deepStrictEqual(texts(yield* claimed("C1/1.0")), ["mention"])
        }))

      test("treats a twin of a message at work or done as an alias only", (store) =>
        Effect.gen(function*() {
          yield* store.append(arrival({}, { keys: twin("a") }))
          const turn = yield* claimed()
          yield* store.append(arrival({ text: "late" }, { keys: twin("b") }))
          yield* store.complete(turn.id, me, [], now)
          const late = arrival({}, { keys: twin("c") })
          assert.deepStrictEqual(yield* store.append(late), { _tag: "Duplicate", revived: false })
          assert.isTrue(Option.isNone(yield* store.claim(key("D1"), me, now)))
        }))

      test("keeps whatever text people write", (store) =>
        Effect.gen(function*() {
          const text = "'; DROP TABLE x; -- \u0000 \u{1F600} \u202E %s ${1}"
          yield* store.append(arrival({ text, payload: { "a'b": [1, null, { c: "\\\"" }] } }))
          const [message] = (yield* claimed()).messages
          assert.deepStrictEqual(message, inbound({ text, payload: { "a'b": [1, null, { c: "\\\"" }] } }))
        }))
    })

    describe("windows", () => {
      test("does not hand out a conversation before its window ends", (store) =>
        Effect.gen(function*() {
          yield* store.append(arrival({}, { dueAt: now + 500 }))
          assert.deepStrictEqual(yield* ready(now + 499), [])
          assert.isTrue(Option.isNone(yield* store.claim(key("D1"), me, now + 499)))
          assert.strictEqual(yield* store.nextDueAt, now + 500)
          assert.deepStrictEqual(yield* ready(now + 500), ["D1"])
        }))

      test("moves the end of the window for everything that waits with a new message", (store) =>
        Effect.gen(function*() {
          yield* store.append(arrival({ text: "a", ts: tsAt(1) }, { dueAt: now + 500 }))
          yield* store.append(arrival({ text: "b", ts: tsAt(2) }, { dueAt: now + 900 }))
          assert.deepStrictEqual(yield* ready(now + 600), [])
          assert.deepStrictEqual(texts(yield* claimed("D1", me, now + 900)), ["a", "b"])
        }))

      test("joins what is due in its conversation, which keeps its place among the others", (store) =>
        Effect.gen(function*() {
          const add = (channel: string, at: number, wait: number) =>
            store.append(arrival({ conversation: key(channel), text: `${channel} ${at}`, ts: tsAt(at) }, {
              receivedAt: now + at,
              dueAt: now + at + wait
            }))
          yield* add("D1", 0, 5)
          yield* add("D2", 1, 5)
          for (const at of [5, 9, 13]) yield* add("D1", at, 5)
          assert.deepStrictEqual(yield* ready(now + 13), ["D1", "D2"])
          assert.deepStrictEqual(texts(yield* claimed("D1", me, now + 13)), ["D1 0", "D1 5", "D1 9", "D1 13"])
        }))

      test("is joined by an ignored message that a twin makes wait, where it is due", (store) =>
        Effect.gen(function*() {
          yield* store.append(arrival({ text: "one", ts: tsAt(1) }, { keys: twin("a"), ignored: "not addressed" }))
          yield* store.append(arrival({ text: "two", ts: tsAt(2) }))
          yield* store.append(arrival({ text: "one", ts: tsAt(1) }, { keys: twin("b"), dueAt: now + 500 }))
          assert.deepStrictEqual(texts(yield* claimed()), ["one", "two"])
        }))

      test("takes along what waits in a window when it joins what is due", (store) =>
        Effect.gen(function*() {
          yield* store.append(arrival({ text: "one", ts: tsAt(1) }))
          const turn = yield* claimed()
          yield* store.append(arrival({ text: "two", ts: tsAt(2) }, { dueAt: now + 500 }))
          yield* store.complete(turn.id, me, [], now, { unseen: [1] })
          yield* store.append(arrival({ text: "three", ts: tsAt(3) }, { dueAt: now + 600 }))
          assert.deepStrictEqual(texts(yield* claimed()), ["one", "two", "three"])
        }))

      test("ends the windows of the named conversations", (store) =>
        Effect.gen(function*() {
          for (const channel of ["D1", "D2", "D3"]) {
            yield* store.append(arrival({ conversation: key(channel) }, { dueAt: now + 9_000 }))
          }
          yield* store.makeDue([key("D2")], now)
          assert.deepStrictEqual(yield* ready(now), ["D2"])
          yield* store.makeDue([key("D1"), key("D3")], now)
          assert.sameMembers([...(yield* ready(now))], ["D1", "D2", "D3"])
        }))

      test("brings what is due too far ahead nearer, and leaves the rest", (store) =>
        Effect.gen(function*() {
          for (const [channel, dueAt] of [["D1", 9_000], ["D2", 400], ["D3", 0], ["D4", 0]] as const) {
            yield* store.append(arrival({ conversation: key(channel) }, { dueAt: now + dueAt }))
          }
          yield* store.retryLater((yield* claimed("D3")).id, me, "boom", now + 9_000)
          yield* store.retryLater((yield* claimed("D4")).id, me, "boom", now + 600)
          yield* store.nearer(now, { messages: 500, turns: 700 })
          const inOrder = ["D2", "D1", "D4", "D3"]
          for (const [ahead, due] of [[399, 0], [400, 1], [499, 1], [500, 2], [600, 3], [699, 3], [700, 4]] as const) {
            assert.deepStrictEqual(yield* ready(now + ahead), inOrder.slice(0, due))
          }
        }))

      test("makes a turn due that was cut off while the clock was ahead", (store) =>
        Effect.gen(function*() {
          yield* store.append(arrival())
          yield* claimed()
          yield* store.releaseAll(me, now + 3_600_000)
          assert.deepStrictEqual(yield* ready(now), [])
          yield* store.nearer(now, { messages: 500, turns: 700 })
          assert.deepStrictEqual(yield* ready(now), ["D1"])
        }))

      test("knows the next moment of work, and none when there is none", (store) =>
        Effect.gen(function*() {
          assert.isNull(yield* store.nextDueAt)
          yield* store.append(arrival({}, { dueAt: now + 700 }))
          yield* store.append(arrival({ conversation: key("D2") }, { dueAt: now + 300 }))
          assert.strictEqual(yield* store.nextDueAt, now + 300)
          yield* claimed("D2", me, now + 300)
          assert.strictEqual(yield* store.nextDueAt, now + 700)
        }))
    })

    describe("claim", () => {
      test("takes all that is due of one conversation, in the order of Slack's ts", (store) =>
        Effect.gen(function*() {
          for (const second of [3, 1, 2]) {
            yield* store.append(arrival({ text: String(second), ts: tsAt(second) }))
          }
          yield* store.append(arrival({ conversation: key("D2"), text: "elsewhere" }))
          const turn = yield* claimed()
          assert.deepStrictEqual(texts(turn), ["1", "2", "3"])
          assert.strictEqual(turn.attempt, 1)
          assert.strictEqual(turn.failures, 0)
        }))

      test("gives a conversation to one owner at a time, and leaves what comes later for the next turn", (store) =>
        Effect.gen(function*() {
          yield* store.append(arrival({ text: "one" }))
          const turn = yield* claimed()
          yield* store.append(arrival({ text: "two" }))
          assert.isTrue(Option.isNone(yield* store.claim(key("D1"), other, now)))
          assert.isTrue(Option.isNone(yield* store.claim(key("D1"), me, now)))
          assert.deepStrictEqual(yield* ready(now), [])
          assert.isNull(yield* store.nextDueAt)
          yield* store.complete(turn.id, me, [], now)
          assert.deepStrictEqual(texts(yield* claimed()), ["two"])
        }))

      test("lists the longest waiting first, as many as asked for", (store) =>
        Effect.gen(function*() {
          for (const [channel, dueAt] of [["D1", 30], ["D2", 10], ["D3", 20]] as const) {
            yield* store.append(arrival({ conversation: key(channel) }, { dueAt: now + dueAt }))
          }
          assert.deepStrictEqual(yield* ready(now + 50, 2), ["D2", "D3"])
          assert.deepStrictEqual(yield* ready(now + 50, 9), ["D2", "D3", "D1"])
        }))
    })

    inboxByHandContract(test)
    inboxListContract(test)
    begunContract(test)
    turnsContract(test)
    recoveryContract(test)
    runsContract(test)
    keepingContract(test)
    traceContract(test)
    pruningContract(test)

    describe("what it knows", () => {
      test("counts each state and the age of what waits", (store) =>
        Effect.gen(function*() {
          yield* store.append(arrival({ conversation: key("D1") }, { receivedAt: now + 5 }))
          yield* store.append(arrival({ conversation: key("D2") }, { receivedAt: now + 3 }))
          yield* store.append(arrival({ conversation: key("D3") }))
          yield* store.append(arrival({}, { ignored: "echo" }))
          yield* store.complete((yield* claimed("D3")).id, me, [], now)
          yield* claimed("D1")
          assert.deepStrictEqual(yield* store.counts, {
            queued: 1,
            processing: 1,
            done: 1,
            failed: 0,
            ignored: 1,
            oldestQueuedAt: now + 3,
            waitingConversations: 1
          })
          assert.deepStrictEqual(yield* store.backlog, { queued: 1, oldestQueuedAt: now + 3 })
          // A turn that waits to run again has its messages in hand, like one that runs.
          yield* store.retryLater((yield* claimed("D2")).id, me, "no", now + 60_000)
          assert.strictEqual((yield* store.backlog).queued, (yield* store.counts).queued)
        }))

      test(
        "takes part in a conversation in which it was spoken to, or has spoken",
        (store, outbox) =>
          Effect.gen(function*() {
            yield* store.append(arrival({ conversation: key("C1/1.0") }))
            yield* store.append(arrival({ conversation: key("C2/1.0") }, { ignored: "not addressed" }))
            yield* outbox.enqueue([post("hi", "C3/1.0")], null, now)
            const asked = yield* Effect.forEach(
              ["C1/1.0", "C2/1.0", "C3/1.0", "C4/1.0"],
              (c) => store.participates(key(c))
            )
            assert.deepStrictEqual(asked, [true, false, true, false])
          })
      )
    })
  })
