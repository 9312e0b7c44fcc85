/** When the WAL is taken over, in virtual time, by what really gets to SQLite. */
import { SqliteClient } from "@effect/sql-sqlite-node"
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { join } from "node:path"
import * as Checkpoint from "../../src/sql/Checkpoint.ts"
import { GroupCommit, storeWriter } from "../../src/sql/GroupCommit.ts"
import { StoreWriter } from "../../src/StoreWriter.ts"
import { Supervisor } from "../../src/Supervisor.ts"
import { watchDriver } from "../fixtures/driver.ts"
import { temporaryDirectory } from "../fixtures/gateway.ts"
import { advance } from "../fixtures/time.ts"

type Driver = Effect.Success<typeof watchDriver>

const withWriter = <A, E>(
  use: (
    write: Effect.Effect<unknown, unknown>,
    driver: Driver
  ) => Effect.Effect<A, E>
) =>
  Effect.gen(function*() {
    const file = join(yield* temporaryDirectory, "checkpoint.db")
    const layer = Layer.mergeAll(Checkpoint.layer, storeWriter).pipe(
      Layer.provideMerge(GroupCommit.layer),
      Layer.provideMerge(Supervisor.layer),
      Layer.provideMerge(SqliteClient.layer({ filename: file }))
    )
    yield* Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const group = yield* GroupCommit
      yield* sql`CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)`
      const driver = yield* watchDriver
      yield* use(group.write("write")(sql`INSERT INTO t (text) VALUES (${"x".repeat(500)})`), driver)
    }).pipe(Effect.provide(layer, { local: true }))
  }).pipe(Effect.scoped)

const checkpoints = ({ executed }: Driver) => executed.filter((text) => text.includes("wal_checkpoint(PASSIVE)")).length

it.effect("once after a burst, when nothing has been written for a second, and then nothing runs for an hour", () =>
  withWriter((write, driver) =>
    Effect.gen(function*() {
      yield* Effect.repeat(write, { times: 499 })
      yield* advance("900 millis", "100 millis")
      assert.strictEqual(checkpoints(driver), 0)
      yield* write
      yield* advance("900 millis", "100 millis")
      assert.strictEqual(checkpoints(driver), 0)
      yield* advance("200 millis", "100 millis")
      assert.strictEqual(checkpoints(driver), 1)
      driver.executed.length = 0
      yield* advance("1 hour", "1 minute")
      assert.deepStrictEqual(driver.executed, [])
    })
  ))

it.effect("again after the next burst", () =>
  withWriter((write, driver) =>
    Effect.gen(function*() {
      for (const burst of [1, 2]) {
        yield* Effect.repeat(write, { times: 149 })
        yield* advance("2 seconds", "100 millis")
        assert.strictEqual(checkpoints(driver), burst)
      }
    })
  ))

it.effect("not after a few writes, nor for the probes of the heartbeat", () =>
  withWriter((write, driver) =>
    Effect.gen(function*() {
      const { probe } = yield* StoreWriter
      for (let n = 0; n < 120; n++) {
        yield* n % 2 === 0 ? write : probe
        yield* advance("2 seconds", "1 second")
      }
      assert.strictEqual(checkpoints(driver), 0)
    })
  ))
