/** The rows as they are committed, read past everything that the simulation does to the disk. */
import type { Disk } from "./Disk.ts"

export interface MessageRow {
  readonly id: number
  readonly conversation: string
  readonly slack_ts: string
  readonly text: string | null
  readonly user: string | null
  readonly state: string
  readonly reason: string | null
  readonly turn_id: string | null
}

export interface TurnRow {
  readonly id: string
  readonly conversation: string
  readonly state: string
  readonly owner: string | null
  readonly attempt: number
  readonly failures: number
  readonly crashes: number
  readonly error: string | null
  readonly finished_at: number | null
}

export interface OutboxRow {
  readonly id: number
  readonly key: string
  readonly lane: string
  readonly channel: string
  readonly kind: string
  readonly text: string | null
  readonly state: string
  readonly interim: number
  readonly turn_id: string | null
  readonly attempts: number
  readonly held: number
  readonly reason: string | null
  readonly slack_channel: string | null
  readonly slack_ts: string | null
  readonly unknown_since: number | null
  readonly tries: number
}

export interface Tables {
  readonly messages: ReadonlyArray<MessageRow>
  readonly turns: ReadonlyArray<TurnRow>
  readonly outbox: ReadonlyArray<OutboxRow>
}

export const tablesOf = (disk: Disk): Tables => ({
  messages: disk.rows<MessageRow>(
    `SELECT id, conversation, slack_ts, message ->> 'text' AS text, message ->> 'user' AS user, state, reason, turn_id
      FROM slackwater_messages ORDER BY id`
  ),
  turns: disk.rows<TurnRow>(
    `SELECT id, conversation, state, owner, attempt, failures, crashes, error, finished_at
      FROM slackwater_turns ORDER BY created_at, id`
  ),
  outbox: disk.rows<OutboxRow>(
    `SELECT id, key, lane, channel, kind, coalesce(dispatch ->> '$.text', dispatch ->> '$.content.text', dispatch ->> '$.markdown') AS text, state, interim,
      turn_id, attempts, held, reason, slack_channel, slack_ts, unknown_since, tries FROM slackwater_outbox ORDER BY id`
  )
})

/** Whether nothing is left to be done. */
export const isSettled = (disk: Disk): boolean => {
  const [row] = disk.rows<{ readonly n: number }>(
    `SELECT (SELECT count(*) FROM slackwater_messages WHERE state IN ('queued', 'processing'))
      + (SELECT count(*) FROM slackwater_turns WHERE state IN ('running', 'waiting'))
      + (SELECT count(*) FROM slackwater_outbox WHERE state IN ('queued', 'sending', 'failed_retryable', 'unknown')) AS n`
  )
  return row?.n === 0
}
