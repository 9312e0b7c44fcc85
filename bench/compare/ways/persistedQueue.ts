/** Effect's own PersistedQueue over SQLite, with the same driver as ours. Its workers poll: each 10 ms here. */
import { Effect, Fiber, Layer, ManagedRuntime, Schema } from "effect"
import { PersistedQueue } from "effect/persistence"
import { SqlClient } from "effect/sql"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { pragma } from "../../../src/sql/Database.ts"
import * as SqliteClient from "../../../src/sql/SqliteClient.ts"
import { countingCommits } from "../commits.ts"
import type { Measure } from "../Measured.ts"
import { numberOf, payload } from "../payload.ts"
import { measureWay } from "../phases.ts"
import { until, type Way } from "../Way.ts"
import { producingEffects } from "./effects.ts"

const open = (directory: string, synchronous: "FULL" | "NORMAL") => async (concurrency: number): Promise<Way> => {
  const file = join(directory, `persisted-${concurrency}.db`)
  const runtime = ManagedRuntime.make(
    PersistedQueue.layer.pipe(
      Layer.provide(PersistedQueue.layerStoreSql({ pollInterval: "10 millis" })),
      Layer.provideMerge(SqliteClient.layer({ filename: file }))
    )
  )
  const [queue, found] = await runtime.runPromise(Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql.unsafe(`PRAGMA synchronous = ${synchronous}`)
    const queue = yield* PersistedQueue.make({ name: "bench", schema: Schema.Unknown })
    return [queue, yield* pragma(sql, "synchronous")] as const
  }))
  const beside = new DatabaseSync(file, { readOnly: true })
  const left = beside.prepare("SELECT count(*) AS n FROM effect_queue WHERE state IN ('pending', 'processing')")
  return {
    durability: `synchronous=${found === 2 ? "FULL" : found === 1 ? "NORMAL" : String(found)}`,
    produce: producingEffects((effect) => runtime.runPromise(effect), (n) => queue.offer(JSON.parse(payload(n)))),
    consume: (concurrency, handled) => {
      const worker = Effect.forever(queue.take((value) => Effect.sync(() => handled(numberOf(value)))))
      const fibers = Array.from({ length: concurrency }, () => runtime.runFork(worker))
      return Promise.resolve(() => Effect.runPromise(Effect.asVoid(Fiber.interruptAll(fibers))))
    },
    settled: () => until("everything is completed", () => left.get()?.["n"] === 0),
    countCommits: countingCommits(file, () => new DatabaseSync(file)),
    close: async () => {
      beside.close()
      await runtime.dispose()
    }
  }
}

export const measure: Measure = (ask, { variant = {} }) =>
  measureWay(open(ask.directory, variant["full"] === true ? "FULL" : "NORMAL"), ask)
