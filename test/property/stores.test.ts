/**
 * The SQLite stores against the model (`src/memory`), over random histories with crashes, restarts and former owners.
 *
 * After every operation both must answer the same and hold the same rows, and the rows must keep the invariants; at
 * the end everything gets its chance and nothing may be left. A failure names the shortest history that was found.
 */
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as Arbitrary from "effect/Arbitrary"
import { stores } from "../fixtures/stores.ts"
import { makeLedger } from "./invariants.ts"
import { histories, type Operation } from "./operations.ts"
import { drain, lookAtAll, lookBriefly, perform } from "./perform.ts"
import { makeWorld } from "./world.ts"

/** The claims' messages come in the order of Slack's ts (G4). */
const inOrder = (result: unknown) => {
  const claimed = result as {
    readonly _tag?: string
    readonly value?: { readonly messages: ReadonlyArray<{ ts: string }> }
  }
  const all = claimed._tag === "Some" ? (claimed.value?.messages ?? []).map(({ ts }) => ts) : []
  assert.deepStrictEqual(all, all.toSorted())
}

const live = Effect.fnUntraced(function*(history: ReadonlyArray<Operation>) {
  const world = yield* makeWorld()
  const ledger = makeLedger(yield* world.compare)
  for (const operation of history) {
    const { now, text } = world
    const result = yield* perform(world, operation)
    const tables = yield* world.compare
    // Where nothing happened there is nothing new to read.
    if (world.text !== text || world.now !== now) yield* lookBriefly(world)
    if (operation._tag === "claim") inOrder(result)
    ledger.record(operation, result, tables, { me: `owner-${world.owner}`, now: world.now })
  }
  yield* lookAtAll(world)
  yield* drain(world)
  ledger.settled(yield* world.compare)
})

layer(stores)("the SQLite stores", (it) => {
  it.effect.prop("do what the model does and keep the guarantees", [histories], ([history]) => live(history), {
    timeout: 180_000,
    // The size is that of the histories: most runs use the whole length.
    arbitrary: { runs: 2_000, size: 400 }
  })
})

describe("histories", () => {
  it.effect("reach every operation, and often enough have something to work on", () =>
    Effect.gen(function*() {
      const sample = yield* Arbitrary.sampleEffect(histories, { count: 200, size: 40, seed: 1 })
      const tags = new Set(sample.flat().map(({ _tag }) => _tag))
      assert.isAtLeast(tags.size, 25)
      assert.isAtLeast(sample.flat().length / sample.length, 10)
    }))
})
