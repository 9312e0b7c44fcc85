/**
 * What of the outbox may go next: lane heads that are due, and rows to look up. Reads the partial indexes of what is not
 * settled; finished rows cost nothing.
 */
import { Effect, Option } from "effect"
import type { SqlClient } from "effect/sql"
import { aimedAt, asPost, type Dispatch, isChange, isMessage } from "../Dispatch.ts"
import {
  type ClaimedReply,
  type ClaimOptions,
  holdLaneFor,
  interimReason,
  unavailable,
  type UnknownReply
} from "../OutboxStore.ts"
import { spanned } from "../spanned.ts"
import { withShown } from "../streamed.ts"
import { limit as limited } from "./limit.ts"
import { isUnbidden } from "./outboxClock.ts"
import {
  cancelledBy,
  claimed,
  decodeDispatch,
  encodeDispatch,
  end,
  endInterim,
  piecesOf,
  type Row
} from "./outboxRows.ts"

/** Lane heads looked at in one claim; paced channels may hide others behind them only this far. */
const scan = 256

const unreadable = (id: number) => ({
  error: "Unreadable",
  reason: `reply ${id} cannot be read: a newer release wrote it, or it is damaged`
})

const expired = { error: "Expired", reason: "older than its time to live" }

/** Made as long as 8, 16, 32 and so on by what is no name of anything: statements of few texts, prepared once. */
const fewSizes = <A>(values: ReadonlyArray<A>, nothing: A): ReadonlyArray<A> => {
  let size = 8
  while (size < values.length) size *= 2
  return [...values, ...Array.from({ length: size - values.length }, () => nothing)]
}

/**
 * Heads of lanes: nothing unsettled stands before them, nothing of their lane is being sent, and what they change is
 * settled. A row before them does not
 * count while it waits for its own target or its "not before", when it is interim and they are not, or when its fate
 * has been unknown for too long.
 */
export const heads = (sql: SqlClient.SqlClient, now: number, exclude: ReadonlyArray<string>) =>
  sql`o.state IN ('queued', 'failed_retryable')
    AND NOT (o.kind = 'Post' AND ${sql.in("o.channel", fewSizes(exclude, ""))})
    AND NOT EXISTS (SELECT 1 FROM slackwater_outbox t WHERE t.id = o.target_id
      AND t.state IN ('queued', 'failed_retryable', 'sending', 'unknown'))
    AND NOT EXISTS (SELECT 1 FROM slackwater_outbox p WHERE p.lane = o.lane
      AND p.state IN ('queued', 'failed_retryable', 'sending', 'unknown') AND (
        p.state = 'sending'
        OR (p.id < o.id AND p.state = 'unknown' AND p.unknown_since > ${now - holdLaneFor})
        OR (p.id < o.id AND (p.state = 'failed_retryable'
          OR (p.state = 'queued' AND (p.due_at <= ${now} OR ${isUnbidden(sql, sql`p`)})))
          AND (p.interim = 0 OR o.interim = 1)
          AND NOT EXISTS (SELECT 1 FROM slackwater_outbox t WHERE t.id = p.target_id
            AND t.state IN ('queued', 'failed_retryable', 'sending', 'unknown')))))`

/** It will never be sent, and why; `quiet` where that loses nothing, since it was about progress that was never sent. */
interface Over {
  readonly over: string
  readonly quiet: boolean
}
const over = (why: string, quiet = false): Over => ({ over: why, quiet })

