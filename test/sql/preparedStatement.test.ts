/** Statements of fixed texts: few sizes for many rows, on the connection of whatever transaction is open. */
import { SqliteClient } from "@effect/sql-sqlite-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { SqlClient } from "effect/sql"
import { preparedStatements } from "../../src/sql/preparedStatement.ts"
import { watchDriver } from "../fixtures/driver.ts"

const withTable = <A, E>(use: (sql: SqlClient.SqlClient) => Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)`
    return yield* use(sql)
  }).pipe(Effect.provide(SqliteClient.layer({ filename: ":memory:" }), { local: true }))

const numbers = (length: number) => Array.from({ length }, (_, n) => n)

describe("preparedStatements", () => {
  it.live("writes any number of rows by statements of seven sizes", () =>
    withTable((sql) =>
      Effect.gen(function*() {
        const { prepared } = yield* watchDriver
        const insert = preparedStatements(sql).many((repeat) =>
          `INSERT INTO t (a, b) VALUES ${repeat("(?, ?)")} RETURNING a`
        )
        let from = 0
        for (const size of [0, 1, 2, 3, 63, 64, 65, 200]) {
          const rows = yield* insert(numbers(size).map((n) => [from + n, `b${from + n}`]))
          assert.deepStrictEqual(rows.map(({ a }) => a), numbers(size).map((n) => from + n))
          from += size
        }
        assert.isAtMost(prepared.length, 7)
      }).pipe(Effect.scoped)
    ))

  it.live("takes a list that may name a row twice in one statement", () =>
    withTable((sql) =>
      Effect.gen(function*() {
        const statements = preparedStatements(sql)
        yield* statements.many((repeat) => `INSERT INTO t (a) VALUES ${repeat("(?)")}`)(numbers(9).map((n) => [n]))
        const { prepared } = yield* watchDriver
        const update = statements.many(
          (repeat) => `UPDATE t SET b = 'x' WHERE a IN (${repeat("?")}) RETURNING a`,
          { again: true }
        )
        const changed = yield* update(numbers(7).map((n) => [n]))
        assert.deepStrictEqual(changed.map(({ a }) => a), numbers(7))
        assert.strictEqual(prepared.length, 1)
      }).pipe(Effect.scoped)
    ))

  it.live("runs inside the transaction that is open for its fiber, and waits for one that is not", () =>
    withTable((sql) =>
      Effect.gen(function*() {
        const statements = preparedStatements(sql)
        const insert = statements.one("INSERT INTO t (a) VALUES (?)")
        const count = statements.one<{ readonly n: number }>("SELECT count(*) AS n FROM t")
        const outside = yield* sql.withTransaction(Effect.gen(function*() {
          yield* insert([1])
          assert.deepStrictEqual((yield* count([])).map(({ n }) => n), [1])
          return yield* Effect.fail("undo")
        })).pipe(
          Effect.ignore,
          Effect.andThen(count([]))
        )
        assert.deepStrictEqual(outside.map(({ n }) => n), [0])
      })
    ))

  it.live("does not get into another fiber's transaction", () =>
    withTable((sql) =>
      Effect.gen(function*() {
        const count = preparedStatements(sql).one<{ readonly n: number }>("SELECT count(*) AS n FROM t")
        const undone = yield* Effect.forkChild(
          sql`INSERT INTO t (a) VALUES (1)`.pipe(
            Effect.andThen(Effect.sleep("20 millis")),
            Effect.andThen(Effect.fail("undo")),
            sql.withTransaction,
            Effect.ignore
          ),
          { startImmediately: true }
        )
        assert.deepStrictEqual((yield* count([])).map(({ n }) => n), [0])
        yield* Fiber.join(undone)
      })
    ))

  it.live("numbers its placeholders where the dialect wants that", () =>
    withTable((sql) =>
      Effect.gen(function*() {
        const texts: Array<string> = []
        const connection = { execute: (text: string) => Effect.sync(() => (texts.push(text), [])) }
        const numbering = Object.assign(Object.create(sql) as SqlClient.SqlClient, {
          onDialectOrElse: (options: { readonly pg: () => unknown }) => options.pg(),
          reserve: Effect.succeed(connection)
        })
        const statements = preparedStatements(numbering)
        yield* statements.one("SELECT ? + ?")([1, 2])
        yield* statements.many((repeat) => `INSERT INTO t VALUES ${repeat("(?, ?)")}`)([[1, 2], [3, 4]])
        assert.deepStrictEqual(texts, ["SELECT $1 + $2", "INSERT INTO t VALUES ($1, $2), ($3, $4)"])
      })
    ))
})
