/**
 * How much there is of each state, for status and metrics. What lives is counted in the indexes that hold nothing
 * else; what is finished in one pass over an index that names its state, so that no row of the past is read.
 */
import { Effect } from "effect"
import type { SqlClient } from "effect/sql"
import type { InboxCounts } from "../MessageStore.ts"
import type { Backlog, OutboxCounts } from "../OutboxStore.ts"

const noMessages: InboxCounts = { queued: 0, processing: 0, done: 0, failed: 0, ignored: 0, oldestQueuedAt: null }

export const countMessages = (sql: SqlClient.SqlClient) =>
  Effect.map(
    // A message that is not finished waits for a turn, or belongs to an unfinished one.
    sql<InboxCounts>`SELECT * FROM (
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
        SELECT count(CASE WHEN state = 'done' THEN 1 END) AS done,
          count(CASE WHEN state = 'failed' THEN 1 END) AS failed,
          count(CASE WHEN state = 'ignored' THEN 1 END) AS ignored
        FROM slackwater_messages WHERE finished_at IS NOT NULL)`,
    ([row]) => row ?? noMessages
  )

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

export const countReplies = (sql: SqlClient.SqlClient) => {
  const ended = sql.literal(`count(CASE WHEN state = 'delivered' THEN 1 END) AS delivered,
    count(CASE WHEN state = 'failed_terminal' AND interim = 0 THEN 1 END) AS failed_terminal,
    count(CASE WHEN state = 'expired' THEN 1 END) AS expired`)
  return Effect.map(
    sql<OutboxCounts>`SELECT * FROM (
        SELECT count(CASE WHEN state = 'queued' THEN 1 END) AS queued,
          count(CASE WHEN state = 'sending' THEN 1 END) AS sending,
          count(CASE WHEN state = 'unknown' THEN 1 END) AS unknown,
          count(CASE WHEN state = 'failed_retryable' THEN 1 END) AS failed_retryable,
          count(CASE WHEN state = 'unknown' AND held = 1 THEN 1 END) AS held,
          min(CASE WHEN state = 'queued' THEN enqueued_at END) AS oldestQueuedAt
        FROM slackwater_outbox WHERE state IN ('queued', 'failed_retryable', 'sending', 'unknown')
      ), (
        SELECT sum(delivered) AS delivered, sum(failed_terminal) AS failed_terminal, sum(expired) AS expired FROM (
          SELECT ${ended} FROM slackwater_outbox WHERE finished_at IS NOT NULL AND turn_id IS NOT NULL
          UNION ALL
          SELECT ${ended} FROM slackwater_outbox WHERE finished_at IS NOT NULL AND turn_id IS NULL))`,
    ([row]) => row ?? noReplies
  )
}
