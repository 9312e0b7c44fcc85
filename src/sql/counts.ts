/**
 * How much there is of each state, for status and metrics. What lives is counted in the indexes that hold nothing
 * else; what is finished slice by slice over an index that names its state, so that no row of the past is read and
 * nobody waits for all of it.
 */
import { Effect } from "effect"
import type { SqlClient, Statement } from "effect/sql"
import type { InboxCounts } from "../MessageStore.ts"
import type { Backlog, OutboxCounts } from "../OutboxStore.ts"

const noMessages: InboxCounts = {
  queued: 0,
  processing: 0,
  done: 0,
  failed: 0,
  ignored: 0,
  oldestQueuedAt: null,
  waitingConversations: 0
}

/** So many rows of the past are counted in one go: about a millisecond, in which nothing else runs. */
const slice = 10_000

/**
 * Counts the past by time, a slice at a time, with the event loop between them. What ends or goes meanwhile may be
 * counted or not.
 */
const countPast = Effect.fnUntraced(function*<Counts extends Readonly<Record<string, number | null>>>(
  sql: SqlClient.SqlClient,
  finished: Statement.Fragment,
  columns: Statement.Fragment
) {
  const sums: Record<string, number> = {}
  let after = -1
  while (true) {
    const [last] = yield* sql<{ readonly at: number }>`SELECT finished_at AS at FROM ${finished}
      AND finished_at > ${after} ORDER BY finished_at LIMIT 1 OFFSET ${slice - 1}`
    const until = last?.at ?? Number.MAX_SAFE_INTEGER
    const [counted] = yield* sql<Counts>`SELECT ${columns} FROM ${finished}
      AND finished_at > ${after} AND finished_at <= ${until}`
    for (const [state, n] of Object.entries(counted ?? {})) sums[state] = (sums[state] ?? 0) + (n ?? 0)
    if (last === undefined) return sums
    after = until
    yield* Effect.yieldNow
  }
})

export const countMessages = Effect.fnUntraced(function*(sql: SqlClient.SqlClient) {
  // A message that is not finished waits for a turn, or belongs to an unfinished one.
  const [living] = yield* sql<Partial<InboxCounts>>`SELECT * FROM (
      SELECT count(CASE WHEN state = 'queued' THEN 1 END) AS queued,
        count(CASE WHEN state = 'processing' THEN 1 END) AS processing,
        min(CASE WHEN state = 'queued' THEN received_at END) AS oldestQueuedAt
      FROM (
        SELECT state, received_at FROM slackwater_messages WHERE state = 'queued' AND turn_id IS NULL
        UNION ALL
        SELECT m.state, m.received_at FROM slackwater_turns t CROSS JOIN slackwater_messages m ON m.turn_id = t.id
          WHERE t.state IN ('running', 'waiting')
        UNION ALL
        SELECT m.state, m.received_at FROM slackwater_turns t CROSS JOIN slackwater_messages m ON m.turn_id = t.id
          WHERE t.state = 'failed' AND t.finished_at IS NULL)
    ), (
      SELECT count(DISTINCT conversation) AS waitingConversations
      FROM slackwater_messages WHERE state = 'queued' AND turn_id IS NULL)`
  const past = yield* countPast(
    sql,
    sql`slackwater_messages WHERE finished_at IS NOT NULL`,
    sql`count(CASE WHEN state = 'done' THEN 1 END) AS done, count(CASE WHEN state = 'failed' THEN 1 END) AS failed,
      count(CASE WHEN state = 'ignored' THEN 1 END) AS ignored`
  )
  return { ...noMessages, ...living, ...past }
})

const nothing: Backlog = { queued: 0, oldestQueuedAt: null }

/** Of what lives only. */
export const backlogOfMessages = (sql: SqlClient.SqlClient) =>
  Effect.map(
    sql<Backlog>`SELECT count(*) AS queued, min(received_at) AS oldestQueuedAt FROM (
      SELECT received_at FROM slackwater_messages WHERE state = 'queued' AND turn_id IS NULL
      UNION ALL
      SELECT m.received_at FROM slackwater_turns t CROSS JOIN slackwater_messages m ON m.turn_id = t.id
        WHERE t.state IN ('running', 'waiting') AND m.state = 'queued'
      UNION ALL
      SELECT m.received_at FROM slackwater_turns t CROSS JOIN slackwater_messages m ON m.turn_id = t.id
        WHERE t.state = 'failed' AND t.finished_at IS NULL AND m.state = 'queued')`,
    ([row]) => row ?? nothing
  )

export const backlogOfReplies = (sql: SqlClient.SqlClient) =>
  Effect.map(
    sql<Backlog>`SELECT count(*) AS queued, min(enqueued_at) AS oldestQueuedAt
      FROM slackwater_outbox WHERE state IN ('queued', 'failed_retryable')`,
    ([row]) => row ?? nothing
  )

const noReplies: OutboxCounts = {
  queued: 0,
  sending: 0,
  unknown: 0,
  failed_retryable: 0,
  delivered: 0,
  failed_terminal: 0,
  expired: 0,
  held: 0,
  oldestQueuedAt: null
}

export const countReplies = Effect.fnUntraced(function*(sql: SqlClient.SqlClient) {
  const [living] = yield* sql<Partial<OutboxCounts>>`SELECT count(CASE WHEN state = 'queued' THEN 1 END) AS queued,
      count(CASE WHEN state = 'sending' THEN 1 END) AS sending,
      count(CASE WHEN state = 'unknown' THEN 1 END) AS unknown,
      count(CASE WHEN state = 'failed_retryable' THEN 1 END) AS failed_retryable,
      count(CASE WHEN state = 'unknown' AND held = 1 THEN 1 END) AS held,
      min(CASE WHEN state = 'queued' THEN enqueued_at END) AS oldestQueuedAt
    FROM slackwater_outbox WHERE state IN ('queued', 'failed_retryable', 'sending', 'unknown')`
  const ended = sql`count(CASE WHEN state = 'delivered' THEN 1 END) AS delivered,
    count(CASE WHEN state = 'failed_terminal' AND interim = 0 THEN 1 END) AS failed_terminal,
    count(CASE WHEN state = 'expired' THEN 1 END) AS expired`
  const counts = { ...noReplies, ...living }
  for (const kept of ["turn_id IS NOT NULL", "turn_id IS NULL"]) {
    const past = yield* countPast(
      sql,
      sql`slackwater_outbox WHERE finished_at IS NOT NULL AND ${sql.literal(kept)}`,
      ended
    )
    counts.delivered += past.delivered ?? 0
    counts.failed_terminal += past.failed_terminal ?? 0
    counts.expired += past.expired ?? 0
  }
  return counts
})
