/**
 * Where operators, the dashboard and metrics read: a second connection to the gateway's own file, which can only read.
 *
 * What they ask for is unforeseen, and much of it walks through the past. Here it neither waits for the writer's
 * transactions nor pushes the pages and the prepared statements of the way of a message out of their caches.
 * Guarantees: each statement sees what was committed last. It is opened when the schema is there and closed before the
 * connection that writes, so that this one can empty the WAL at the end.
 * Does not: run beside the process. SQLite answers in this thread, so what takes long is asked in slices (`counts.ts`).
 * In the host's database and in memory there is no second connection, and the one there is is read.
 */
import { SqliteClient } from "@effect/sql-sqlite-node"
import { Cause, Context, Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { unusable } from "./DatabaseError.ts"

/** The second connection; undefined where there is none. */
export const Reader = Context.Reference<SqlClient.SqlClient | undefined>("slackwater/sql/Reader", {
  defaultValue: () => undefined
})

/** Opens the file, which is there and set up; closes with the scope. */
export const openReader = Effect.fnUntraced(function*(file: string, busyMs: number) {
  const scope = yield* Effect.scope
  const context = yield* Layer.buildWithScope(
    SqliteClient.layer({ filename: file, readonly: true, disableWAL: true }),
    scope
  ).pipe(
    // The driver opens the file in a constructor that throws.
    Effect.catchCause((cause) => Effect.fail(unusable(file, Cause.squash(cause))))
  )
  const sql = Context.get(context, SqlClient.SqlClient)
  yield* Effect.mapError(sql.unsafe(`PRAGMA busy_timeout = ${busyMs}`), (error) => unusable(file, error))
  return Context.make(Reader, sql)
})

/** The client to read with, off the way of a message. */
export const reading = Effect.flatMap(
  Effect.service(Reader),
  (reader) => reader === undefined ? Effect.service(SqlClient.SqlClient) : Effect.succeed(reader)
)
