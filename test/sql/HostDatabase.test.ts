/** Which databases of a host the gateway takes, what it does to them, and with which words it refuses the others. */
import type { SqliteClient as Driver } from "@effect/sql-sqlite-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, type Scope, Semaphore } from "effect"
import { Reactivity } from "effect/reactivity"
import { SqlClient, Statement } from "effect/sql"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { Gateway, Handler, Outbox } from "slackwater"
import { SqliteClient } from "slackwater/sqlite"
import { LocalSlack } from "slackwater/testing"
import { answered, echo, settingsFor, temporaryDirectory, withSlack } from "../fixtures/gateway.ts"
import { startHost, stored } from "../fixtures/host.ts"

/** Starts a gateway in the database of this client. */
const startIn = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, dataDir?: string) {
  const slack = yield* LocalSlack
  const directory = dataDir ?? (yield* temporaryDirectory)
  return yield* Layer.build(
    Gateway.layer({ handler: echo, config: settingsFor(slack, directory), database: "host" })
  ).pipe(Effect.provideService(SqlClient.SqlClient, sql))
})

const refusal = (sql: SqlClient.SqlClient) => Effect.map(Effect.flip(startIn(sql)), (error) => error.message)

const clientOn = (filename: string, options: Partial<Driver.SqliteClientConfig> = {}) =>
  SqliteClient.make({ filename, ...options }).pipe(Effect.provide(Reactivity.layer))

const tablesOf = (sql: SqlClient.SqlClient) =>
  Effect.map(
    sql<{ readonly name: string }>`SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'slackwater%'`,
    (rows) => rows.map((row) => row.name)
  )

const pragma = (sql: SqlClient.SqlClient, name: string) =>
  Effect.map(sql.unsafe<Record<string, unknown>>(`PRAGMA ${name}`), ([row]) => Object.values(row ?? {})[0])

describe("a host's database", () => {
  it.live("gets our tables beside its own, the pragmas we need, and keeps what is the host's", () =>
    Effect.gen(function*() {
      const file = join(yield* temporaryDirectory, "shop.db")
      const sql = yield* clientOn(file)
      yield* sql`PRAGMA user_version = 42`
      yield* sql`PRAGMA synchronous = NORMAL`
      yield* sql`CREATE TABLE orders (id TEXT PRIMARY KEY)`
      yield* startIn(sql)
      assert.include(yield* tablesOf(sql), "slackwater_outbox")
      assert.strictEqual(yield* pragma(sql, "user_version"), 42)
      assert.strictEqual(yield* pragma(sql, "synchronous"), 2)
      assert.strictEqual(yield* pragma(sql, "busy_timeout"), 100)
      assert.strictEqual((yield* sql`SELECT * FROM temp.sqlite_schema`).length, 0)
    }).pipe(withSlack))

  it.live("may rename its rows and columns; ours are read as they are", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const sql = yield* clientOn(join(yield* temporaryDirectory, "shop.db"), {
        transformResultNames: (name) => name.toUpperCase(),
        transformQueryNames: (name) => name.toLowerCase()
      })
      const outbox = Context.get(yield* startIn(sql), Outbox)
      yield* sql.withTransaction(outbox.enqueue({ channel: "C0GENERAL", text: "renamed" }))
      yield* answered("C0GENERAL", "renamed")
      yield* slack.say({ channel: "D0ALICE", user: "U0ALICE", text: "hello" })
      yield* answered("D0ALICE", "You said: hello")
    }).pipe(withSlack))

  it.live("is there again after a restart, with what was not sent", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const directory = yield* temporaryDirectory
      yield* slack.faults({ apiDown: true })
      yield* Effect.gen(function*() {
        const host = yield* startHost({ directory })
        const outbox = Context.get(host, Outbox)
        yield* Context.get(host, SqlClient.SqlClient).withTransaction(
          outbox.enqueue({ channel: "C0GENERAL", text: "kept" })
        )
      }).pipe(Effect.scoped)
      yield* slack.clearFaults
      const host = yield* startHost({ directory })
      assert.deepStrictEqual(yield* Effect.provideContext(stored, host), ["kept"])
      yield* answered("C0GENERAL", "kept")
    }).pipe(withSlack))

  it.live("takes the way out alone", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const directory = yield* temporaryDirectory
      const sql = yield* clientOn(join(directory, "shop.db"))
      const context = yield* Layer.build(Gateway.layerOutbox(settingsFor(slack, directory), "host")).pipe(
        Effect.provideService(SqlClient.SqlClient, sql)
      )
      yield* sql.withTransaction(Context.get(context, Outbox).enqueue({ channel: "C0GENERAL", text: "out" }))
      yield* answered("C0GENERAL", "out")
    }).pipe(withSlack))

  it.live("takes one gateway, whatever its data directory", () =>
    Effect.gen(function*() {
      const file = join(yield* temporaryDirectory, "shop.db")
      yield* startIn(yield* clientOn(file))
      assert.match(yield* refusal(yield* clientOn(file)), /^another gateway owns .*shop\.db/)
    }).pipe(withSlack))
})

