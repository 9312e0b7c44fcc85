/**
 * What an operator does with the inbox: look at it, have dead letters handled again, discard.
 *
 * Guarantees: a message leaves only states in which no turn runs with it, so nothing done by hand races a run. A turn
 * that failed comes back whole, as the same turn: what it has said is recognised, what it has done is not repeated.
 */
import { Effect, Option } from "effect"
import type { SqlClient, Statement } from "effect/sql"
import { textOf } from "../Dispatch.ts"
import {
  type Action,
  type ByHand,
  discarded,
  isBlank,
  keysWithin,
  type MessageDetail,
  type MessagePage,
  type MessageRecord,
  type MessageSelection,
  type MessageState,
  messageStates,
  shownOfTurn,
  shownPayload,
  type TurnRecord
} from "../InboxByHand.ts"
import { ConversationKey } from "../Message.ts"
import type { ReplyState } from "../OutboxStore.ts"
import { traceparent } from "../traceContext.ts"
import { decodeMessage } from "./messageJson.ts"
import { endStreams } from "./outboxInserts.ts"
import { decodeDispatch } from "./outboxRows.ts"

interface Row {
  readonly id: number
  readonly conversation: string
  readonly slack_ts: string
  readonly message: string
  readonly state: MessageState
  readonly reason: string | null
  readonly turn_id: string | null
  readonly due: number
  readonly received_at: number
  readonly finished_at: number | null
  readonly attempt: number | null
  readonly failures: number | null
  readonly crashes: number | null
  readonly retries: number
  readonly retried_at: number | null
}

const textIn = (message: string) =>
  Option.match(decodeMessage(message), { onNone: () => "", onSome: ({ text }) => text })

const record = (row: Row): MessageRecord => {
  const message = Option.getOrUndefined(decodeMessage(row.message))
  return {
    id: row.id,
    state: row.state,
    conversation: ConversationKey.make(row.conversation),
    kind: message?.kind ?? null,
    channel: message?.channel ?? null,
    user: message?.user ?? null,
    text: message?.text ?? "",
    ts: row.slack_ts,
    threadTs: message?.threadTs ?? null,
    reason: row.reason,
    turn: row.turn_id,
    attempts: row.attempt ?? 0,
    failures: row.failures ?? 0,
    crashes: row.crashes ?? 0,
    receivedAt: row.received_at,
    dueAt: row.due,
    finishedAt: row.finished_at,
    retries: row.retries,
    retriedAt: row.retried_at,
    blanked: message !== undefined && isBlank(message)
  }
}

/** Asked for again by hand, and not begun yet: it holds nothing up, and the database knows it by what it has not. */
export const isAskedFor = "state = 'failed' AND finished_at IS NULL"

/** What is not finished, found in the indexes that hold nothing else. */
const unfinished = (sql: SqlClient.SqlClient, state: MessageState) =>
  sql`state = ${state} AND id IN (
    SELECT id FROM slackwater_messages WHERE state = 'queued' AND turn_id IS NULL
    UNION ALL
    SELECT m.id FROM slackwater_turns t CROSS JOIN slackwater_messages m ON m.turn_id = t.id
      WHERE t.state IN ('running', 'waiting')
    UNION ALL
    SELECT m.id FROM slackwater_turns t CROSS JOIN slackwater_messages m ON m.turn_id = t.id
      WHERE t.state = 'failed' AND t.finished_at IS NULL)`

/** Said as the partial indexes say it. */
const inState = (sql: SqlClient.SqlClient, state: MessageState): Statement.Fragment =>
  state === "queued" || state === "processing"
    ? unfinished(sql, state)
    : state === "ignored"
    ? sql`state = 'ignored'`
    : state === "failed"
    ? sql`state = 'failed' AND state <> 'ignored'`
    : sql`state = 'done' AND state <> 'ignored'`

const chosen = (sql: SqlClient.SqlClient, which: MessageSelection) => {
  const { channel, conversation, ids, reason, receivedBefore, receivedFrom, states, turns } = which
  return sql.and([
    sql`1`,
    ...(ids === undefined ? [] : [ids.length === 0 ? sql`0` : sql.in("id", ids)]),
    ...(states === undefined ? [] : [states.length === 0 ? sql`0` : sql.in("state", states)]),
    ...(turns === undefined ? [] : [turns.length === 0 ? sql`0` : sql.in("turn_id", turns)]),
    ...(conversation === undefined ? [] : [sql`conversation = ${conversation}`]),
    // The channel itself and its threads, as one range.
    ...(channel === undefined ? [] : [
      sql`conversation >= ${channel} AND conversation < ${`${channel}0`}
        AND (conversation = ${channel} OR conversation >= ${`${channel}/`})`
    ]),
    ...(reason === undefined ? [] : [sql`instr(reason, ${reason}) > 0`]),
    ...(receivedFrom === undefined ? [] : [sql`received_at >= ${receivedFrom}`]),
    ...(receivedBefore === undefined ? [] : [sql`received_at < ${receivedBefore}`])
  ])
}

