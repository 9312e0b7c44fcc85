/**
 * Rows of the outbox as the database keeps them: how they are read, cut off, and ended together. How they are added is
 * in `outboxInserts.ts`.
 *
 * Everything here runs inside whatever transaction is open. Rows that belong together end together: the later parts of
 * a text with a part that failed, the interim replies of a turn with its final one.
 */
import { Effect, Option, Schema } from "effect"
import type { SqlClient, Statement } from "effect/sql"
import { Dispatch, type Kind, repeatable, withoutBlocks } from "../Dispatch.ts"
import { ConversationKey } from "../Message.ts"
import {
  cancelled,
  type ClaimedReply,
  type Failure,
  interimReason,
  type ReplyState,
  type StoredReply,
  type TurnRun
} from "../OutboxStore.ts"
import { TurnLost } from "../StoreError.ts"
import type { Piece } from "../streamed.ts"

const DispatchJson = Schema.fromJsonString(Dispatch)
export const encodeDispatch = Schema.encodeSync(DispatchJson)
/** None where a newer release wrote the row, or something damaged it. */
export const decodeDispatch = Schema.decodeUnknownOption(DispatchJson)
/** As it was committed: words cannot change any more, but the caller still has the blocks in hand. */
export const decodeSent = (dispatch: Dispatch, json: string): Dispatch =>
  "blocks" in dispatch ? Option.getOrElse(decodeDispatch(json), () => dispatch) : dispatch

export interface Row {
  readonly id: number
  readonly key: string
  readonly lane: string
  readonly channel: string
  readonly thread_ts: string | null
  readonly kind: Kind
  readonly dispatch: string
  readonly state: ReplyState
  readonly interim: number
  readonly turn_id: string | null
  readonly target_id: number | null
  readonly part_of: number | null
  readonly tries: number
  readonly attempts: number
  readonly due_at: number
  readonly enqueued_at: number
  readonly lives_from: number
  readonly sent_at: number | null
  readonly unknown_since: number | null
  readonly late: number
  readonly looks: number
  readonly newest: string | null
  readonly held: number
  readonly degraded: number
  readonly error_class: string | null
  readonly reason: string | null
  readonly failed_at: number | null
  readonly retried_at: number | null
  readonly slack_channel: string | null
  readonly slack_ts: string | null
  readonly remote: string | null
  readonly finished_at: number | null
  readonly trace: string | null
}

export const claimed = (row: Row, dispatch: Dispatch): ClaimedReply => ({
  id: row.id,
  key: row.key,
  lane: ConversationKey.make(row.lane),
  destination: row.thread_ts === null ? { channel: row.channel } : { channel: row.channel, threadTs: row.thread_ts },
  dispatch: row.degraded === 1 ? withoutBlocks(dispatch) : dispatch,
  interim: row.interim === 1,
  remote: row.remote,
  attempts: row.attempts,
  enqueuedAt: row.enqueued_at,
  livesFrom: row.lives_from,
  trace: row.trace
})

export const stored = (row: Row): StoredReply => ({
  id: row.id,
  state: row.state,
  channel: row.slack_channel ?? row.channel,
  ts: row.slack_ts,
  reason: row.reason,
  interim: row.interim === 1,
  held: row.held === 1
})

/** Fails with `TurnLost` unless this very run of the turn is the present one. */
export const requireRun = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, run: TurnRun) {
  const held = yield* sql`SELECT 1 AS yes FROM slackwater_turns
    WHERE id = ${run.turn} AND owner = ${run.owner} AND attempt = ${run.attempt} AND state = 'running'`
  if (held.length === 0) return yield* new TurnLost({ turn: run.turn })
})

/** What was done with a stream since it began, in order. */
export const piecesOf = (sql: SqlClient.SqlClient, start: number) =>
  Effect.map(
    sql<Row>`SELECT * FROM slackwater_outbox WHERE target_id = ${start} ORDER BY id`,
    (rows) =>
      rows.map((row): Piece => ({
        dispatch: Option.getOrNull(decodeDispatch(row.dispatch)),
        state: row.state,
        tries: row.tries,
        error: row.error_class
      }))
  )