describe("refused, and left as it was, is a client", () => {
  const refuses = (
    sentence: string,
    make: (file: string) => Effect.Effect<SqlClient.SqlClient, unknown, Scope.Scope>,
    reason: RegExp
  ) =>
    it.live(sentence, () =>
      Effect.gen(function*() {
        const sql = yield* make(join(yield* temporaryDirectory, "shop.db"))
        assert.match(yield* refusal(sql), reason)
        const isSqlite = sql.onDialectOrElse({ sqlite: () => true, orElse: () => false })
        if (isSqlite) assert.deepStrictEqual(yield* tablesOf(sql), [])
      }).pipe(withSlack))

  refuses("of a database in memory", () => clientOn(":memory:"), /^cannot use the host's database: it is in memory/)

  refuses("without WAL", (file) => clientOn(file, { disableWAL: true }), /journal mode is delete; open it with WAL/)

  refuses(
    "that cannot write",
    (file) => {
      const database = new DatabaseSync(file, { timeout: 10_000 })
      database.exec("PRAGMA journal_mode = WAL; CREATE TABLE t (n)")
      database.close()
      return clientOn(file, { readonly: true, disableWAL: true })
    },
    /readonly/
  )

  refuses(
    "whose driver lets statements into the transactions of others, as the published one does",
    Effect.fnUntraced(function*(file) {
      const connection = yield* Effect.flatMap(clientOn(file), (sql) => Effect.scoped(sql.reserve))
      const permit = yield* Semaphore.make(1)
      return yield* SqlClient.make({
        // Given back before the statement runs.
        acquirer: permit.withPermits(1)(Effect.succeed(connection)),
        transactionAcquirer: Effect.as(permit.takeScoped(1), connection),
        compiler: Statement.makeCompilerSqlite(),
        driver: "sqlite-node",
        spanAttributes: []
      }).pipe(Effect.provide(Reactivity.layer))
    }),
    /acknowledged writes would be lost; build the client with SqliteClient of slackwater\/sqlite$/
  )

  refuses(
    "of another database",
    () =>
      SqlClient.make({
        acquirer: Effect.die(new Error("nobody connects")),
        compiler: Statement.makeCompiler({
          dialect: "pg",
          placeholder: (n) => `$${n}`,
          onIdentifier: (name) => name,
          onCustom: () => ["", []],
          onRecordUpdate: () => ["", []]
        }),
        driver: "pg",
        spanAttributes: []
      }).pipe(Effect.provide(Reactivity.layer)),
    /its client is not for SQLite \(pg\)/
  )

  it.live("with a transaction open around the start", () =>
    Effect.gen(function*() {
      const sql = yield* clientOn(join(yield* temporaryDirectory, "shop.db"))
      assert.match(yield* sql.withTransaction(refusal(sql)), /cannot be started inside a transaction/)
    }).pipe(withSlack))

  it.live("of a database that a newer release has written to", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      yield* Effect.scoped(startHost({ directory }))
      const sql = yield* clientOn(join(directory, "shop.db"))
      yield* sql`UPDATE slackwater_schema SET version = 99`
      assert.match(yield* refusal(sql), /shop\.db was written by a newer release \(schema 99/)
    }).pipe(withSlack))
})

describe("without it", () => {
  it.live("the gateway leaves the SqlClient of the application alone, in the handler and beside it", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const directory = yield* temporaryDirectory
      mkdirSync(join(directory, "bot"))
      const sql = yield* clientOn(join(directory, "shop.db"))
      yield* sql`CREATE TABLE orders (id TEXT PRIMARY KEY)`
      const handler = Handler.make(() =>
        Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          const rows = yield* sql`SELECT id FROM orders`
          return `${rows.length} orders`
        })
      )
      const app = Gateway.layer({ handler, config: settingsFor(slack, join(directory, "bot")) }).pipe(
        Layer.provideMerge(Layer.succeed(SqlClient.SqlClient, sql))
      )
      const context = yield* Layer.build(app)
      assert.strictEqual(Context.get(context, SqlClient.SqlClient), sql)
      yield* slack.say({ channel: "D0ALICE", user: "U0ALICE", text: "how many?" })
      yield* answered("D0ALICE", "0 orders")
      assert.deepStrictEqual(yield* tablesOf(sql), [])
    }).pipe(withSlack))
})
