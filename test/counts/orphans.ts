/** What a process leaves that was killed with so many turns in flight, each in a conversation of its own. */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { encodeMessage } from "../../src/sql/messageJson.ts"
import { inbound } from "../fixtures/messages.ts"
import { epoch } from "../fixtures/time.ts"

export const orphans = Effect.fnUntraced(function*(n: number, text: string) {
  const sql = yield* SqlClient.SqlClient
  const numbers = sql.literal(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${n})`)
  yield* sql.withTransaction(Effect.gen(function*() {
    yield* sql`${numbers} INSERT INTO slackwater_messages
      (conversation, slack_ts, message, state, turn_id, due_at, received_at)
      SELECT 'O' || i, i, ${encodeMessage(inbound({ text }))}, 'processing', 'orphan' || i, ${epoch}, ${epoch} FROM n`
    yield* sql`${numbers} INSERT INTO slackwater_turns (id, conversation, state, owner, attempt, due_at, created_at)
      SELECT 'orphan' || i, 'O' || i, 'running', 'dead', 1, ${epoch}, ${epoch} FROM n`
  }))
})
