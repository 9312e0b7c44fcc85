/**
 * Texts and payloads go when nobody needs them any more, where the operator wants that (`SLACKWATER_BLANK_PAYLOADS`):
 * those of a message in the transaction that completes its turn, those of a reply once it is delivered and its turn has
 * ended. Ids, times and keys stay; what may be retried by hand, and what is unfinished, stays whole.
 *
 * A message that starts no turn is blank from the beginning, unless one that comes late may take it along
 * (`heardLate`): that one is blanked by the sweep behind it.
 */
import { Context, Effect, Layer } from "effect"
import type { SqlClient } from "effect/sql"
import { GatewayConfig } from "../GatewayConfig.ts"
import type { InboundMessage } from "../Message.ts"
import { heardLate, notAddressed } from "../MessageStore.ts"

/** Whether the stores do so. */
export const BlankPayloads = Context.Reference<boolean>("slackwater/sql/BlankPayloads", { defaultValue: () => false })

export const asConfigured = Layer.effect(BlankPayloads, Effect.map(GatewayConfig, ({ blankPayloads }) => blankPayloads))

const withoutWords = (message: InboundMessage): InboundMessage => ({ ...message, text: "", payload: null })

/** As it is stored when it starts no turn. */
export const whenIgnored = (message: InboundMessage, reason: string): InboundMessage =>
  reason === notAddressed ? message : withoutWords(message)

const blankMessage = `message = CASE WHEN json_valid(message)
  THEN json_set(message, '$.text', '', '$.payload', NULL) ELSE '{}' END`

/** What stays of a call says of which kind it was, and what it changed. */
const blankDispatch = `dispatch = CASE
  WHEN NOT json_valid(dispatch) THEN '{}'
  WHEN kind = 'StreamAppend' THEN json_set(dispatch, '$.markdown', '')
  WHEN kind = 'Upload' THEN json_remove(json_set(dispatch, '$.filename', ''), '$.title', '$.comment')
  WHEN kind = 'Respond' THEN json_remove(json_set(dispatch, '$.text', '', '$.url', ''), '$.blocks', '$.markdown')
  WHEN kind IN ('Post', 'Update', 'Ephemeral', 'StreamStop')
    THEN json_remove(json_set(dispatch, '$.text', ''), '$.blocks', '$.markdown')
  ELSE dispatch END`

/** What a stream shows is needed until its end is in Slack. */
const isOver = `(kind <> 'StreamAppend' OR EXISTS (SELECT 1 FROM slackwater_outbox e
  WHERE e.target_id = slackwater_outbox.target_id AND e.kind IN ('StreamStop', 'StreamEnd', 'Post')
    AND e.finished_at IS NOT NULL))`

/** In the transaction that ends the turn: what of its replies is settled. */
export const blankReplies = (sql: SqlClient.SqlClient, turn: string) =>
  // Found by their keys, which begin with their turn.
  sql`UPDATE slackwater_outbox SET ${sql.literal(blankDispatch)}
    WHERE key >= ${`${turn}:`} AND key < ${`${turn};`} AND turn_id = ${turn}
      AND (state = 'delivered' OR (interim = 1 AND state = 'failed_terminal')) AND ${sql.literal(isOver)}`

/** In the transaction that completes the turn. */
export const blankTurn = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, turn: string) {
  yield* sql`UPDATE slackwater_messages SET ${sql.literal(blankMessage)} WHERE turn_id = ${turn} AND state = 'done'`
  yield* sql`UPDATE slackwater_turns SET status = NULL, error = NULL WHERE id = ${turn}`
  // Why a person had it handled again.
  yield* sql`UPDATE slackwater_by_hand SET reason = NULL
    WHERE message_id IN (SELECT id FROM slackwater_messages WHERE turn_id = ${turn} AND state = 'done')`
  yield* blankReplies(sql, turn)
})

/** In the transaction that says that it is delivered. */
export const blankReply = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, id: number) {
  const turnIsOver = sql.literal(`NOT EXISTS (SELECT 1 FROM slackwater_turns t
    WHERE t.id = slackwater_outbox.turn_id AND t.finished_at IS NULL)`)
  yield* sql`UPDATE slackwater_outbox SET ${sql.literal(blankDispatch)}
    WHERE id = ${id} AND state = 'delivered' AND ${turnIsOver} AND ${sql.literal(isOver)}`
  yield* sql`UPDATE slackwater_outbox SET ${sql.literal(blankDispatch)} WHERE kind = 'StreamAppend'
    AND target_id = (SELECT target_id FROM slackwater_outbox WHERE id = ${id} AND kind IN ('StreamStop', 'StreamEnd', 'Post'))
    AND finished_at IS NOT NULL AND ${turnIsOver}`
})

/** What nobody can take along any more. It has another reason then, and leaves the index of those that may be. */
export const blankUnaddressed = (sql: SqlClient.SqlClient, now: number, most: number) =>
  sql`UPDATE slackwater_messages SET reason = 'not addressed (blanked)', ${sql.literal(blankMessage)}
    WHERE id IN (SELECT id FROM slackwater_messages WHERE state = 'ignored' AND reason = 'not addressed'
      AND received_at < ${now - heardLate} LIMIT ${most})`
