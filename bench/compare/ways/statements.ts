/**
 * The statements that the stores run for a life, as they run them: the same texts, in pieces of 64, 32 … 1 rows, under bare
 * `node:sqlite`. `test/bench/statements.test.ts` holds that they are the same.
 */
import type { DatabaseSync, SQLInputValue, SQLOutputValue } from "node:sqlite"
import { isTaken } from "../../../src/sql/newTurn.ts"

type Repeat = (piece: string) => string
interface Text {
  readonly write: (repeat: Repeat) => string
  /** What is left is one piece that repeats its last row up to the next size. */
  readonly again: boolean
}
const once = (write: Text["write"]): Text => ({ write, again: false })
const again = (write: Text["write"]): Text => ({ write, again: true })

export const texts = {
  knownKeys: again((repeat) => `SELECT key FROM slackwater_message_keys WHERE key IN (${repeat("?")})`),
  known: again((repeat) =>
    `WITH arrival (n, conversation, ts, begins) AS (VALUES ${repeat("(?, ?, ?, ?)")})
      SELECT n,
        EXISTS (SELECT 1 FROM slackwater_messages m WHERE m.conversation = v.conversation
          AND m.state = 'queued' AND m.turn_id IS NULL)
        OR EXISTS (SELECT 1 FROM slackwater_messages m WHERE m.conversation = v.conversation
          AND m.state = 'ignored' AND m.reason = 'not addressed' AND m.slack_ts > v.ts) AS matters,
        CASE WHEN v.begins = 0 THEN 1 ELSE
          ${isTaken("v.conversation")} END AS busy,
        (SELECT seq FROM sqlite_sequence WHERE name = 'slackwater_messages') AS last,
        EXISTS (SELECT 1 FROM slackwater_message_keys WHERE key >= 'sha256:' AND key < 'sha256;') AS hashes
      FROM arrival v`
  ),
  insertMessages: once((repeat) =>
    `INSERT INTO slackwater_messages (id, conversation, slack_ts, message, state, reason, turn_id, due_at, received_at,
      finished_at, trace) VALUES ${repeat("(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")}`
  ),
  insertKeys: once((repeat) =>
    `INSERT INTO slackwater_message_keys (key, message_id, seen_at) VALUES ${repeat("(?, ?, ?)")}
      ON CONFLICT (key) DO NOTHING`
  ),
  beginTurns: once((repeat) =>
    `INSERT INTO slackwater_turns (id, conversation, state, owner, attempt, due_at, created_at, started_at)
      VALUES ${repeat("(?, ?, 'running', ?, 1, ?, ?, ?)")}`
  ),
  look: once((repeat) =>
    `WITH claim (n, conversation, now) AS (VALUES ${repeat("(?, ?, ?)")})
      SELECT n, ${isTaken("v.conversation")} AS special,
        m.id, m.message, m.received_at, m.trace
      FROM claim v LEFT JOIN slackwater_messages m ON m.conversation = v.conversation AND m.due_at <= v.now
        AND m.state = 'queued' AND m.turn_id IS NULL
      ORDER BY n, slack_ts, id`
  ),
  claimTurns: once((repeat) =>
    `INSERT INTO slackwater_turns (id, conversation, state, owner, attempt, due_at, created_at, started_at)
      VALUES ${repeat("(?, ?, 'running', ?, 1, ?, ?, ?)")} ON CONFLICT (id) DO NOTHING RETURNING id`
  ),
  take: once((repeat) =>
    `WITH taken (id, turn) AS (VALUES ${repeat("(?, ?)")})
      UPDATE slackwater_messages SET state = 'processing', turn_id = v.turn FROM taken v
      WHERE slackwater_messages.id = v.id`
  ),
  leave: again((repeat) =>
    `UPDATE slackwater_turns SET owner = NULL, state = 'done', crashes = 0, finished_at = v.column3
    FROM (VALUES ${repeat("(?, ?, ?)")}) AS v
    WHERE slackwater_turns.id = v.column1 AND slackwater_turns.owner = v.column2 AND slackwater_turns.state = 'running'
    RETURNING id,
      EXISTS (SELECT 1 FROM slackwater_steps s WHERE s.turn_id = slackwater_turns.id) AS steps,
      EXISTS (SELECT 1 FROM slackwater_outbox s WHERE s.turn_id = slackwater_turns.id
        AND s.kind = 'StreamStart') AS streams,
      EXISTS (SELECT 1 FROM slackwater_outbox i WHERE i.turn_id = slackwater_turns.id AND i.interim = 1
        AND i.state IN ('queued', 'sending')) AS interim`
  ),
  finish: again((repeat) =>
    `UPDATE slackwater_messages SET state = 'done', reason = NULL, finished_at = v.column2
    FROM (VALUES ${repeat("(?, ?)")}) AS v
    WHERE slackwater_messages.turn_id = v.column1 AND slackwater_messages.state = 'processing'`
  ),
  lookReplies: again((repeat) =>
    `SELECT v.column1 AS key,
      EXISTS (SELECT 1 FROM slackwater_outbox o WHERE o.key = v.column1) AS known,
      EXISTS (SELECT 1 FROM slackwater_outbox o WHERE o.lane = v.column2
        AND o.state IN ('queued', 'failed_retryable', 'sending', 'unknown')) AS busy
    FROM (VALUES ${repeat("(?, ?)")}) AS v`
  ),
  insertReplies: once((repeat) =>
    `INSERT INTO slackwater_outbox (key, lane, channel, thread_ts, kind, dispatch, state, owner, turn_id, sent_at, tries,
      due_at, enqueued_at, lives_from, trace)
    VALUES ${repeat("(?, ?, ?, ?, 'Post', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")} RETURNING id, key`
  )
} as const

type Values = ReadonlyArray<SQLInputValue>
type Found = Record<string, SQLOutputValue>

const largest = 64
const largestPower = (n: number) => 2 ** (31 - Math.clz32(n))
const nextPower = (n: number) => n <= 1 ? 1 : 2 * largestPower(n - 1)

export const textFor = ({ write }: Text, size: number) =>
  write((piece) => Array.from({ length: size }, () => piece).join(", "))

/** Each prepared once for each size. */
export const prepare = (db: DatabaseSync) => {
  const forRows = (text: Text) => {
    const bySize = new Map<number, ReturnType<DatabaseSync["prepare"]>>()
    const statement = (size: number) => {
      const prepared = bySize.get(size) ?? db.prepare(textFor(text, size))
      bySize.set(size, prepared)
      return prepared
    }
    return (rows: ReadonlyArray<Values>): ReadonlyArray<Found> => {
      const found: Array<ReadonlyArray<Found>> = []
      for (let from = 0, size = 0; from < rows.length; from += size) {
        const left = rows.length - from
        size = Math.min(largest, text.again ? nextPower(left) : largestPower(left))
        const values: Array<SQLInputValue> = []
        for (let n = from; n < from + size; n++) values.push(...rows[n] ?? rows.at(-1) ?? [])
        found.push(statement(size).all(...values))
      }
      return found.length === 1 ? found[0] ?? [] : found.flat()
    }
  }
  return Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, forRows(text)])) as {
    readonly [K in keyof typeof texts]: ReturnType<typeof forRows>
  }
}
