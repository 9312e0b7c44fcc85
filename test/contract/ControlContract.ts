/** What every adapter of Control must do, together with the inbox that its pauses hold. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import { TestClock } from "effect/testing"
import { Control, shownOfText } from "../../src/Control.ts"
import { TurnId } from "../../src/Message.ts"
import { MessageStore } from "../../src/MessageStore.ts"
import { OutboxStore } from "../../src/OutboxStore.ts"
import { arrival, key, post, tsAt } from "../fixtures/messages.ts"
import { epoch } from "../fixtures/time.ts"
import type { Restart } from "./Restart.ts"
import { claimed, crashed, me, now, other, ready, refusal, texts } from "./TurnsContract.ts"

type Needs = Control | MessageStore | OutboxStore | Restart

export const suite = (name: string, layer: Layer.Layer<Needs>) =>
  describe(`Control on ${name}`, () => {
    const test = <A, E>(
      sentence: string,
      body: (control: Control["Service"], store: MessageStore["Service"]) => Effect.Effect<A, E, Needs>
    ) =>
      it.effect(sentence, () =>
        Effect.gen(function*() {
          yield* TestClock.setTime(epoch)
          return yield* body(yield* Control, yield* MessageStore)
        }).pipe(Effect.provide(Layer.fresh(layer))))

    const say = Effect.fnUntraced(function*(conversation: string, text = conversation) {
      return yield* (yield* MessageStore).append(arrival({ conversation: key(conversation), text }))
    })
    const claimable = Effect.fnUntraced(function*(conversation: string) {
      return Option.isSome(yield* (yield* MessageStore).claim(key(conversation), me, now))
    })

    describe("a pause", () => {
      test("of everything keeps what comes in, and hands out none of it until it ends", (control, store) =>
        Effect.gen(function*() {
          yield* say("D1")
          yield* say("C1/1.1")
          assert.isTrue(yield* control.pause(null, now))
          assert.deepStrictEqual(yield* say("D2"), { _tag: "Queued" })
          assert.deepStrictEqual(yield* ready(now), [])
          assert.isNull(yield* store.nextDueAt)
          for (const one of ["D1", "D2", "C1/1.1"]) {
            assert.isFalse(yield* claimable(one))
          }
          assert.strictEqual((yield* store.counts).queued, 3)
          assert.isTrue(yield* control.resume(null, now))
          assert.sameMembers(yield* ready(now), ["D1", "C1/1.1", "D2"])
          assert.strictEqual(yield* store.nextDueAt, now)
          assert.isTrue(yield* claimable("D1"))
        }))

      test("holds what would be begun at once", (control, store) =>
        Effect.gen(function*() {
          const begins = (conversation: string) =>
            Effect.map(
              store.append(arrival({ conversation: key(conversation) }, { claim: me })),
              (appended) =>
                appended._tag === "Queued" && appended.claimed !== undefined
            )
          yield* control.pause(key("D1"), now)
          yield* control.pause(key("C1"), now)
          assert.deepStrictEqual(yield* Effect.forEach(["D1", "C1/1.1", "D2"], begins), [false, false, true])
          yield* control.pause(null, now)
          assert.isFalse(yield* begins("D3"))
        }))

      test("of a conversation leaves the others alone, also in its channel", (control) =>
        Effect.gen(function*() {
          for (const one of ["C1/1.1", "C1/2.2", "D1"]) {
            yield* say(one)
          }
          yield* control.pause(key("C1/1.1"), now)
          assert.sameMembers(yield* ready(now), ["C1/2.2", "D1"])
          assert.isFalse(yield* claimable("C1/1.1"))
          assert.isTrue(yield* claimable("C1/2.2"))
        }))

      test("of a channel holds all of its conversations, and no channel whose name begins alike", (control, store) =>
        Effect.gen(function*() {
          for (const one of ["C1/1.1", "C1/2.2", "C11/1.1", "D1/3.3", "D1"]) {
            yield* say(one)
          }
          yield* control.pause(key("C1"), now)
          yield* control.pause(key("D1"), now)
          assert.deepStrictEqual(yield* ready(now), ["C11/1.1"])
          for (const one of ["C1/1.1", "C1/2.2", "D1/3.3", "D1"]) {
            assert.isFalse(yield* claimable(one))
          }
          assert.strictEqual((yield* store.counts).queued, 5)
        }))

      test("also holds what a person asked to be handled again", (control, store) =>
        Effect.gen(function*() {
          yield* say("D1")
          yield* store.fail((yield* claimed("D1")).id, me, "boom", [], now)
          yield* control.pause(key("D1"), now)
          assert.strictEqual((yield* store.retry({ states: ["failed"] }, now)).length, 1)
          assert.deepStrictEqual(yield* ready(now), [])
          assert.isNull(yield* store.nextDueAt)
          assert.isFalse(yield* claimable("D1"))
          yield* control.resume(key("D1"), now)
          assert.deepStrictEqual(yield* ready(now), ["D1"])
          assert.isTrue(yield* claimable("D1"))
        }))

      test("is over by itself only: each of several has an end of its own", (control) =>
        Effect.gen(function*() {
          yield* say("C1/1.1")
          yield* control.pause(null, now)
          yield* control.pause(key("C1/1.1"), now)
          yield* control.resume(null, now)
          assert.deepStrictEqual(yield* ready(now), [])
          assert.isTrue(yield* control.resume(key("C1/1.1"), now))
          assert.isFalse(yield* control.resume(key("C1/1.1"), now))
          assert.deepStrictEqual(yield* ready(now), ["C1/1.1"])
        }))

      test("is listed with its time and reason, that of everything first; the first of two alike stands", (control) =>
        Effect.gen(function*() {
          yield* control.pause(key("D2"), now + 2)
          yield* control.pause(key("D1"), now, "too loud")
          yield* control.pause(null, now + 5, "deploy")
          assert.isFalse(yield* control.pause(key("D1"), now + 9, "again"))
          assert.deepStrictEqual(yield* control.pauses, [
            { conversation: null, since: now + 5, why: "deploy" },
            { conversation: key("D1"), since: now, why: "too loud" },
            { conversation: key("D2"), since: now + 2, why: null }
          ])
        }))

      test("lets a running turn end, and holds it when it is to run again", (control, store) =>
        Effect.gen(function*() {
          yield* say("D1", "one")
          const turn = yield* claimed()
          yield* control.pause(null, now)
          yield* (yield* OutboxStore).enqueue([post("a")], { turn: turn.id, owner: me, attempt: 1 }, now)
          yield* store.retryLater(turn.id, me, "boom", now)
          assert.deepStrictEqual(yield* ready(now), [])
          assert.isNull(yield* store.nextDueAt)
          assert.isFalse(yield* claimable("D1"))
          yield* control.resume(null, now)
          const again = yield* claimed()
          yield* control.pause(null, now)
          yield* store.complete(again.id, me, [post("b")], now)
          assert.strictEqual((yield* (yield* OutboxStore).counts).queued, 2)
          assert.strictEqual((yield* store.counts).done, 1)
        }))

      test("offers nothing new to a running turn", (control, store) =>
        Effect.gen(function*() {
          yield* say("C1/1.1", "one")
          const turn = yield* claimed("C1/1.1")
          yield* say("C1/1.1", "two")
          // Whoever had looked before does not get it either.
          const [seen] = yield* store.waiting(key("C1/1.1"), now)
          yield* control.pause(key("C1"), now)
          assert.deepStrictEqual(yield* store.waiting(key("C1/1.1"), now), [])
          assert.isFalse(yield* store.adopt({ turn: turn.id, owner: me, attempt: 1 }, seen?.id ?? 0))
          yield* control.resume(key("C1"), now)
          assert.strictEqual((yield* store.waiting(key("C1/1.1"), now)).length, 1)
        }))

      test("survives a restart; what a crash cut off is recovered, and waits", (control) =>
        Effect.gen(function*() {
          yield* say("D1", "one")
          const turn = yield* claimed()
          yield* control.pause(null, now)
          yield* crashed
          assert.strictEqual((yield* control.pauses).length, 1)
          assert.deepStrictEqual(yield* control.running, [])
          assert.deepStrictEqual(yield* ready(now), [])
          yield* control.resume(null, now)
          const again = yield* claimed()
          assert.deepStrictEqual([again.id, again.attempt, again.crashes], [turn.id, 2, 1])
        }))
    })

    describe("a cancelled turn", () => {
      test(
        "has failed with its messages, keeps its replies, and nothing of its run counts any more",
        (control, store) =>
          Effect.gen(function*() {
            yield* say("D1", "one")
            const turn = yield* claimed()
            const run = { turn: turn.id, owner: me, attempt: 1 }
            const outbox = yield* OutboxStore
            yield* outbox.enqueue([post("said")], run, now)
            yield* say("D1", "two")
            assert.deepStrictEqual(yield* control.cancel(turn.id, now), {
              _tag: "Cancelled",
              conversation: key("D1"),
              wasRunning: true
            })
            assert.isTrue(yield* control.wasCancelled(turn.id))
            assert.strictEqual(yield* refusal(store.complete(turn.id, me, [post("late")], now)), "TurnLost")
            assert.strictEqual(yield* refusal(outbox.enqueue([post("later")], run, now)), "TurnLost")
            const { failed, processing, queued } = yield* store.counts
            assert.deepStrictEqual({ failed, processing, queued }, { failed: 1, processing: 0, queued: 1 })
            assert.strictEqual((yield* outbox.counts).queued, 1)
            assert.deepStrictEqual(texts(yield* claimed()), ["two"], "the conversation goes on")
          })
      )

      test("does not run after a crash", (control, store) =>
        Effect.gen(function*() {
          yield* say("D1")
          const turn = yield* claimed()
          yield* control.cancel(turn.id, now)
          yield* crashed
          assert.deepStrictEqual(yield* ready(now), [])
          assert.strictEqual((yield* store.counts).failed, 1)
          assert.isTrue(yield* control.wasCancelled(turn.id))
        }))

      test("may have been left by a gateway that died, or wait to run again", (control, store) =>
        Effect.gen(function*() {
          yield* say("D1")
          yield* say("D2")
          const left = yield* claimed("D1", other)
          const waiting = yield* claimed("D2")
          yield* store.retryLater(waiting.id, me, "boom", now + 1_000)
          assert.deepInclude(yield* control.cancel(left.id, now), { _tag: "Cancelled", wasRunning: true })
          assert.deepInclude(yield* control.cancel(waiting.id, now), { _tag: "Cancelled", wasRunning: false })
          yield* crashed
          assert.deepStrictEqual(yield* ready(now + 9_000), [])
          assert.isNull(yield* store.nextDueAt)
        }))

      test("may have been asked for again by hand, whatever ended it before: then it does not run", (control, store) =>
        Effect.gen(function*() {
          yield* say("D1")
          const { id } = yield* claimed()
          for (const end of [store.fail(id, me, "boom", [], now), store.retry({ ids: [1] }, now)]) {
            yield* end
          }
          for (const _ of ["failed by itself", "cancelled by hand"]) {
            assert.deepStrictEqual(yield* ready(now), ["D1"])
            assert.deepInclude(yield* control.cancel(id, now), { _tag: "Cancelled", wasRunning: false })
            assert.deepStrictEqual(yield* ready(now), [])
            assert.isFalse(yield* claimable("D1"))
            assert.deepInclude(yield* store.counts, { failed: 1, queued: 0 })
            assert.deepStrictEqual(yield* store.retry({ ids: [1] }, now), [1])
          }
          assert.isTrue(yield* claimable("D1"))
          assert.isFalse(yield* control.wasCancelled(id))
        }))

      test("is one that had not ended: whichever end is committed first stands", (control, store) =>
        Effect.gen(function*() {
          yield* say("D1")
          const turn = yield* claimed()
          yield* store.complete(turn.id, me, [], now)
          assert.deepStrictEqual(yield* control.cancel(turn.id, now), { _tag: "Ended", state: "done", byHand: false })
          assert.isFalse(yield* control.wasCancelled(turn.id))
          assert.strictEqual((yield* store.counts).done, 1)
          yield* say("D2")
          const second = yield* claimed("D2")
          yield* control.cancel(second.id, now)
          assert.deepStrictEqual(yield* control.cancel(second.id, now), {
            _tag: "Ended",
            state: "failed",
            byHand: true
          })
          assert.deepStrictEqual(yield* control.cancel(TurnId.make("turn_x"), now), { _tag: "Unknown" })
        }))

      test("sends no more of its progress, and ends its streams", (control) =>
        Effect.gen(function*() {
          yield* say("D1")
          const { id } = yield* claimed()
          const outbox = yield* OutboxStore
          const stream = post("stream", "D1", { dispatch: { _tag: "StreamStart" } })
          yield* outbox.enqueue([stream, post("progress", "D1", { interim: true })], {
            turn: id,
            owner: me,
            attempt: 1
          }, now)
          yield* control.cancel(id, now)
          const rows = yield* outbox.list({}, { limit: 9 })
          assert.deepStrictEqual(rows.map(({ kind, state }) => [kind, state]), [
            ["StreamStart", "queued"],
            ["Post", "failed_terminal"],
            ["StreamEnd", "queued"]
          ])
        }))
    })

    test("shows what runs, and since when", (control, store) =>
      Effect.gen(function*() {
        yield* store.append(arrival({ text: "x".repeat(999), ts: tsAt(1) }))
        yield* store.append(arrival({ text: "second", ts: tsAt(2) }))
        yield* say("D2")
        const turn = yield* claimed()
        yield* store.saveStatus({ turn: turn.id, owner: me, attempt: 1 }, "reading")
        yield* store.retryLater(turn.id, me, "boom", now)
        yield* claimed("D1", other, now + 7_000)
        assert.deepStrictEqual(yield* control.running, [{
          id: turn.id,
          conversation: key("D1"),
          attempt: 2,
          startedAt: now + 7_000,
          messages: 2,
          text: "x".repeat(shownOfText),
          status: null,
          owner: other
        }])
      }))
  })