/** These interim rows will not be sent any more. */
export const endInterim = (sql: SqlClient.SqlClient, which: Statement.Fragment, now: number) =>
  sql<{ readonly id: number }>`UPDATE slackwater_outbox SET state = 'failed_terminal', owner = NULL,
    error_class = 'Interim', reason = ${interimReason}, failed_at = ${now}, finished_at = ${now}
    WHERE interim = 1 AND state IN ('queued', 'sending') AND ${which} RETURNING id`

export const cancelledBy = (part: number): Failure => ({
  error: cancelled,
  reason: `an earlier part (${part}) was not sent`
})

/** What stands behind a part that will never be there is not sent either. */
const cancelParts = (sql: SqlClient.SqlClient, row: Pick<Row, "id" | "part_of">, now: number) => {
  const { error, reason } = cancelledBy(row.id)
  return sql`UPDATE slackwater_outbox SET state = 'failed_terminal', error_class = ${error},
    reason = CASE WHEN interim = 1 THEN ${interimReason} ELSE ${reason} END, failed_at = ${now}, finished_at = ${now}
    WHERE part_of = ${row.part_of ?? row.id} AND id > ${row.id} AND state IN ('queued', 'failed_retryable')`
}

/** Ends rows in one of the states, and what hangs on them. Answers those that ended. */
export const end = Effect.fnUntraced(function*(
  sql: SqlClient.SqlClient,
  which: Statement.Fragment,
  state: "failed_terminal" | "expired",
  { error, reason }: Failure,
  now: number
) {
  const rows = yield* sql<Pick<Row, "id" | "part_of">>`UPDATE slackwater_outbox SET state = ${state}, owner = NULL,
    held = 0, error_class = ${error}, reason = CASE WHEN interim = 1 THEN ${interimReason} ELSE ${reason} END,
    interim = CASE WHEN kind = 'StreamStart' THEN 1 ELSE interim END,
    failed_at = ${now}, finished_at = ${now} WHERE ${which} RETURNING id, part_of`
  for (const row of rows) yield* cancelParts(sql, row, now)
  return rows.map(({ id }) => id).toSorted((a, b) => a - b)
})

/** Requests whose end nobody heard: looked up, asked for again, or given up, as their kind allows. */
export const cutOff = Effect.fnUntraced(function*(
  sql: SqlClient.SqlClient,
  which: Statement.Fragment,
  reason: string,
  now: number
) {
  const failed = sql`owner = NULL, error_class = 'Ambiguous', reason = ${reason}, failed_at = ${now}, due_at = ${now}`
  const interim = yield* endInterim(sql, sql`state = 'sending' AND ${which}`, now)
  const again = yield* sql`UPDATE slackwater_outbox SET state = 'failed_retryable', attempts = attempts + 1, ${failed}
    WHERE state = 'sending' AND ${sql.in("kind", repeatable)} AND ${which} RETURNING id`
  const unknown =
    yield* sql`UPDATE slackwater_outbox SET state = 'unknown', ${failed}, unknown_since = ${now}, late = 1,
    looks = 0, newest = NULL, held = 0 WHERE state = 'sending' AND ${which} RETURNING id`
  return interim.length + again.length + unknown.length
})

/** Of a conversation's rows, what was said in it: as it reads now, without progress and what was taken back. */
export const saidIn = (sql: SqlClient.SqlClient) =>
  sql`state NOT IN ('failed_terminal', 'expired') AND interim = 0 AND kind NOT IN ('Delete', 'React', 'StreamStart', 'StreamEnd')
    AND NOT EXISTS (SELECT 1 FROM slackwater_outbox u
      WHERE u.target_id = coalesce(slackwater_outbox.target_id, slackwater_outbox.id) AND u.id > slackwater_outbox.id
      AND u.kind NOT IN ('React', 'StreamEnd') AND u.interim = 0 AND u.state NOT IN ('failed_terminal', 'expired'))`
