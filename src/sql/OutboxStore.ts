/**
 * The durable outbox over SqlClient. States and guarantees: `../OutboxStore.ts`.
 *
 * Every UPDATE names the states it may leave and, where a sender holds the row, the owner it expects; a late answer
 * therefore changes nothing that has ended.
 */
import { Effect, Layer, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { checkCutoffs } from "../Cutoff.ts"
import { ConversationKey, Dispatch } from "../Message.ts"
import {
  type ClaimedReply,
  type ClaimOptions,
  holdLaneFor,
  type NewReply,
  OutboxStore,
  type ReplyState,
  type StoredReply,
  type TurnRun,
  type UnknownReply
} from "../OutboxStore.ts"
import { TurnLost } from "../StoreError.ts"
import { countReplies } from "./counts.ts"
import { GroupCommit } from "./GroupCommit.ts"
import { cutoffOfReplies, pruneReplies } from "./pruning.ts"
import { statement } from "./transaction.ts"

const DispatchJson = Schema.fromJsonString(Dispatch)
const encodeDispatch = Schema.encodeSync(DispatchJson)
export const decodeDispatch = Schema.decodeUnknownSync(DispatchJson)

/** Lane heads looked at in one claim; paced channels may hide others behind them only this far. */
const scan = 256

interface Row {
  readonly id: number
  readonly key: string
  readonly lane: string
  readonly channel: string
  readonly thread_ts: string | null
  readonly dispatch: string
  readonly state: ReplyState
  readonly attempts: number
  readonly due_at: number
  readonly enqueued_at: number
  readonly sent_at: number | null
  readonly unknown_since: number | null
  readonly looks: number
  readonly reason: string | null
  readonly slack_ts: string | null
}

const claimed = (row: Row): ClaimedReply => ({
  id: row.id,
  key: row.key,
  lane: ConversationKey.make(row.lane),
  destination: row.thread_ts === null ? { channel: row.channel } : { channel: row.channel, threadTs: row.thread_ts },
  dispatch: decodeDispatch(row.dispatch),
  attempts: row.attempts,
  enqueuedAt: row.enqueued_at
})

const stored = (row: Row): StoredReply => ({
  id: row.id,
  state: row.state,
  channel: row.channel,
  ts: row.slack_ts,
  reason: row.reason
})

/** Fails with `TurnLost` unless this very run of the turn is the present one. */
export const requireRun = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, run: TurnRun) {
  const held = yield* sql`SELECT 1 AS yes FROM slackwater_turns
    WHERE id = ${run.turn} AND owner = ${run.owner} AND attempt = ${run.attempt} AND state = 'running'`
  if (held.length === 0) return yield* new TurnLost({ turn: run.turn })
})

/** Adds rows inside whatever transaction is open. Answers them in order; a known key answers its first row. */
export const insertReplies = Effect.fnUntraced(function*(
  sql: SqlClient.SqlClient,
  replies: ReadonlyArray<NewReply>,
  turn: string | null,
  now: number
) {
  const rows: Array<StoredReply> = []
  for (const reply of replies) {
    let [row] = yield* sql<Row>`SELECT * FROM slackwater_outbox WHERE key = ${reply.key}`
    row ??= (yield* sql<Row>`INSERT INTO slackwater_outbox
      (key, lane, channel, thread_ts, dispatch, state, turn_id, due_at, enqueued_at) VALUES
      (${reply.key}, ${reply.lane}, ${reply.destination.channel}, ${reply.destination.threadTs ?? null},
       ${encodeDispatch(reply.dispatch)}, 'queued', ${turn}, ${now}, ${now}) RETURNING *`)[0]
    if (row !== undefined) rows.push(stored(row))
  }
  return rows
})

