/**
 * The life of a turn in the database: cut off, given back, and what is kept with it. How it is claimed is in `claims.ts`,
 * how it ends in `turnEnds.ts`.
 *
 * Every write to a turn names its owner and the state it leaves, so a former owner changes nothing. A conversation
 * with an unfinished turn gets no other: a unique index holds that, not this code.
 */
import { Effect } from "effect"
import type { SqlClient } from "effect/sql"
import type { OwnerId } from "../Message.ts"
import type { MessageStore } from "../MessageStore.ts"
import type { TurnRun } from "../OutboxStore.ts"
import { makeClaims } from "./claims.ts"
import { notPaused } from "./Control.ts"
import type { GroupCommit } from "./GroupCommit.ts"
import { limit as limited } from "./limit.ts"
import { requireRun } from "./outboxRows.ts"

type Turns = Pick<
  MessageStore["Service"],
  | "claim"
  | "recover"
  | "releaseAll"
  | "saveStep"
  | "saveStatus"
  | "adopt"
>

export const makeTurns = (sql: SqlClient.SqlClient, group: GroupCommit["Service"]): Turns => {
  const recover = Effect.fn("MessageStore.recover")(
    function*(living: ReadonlyArray<OwnerId>, now: number, limit: number) {
      const turns = yield* sql<{ readonly id: string }>`SELECT id FROM slackwater_turns
      WHERE state = 'running' AND NOT ${sql.in("owner", living)} ORDER BY due_at, id ${limited(sql, limit)}`
      for (const { id } of turns) {
        // Whoever waited longest before the crash does so after it.
        yield* sql`UPDATE slackwater_turns SET state = 'waiting', owner = NULL, crashes = crashes + 1, interrupted = 1,
        due_at = min(due_at, ${now}) WHERE id = ${id} AND state = 'running'`
        yield* sql`UPDATE slackwater_messages SET state = 'queued' WHERE turn_id = ${id} AND state = 'processing'`
      }
      return turns.length
    },
    group.write("recover")
  )

  return {
    claim: makeClaims(sql, group),
    recover,
    releaseAll: Effect.fn("MessageStore.releaseAll")(function*(owner, now) {
      const turns = yield* sql<{ readonly id: string }>`UPDATE slackwater_turns SET state = 'waiting', owner = NULL,
        attempt = attempt - 1, crashes = 0, interrupted = 1, due_at = ${now}
        WHERE owner = ${owner} AND state = 'running' RETURNING id`
      for (const { id } of turns) {
        yield* sql`UPDATE slackwater_messages SET state = 'queued' WHERE turn_id = ${id} AND state = 'processing'`
      }
      return turns.length
    }, group.write("releaseAll")),
    saveStep: Effect.fn("MessageStore.saveStep")(function*(run, name, result, now) {
      yield* requireRun(sql, run)
      yield* sql`INSERT INTO slackwater_steps (turn_id, name, result, finished_at)
        VALUES (${run.turn}, ${name}, ${result}, ${now}) ON CONFLICT DO NOTHING`
    }, group.write("saveStep")),
    saveStatus: Effect.fn("MessageStore.saveStatus")(function*(run: TurnRun, status: string) {
      yield* requireRun(sql, run)
      yield* sql`UPDATE slackwater_turns SET status = ${status} WHERE id = ${run.turn} AND state = 'running'`
    }, group.write("saveStatus")),
    adopt: Effect.fn("MessageStore.adopt")(function*(run, message) {
      yield* requireRun(sql, run)
      const rows = yield* sql`UPDATE slackwater_messages SET state = 'processing', turn_id = ${run.turn}
        WHERE id = ${message} AND state = 'queued' AND turn_id IS NULL
          AND conversation = (SELECT conversation FROM slackwater_turns WHERE id = ${run.turn})
          AND ${notPaused(sql, "conversation")} RETURNING id`
      return rows.length > 0
    }, group.write("adopt"))
  }
}
