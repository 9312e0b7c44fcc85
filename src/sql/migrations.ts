/**
 * The schema, as numbered steps that are never changed once released.
 *
 * Guarantees: all pending steps are one transaction, so a kill in the middle leaves the schema as it was; a start
 * with nothing to do writes nothing; a database of a newer release is refused before anything is touched. The version
 * is in a table of ours: `PRAGMA user_version` belongs to the application whose file it may be.
 * Dialect: epoch milliseconds in BIGINT columns (INTEGER here), JSON in TEXT.
 */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { DatabaseError, NewerSchema } from "./DatabaseError.ts"

const steps: ReadonlyArray<ReadonlyArray<string>> = [
  [
    `CREATE TABLE slackwater_schema (
      id INTEGER PRIMARY KEY CHECK (id = 1),
      version INTEGER NOT NULL
    ) STRICT`,

    // Numbered, since clocks are set back: the last one is the one that started last.
    `CREATE TABLE slackwater_instances (
      number INTEGER PRIMARY KEY AUTOINCREMENT,
      id TEXT NOT NULL UNIQUE,
      pid INTEGER NOT NULL,
      started_at INTEGER NOT NULL,
      stopped_at INTEGER,
      -- Nothing said in Slack before this needs to be looked for. Goes from one instance to the next.
      heard_until INTEGER
    ) STRICT`,

    // Whose messages these are: one row, once we have heard it from Slack.
    `CREATE TABLE slackwater_workspace (
      id INTEGER PRIMARY KEY CHECK (id = 1),
      team TEXT NOT NULL
    ) STRICT`,

    // AUTOINCREMENT: an id is never given twice, whatever was pruned. Keys and handles outlive their rows.
    `CREATE TABLE slackwater_messages (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      conversation TEXT NOT NULL,
      slack_ts TEXT NOT NULL,
      message TEXT NOT NULL,
      state TEXT NOT NULL CHECK (state IN ('queued', 'processing', 'done', 'ignored', 'failed')),
      reason TEXT,
      turn_id TEXT,
      due_at INTEGER NOT NULL,
      received_at INTEGER NOT NULL,
      finished_at INTEGER
    ) STRICT`,
    // What waits for a turn. Finished rows leave the hot indexes.
    `CREATE INDEX slackwater_messages_waiting ON slackwater_messages (due_at, id)
      WHERE state = 'queued' AND turn_id IS NULL`,
    `CREATE INDEX slackwater_messages_window ON slackwater_messages (conversation, due_at, id)
      WHERE state = 'queued' AND turn_id IS NULL`,
    // Whether the bot takes part in a conversation, and its past (by id, as every index is within equal keys).
    `CREATE INDEX slackwater_messages_addressed ON slackwater_messages (conversation) WHERE state <> 'ignored'`,
    // What was said behind a mention that comes late.
    `CREATE INDEX slackwater_messages_unaddressed ON slackwater_messages (conversation, slack_ts)
      WHERE state = 'ignored' AND reason = 'not addressed'`,
    `CREATE INDEX slackwater_messages_turn ON slackwater_messages (turn_id) WHERE turn_id IS NOT NULL`,
    // The past in its order, and enough to count it without reading the rows.
    `CREATE INDEX slackwater_messages_finished ON slackwater_messages (finished_at, id, state)
      WHERE finished_at IS NOT NULL`,

    // Narrow and prunable: identities outlive Slack's last repetition, not the gateway.
    `CREATE TABLE slackwater_message_keys (
      key TEXT PRIMARY KEY,
      message_id INTEGER NOT NULL,
      seen_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID`,
    `CREATE INDEX slackwater_message_keys_seen ON slackwater_message_keys (seen_at)`,

    `CREATE TABLE slackwater_turns (
      id TEXT PRIMARY KEY,
      conversation TEXT NOT NULL,
      state TEXT NOT NULL CHECK (state IN ('running', 'waiting', 'done', 'failed', 'superseded')),
      owner TEXT,
      attempt INTEGER NOT NULL,
      failures INTEGER NOT NULL DEFAULT 0,
      crashes INTEGER NOT NULL DEFAULT 0,
      interrupted INTEGER NOT NULL DEFAULT 0,
      status TEXT,
      due_at INTEGER NOT NULL,
      error TEXT,
      created_at INTEGER NOT NULL,
      finished_at INTEGER
    ) STRICT, WITHOUT ROWID`,
    // One unfinished turn per conversation, held by the database itself.
    `CREATE UNIQUE INDEX slackwater_turns_open ON slackwater_turns (conversation)
      WHERE state IN ('running', 'waiting')`,
    `CREATE INDEX slackwater_turns_waiting ON slackwater_turns (interrupted, due_at) WHERE state = 'waiting'`,
    `CREATE INDEX slackwater_turns_finished ON slackwater_turns (finished_at) WHERE finished_at IS NOT NULL`,
    // Few: one per slot, and what a dead instance left until it is recovered, the longest waiting first.
    `CREATE INDEX slackwater_turns_running ON slackwater_turns (due_at, id) WHERE state = 'running'`,

    // What a turn has done so far; a re-run goes on behind it.
    `CREATE TABLE slackwater_steps (
      turn_id TEXT NOT NULL,
      name TEXT NOT NULL,
      result TEXT NOT NULL,
      finished_at INTEGER NOT NULL,
      PRIMARY KEY (turn_id, name)
    ) STRICT, WITHOUT ROWID`,

    // A small JSON value that a conversation's handler keeps from turn to turn.
    `CREATE TABLE slackwater_conversations (
      conversation TEXT PRIMARY KEY,
      state TEXT NOT NULL,
      changed_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID`,

    `CREATE TABLE slackwater_outbox (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      key TEXT NOT NULL UNIQUE,
      lane TEXT NOT NULL,
      channel TEXT NOT NULL,
      thread_ts TEXT,
      kind TEXT NOT NULL,
      dispatch TEXT NOT NULL,
      state TEXT NOT NULL CHECK (state IN
        ('queued', 'sending', 'unknown', 'failed_retryable', 'delivered', 'failed_terminal', 'expired')),
      interim INTEGER NOT NULL DEFAULT 0,
      owner TEXT,
      turn_id TEXT,
      -- The row it changes, and the first part of the text that it is a later part of.
      target_id INTEGER,
      part_of INTEGER,
      -- All sends; those that count against the limit.
      tries INTEGER NOT NULL DEFAULT 0,
      attempts INTEGER NOT NULL DEFAULT 0,
      due_at INTEGER NOT NULL,
      enqueued_at INTEGER NOT NULL,
      -- When its life began: enqueued, its "not before", or the last retry by hand.
      lives_from INTEGER NOT NULL,
      sent_at INTEGER,
      unknown_since INTEGER,
      late INTEGER NOT NULL DEFAULT 0,
      looks INTEGER NOT NULL DEFAULT 0,
      newest TEXT,
      held INTEGER NOT NULL DEFAULT 0,
      degraded INTEGER NOT NULL DEFAULT 0,
      error_class TEXT,
      reason TEXT,
      failed_at INTEGER,
      retried_at INTEGER,
      slack_channel TEXT,
      slack_ts TEXT,
      -- What Slack calls the thing that is under way: the id of a file.
      remote TEXT,
      finished_at INTEGER,
      CHECK (interim = 0 OR state NOT IN ('unknown', 'failed_retryable'))
    ) STRICT`,
    `CREATE INDEX slackwater_outbox_by_lane ON slackwater_outbox (lane)`,
    `CREATE INDEX slackwater_outbox_ready ON slackwater_outbox (id) WHERE state IN ('queued', 'failed_retryable')`,
    `CREATE INDEX slackwater_outbox_lane ON slackwater_outbox (lane, id)
      WHERE state IN ('queued', 'failed_retryable', 'sending', 'unknown')`,
    `CREATE INDEX slackwater_outbox_sending ON slackwater_outbox (owner) WHERE state = 'sending'`,
    `CREATE INDEX slackwater_outbox_unknown ON slackwater_outbox (due_at, id) WHERE state = 'unknown'`,
    `CREATE INDEX slackwater_outbox_interim ON slackwater_outbox (turn_id, id)
      WHERE interim = 1 AND state IN ('queued', 'sending')`,
    `CREATE INDEX slackwater_outbox_streams ON slackwater_outbox (turn_id) WHERE kind = 'StreamStart'`,
    `CREATE INDEX slackwater_outbox_files ON slackwater_outbox (id) WHERE kind = 'Upload' AND state <> 'delivered'`,
    `CREATE INDEX slackwater_outbox_target ON slackwater_outbox (target_id) WHERE target_id IS NOT NULL`,
    `CREATE INDEX slackwater_outbox_parts ON slackwater_outbox (part_of, id) WHERE part_of IS NOT NULL`,
    `CREATE INDEX slackwater_outbox_ended ON slackwater_outbox (state, id)
      WHERE state IN ('failed_terminal', 'expired')`,
    // Two, since the host's posts are kept longer for their keys: neither is read in search of the other.
    `CREATE INDEX slackwater_outbox_answered ON slackwater_outbox (finished_at, id, state, interim, turn_id)
      WHERE finished_at IS NOT NULL AND turn_id IS NOT NULL`,
    `CREATE INDEX slackwater_outbox_posted ON slackwater_outbox (finished_at, id, state, interim, turn_id)
      WHERE finished_at IS NOT NULL AND turn_id IS NULL`
  ],
  [
    // What people did with messages, and what had been their reason till then.
    `CREATE TABLE slackwater_by_hand (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      message_id INTEGER NOT NULL,
      at INTEGER NOT NULL,
      action TEXT NOT NULL CHECK (action IN ('retry', 'discard')),
      reason TEXT
    ) STRICT`,
    `CREATE INDEX slackwater_by_hand_message ON slackwater_by_hand (message_id, id)`,
    // Turns that failed and were asked for again: in all, and in one conversation.
    `CREATE INDEX slackwater_turns_asked ON slackwater_turns (due_at) WHERE state = 'failed' AND finished_at IS NULL`,
    `CREATE INDEX slackwater_turns_asked_in ON slackwater_turns (conversation, due_at, created_at, id)
      WHERE state = 'failed' AND finished_at IS NULL`,
    `CREATE INDEX slackwater_messages_failed ON slackwater_messages (id) WHERE state = 'failed'`,
    // What was said behind a mention that comes late, and what else was ignored in a conversation.
    `DROP INDEX slackwater_messages_unaddressed`,
    `CREATE INDEX slackwater_messages_ignored ON slackwater_messages (conversation, slack_ts) WHERE state = 'ignored'`
  ],

  [
    // What is paused: a conversation, a channel with all of its own, or everything, which has no name.
    `CREATE TABLE slackwater_pauses (
      place TEXT PRIMARY KEY,
      since INTEGER NOT NULL,
      why TEXT
    ) STRICT, WITHOUT ROWID`,
    // When its last run began.
    `ALTER TABLE slackwater_turns ADD COLUMN started_at INTEGER`
  ],

  [
    // The span that committed the row (W3C traceparent); null where nobody listened.
    `ALTER TABLE slackwater_messages ADD COLUMN trace TEXT`,
    `ALTER TABLE slackwater_outbox ADD COLUMN trace TEXT`
  ],

  [
    // Those of an owner that a crash cut off before: found without what dead owners left, which runs nowhere.
    `CREATE INDEX slackwater_turns_suspect ON slackwater_turns (owner, crashes)
      WHERE state = 'running' AND crashes > 0`
  ]
]

