/**
 * This gateway's row in the database, and what is done with what dead instances left.
 *
 * Only the holder of the owner lock comes here, so every other owner found in the tables is dead. One transaction
 * records the start, makes replies in `sending` `unknown`, so that they are looked up, ends progress that was not sent,
 * and makes due what waits in a quiet window, for its next send or for its next look. Turns that were left running are
 * counted for the log and stay as they are: Conversations takes them as slots free up. Rows of instances go after 30 days.
 */
import { Clock, Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { Instance, type PreviousStop } from "../Instance.ts"
import { Owner } from "./Database.ts"
import { setBack } from "./outboxClock.ts"
import { cutOff, endInterim } from "./outboxRows.ts"
import { statement, transaction } from "./transaction.ts"

export const layer = Layer.effect(
  Instance,
  Effect.gen(function*() {
    const { id } = yield* Owner
    const sql = yield* SqlClient.SqlClient
    const startedAt = yield* Clock.currentTimeMillis

    const found = yield* Effect.gen(function*() {
      const [previous] = yield* sql<{ readonly stopped_at: number | null; readonly heard_until: number | null }>`
        SELECT stopped_at, heard_until FROM slackwater_instances ORDER BY number DESC LIMIT 1`
      const previousStop: PreviousStop = previous === undefined
        ? "none"
        : previous.stopped_at === null
        ? "crash"
        : "clean"
      yield* sql`DELETE FROM slackwater_instances WHERE started_at < ${startedAt - 30 * 86_400_000}`
      yield* sql`INSERT INTO slackwater_instances (id, pid, started_at, heard_until)
        VALUES (${id}, ${process.pid}, ${startedAt}, ${previous?.heard_until ?? null})`

      const [left] = yield* sql<{ readonly n: number }>`SELECT count(*) AS n FROM slackwater_turns
        WHERE state = 'running'`
      // What was not sent live is not sent at all.
      yield* endInterim(sql, sql`1`, startedAt)
      const replies = yield* cutOff(sql, sql`1`, "the process ended while it was sent", startedAt)
      yield* sql`UPDATE slackwater_messages SET due_at = ${startedAt}
        WHERE state = 'queued' AND turn_id IS NULL AND due_at > ${startedAt}`
      // What kept a reply waiting (a refused token, a missing scope, an outage) may be over: that is often why we were
      // restarted. Both states are named so that the index is used.
      yield* sql`UPDATE slackwater_outbox SET due_at = ${startedAt}
        WHERE state IN ('queued', 'failed_retryable') AND state = 'failed_retryable' AND due_at > ${startedAt}`
      yield* sql`UPDATE slackwater_outbox SET due_at = ${startedAt} WHERE state = 'unknown' AND due_at > ${startedAt}`
      // The clock may have been set back meanwhile, nobody knows by how much.
      yield* setBack(sql, 0, startedAt)
      // It holds its lane from when somebody can look for it: how long nobody could, the clock does not say for certain.
      yield* sql`UPDATE slackwater_outbox SET unknown_since = ${startedAt} WHERE state = 'unknown' AND held = 0`
      return { previousStop, heardUntil: previous?.heard_until ?? null, turns: left?.n ?? 0, replies }
    }).pipe(transaction(sql, "start"))

    const { heardUntil: heardBefore, ...counts } = found
    yield* Effect.logInfo("started").pipe(Effect.annotateLogs({ instance: id, ...counts }))
    let heardUntil = heardBefore

    return Instance.named({
      id,
      startedAt,
      previousStop: found.previousStop,
      markClean: Effect.flatMap(
        Clock.currentTimeMillis,
        (now) =>
          Effect.asVoid(sql`UPDATE slackwater_instances SET stopped_at = ${now} WHERE id = ${id}`).pipe(
            statement("markClean")
          )
      ),
      heardUntil: Effect.sync(() => heardUntil),
      markHeard: (until) =>
        sql`UPDATE slackwater_instances SET heard_until = ${until} WHERE id = ${id}`.pipe(
          statement("markHeard"),
          Effect.andThen(Effect.sync(() => {
            heardUntil = until
          }))
        )
    })
  })
)
