/**
 * The database of the application we are embedded in: its client, its file, and our tables in it.
 *
 * Guarantees: what our promise needs is looked at before anything is written, and a client that does not have it is
 * refused with a sentence: SQLite, a file, WAL, and a driver that keeps one fiber's statements out of another's open
 * transaction. `synchronous=FULL` and a `busy_timeout` of 100 ms are set on the connection, and read back. Two locks:
 * the data directory's, and one beside the file, since another gateway could be given another directory.
 * Does not: touch the host's tables, `PRAGMA user_version`, `foreign_keys` or the mode of its file; close the client.
 * Never opens the host's file: closing it would drop the locks that the host's connection has on it.
 */
import { Context, Data, Effect, Fiber, Layer, Option, Scheduler } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { join } from "node:path"
import { GatewayConfig } from "../GatewayConfig.ts"
import { newOwner, Owner, pragma, prepareDirectory, untilOpen } from "./Database.ts"
import { DatabaseError, UnfitHost, unusable } from "./DatabaseError.ts"
import { migrate, refuseNewer } from "./migrations.ts"
import * as OwnerLock from "./OwnerLock.ts"
import { Reader } from "./Reader.ts"

const unfit = (detail: string) => new DatabaseError({ reason: new UnfitHost({ detail }) })

/** WAL is the file's, so it is the host's to set. */
const requireWal = Effect.fnUntraced(function*(sql: SqlClient.SqlClient) {
  const mode = yield* pragma(sql, "journal_mode")
  if (mode === "wal") return
  return yield* unfit(`its journal mode is ${String(mode)}; open it with WAL (the client does, unless disableWAL)`)
})

/** What is the connection's is set. */
const configure = Effect.fnUntraced(function*(sql: SqlClient.SqlClient) {
  // EXTRA (3) is more than FULL.
  if ((yield* pragma(sql, "synchronous")) !== 3) yield* sql.unsafe("PRAGMA synchronous = FULL")
  yield* sql.unsafe("PRAGMA busy_timeout = 100")
  for (const [name, least] of [["synchronous", 2], ["busy_timeout", 100]] as const) {
    const found = yield* pragma(sql, name)
    if (!(Number(found) >= least)) {
      return yield* unfit(`PRAGMA ${name} is ${String(found)} and cannot be set to ${least}`)
    }
  }
})

class Undone extends Data.TaggedError("Undone") {}

/** More steps than a statement takes from its first to its last. */
const phases = 50

/**
 * Whether a statement can run inside another fiber's open transaction, where a rollback takes it along. Deterministic:
 * a reader gives way after each of its steps, and a transaction that is undone begins after one step of it, after two,
 * and so on; nobody may ever see what the transaction wrote into a table of this connection's own.
 */
const letsStatementsIn = Effect.fnUntraced(function*(sql: SqlClient.SqlClient) {
  yield* sql`CREATE TEMP TABLE IF NOT EXISTS slackwater_probe (n INTEGER)`
  const reader = Effect.provideService(
    sql<{ readonly n: number }>`SELECT count(*) AS n FROM temp.slackwater_probe`,
    Scheduler.MaxOpsBeforeYield,
    3
  )
  const pauses = (times: number) => Effect.repeat(Effect.yieldNow, { times })
  let seen = false
  for (let step = 0; step < phases && !seen; step++) {
    const reading = yield* Effect.forkChild(reader, { startImmediately: true })
    yield* pauses(step)
    if (reading.pollUnsafe() !== undefined) break
    yield* sql`INSERT INTO temp.slackwater_probe VALUES (1)`.pipe(
      Effect.andThen(pauses(phases)),
      Effect.andThen(Effect.fail(new Undone())),
      sql.withTransaction,
      Effect.catchTag("Undone", () => Effect.void)
    )
    const [row] = yield* Fiber.join(reading)
    seen = row?.n !== 0
  }
  yield* sql`DROP TABLE temp.slackwater_probe`
  return seen
})

const asDatabaseError = (path: string) => (error: DatabaseError | SqlError.SqlError) =>
  error._tag === "DatabaseError" ? error : unusable(path, error)

const open = Effect.gen(function*() {
  const { dataDir } = yield* GatewayConfig
  const given = yield* SqlClient.SqlClient
  if (!given.onDialectOrElse({ sqlite: () => true, orElse: () => false })) {
    return yield* unfit(`its client is not for SQLite (${given.driver}); use SqliteClient of slackwater/sqlite`)
  }
  if (Option.isSome(yield* Effect.serviceOption(given.transactionService))) {
    return yield* unfit("a gateway cannot be started inside a transaction")
  }
  // The host may have its rows renamed; ours are read as they are.
  const sql = given.withoutTransforms()
  const [main] = yield* sql<{ readonly file: string }>`SELECT file FROM pragma_database_list WHERE name = 'main'`.pipe(
    Effect.mapError(asDatabaseError("the host's database"))
  )
  const file = main?.file ?? ""
  if (file === "") return yield* unfit("it is in memory; give its client a file")

  const directory = yield* prepareDirectory(dataDir)
  yield* OwnerLock.refuseHeld(file)
  const { id, now } = yield* newOwner
  yield* OwnerLock.acquire(directory, join(directory, "owner.lock"), id, now)
  yield* OwnerLock.acquire(file, `${file}-slackwater.lock`, id, now)

  yield* untilOpen(
    Effect.gen(function*() {
      yield* refuseNewer(file)
      yield* requireWal(sql)
      if (yield* letsStatementsIn(sql)) {
        return yield* unfit(
          "its driver lets a statement run inside another fiber's transaction, so acknowledged writes would be lost; " +
            "build the client with SqliteClient of slackwater/sqlite"
        )
      }
      yield* configure(sql)
      yield* migrate
    }).pipe(
      Effect.provideService(SqlClient.SqlClient, sql),
      Effect.mapError(asDatabaseError(file))
    )
  )
  return Context.make(SqlClient.SqlClient, sql).pipe(Context.add(Owner, { id }), Context.add(Reader, undefined))
})

/** Our tables in the database whose client is in the context. */
export const layer = Layer.effectContext(open)