/** What becomes of a row that changes another one: the message to change, a call of its own, or why it is over. */
const resolve = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, row: Row, dispatch: Dispatch) {
  if (row.target_id === null || !isChange(dispatch._tag)) return dispatch
  if (dispatch._tag === "StreamStop" && row.degraded === 1) return asPost(dispatch)
  const [target] = yield* sql<Row>`SELECT * FROM slackwater_outbox WHERE id = ${row.target_id}`
  if (target === undefined) return over("the message it changes is no longer kept")
  // An interim message that was never sent may have been replaced by a post since.
  const [there] = target.state === "delivered" ? [target] : yield* sql<Row>`SELECT * FROM slackwater_outbox
    WHERE target_id = ${target.id} AND kind = 'Post' AND state = 'delivered' ORDER BY id DESC LIMIT 1`
  if (there !== undefined) {
    if (!isMessage(there.kind)) return over("what it changes cannot be changed")
    const aimed = aimedAt(dispatch, { channel: there.slack_channel ?? there.channel, ts: there.slack_ts ?? "" })
    return aimed._tag === "StreamStop" ? withShown(aimed, yield* piecesOf(sql, row.target_id)) : aimed
  }
  if (dispatch._tag === "StreamStop") return asPost(dispatch)
  if (dispatch._tag === "Update" && target.interim === 1 && row.interim === 0) {
    return { ...dispatch, _tag: "Post" } as const
  }
  return over(`the message it changes was not sent (${target.reason ?? target.state})`, target.interim === 1)
})

/** A part that will never be there ends what stands behind it, also where that was under way at the time. */
const brokenOff = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, row: Row) {
  if (row.part_of === null || row.retried_at !== null) return undefined
  const [earlier] = yield* sql<{ readonly id: number }>`SELECT id FROM slackwater_outbox
    WHERE (id = ${row.part_of} OR part_of = ${row.part_of}) AND id < ${row.id}
      AND state IN ('failed_terminal', 'expired') ORDER BY id LIMIT 1`
  return earlier?.id
})

export const claim = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, options: ClaimOptions) {
  const { excludeKinds = [], now, owner } = options
  const found = yield* sql<Row & { readonly progress: number }>`SELECT o.*,
      EXISTS (SELECT 1 FROM slackwater_outbox i WHERE i.interim = 1 AND i.state IN ('queued', 'sending')) AS progress
    FROM slackwater_outbox o
    WHERE ${heads(sql, now, options.exclude)} AND o.due_at <= ${now}
      AND NOT ${sql.in("o.kind", fewSizes(excludeKinds, ""))} ORDER BY o.id ${limited(sql, scan)}`
  const rows: Array<ClaimedReply> = []
  const old: Array<number> = []
  const ended: Array<number> = []
  const lanes = new Set<string>()
  const isGone = (id: number) =>
    Effect.map(
      sql`SELECT 1 AS yes FROM slackwater_outbox WHERE id = ${id} AND state IN ('queued', 'failed_retryable')`,
      (rows) => rows.length === 0
    )
  for (const row of found) {
    // An interim row may stand before a final one without holding it up; a lane has one request on its way.
    if (lanes.has(row.lane)) continue
    // A row that ended a moment ago may have taken this one with it.
    if (old.length + ended.length > 0 && (yield* isGone(row.id))) continue
    const waits = sql`id = ${row.id} AND state IN ('queued', 'failed_retryable')`
    if (row.lives_from < options.expireBefore) {
      if (row.interim === 1) ended.push(...yield* end(sql, waits, "failed_terminal", expired, now))
      else old.push(...yield* end(sql, waits, "expired", expired, now))
      continue
    }
    const broken = yield* brokenOff(sql, row)
    if (broken !== undefined) {
      ended.push(...yield* end(sql, waits, "failed_terminal", cancelledBy(broken), now))
      continue
    }
    const decoded = decodeDispatch(row.dispatch)
    if (Option.isNone(decoded)) {
      ended.push(...yield* end(sql, waits, "failed_terminal", unreadable(row.id), now))
      continue
    }
    const before = decoded.value
    const dispatch = yield* resolve(sql, row, before)
    if ("over" in dispatch) {
      ended.push(...yield* end(sql, waits, "failed_terminal", { error: "Target", reason: dispatch.over }, now))
      if (dispatch.quiet) {
        yield* sql`UPDATE slackwater_outbox SET interim = 1, reason = ${interimReason} WHERE id = ${row.id}`
      }
      continue
    }
    if (rows.length >= options.limit || !options.admit(row.channel, dispatch._tag)) continue
    lanes.add(row.lane)
    if (row.interim === 0 && row.progress === 1) {
      // Few rows are interim and unsent: their own index is read, and not the lane's whole past.
      const isBefore = sql`lane || '' = ${row.lane} AND id + 0 < ${row.id} AND state = 'queued'`
      const overtaken = yield* endInterim(sql, isBefore, now)
      ended.push(...overtaken.map(({ id }) => id))
    }
    if (dispatch._tag !== before._tag) {
      yield* sql`UPDATE slackwater_outbox SET kind = ${dispatch._tag}, dispatch = ${encodeDispatch(dispatch)}
        WHERE ${waits}`
    }
    rows.push(claimed(row, dispatch))
  }
  if (rows.length > 0) {
    yield* sql`UPDATE slackwater_outbox SET state = 'sending', owner = ${owner}, sent_at = ${now}, tries = tries + 1
      WHERE ${sql.in("id", fewSizes(rows.map(({ id }) => id), 0))} AND state IN ('queued', 'failed_retryable')`
  }
  return { claimed: rows, expired: old, ended }
}, spanned("OutboxStore.claim"))

