/**
 * How a run of a turn ends in the database: completed, put off, failed, superseded.
 *
 * Every end names the owner of the turn and the state it leaves, so a former owner changes nothing (`TurnLost`). What a
 * turn answers, its messages and its own end are one transaction.
 */
import { Effect } from "effect"
import type { SqlClient } from "effect/sql"
import type { OwnerId, TurnId } from "../Message.ts"
import type { MessageStore } from "../MessageStore.ts"
import { TurnLost } from "../StoreError.ts"
import { blankReplies, blankTurn } from "./blanking.ts"
import type { GroupCommit } from "./GroupCommit.ts"
import { endStreams, insertReplies } from "./outboxRows.ts"

type TurnEnds = Pick<MessageStore["Service"], "complete" | "retryLater" | "fail" | "supersede">

export const makeTurnEnds = (sql: SqlClient.SqlClient, group: GroupCommit["Service"], blanks: boolean): TurnEnds => {
  /** Moves a turn we hold; nobody else's. */
  const leave = Effect.fnUntraced(
    function*(turn: TurnId, owner: OwnerId, set: string, values: ReadonlyArray<unknown>) {
      const rows = yield* sql.unsafe(
        `UPDATE slackwater_turns SET owner = NULL, ${set} WHERE id = ? AND owner = ? AND state = 'running' RETURNING id`,
        [...values, turn, owner]
      )
      if (rows.length === 0) return yield* new TurnLost({ turn })
    }
  )

  const finishMessages = (turn: TurnId, state: "done" | "failed", reason: string | null, now: number) =>
    sql`UPDATE slackwater_messages SET state = ${state}, reason = ${reason}, finished_at = ${now}
      WHERE turn_id = ${turn} AND state = 'processing'`

  return {
    complete: Effect.fn("MessageStore.complete")(function*(turn, owner, replies, now, { state, unseen = [] } = {}) {
      yield* leave(turn, owner, "state = 'done', crashes = 0, finished_at = ?", [now])
      for (const id of unseen) {
        yield* sql`UPDATE slackwater_messages SET state = 'queued', turn_id = NULL, due_at = ${now}
          WHERE id = ${id} AND turn_id = ${turn} AND state = 'processing'`
      }
      yield* finishMessages(turn, "done", null, now)
      yield* insertReplies(sql, replies, turn, now)
      yield* endStreams(sql, turn, now)
      if (state !== undefined) {
        yield* sql`INSERT INTO slackwater_conversations (conversation, state, changed_at)
          SELECT conversation, ${state}, ${now} FROM slackwater_turns WHERE id = ${turn}
          ON CONFLICT (conversation) DO UPDATE SET state = excluded.state, changed_at = excluded.changed_at`
      }
      yield* sql`DELETE FROM slackwater_steps WHERE turn_id = ${turn}`
      if (blanks) yield* blankTurn(sql, turn)
    }, group.write("complete")),
    retryLater: Effect.fn("MessageStore.retryLater")(function*(turn, owner, error, dueAt) {
      yield* leave(
        turn,
        owner,
        `state = 'waiting', failures = failures + 1, crashes = 0, interrupted = 0, status = NULL, error = ?, due_at = ?`,
        [error, Math.round(dueAt)]
      )
      yield* sql`UPDATE slackwater_messages SET state = 'queued' WHERE turn_id = ${turn} AND state = 'processing'`
    }, group.write("retryLater")),
    fail: Effect.fn("MessageStore.fail")(function*(turn, owner, error, replies, now) {
      yield* leave(turn, owner, "state = 'failed', failures = failures + 1, error = ?, finished_at = ?", [error, now])
      yield* finishMessages(turn, "failed", error, now)
      yield* insertReplies(sql, replies, turn, now)
      yield* endStreams(sql, turn, now)
    }, group.write("fail")),
    supersede: Effect.fn("MessageStore.supersede")(function*(turn, owner, now) {
      yield* leave(turn, owner, "state = 'superseded', finished_at = ?", [now])
      // Whoever waits in a quiet window is waited for: they go on together.
      yield* sql`UPDATE slackwater_messages SET state = 'queued', turn_id = NULL, due_at = max(${now}, coalesce((
          SELECT max(due_at) FROM slackwater_messages WHERE state = 'queued' AND turn_id IS NULL
            AND conversation = (SELECT conversation FROM slackwater_turns WHERE id = ${turn})), 0))
        WHERE turn_id = ${turn} AND state = 'processing'`
      yield* sql`DELETE FROM slackwater_steps WHERE turn_id = ${turn}`
      yield* endStreams(sql, turn, now)
      if (blanks) yield* blankReplies(sql, turn)
    }, group.write("supersede"))
  }
}
