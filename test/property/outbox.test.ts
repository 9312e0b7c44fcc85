/**
 * The state machine of a reply, over random histories in which live sends, recovery, late answers of former senders and
 * operators race: SQLite against the model (`src/memory`), and both against the invariants.
 */
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as Arbitrary from "effect/Arbitrary"
import { stores } from "../fixtures/stores.ts"
import { drain, look, lookAtAll, perform } from "./outboxHistory.ts"
import { makeOutboxLedger } from "./outboxInvariants.ts"
import { histories, type Operation } from "./outboxOperations.ts"
import { makeWorld, outboxColumns } from "./world.ts"

const live = Effect.fnUntraced(function*(history: ReadonlyArray<Operation>) {
  const world = yield* makeWorld(outboxColumns)
  const ledger = makeOutboxLedger(yield* world.compare)
  for (const operation of history) {
    const { now, text } = world
    yield* perform(world, operation)
    const tables = yield* world.compare
    // Where nothing happened there is nothing new to read.
    if (world.text !== text || world.now !== now) yield* look(world)
    ledger.record(operation, tables, world.now)
  }
  yield* lookAtAll(world)
  yield* drain(world)
  ledger.settled(yield* world.compare)
})

layer(stores)("the outbox", (it) => {
  it.effect.prop("does what the model does and keeps the guarantees", [histories], ([history]) => live(history), {
    timeout: 300_000,
    arbitrary: { runs: 2_000, size: 400 }
  })
})

describe("histories of replies", () => {
  it.effect("reach every operation", () =>
    Effect.gen(function*() {
      const sample = yield* Arbitrary.sampleEffect(histories, { count: 200, size: 40, seed: 1 })
      assert.isAtLeast(new Set(sample.flat().map(({ _tag }) => _tag)).size, 20)
    }))
})
