/** Writes that come together share one commit, and nothing of their neighbours' fate. */
import { SqliteClient } from "@effect/sql-sqlite-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { GroupCommit } from "../../src/sql/GroupCommit.ts"
import { Supervisor } from "../../src/Supervisor.ts"
import { watchDriver } from "../fixtures/driver.ts"
import { temporaryDirectory } from "../fixtures/gateway.ts"
import { advance } from "../fixtures/time.ts"

const withTable = <A, E>(
  use: (file: string) => Effect.Effect<A, E, GroupCommit | SqlClient.SqlClient>
) =>
  Effect.gen(function*() {
    const file = join(yield* temporaryDirectory, "group.db")
    const layer = GroupCommit.layer.pipe(
      Layer.provideMerge(Supervisor.layer),
      Layer.provideMerge(SqliteClient.layer({ filename: file }))
    )
    return yield* Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE t (id INTEGER PRIMARY KEY, who TEXT UNIQUE NOT NULL)`
      return yield* use(file)
    }).pipe(Effect.provide(layer, { local: true }))
  })

const insert = Effect.fnUntraced(function*(who: string | null) {
  const sql = yield* SqlClient.SqlClient
  const group = yield* GroupCommit
  // Two statements, so that a failing second one has something to undo.
  yield* group.write("insert")(Effect.andThen(
    sql`INSERT INTO t ${sql.insert({ who: `${who}-first` })}`,
    sql`INSERT INTO t ${sql.insert({ who })}`
  ))
})

const rows = Effect.flatMap(
  SqlClient.SqlClient,
  (sql) =>
    Effect.map(sql<{ readonly who: string }>`SELECT who FROM t ORDER BY who`, (found) => found.map((row) => row.who))
)

describe("GroupCommit", () => {
  it.live("commits a hundred writes that come in one tick once", () =>
    withTable(() =>
      Effect.gen(function*() {
        const { commits } = yield* watchDriver
        yield* Effect.forEach(Array.from({ length: 100 }, (_, n) => `w${n}`), insert, { concurrency: "unbounded" })
        assert.strictEqual((yield* rows).length, 200)
        assert.strictEqual(commits(), 1)
      }).pipe(Effect.scoped)
    ))

  it.live("fails the write that fails, and commits its neighbours without it", () =>
    withTable(() =>
      Effect.gen(function*() {
        const exits = yield* Effect.forEach(["a", null, "b", "a", "c"], (who) => Effect.exit(insert(who)), {
          concurrency: "unbounded"
        })
        assert.deepStrictEqual(exits.map(Exit.isSuccess), [true, false, true, false, true])
        assert.deepStrictEqual(yield* rows, ["a", "a-first", "b", "b-first", "c", "c-first"])
      })
    ))

  it.live("fails every write of a batch that cannot be committed, and keeps none", () =>
    withTable((file) =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        // A deferred constraint is found at COMMIT and not before.
        yield* sql`PRAGMA foreign_keys = ON`
        yield* sql`CREATE TABLE child (id INTEGER REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED)`
        const group = yield* GroupCommit
        const orphan = group.write("orphan")(sql`INSERT INTO child VALUES (999)`)
        const exits = yield* Effect.forEach([insert("a"), orphan, insert("b")], Effect.exit, {
          concurrency: "unbounded"
        })
        assert.deepStrictEqual(exits.map(Exit.isSuccess), [false, false, false])
        assert.deepStrictEqual(yield* rows, [])
        assert.isTrue(file.length > 0)
      })
    ))

  it.live("writes inside the caller's transaction, and keeps nothing of a write that failed there", () =>
    withTable(() =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* sql.withTransaction(Effect.gen(function*() {
          yield* insert("a")
          yield* Effect.ignore(insert(null))
          yield* Effect.forEach(["b", "c"], insert, { concurrency: "unbounded" })
        }))
        assert.deepStrictEqual(yield* rows, ["a", "a-first", "b", "b-first", "c", "c-first"])
      })
    ))

  it.live("waits for a file that another process holds, and then commits", () =>
    withTable((file) =>
      Effect.gen(function*() {
        const other = new DatabaseSync(file)
        other.exec("BEGIN IMMEDIATE")
        yield* Effect.forEach([
          insert("a"),
          insert("b"),
          Effect.andThen(Effect.sleep("100 millis"), Effect.sync(() => other.exec("ROLLBACK")))
        ], (effect) =>
          effect, { concurrency: "unbounded" })
        other.close()
        assert.strictEqual((yield* rows).length, 4)
      })
    ))

  it.effect("waits no longer than five seconds for such a file, and says then that it is not available", () =>
    withTable((file) =>
      Effect.gen(function*() {
        const other = new DatabaseSync(file)
        other.exec("BEGIN IMMEDIATE")
        const writing = yield* Effect.forkChild(Effect.flip(insert("a")))
        yield* advance("4 seconds", "100 millis")
        assert.isUndefined(writing.pollUnsafe())
        yield* advance("2 seconds", "100 millis")
        assert.isDefined(writing.pollUnsafe())
        assert.strictEqual((yield* Fiber.join(writing)).reason._tag, "StoreUnavailable")
        other.close()
      })
    ))
})
