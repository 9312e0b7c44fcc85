/**
 * How both stores delete their past: the oldest by index, a bounded number at a time.
 *
 * Guarantees: what a conversation still needs stays. Unfinished messages, turns and replies have no `finished_at` and
 * are in none of these indexes; replies of an unfinished turn may be asked for again by a run of it, and those of one
 * that failed by a run that a person asks for.
 */
import { Effect } from "effect"
import type { SqlClient } from "effect/sql"
import { type Cutoff, earlier, endedBefore } from "../Cutoff.ts"
import { limit } from "./limit.ts"

interface Options {
  readonly finishedBefore: Cutoff
  readonly keysBefore: number
  readonly most: number
}

export const cutoffOfMessages = (sql: SqlClient.SqlClient, newest: number) =>
  Effect.map(
    sql<Cutoff>`SELECT finished_at AS at, id FROM slackwater_messages WHERE finished_at IS NOT NULL
      ORDER BY finished_at DESC, id DESC LIMIT 1 OFFSET ${newest - 1}`,
    ([row]) => row ?? null
  )

export const cutoffOfReplies = (sql: SqlClient.SqlClient, newest: number) =>
  Effect.map(
    sql<
      Cutoff
    >`SELECT finished_at AS at, id FROM slackwater_outbox WHERE finished_at IS NOT NULL AND turn_id IS NOT NULL
      UNION ALL
      SELECT finished_at AS at, id FROM slackwater_outbox WHERE finished_at IS NOT NULL AND turn_id IS NULL
      ORDER BY at DESC, id DESC LIMIT 1 OFFSET ${newest - 1}`,
    ([row]) => row ?? null
  )

export const pruneMessages = Effect.fn("MessageStore.prune")(
  function*(sql: SqlClient.SqlClient, { finishedBefore: { at, id }, keysBefore, most }: Options) {
    // A key outlives its message where it must: without its row it still says "seen".
    const endedMessages = sql`SELECT id FROM slackwater_messages
      WHERE finished_at IS NOT NULL AND (finished_at, id) < (${at}, ${id}) ORDER BY finished_at, id ${limit(sql, most)}`
    yield* sql`DELETE FROM slackwater_by_hand WHERE message_id IN (${endedMessages})`
    const messages = yield* sql`DELETE FROM slackwater_messages WHERE id IN (${endedMessages}) RETURNING id`
    // A turn ends with its messages.
    const endedTurns = sql`SELECT id FROM slackwater_turns WHERE finished_at IS NOT NULL AND finished_at < ${at}
      ORDER BY finished_at, id ${limit(sql, most)}`
    // Those that failed may be tried again by hand and kept what they had done.
    yield* sql`DELETE FROM slackwater_steps WHERE turn_id IN (${endedTurns})`
    const turns = yield* sql`DELETE FROM slackwater_turns WHERE id IN (${endedTurns}) RETURNING id`
    const keys = yield* sql`DELETE FROM slackwater_message_keys WHERE key IN (SELECT key FROM slackwater_message_keys
      WHERE seen_at < ${keysBefore} ORDER BY seen_at, key ${limit(sql, most)}) RETURNING key`
    return Math.max(messages.length, turns.length, keys.length)
  }
)

export const pruneReplies = Effect.fn("OutboxStore.prune")(
  function*(sql: SqlClient.SqlClient, { finishedBefore, keysBefore, most }: Options) {
    const answers = yield* sql`DELETE FROM slackwater_outbox WHERE id IN (SELECT id FROM slackwater_outbox o
      WHERE finished_at IS NOT NULL AND turn_id IS NOT NULL
        AND (finished_at, id) < (${finishedBefore.at}, ${finishedBefore.id})
        AND NOT EXISTS (SELECT 1 FROM slackwater_turns t
          WHERE t.id = o.turn_id AND (t.finished_at IS NULL OR t.state = 'failed'))
      ORDER BY finished_at, id ${limit(sql, most)}) RETURNING id`
    const unclaimed = earlier(finishedBefore, endedBefore(keysBefore))
    const posts = yield* sql`DELETE FROM slackwater_outbox WHERE id IN (SELECT id FROM slackwater_outbox
      WHERE finished_at IS NOT NULL AND turn_id IS NULL AND (finished_at, id) < (${unclaimed.at}, ${unclaimed.id})
      ORDER BY finished_at, id ${limit(sql, most)}) RETURNING id`
    return Math.max(answers.length, posts.length)
  }
)
