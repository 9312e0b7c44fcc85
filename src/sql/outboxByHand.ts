/** What an operator does with the outbox: look at it, send again, discard. */
import { Effect, Option } from "effect"
import type { SqlClient } from "effect/sql"
import { textOf } from "../Dispatch.ts"
import { ConversationKey } from "../Message.ts"
import { cancelled, type ReplyRecord, type ReplyState, type RowPage, type Selection } from "../OutboxStore.ts"
import { decodeDispatch, end, type Row, stored } from "./outboxRows.ts"

const record = (row: Row): ReplyRecord => ({
  ...stored(row),
  key: row.key,
  kind: row.kind,
  lane: ConversationKey.make(row.lane),
  threadTs: row.thread_ts,
  text: Option.match(decodeDispatch(row.dispatch), { onNone: () => "", onSome: textOf }),
  turn: row.turn_id,
  target: row.target_id,
  partOf: row.part_of,
  tries: row.tries,
  attempts: row.attempts,
  looks: row.looks,
  degraded: row.degraded === 1,
  error: row.error_class,
  failedAt: row.failed_at,
  dueAt: row.due_at,
  enqueuedAt: row.enqueued_at,
  sentAt: row.sent_at,
  unknownSince: row.unknown_since,
  retriedAt: row.retried_at,
  finishedAt: row.finished_at
})

/** Said as the partial indexes say it, so that looking for few rows reads few. */
const indexed: ReadonlyArray<readonly [states: ReadonlyArray<ReplyState>, condition: string]> = [
  [["failed_terminal", "expired"], "state IN ('failed_terminal', 'expired')"],
  [["queued", "failed_retryable"], "state IN ('queued', 'failed_retryable')"],
  [["sending"], "state = 'sending'"],
  [["unknown"], "state = 'unknown'"]
]

const chosen = (sql: SqlClient.SqlClient, { channel, error, ids, lane, states }: Selection) =>
  sql.and([
    sql`1`,
    ...(ids === undefined ? [] : [ids.length === 0 ? sql`0` : sql.in("id", ids)]),
    ...(states === undefined ? [] : [states.length === 0 ? sql`0` : sql.in("state", states)]),
    ...indexed.filter(([covered]) => states?.every((state) => covered.includes(state)) === true)
      .map(([, condition]) => sql.literal(condition)),
    ...(lane === undefined ? [] : [sql`lane = ${lane}`]),
    ...(channel === undefined ? [] : [sql`(channel = ${channel} OR slack_channel = ${channel})`]),
    ...(error === undefined ? [] : [sql`error_class = ${error}`])
  ])

/** Few, and not in the order of their numbers in their indexes: left to itself SQLite would walk the past instead. */
const few: ReadonlyArray<ReplyState> = ["sending", "unknown"]

/** State by state, so that each is found in its index, in its order, and no further than the page goes. */
const apart = (which: Selection): ReadonlyArray<Selection> =>
  which.ids !== undefined || which.states === undefined || which.states.length === 0
    ? [which]
    : [...new Set(which.states)].map((state) => ({ ...which, states: [state] }))

export const list = (
  sql: SqlClient.SqlClient,
  which: Selection,
  { after = 0, before, limit }: RowPage
) => {
  const isNewestFirst = before !== undefined
  const way = sql.literal(isNewestFirst ? "DESC" : "ASC")
  // One statement: a row that changes its state meanwhile is there once.
  const parts = apart(which).map((part) => {
    const id = part.states?.some((state) => few.includes(state)) === true ? sql`+id` : sql`id`
    return sql`SELECT * FROM (SELECT * FROM slackwater_outbox
      WHERE ${chosen(sql, part)} AND ${isNewestFirst ? sql`${id} < ${before}` : sql`${id} > ${after}`}
      ORDER BY ${id} ${way} LIMIT ${limit})`
  })
  return Effect.map(
    sql<Row>`${parts.reduce((all, part) => sql`${all} UNION ALL ${part}`)}`,
    (rows) => rows.toSorted((a, b) => isNewestFirst ? b.id - a.id : a.id - b.id).slice(0, limit).map(record)
  )
}

export const retry = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, which: Selection, now: number) {
  const anew = sql`state = 'queued', owner = NULL, attempts = 0, due_at = ${now}, lives_from = ${now},
    retried_at = ${now}, unknown_since = NULL, late = 0, looks = 0, newest = NULL, held = 0, error_class = NULL, reason = NULL,
    failed_at = NULL, finished_at = NULL`
  const rows = yield* sql<Pick<Row, "id" | "part_of">>`UPDATE slackwater_outbox SET ${anew}
    WHERE ${chosen(sql, which)} AND interim = 0 AND state IN ('failed_terminal', 'expired', 'unknown')
    RETURNING id, part_of`
  const again = new Set(rows.map(({ id }) => id))
  for (const row of rows) {
    const revived = yield* sql<{ readonly id: number }>`UPDATE slackwater_outbox SET ${anew}
      WHERE part_of = ${row.part_of ?? row.id} AND id > ${row.id} AND interim = 0
        AND state = 'failed_terminal' AND error_class = ${cancelled} RETURNING id`
    for (const { id } of revived) again.add(id)
  }
  return [...again].toSorted((a, b) => a - b)
})

export const discard = (sql: SqlClient.SqlClient, which: Selection, now: number) =>
  end(
    sql,
    sql`${chosen(sql, which)} AND state NOT IN ('sending', 'delivered')
      AND NOT (state = 'failed_terminal' AND error_class = 'Discarded')`,
    "failed_terminal",
    { error: "Discarded", reason: "discarded" },
    now
  )
