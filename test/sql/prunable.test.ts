/** What `prune` foresees is what it deletes, over the real stores. */
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { endedBefore } from "../../src/Cutoff.ts"
import { MessageStore } from "../../src/MessageStore.ts"
import { OutboxStore } from "../../src/OutboxStore.ts"
import { countPrunable } from "../../src/sql/prunable.ts"
import { claimed, me, now } from "../contract/TurnsContract.ts"
import { arrival, at, key, post } from "../fixtures/messages.ts"
import { stores } from "../fixtures/stores.ts"
import { epoch } from "../fixtures/time.ts"

/** A dead letter whose turn had said something. */
const failed = Effect.fnUntraced(function*(conversation: string, when: number) {
  const [store, outbox] = [yield* MessageStore, yield* OutboxStore]
  yield* store.append(arrival({ conversation: key(conversation) }))
  const turn = yield* claimed(conversation)
  yield* outbox.enqueue([post(`${turn.id}:0:said`, conversation)], { turn: turn.id, owner: me, attempt: 1 }, now)
  const options = { owner: me, now, limit: 9, exclude: [], admit: () => true, expireBefore: 0 }
  for (const { id } of (yield* outbox.claim(options)).claimed) yield* outbox.delivered(id, me, at("1.1"), now)
  yield* store.fail(turn.id, me, "boom", [], when)
})

it.effect("replies of a dead letter stay with it and go with it, and are foreseen so", () =>
  Effect.gen(function*() {
    yield* TestClock.setTime(epoch)
    const [store, outbox] = [yield* MessageStore, yield* OutboxStore]
    yield* failed("D1", now + 5_000)
    yield* failed("D2", now + 100)
    const finishedBefore = endedBefore(now + 1_000)
    const bounds = { messages: finishedBefore, replies: finishedBefore, keysBefore: 1 }
    const foreseen = yield* countPrunable(bounds)
    const before = (yield* outbox.list({}, { limit: 9 })).length
    const options = { finishedBefore, keysBefore: 1, most: 9 }
    yield* store.prune(options)
    yield* outbox.prune(options)
    const gone = before - (yield* outbox.list({}, { limit: 9 })).length
    assert.deepInclude(foreseen, { messages: 1, turns: 1, answers: gone })
    assert.strictEqual(gone, 1)
    assert.deepInclude(yield* countPrunable(bounds), { messages: 0, turns: 0, answers: 0 })
  }).pipe(Effect.provide(Layer.fresh(stores))))