/** State by state, so that each is found in its index, and no further than the page goes. */
const parts = (sql: SqlClient.SqlClient, which: MessageSelection): ReadonlyArray<Statement.Fragment> => {
  const { ids, states, turns } = which
  if (ids !== undefined || turns !== undefined) return [chosen(sql, which)]
  const { states: _, ...others } = which
  return [...new Set(states ?? messageStates)].map((state) => sql`${inState(sql, state)} AND ${chosen(sql, others)}`)
}

/** With what its turn and its history by hand say of it. */
const full = (sql: SqlClient.SqlClient, rows: Statement.Fragment) =>
  sql<Row>`SELECT m.*, t.attempt, t.failures, t.crashes,
      CASE WHEN m.state = 'queued' THEN coalesce(t.due_at, m.due_at) ELSE m.due_at END AS due,
      (SELECT count(*) FROM slackwater_by_hand h WHERE h.message_id = m.id AND h.action = 'retry') AS retries,
      (SELECT max(h.at) FROM slackwater_by_hand h WHERE h.message_id = m.id AND h.action = 'retry') AS retried_at
    FROM (${rows}) m LEFT JOIN slackwater_turns t ON t.id = m.turn_id`

export const list = (sql: SqlClient.SqlClient, which: MessageSelection, page: MessagePage) => {
  const forward = "after" in page
  const edge = forward ? sql`id > ${page.after}` : sql`id < ${page.before ?? Number.MAX_SAFE_INTEGER}`
  const order = sql.literal(forward ? "ASC" : "DESC")
  // One statement: a message that changes its state meanwhile is there once.
  const found = parts(sql, which).map((part) =>
    sql`SELECT * FROM (SELECT * FROM slackwater_messages WHERE ${part} AND ${edge} ORDER BY id ${order} LIMIT ${page.limit})`
  )
  if (found.length === 0) return Effect.succeed([])
  return Effect.map(
    full(sql, found.reduce((all, part) => sql`${all} UNION ALL ${part}`)),
    (rows) => rows.toSorted((a, b) => forward ? a.id - b.id : b.id - a.id).slice(0, page.limit).map(record)
  )
}

interface TurnRow {
  readonly id: string
  readonly state: TurnRecord["state"]
  readonly interrupted: number
  readonly status: string | null
  readonly error: string | null
  readonly created_at: number
  readonly due_at: number
  readonly finished_at: number | null
}

interface ReplyRow {
  readonly id: number
  readonly state: ReplyState
  readonly kind: string
  readonly dispatch: string
  readonly slack_ts: string | null
  readonly reason: string | null
}

const turnOf = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, id: string) {
  const [turn] = yield* sql<TurnRow>`SELECT * FROM slackwater_turns WHERE id = ${id}`
  if (turn === undefined) return null
  const messages = yield* sql<Pick<Row, "id" | "state" | "slack_ts" | "message">>`SELECT id, state, slack_ts, message
    FROM slackwater_messages WHERE turn_id = ${id} ORDER BY slack_ts, id LIMIT ${shownOfTurn}`
  const steps = yield* sql<{ readonly name: string; readonly finished_at: number }>`SELECT name, finished_at
    FROM slackwater_steps WHERE turn_id = ${id}`
  // The keys of what a turn says begin with its id: a range of their index.
  const replies = yield* sql<ReplyRow>`SELECT id, state, kind, dispatch, slack_ts, reason FROM slackwater_outbox
    WHERE key >= ${`${id}:`} AND key < ${`${id};`} AND turn_id = ${id} ORDER BY id LIMIT ${shownOfTurn}`
  return {
    id,
    state: turn.state,
    interrupted: turn.interrupted === 1,
    status: turn.status,
    error: turn.error,
    createdAt: turn.created_at,
    dueAt: turn.due_at,
    finishedAt: turn.finished_at,
    messages: messages.map(({ id, message, slack_ts: ts, state }) => ({ id, state, ts, text: textIn(message) })),
    steps: steps.toSorted((a, b) => a.finished_at - b.finished_at).slice(0, shownOfTurn).map(({ name }) => name),
    replies: replies.map(({ dispatch, slack_ts: ts, ...reply }) => ({
      ...reply,
      ts,
      text: Option.match(decodeDispatch(dispatch), { onNone: () => "", onSome: textOf })
    }))
  } satisfies TurnRecord
})