/** The schema this release knows. */
export const latest = steps.length

/** The schema that is there; 0 where there is none yet. */
export const current = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const tables = yield* sql`SELECT 1 AS yes FROM sqlite_schema WHERE type = 'table' AND name = 'slackwater_schema'`
  if (tables.length === 0) return 0
  const [row] = yield* sql<{ readonly version: number }>`SELECT version FROM slackwater_schema`
  return row?.version ?? 0
})

export const refuseNewer = Effect.fnUntraced(function*(path: string) {
  const found = yield* current
  if (found > latest) return yield* new DatabaseError({ reason: new NewerSchema({ path, found, known: latest }) })
})

/** Runs what is pending, as one transaction. */
export const migrate = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  if ((yield* current) === latest) return
  const from = yield* sql.withTransaction(Effect.gen(function*() {
    // Asked again: a command may have come first, and there is no lock between the two.
    const from = yield* current
    for (const statement of steps.slice(from).flat()) yield* sql.unsafe(statement)
    yield* sql`INSERT INTO slackwater_schema (id, version) VALUES (1, ${latest})
      ON CONFLICT (id) DO UPDATE SET version = excluded.version`
    return from
  }))
  if (from !== latest) {
    yield* Effect.logInfo("database schema is up to date").pipe(Effect.annotateLogs({ from, to: latest }))
  }
})