const unknownReply = (row: Row, dispatch: Dispatch): UnknownReply => ({
  ...claimed(row, dispatch),
  sentAt: row.sent_at ?? row.enqueued_at,
  unknownSince: row.unknown_since ?? row.enqueued_at,
  late: row.late === 1,
  looks: row.looks,
  newest: row.newest,
  held: row.held === 1,
  isFree: row.error_class === unavailable
})

/** Rows to look up now, and those that nobody can read. */
export const claimUnknown = (sql: SqlClient.SqlClient, now: number, limit: number) =>
  Effect.map(
    sql<Row>`SELECT * FROM slackwater_outbox WHERE state = 'unknown' AND sent_at IS NOT NULL AND due_at <= ${now}
      ORDER BY due_at, id ${limited(sql, limit)}`,
    (rows) => {
      const replies: Array<UnknownReply> = []
      const unreadable: Array<number> = []
      for (const row of rows) {
        Option.match(decodeDispatch(row.dispatch), {
          onNone: () => unreadable.push(row.id),
          onSome: (dispatch) => replies.push(unknownReply(row, dispatch))
        })
      }
      return { replies, unreadable }
    }
  )

export const endUnreadable = (sql: SqlClient.SqlClient, ids: ReadonlyArray<number>, now: number) =>
  Effect.forEach(
    ids,
    (id) => end(sql, sql`id = ${id} AND state = 'unknown'`, "failed_terminal", unreadable(id), now),
    { discard: true }
  )

export const nextDueAt = (
  sql: SqlClient.SqlClient,
  now: number,
  exclude: ReadonlyArray<string>,
  inHand: ReadonlyArray<number>
) =>
  Effect.map(
    sql<{
      readonly send: number | null
      readonly look: number | null
      readonly hold: number | null
      readonly behind: number
    }>`SELECT
      (SELECT min(o.due_at) FROM slackwater_outbox o WHERE ${heads(sql, now, exclude)}) AS send,
      (SELECT min(due_at) FROM slackwater_outbox WHERE state = 'unknown' AND sent_at IS NOT NULL
        AND NOT ${sql.in("id", fewSizes(inHand, -1))}) AS look,
      (SELECT min(unknown_since) + ${holdLaneFor} FROM slackwater_outbox
        WHERE state = 'unknown' AND unknown_since > ${now - holdLaneFor}) AS hold,
      EXISTS (SELECT 1 FROM slackwater_outbox s CROSS JOIN slackwater_outbox w WHERE s.state = 'sending'
        AND w.lane = s.lane AND w.state IN ('queued', 'failed_retryable', 'sending', 'unknown')
        AND w.state IN ('queued', 'failed_retryable')) AS behind`,
    ([row]) => {
      // A lane held by an unknown row may go on when the hold ends.
      const sends = [row?.send, row?.hold].filter((due) => typeof due === "number")
      const send = sends.length === 0 ? null : Math.min(...sends)
      return { send, look: row?.look ?? null, behind: row?.behind === 1 }
    }
  )