export const layer = Layer.effect(
  OutboxStore,
  Effect.gen(function*() {
    const group = yield* GroupCommit
    const sql = yield* SqlClient.SqlClient

    /** Heads of lanes: nothing unsettled stands before them. */
    const heads = (now: number, exclude: ReadonlyArray<string>) =>
      sql`o.state IN ('queued', 'failed_retryable')
        AND ${exclude.length === 0 ? sql`1` : sql`NOT ${sql.in("o.channel", exclude)}`}
        AND NOT EXISTS (SELECT 1 FROM slackwater_outbox p WHERE p.lane = o.lane AND p.id < o.id
          AND p.state IN ('queued', 'failed_retryable', 'sending', 'unknown') AND (
          p.state IN ('queued', 'failed_retryable', 'sending')
          OR (p.state = 'unknown' AND p.unknown_since > ${now - holdLaneFor})))`

    const claim = Effect.fn("OutboxStore.claim")(function*(options: ClaimOptions) {
      const { now, owner } = options
      const found = yield* sql<Row>`SELECT o.* FROM slackwater_outbox o
        WHERE ${heads(now, options.exclude)} AND o.due_at <= ${now} ORDER BY o.id LIMIT ${scan}`
      const rows: Array<ClaimedReply> = []
      const expired: Array<number> = []
      for (const row of found) {
        if (row.enqueued_at < options.expireBefore) {
          yield* sql`UPDATE slackwater_outbox SET state = 'expired', reason = 'older than its time to live',
            finished_at = ${now} WHERE id = ${row.id} AND state IN ('queued', 'failed_retryable')`
          expired.push(row.id)
          continue
        }
        if (rows.length >= options.limit || !options.admit(row.channel)) continue
        yield* sql`UPDATE slackwater_outbox SET state = 'sending', owner = ${owner}, sent_at = ${now}
          WHERE id = ${row.id} AND state IN ('queued', 'failed_retryable')`
        rows.push(claimed(row))
      }
      return { claimed: rows, expired }
    })

    const claimUnknown = (now: number, limit: number) =>
      Effect.map(
        sql<Row>`SELECT * FROM slackwater_outbox WHERE state = 'unknown' AND due_at <= ${now}
          ORDER BY due_at, id LIMIT ${limit}`,
        (rows) =>
          rows.map((row): UnknownReply => ({
            ...claimed(row),
            sentAt: row.sent_at ?? row.enqueued_at,
            unknownSince: row.unknown_since ?? row.enqueued_at,
            looks: row.looks
          }))
      ).pipe(statement("claimUnknown"))

    const nextDueAt = (now: number, exclude: ReadonlyArray<string>, inHand: ReadonlyArray<number>) =>
      Effect.map(
        sql<{ readonly send: number | null; readonly look: number | null; readonly hold: number | null }>`SELECT
          (SELECT min(o.due_at) FROM slackwater_outbox o WHERE ${heads(now, exclude)}) AS send,
          (SELECT min(due_at) FROM slackwater_outbox WHERE state = 'unknown'
            AND ${inHand.length === 0 ? sql`1` : sql`NOT ${sql.in("id", inHand)}`}) AS look,
          (SELECT min(unknown_since) + ${holdLaneFor} FROM slackwater_outbox
            WHERE state = 'unknown' AND unknown_since > ${now - holdLaneFor}) AS hold`,
        ([row]) => {
          // A lane held by an unknown row may go on when the hold ends.
          const sends = [row?.send, row?.hold].filter((due) => typeof due === "number")
          return { send: sends.length === 0 ? null : Math.min(...sends), look: row?.look ?? null }
        }
      ).pipe(statement("nextDueAt"))

    return OutboxStore.of({
      enqueue: Effect.fn("OutboxStore.enqueue")(function*(replies, from, now) {
        if (from !== null) yield* requireRun(sql, from)
        return yield* insertReplies(sql, replies, from?.turn ?? null, now)
      }, group.write("enqueue")),
      // Nothing to claim is the common case, and it must not write.
      claim: (options) =>
        Effect.flatMap(
          statement("claim")(
            sql`SELECT 1 AS yes FROM slackwater_outbox
              WHERE state IN ('queued', 'failed_retryable') AND due_at <= ${options.now} LIMIT 1`
          ),
          (rows) =>
            rows.length === 0 ? Effect.succeed({ claimed: [], expired: [] }) : group.write("claim")(claim(options))
        ),
      claimUnknown,
      nextDueAt,
      delivered: (id, owner, ts, now) =>
        Effect.asVoid(sql`UPDATE slackwater_outbox SET state = 'delivered', owner = NULL, slack_ts = ${ts},
          finished_at = ${now} WHERE id = ${id} AND ((state = 'sending' AND owner = ${owner}) OR state = 'unknown')`)
          .pipe(
            group.write("delivered")
          ),
      notSent: (id, owner, reason, { countAttempt, dueAt }) =>
        Effect.asVoid(sql`UPDATE slackwater_outbox SET state = 'failed_retryable', owner = NULL, reason = ${reason},
          due_at = ${Math.round(dueAt)}, attempts = attempts + ${countAttempt ? 1 : 0}
          WHERE id = ${id} AND state = 'sending' AND owner = ${owner}`).pipe(group.write("notSent")),
      unknown: (id, owner, reason, now, lookAt) =>
        Effect.asVoid(sql`UPDATE slackwater_outbox SET state = 'unknown', owner = NULL, reason = ${reason},
          unknown_since = ${now}, looks = 0, due_at = ${Math.round(lookAt)}
          WHERE id = ${id} AND state = 'sending' AND owner = ${owner}`).pipe(group.write("unknown")),
      looked: (id, lookAt, completed) =>
        Effect.asVoid(
          sql`UPDATE slackwater_outbox SET due_at = ${Math.round(lookAt)}, looks = looks + ${completed ? 1 : 0}
          WHERE id = ${id} AND state = 'unknown'`
        ).pipe(group.write("looked")),
      absent: (id, now) =>
        Effect.asVoid(sql`UPDATE slackwater_outbox SET state = 'failed_retryable', attempts = attempts + 1,
          due_at = ${now}, unknown_since = NULL WHERE id = ${id} AND state = 'unknown'`).pipe(group.write("absent")),
      failed: (id, owner, reason, now) =>
        Effect.asVoid(sql`UPDATE slackwater_outbox SET state = 'failed_terminal', owner = NULL, reason = ${reason},
          finished_at = ${now} WHERE id = ${id} AND ((state = 'sending' AND owner = ${owner}) OR state = 'unknown')`)
          .pipe(
            group.write("failed")
          ),
      releaseAll: (owner, now) =>
        Effect.map(
          sql`UPDATE slackwater_outbox SET state = 'unknown', owner = NULL, reason = 'cut off by the shutdown',
            unknown_since = ${now}, looks = 0, due_at = ${now} WHERE owner = ${owner} AND state = 'sending' RETURNING id`,
          (rows) => rows.length
        ).pipe(group.write("releaseAll")),
      cutoffKeeping: (newest) => statement("cutoffKeeping")(cutoffOfReplies(sql, newest)),
      prune: (options) =>
        Effect.andThen(
          checkCutoffs("prune", { finishedBefore: options.finishedBefore.at, keysBefore: options.keysBefore }),
          group.write("prune")(pruneReplies(sql, options))
        ),
      find: (id) =>
        Effect.map(
          sql<Row>`SELECT * FROM slackwater_outbox WHERE id = ${id}`,
          ([row]) => row === undefined ? null : stored(row)
        )
          .pipe(statement("find")),
      counts: statement("counts")(countReplies(sql))
    })
  })
)
