/**
 * How much a pruning would delete: counted by the conditions of `pruning.ts`, messages and turns first, without deleting. For commands, which say
 * so before they do it, and how far they are. Reads that much of an index.
 */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { type Cutoff, earlier, endedBefore } from "../Cutoff.ts"

export interface Prunable {
  readonly messages: number
  readonly turns: number
  /** Identities of messages, by which repetitions are recognised. */
  readonly keys: number
  /** Replies of turns, and what the host posted. */
  readonly answers: number
  readonly posts: number
}

const nothing: Prunable = { messages: 0, turns: 0, keys: 0, answers: 0, posts: 0 }

export const countPrunable = Effect.fnUntraced(function*(
  { keysBefore, messages, replies }: {
    readonly messages: Cutoff
    readonly replies: Cutoff
    readonly keysBefore: number
  }
) {
  const sql = yield* SqlClient.SqlClient
  const unclaimed = earlier(replies, endedBefore(keysBefore))
  const [row] = yield* sql<Prunable>`SELECT
    (SELECT count(*) FROM slackwater_messages WHERE finished_at IS NOT NULL
      AND (finished_at, id) < (${messages.at}, ${messages.id})) AS messages,
    (SELECT count(*) FROM slackwater_turns WHERE finished_at IS NOT NULL AND finished_at < ${messages.at}) AS turns,
    (SELECT count(*) FROM slackwater_message_keys WHERE seen_at < ${keysBefore}) AS keys,
    (SELECT count(*) FROM slackwater_outbox o WHERE finished_at IS NOT NULL AND turn_id IS NOT NULL
      AND (finished_at, id) < (${replies.at}, ${replies.id})
      AND NOT EXISTS (SELECT 1 FROM slackwater_turns t WHERE t.id = o.turn_id
        AND (t.finished_at IS NULL OR (t.state = 'failed' AND t.finished_at >= ${messages.at})))) AS answers,
    (SELECT count(*) FROM slackwater_outbox WHERE finished_at IS NOT NULL AND turn_id IS NULL
      AND (finished_at, id) < (${unclaimed.at}, ${unclaimed.id})) AS posts`
  return row === undefined ? nothing : { ...row }
})
