/** Moments of the outbox after the clock was set. */
import { Effect } from "effect"
import type { SqlClient, Statement } from "effect/sql"

/** A row that nobody told to wait is due from when it was committed, or sent again by hand, whatever the clock says. */
export const isUnbidden = (sql: SqlClient.SqlClient, row: Statement.Fragment) =>
  sql`(${row}.due_at <= ${row}.enqueued_at OR ${row}.due_at <= coalesce(${row}.retried_at, 0))`

/** Both states are named so that the index is used. */
export const setBack = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, by: number, now: number) {
  const waits = sql`state IN ('queued', 'failed_retryable')`
  const table = sql`slackwater_outbox`
  if (by < 0) {
    yield* sql`UPDATE slackwater_outbox SET unknown_since = min(${now}, unknown_since - ${by}) WHERE state = 'unknown'`
    return
  }
  yield* sql`UPDATE slackwater_outbox SET due_at = ${now}
    WHERE ${waits} AND state = 'queued' AND due_at > ${now} AND ${isUnbidden(sql, table)}`
  yield* sql`UPDATE slackwater_outbox SET due_at = max(${now}, due_at - ${by})
    WHERE ${waits} AND state = 'failed_retryable' AND due_at > ${now}`
  yield* sql`UPDATE slackwater_outbox SET due_at = max(${now}, due_at - ${by})
    WHERE state = 'unknown' AND due_at > ${now}`
  yield* sql`UPDATE slackwater_outbox SET unknown_since = min(${now}, unknown_since - ${by})
    WHERE state = 'unknown' AND unknown_since > ${now}`
})
