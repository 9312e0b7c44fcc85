/**
 * How both stores write: one short `BEGIN IMMEDIATE` transaction per call, tried again while another process holds
 * the file, and one error type for everything the database can say.
 */
import { Effect, Schedule } from "effect"
import { type SqlClient, SqlError } from "effect/sql"
import { StoreError, StoreUnavailable, type TurnLost } from "../StoreError.ts"

/** A busy file is waited for this long (ms), asynchronously, before the call fails. */
const busyFor = 5_000

const busyPauses = Schedule.spaced("25 millis").pipe(Schedule.jittered, Schedule.upTo({ duration: busyFor }))

const isBusy = (error: unknown) => SqlError.isSqlError(error) && error.reason._tag === "LockTimeoutError"

/** Waits, without blocking the process, while somebody else holds the file. */
export const untilFree = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.retry(effect, { while: isBusy, schedule: busyPauses })

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
