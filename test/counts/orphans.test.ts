/** A start does nothing to each of the turns that a crash cut off: it takes as many as it has slots, and begins. */
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Layer } from "effect"
import * as Database from "../../src/sql/Database.ts"
import { temporaryDirectory } from "../fixtures/gateway.ts"
import { inRooms } from "../fixtures/rooms.ts"
import { settings } from "../fixtures/stores.ts"
import { orphans } from "./orphans.ts"
import { rooms } from "./rooms.ts"
import { counted } from "./sqlite.ts"

/** What it takes from opening the file to the first handler that runs. */
const untilFirst = Effect.fnUntraced(function*(n: number) {
  const dataDir = yield* temporaryDirectory
  yield* Effect.provide(
    orphans(n, "hello"),
    Layer.fresh(Database.layer.pipe(Layer.provide(settings({ dataDir }))))
  )
  const { seen } = yield* counted
  const first = yield* Deferred.make<{ readonly statements: number; readonly commits: number; readonly rows: number }>()
  const { layer } = yield* rooms({
    dataDir,
    handler: () => {
      const { commits, rows, statements } = seen
      return Effect.andThen(Deferred.succeed(first, { commits, rows, statements }), Effect.never)
    }
  })
  return yield* inRooms(layer)(Deferred.await(first))
}, Effect.scoped)

it.effect(
  "20,000 turns that a crash cut off take no more until the first of them runs than 500",
  () =>
    Effect.gen(function*() {
      const few = yield* untilFirst(500)
      assert.deepStrictEqual(yield* untilFirst(20_000), few)
      // Four rows for each of the sixteen that it has slots for, and what a start writes anyway.
      assert.isAtMost(few.rows, 4 * 16 + 20)
    }),
  60_000
)
