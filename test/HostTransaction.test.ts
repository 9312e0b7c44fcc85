/** What the outbox makes of a transaction around a call, in virtual time. */
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HostTransaction } from "../src/HostTransaction.ts"
import { Outbox } from "../src/Outbox.ts"
import { post } from "./fixtures/outboxRoom.ts"
import { advance, ground, inRooms, settle } from "./fixtures/rooms.ts"
import { scriptedApi } from "./fixtures/scriptedApi.ts"

it.effect("the sender is woken by the commit, neither before it nor by the next sweep", () => {
  const slack = scriptedApi()
  const waiting: Array<Effect.Effect<void>> = []
  const host = Layer.succeed(HostTransaction, {
    afterCommit: (effect) => Effect.sync(() => waiting.push(effect)),
    isOpen: Effect.succeed(false)
  })
  const rooms = Outbox.layer.pipe(Layer.provideMerge(ground()), Layer.provide([slack.layer, host]))
  return inRooms(rooms)(Effect.gen(function*() {
    yield* settle
    yield* post("after the commit")
    yield* advance("30 seconds", "1 second")
    assert.deepStrictEqual(slack.texts(), [])
    assert.strictEqual(waiting.length, 1)
    yield* Effect.all(waiting)
    yield* settle
    assert.deepStrictEqual(slack.texts(), ["after the commit"])
  }))
})