export const show = Effect.fn("MessageStore.show")(function*(sql: SqlClient.SqlClient, id: number) {
  const [row] = yield* full(sql, sql`SELECT * FROM slackwater_messages WHERE id = ${id}`)
  if (row === undefined) return null
  const keys = yield* sql<{ readonly key: string }>`SELECT key FROM slackwater_message_keys
    WHERE seen_at >= ${row.received_at} AND seen_at <= ${row.received_at + keysWithin} AND message_id = ${id}`
  const byHand = yield* sql<ByHand>`SELECT at, action, reason FROM slackwater_by_hand WHERE message_id = ${id}
    ORDER BY id`
  const message = Option.getOrUndefined(decodeMessage(row.message))
  return {
    ...record(row),
    payload: shownPayload(message?.payload ?? null),
    keys: keys.map(({ key }) => key).toSorted(),
    byHand,
    turnRecord: row.turn_id === null ? null : yield* turnOf(sql, row.turn_id)
  } satisfies MessageDetail
})

/** As `isBlank`. */
const hasWords = "NOT (json_valid(message) AND message ->> '$.text' = '' AND message ->> '$.payload' IS NULL)"

type Found = Pick<Row, "id" | "conversation" | "reason" | "turn_id">

const note = (sql: SqlClient.SqlClient, { id, reason }: Pick<Row, "id" | "reason">, action: Action, now: number) =>
  sql`INSERT INTO slackwater_by_hand (message_id, at, action, reason) VALUES (${id}, ${now}, ${action}, ${reason})`

/** Asks for a turn that failed. False where it has ended in another way, or goes on. */
const askFor = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, turn: string, conversation: string, now: number) {
  // Where the turn was deleted by age and its message was not, its id still finds what it said.
  yield* sql`INSERT INTO slackwater_turns (id, conversation, state, attempt, due_at, created_at, finished_at)
    VALUES (${turn}, ${conversation}, 'failed', 0, ${now}, ${now}, ${now}) ON CONFLICT (id) DO NOTHING`
  // The number of the next run goes on: it is what tells a run from those before.
  yield* sql`UPDATE slackwater_turns SET failures = 0, crashes = 0, interrupted = 0, status = NULL, due_at = ${now},
    finished_at = NULL WHERE id = ${turn} AND state = 'failed' AND finished_at IS NOT NULL`
  const asked = yield* sql`SELECT 1 AS yes FROM slackwater_turns WHERE id = ${turn} AND ${sql.literal(isAskedFor)}`
  return asked.length > 0
})

export const retry = Effect.fn("MessageStore.retryByHand")(
  function*(sql: SqlClient.SqlClient, which: MessageSelection, now: number) {
    const named = yield* sql<Found>`SELECT id, conversation, reason, turn_id FROM slackwater_messages
      WHERE ${chosen(sql, which)} AND (state = 'failed' OR (state = 'ignored' AND ${
      sql.literal(hasWords)
    })) ORDER BY id`
    const found = new Map(named.map((row) => [row.id, row]))
    const withTurn = new Map<string, boolean>()
    for (const { conversation, turn_id: turn } of named) {
      if (turn === null || withTurn.has(turn)) continue
      withTurn.set(turn, yield* askFor(sql, turn, conversation, now))
      // All that failed with it comes back with it.
      const others = yield* sql<Found>`SELECT id, conversation, reason, turn_id FROM slackwater_messages
        WHERE turn_id = ${turn} AND state = 'failed'`
      for (const row of others) found.set(row.id, row)
    }
    const rows = [...found.values()].toSorted((a, b) => a.id - b.id)
    for (const row of rows) {
      yield* note(sql, row, "retry", now)
      const turn = row.turn_id !== null && withTurn.get(row.turn_id) === true ? row.turn_id : null
      yield* sql`UPDATE slackwater_messages SET state = 'queued', reason = NULL, finished_at = NULL, due_at = ${now},
        turn_id = ${turn} WHERE id = ${row.id} AND state IN ('failed', 'ignored')`
    }
    return rows.map(({ id }) => id)
  }
)

export const discard = Effect.fn("MessageStore.discard")(
  function*(sql: SqlClient.SqlClient, which: MessageSelection, now: number) {
    const rows = yield* sql<Found>`SELECT id, conversation, reason, turn_id FROM slackwater_messages
      WHERE ${chosen(sql, which)} AND state IN ('failed', 'queued') ORDER BY id`
    for (const row of rows) {
      yield* note(sql, row, "discard", now)
      yield* sql`UPDATE slackwater_messages SET state = 'ignored', reason = ${discarded}, finished_at = ${now}
        WHERE id = ${row.id} AND state IN ('failed', 'queued')`
    }
    // A turn that has nothing left to handle is over.
    for (const turn of new Set(rows.flatMap(({ turn_id }) => turn_id === null ? [] : [turn_id]))) {
      const ended = yield* sql`UPDATE slackwater_turns SET state = 'failed', error = coalesce(error, ${discarded}),
        finished_at = ${now} WHERE id = ${turn} AND (state = 'waiting' OR (${sql.literal(isAskedFor)}))
        AND NOT EXISTS (SELECT 1 FROM slackwater_messages WHERE turn_id = ${turn} AND state = 'queued') RETURNING id`
      if (ended.length > 0) yield* endStreams(sql, turn, now, yield* traceparent)
    }
    return rows.map(({ id }) => id)
  }
)
