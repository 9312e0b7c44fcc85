/**
 * Rows taken over from another queue.
 *
 * Runs inside whatever transaction is open. What we never sent ourselves has no `sent_at`: an `unknown` row without one
 * carries no key of ours, so nobody looks for it.
 */
import { Effect } from "effect"
import type { SqlClient } from "effect/sql"
import type { ImportedReply } from "../OutboxStore.ts"
import { encodeDispatch } from "./outboxRows.ts"

const insert = Effect.fnUntraced(function*(
  sql: SqlClient.SqlClient,
  row: ImportedReply,
  first: number | null,
  now: number
) {
  const { channel, threadTs = null } = row.destination
  const isUnknown = row.state === "unknown"
  const [added] = yield* sql<{ readonly id: number }>`INSERT INTO slackwater_outbox
    (key, lane, channel, thread_ts, kind, dispatch, state, interim, part_of, tries, attempts, due_at, enqueued_at,
     lives_from, unknown_since, late, held, error_class, reason, failed_at, slack_channel, slack_ts, finished_at) VALUES
    (${row.key}, ${row.lane}, ${channel}, ${threadTs}, ${row.dispatch._tag}, ${encodeDispatch(row.dispatch)},
     ${row.state}, ${row.interim === true ? 1 : 0}, ${row.part === undefined ? null : first}, ${row.attempts},
     ${row.attempts}, ${now}, ${row.enqueuedAt}, ${row.enqueuedAt}, ${
    isUnknown ? row.failedAt ?? row.enqueuedAt : null
  },
     ${isUnknown ? 1 : 0}, ${isUnknown ? 1 : 0}, ${row.failure?.error ?? null}, ${row.failure?.reason ?? null},
     ${row.failedAt}, ${row.state === "delivered" ? channel : null}, ${row.state === "delivered" ? "" : null},
     ${row.state === "queued" || isUnknown ? null : now}) RETURNING id`
  return added?.id ?? null
})

/** Group by group; answers which of them were new. */
export const importReplies = Effect.fnUntraced(function*(
  sql: SqlClient.SqlClient,
  groups: ReadonlyArray<ReadonlyArray<ImportedReply>>,
  now: number
) {
  const isNew: Array<boolean> = []
  for (const rows of groups) {
    const keys = rows.map(({ key }) => key)
    const known = yield* sql`SELECT 1 AS yes FROM slackwater_outbox WHERE ${sql.in("key", keys)} LIMIT 1`
    isNew.push(known.length === 0)
    if (known.length > 0) continue
    let first: number | null = null
    for (const row of rows) {
      const id: number | null = yield* insert(sql, row, first, now)
      if (row.part === undefined) first = id
    }
  }
  return isNew
})
