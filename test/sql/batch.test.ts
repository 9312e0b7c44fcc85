/** What one kind of job makes of all of them that wait: few statements, one exit each, and kinds in their places. */
import { SqliteClient } from "@effect/sql-sqlite-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { TurnId } from "../../src/Message.ts"
import { GroupCommit } from "../../src/sql/GroupCommit.ts"
import { preparedStatements } from "../../src/sql/preparedStatement.ts"
import { TurnLost } from "../../src/StoreError.ts"
import { Supervisor } from "../../src/Supervisor.ts"

const withTable = <A, E>(use: Effect.Effect<A, E, GroupCommit | SqlClient.SqlClient>) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`CREATE TABLE t (id INTEGER PRIMARY KEY, who TEXT UNIQUE NOT NULL)`
    return yield* use
  }).pipe(Effect.provide(
    GroupCommit.layer.pipe(
      Layer.provideMerge(Supervisor.layer),
      Layer.provideMerge(SqliteClient.layer({ filename: ":memory:" }))
    ),
    { local: true }
  ))

const together = { concurrency: "unbounded" } as const

/** Inserts all names that wait by one statement; a null cannot be inserted, and "lost" is a turn that is lost. */
const inserting = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const group = yield* GroupCommit
  const insertMany = preparedStatements(sql).many((repeat) =>
    `INSERT INTO t (who) VALUES ${repeat("(?)")} RETURNING id, who`
  )
  const seen: Array<ReadonlyArray<string | null>> = []
  const insert = group.batched("insert", "appends", (names: ReadonlyArray<string | null>) => {
    seen.push(names)
    return Effect.map(
      insertMany<{ readonly who: string }>(names.filter((name) => name !== "lost").map((name) => [name])),
      (rows) =>
        names.map((name) =>
          rows.some(({ who }) => who === name)
            ? Exit.succeed(`${name}!`)
            : Exit.fail(new TurnLost({ turn: TurnId.make("turn_1") }))
        )
    )
  })
  return { insert, seen }
})

const names = Effect.flatMap(
  SqlClient.SqlClient,
  (sql) =>
    Effect.map(sql<{ readonly who: string }>`SELECT who FROM t ORDER BY id`, (found) => found.map((row) => row.who))
)

describe("batched", () => {
  it.live("hands all inputs that come in one tick to one run, in their order, and answers each", () =>
    withTable(Effect.gen(function*() {
      const { insert, seen } = yield* inserting
      const who = Array.from({ length: 100 }, (_, n) => `w${n}`)
      const answers = yield* Effect.forEach(who, insert, together)
      assert.deepStrictEqual(answers, who.map((name) => `${name}!`))
      assert.deepStrictEqual(seen, [who])
      assert.deepStrictEqual(yield* names, who)
    })))

  it.live("fails the input that cannot be written, alone, and each runs again by itself", () =>
    withTable(Effect.gen(function*() {
      const { insert, seen } = yield* inserting
      const exits = yield* Effect.forEach(["a", null, "b"], (name) => Effect.exit(insert(name)), together)
      assert.deepStrictEqual(exits.map(Exit.isSuccess), [true, false, true])
      assert.deepStrictEqual(seen, [["a", null, "b"], ["a"], [null], ["b"]])
      assert.deepStrictEqual(yield* names, ["a", "b"])
    })))

  it.live("fails an input whose turn is lost without running its neighbours again", () =>
    withTable(Effect.gen(function*() {
      const { insert, seen } = yield* inserting
      const exits = yield* Effect.forEach(["a", "lost", "b"], (name) => Effect.exit(insert(name)), together)
      assert.deepStrictEqual(exits.map(Exit.isSuccess), [true, false, true])
      assert.strictEqual(seen.length, 1)
      assert.deepStrictEqual(yield* names, ["a", "b"])
    })))

  it.live("fails the one job whose run dies, and commits what waits beside it", () =>
    withTable(Effect.gen(function*() {
      const group = yield* GroupCommit
      const { insert } = yield* inserting
      const dying = group.batched("dying", "claims", (names: ReadonlyArray<string>) =>
        Effect.die(new Error(names.join())))
      const [inserted, died] = yield* Effect.all([Effect.exit(insert("a")), Effect.exit(dying("b"))], together)
      assert.deepStrictEqual([Exit.isSuccess(inserted), Exit.isSuccess(died)], [true, false])
      assert.deepStrictEqual(yield* names, ["a"])
    })))

  it.live("runs kinds in their places: ends of work, arrivals, the others, and claims last", () =>
    withTable(Effect.gen(function*() {
      const group = yield* GroupCommit
      const order: Array<string> = []
      const says = (word: string) => (inputs: ReadonlyArray<number>) =>
        Effect.sync(() => {
          order.push(`${word} ${inputs.join()}`)
          return inputs.map(Exit.succeed)
        })
      const claim = group.batched("claim", "claims", says("claim"))
      const append = group.batched("append", "appends", says("append"))
      const end = group.batched("end", "ends", says("end"))
      const deliver = group.batched("deliver", "ends", says("deliver"))
      const other = group.write("other")(Effect.sync(() => order.push("other")))
      yield* Effect.all([claim(1), deliver(1), other, append(1), claim(2), end(1), append(2), end(2)], together)
      assert.deepStrictEqual(order, ["end 1,2", "deliver 1", "append 1,2", "other", "claim 1,2"])
    })))

  it.live("runs one input at once inside the caller's transaction, which can take it back", () =>
    withTable(Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const { insert, seen } = yield* inserting
      yield* sql.withTransaction(Effect.gen(function*() {
        assert.strictEqual(yield* insert("a"), "a!")
        assert.strictEqual((yield* Effect.flip(insert("lost"))).reason._tag, "TurnLost")
        assert.deepStrictEqual(yield* names, ["a"])
        return yield* Effect.fail("undo")
      })).pipe(Effect.ignore)
      assert.deepStrictEqual(seen, [["a"], ["lost"]])
      assert.deepStrictEqual(yield* names, [])
    })))

  it.live("fails every input when the commit fails", () =>
    withTable(Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const group = yield* GroupCommit
      yield* sql`PRAGMA foreign_keys = ON`
      yield* sql`CREATE TABLE child (id INTEGER REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED)`
      const { insert } = yield* inserting
      const orphan = group.write("orphan")(sql`INSERT INTO child VALUES (999)`)
      const exits = yield* Effect.all(
        [Effect.isSuccess(insert("a")), Effect.isSuccess(orphan), Effect.isSuccess(insert("b"))],
        together
      )
      assert.deepStrictEqual(exits, [false, false, false])
      assert.deepStrictEqual(yield* names, [])
      // The connection holds no open transaction: the next one begins.
      assert.strictEqual(yield* insert("c"), "c!")
    })))
})
