/**
 * Statements and transactions of the stores, and the writer's own: short, `BEGIN IMMEDIATE`, tried again while another
 * process holds the file, and one error type for everything the database can say. Who shares one: `GroupCommit.ts`.
 */
import { Effect, Exit, Schedule } from "effect"
import { type SqlClient, type SqlConnection, SqlError } from "effect/sql"
import { StoreError, StoreUnavailable, type TurnLost } from "../StoreError.ts"

/** A busy file is waited for this long (ms), asynchronously, before the call fails. */
const busyFor = 5_000

const busyPauses = Schedule.spaced("25 millis").pipe(Schedule.jittered, Schedule.upTo({ duration: busyFor }))

const isBusy = (error: unknown) => SqlError.isSqlError(error) && error.reason._tag === "LockTimeoutError"

/** Waits, without blocking the process, while somebody else holds the file. */
export const untilFree = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.catchIf(effect, isBusy, (busy) => {
    // A schedule is started for those that must wait, and not for every statement.
    let isFirst = true
    const attempt = Effect.suspend(() => {
      if (!isFirst) return effect
      isFirst = false
      return Effect.fail(busy)
    })
    return Effect.retry(attempt, { while: isBusy, schedule: busyPauses })
  })

/** The driver wraps what SQLite said; the innermost message is the one that tells something. */
export const innermost = (error: unknown): unknown =>
  error instanceof Error && error.cause instanceof Error
    ? innermost(error.cause)
    : SqlError.isSqlError(error)
    ? innermost(error.reason.cause)
    : error

/** What the database said, in the words of the stores. */
export const asStoreError =
  (operation: string) =>
  <A, R>(effect: Effect.Effect<A, SqlError.SqlError | TurnLost, R>): Effect.Effect<A, StoreError, R> =>
    Effect.mapError(effect, (error) =>
      new StoreError({
        operation,
        reason: error._tag === "TurnLost" ? error : new StoreUnavailable({ cause: innermost(error) })
      }))

/** Reads and single statements. */
export const statement =
  (operation: string) =>
  <A, R>(effect: Effect.Effect<A, SqlError.SqlError | TurnLost, R>): Effect.Effect<A, StoreError, R> =>
    asStoreError(operation)(untilFree(effect))

/** Several statements, all or none. */
export const transaction =
  (sql: SqlClient.SqlClient, operation: string) =>
  <A, R>(effect: Effect.Effect<A, SqlError.SqlError | TurnLost, R>): Effect.Effect<A, StoreError, R> =>
    statement(operation)(sql.withTransaction(effect))

/** SQLite ends some transactions itself, for example when the disk is full. */
const isOver = (error: SqlError.SqlError) => {
  const said = innermost(error)
  return said instanceof Error && /no transaction is active/.test(said.message)
}

/**
 * The writer's own transaction: `sql.withTransaction` without a span, and with statements that are prepared once. That
 * is a third of what a batch of one costs.
 *
 * Only waiting for the connection can be interrupted; what begins ends. A body that fails and a commit that fails leave
 * nothing behind and no transaction open. Statements of the body use the connection; it may neither nest transactions
 * in it nor register something for after the commit.
 */
export const writerTransaction = (sql: SqlClient.SqlClient) => {
  const beginning = sql.onDialectOrElse({ sqlite: () => "BEGIN IMMEDIATE", orElse: () => "BEGIN" })
  const rollback = (connection: SqlConnection.Connection) =>
    connection.execute("ROLLBACK", [], undefined).pipe(
      Effect.catchIf(isOver, () => Effect.void),
      // Then nobody may go on with this connection: each later BEGIN fails too.
      Effect.orDie
    )
  return <A, E>(body: Effect.Effect<A, E>): Effect.Effect<A, E | SqlError.SqlError> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.scoped(Effect.flatMap(restore(sql.reserve), (connection) => {
        const inside = Effect.exit(Effect.provideService(body, sql.transactionService, [connection, 0]))
        const ended = Effect.flatMap(inside, (exit) =>
          Exit.isFailure(exit)
            ? Effect.andThen(rollback(connection), exit)
            : connection.execute("COMMIT", [], undefined).pipe(
              Effect.tapCause(() => rollback(connection)),
              Effect.andThen(exit)
            ))
        return Effect.andThen(connection.execute(beginning, [], undefined), ended)
      }))
    )
}
