/**
 * This gateway's row in the database, and what is done with what dead instances left.
 *
 * Only the holder of the owner lock comes here, so every other owner found in the tables is dead. One transaction
 * records the start and gives back: running turns wait again with one crash more, replies in `sending` become
 * `unknown` and are looked up, interim ones end, quiet windows end.
 */
import { Clock, Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { GatewayConfig } from "../GatewayConfig.ts"
import { Instance, type PreviousStop } from "../Instance.ts"
import { suspectAfter } from "../MessageStore.ts"
import { Owner } from "./Database.ts"
import { cutOff, endInterim, endStreams } from "./outboxRows.ts"
import { statement, transaction } from "./transaction.ts"

const crashed = "the process ended in the middle of this turn, again and again"

export const layer = Layer.effect(
  Instance,
  Effect.gen(function*() {
    const { maxCrashes } = yield* GatewayConfig
    const { id } = yield* Owner
    const sql = yield* SqlClient.SqlClient
    const startedAt = yield* Clock.currentTimeMillis

    const recovered = yield* Effect.gen(function*() {
      const [previous] = yield* sql<{ readonly stopped_at: number | null }>`
        SELECT stopped_at FROM slackwater_instances ORDER BY started_at DESC LIMIT 1`
      const previousStop: PreviousStop = previous === undefined
        ? "none"
        : previous.stopped_at === null
        ? "crash"
        : "clean"
      yield* sql`DELETE FROM slackwater_instances WHERE started_at < ${startedAt - 30 * 86_400_000}`
      yield* sql`INSERT INTO slackwater_instances (id, pid, started_at) VALUES (${id}, ${process.pid}, ${startedAt})`

      // A suspect runs with nobody beside it who is in doubt too, so the crash is held against it alone.
      const dead = maxCrashes === 0 ? [] : yield* sql<{ readonly id: string }>`
        UPDATE slackwater_turns SET state = 'failed', owner = NULL, crashes = crashes + 1, error = ${crashed},
          finished_at = ${startedAt} WHERE state = 'running' AND crashes + 1 >= ${
        suspectAfter + maxCrashes
      } RETURNING id`
      for (const turn of dead) {
        yield* sql`UPDATE slackwater_messages SET state = 'failed', reason = ${crashed}, finished_at = ${startedAt}
          WHERE turn_id = ${turn.id} AND state = 'processing'`
        yield* endStreams(sql, turn.id, startedAt)
      }
      const turns = yield* sql`UPDATE slackwater_turns SET state = 'waiting', owner = NULL, crashes = crashes + 1,
        due_at = ${startedAt} WHERE state = 'running' RETURNING id`
      yield* sql`UPDATE slackwater_messages SET state = 'queued' WHERE state = 'processing'`
      // What was not sent live is not sent at all.
      yield* endInterim(sql, sql`1`, startedAt)
      const replies = yield* cutOff(sql, sql`1`, "the process ended while it was sent", startedAt)
      yield* sql`UPDATE slackwater_messages SET due_at = ${startedAt}
        WHERE state = 'queued' AND turn_id IS NULL AND due_at > ${startedAt}`
      // What kept a reply waiting (a refused token, a missing scope, an outage) may be over: that is often why we were restarted.
      yield* sql`UPDATE slackwater_outbox SET due_at = ${startedAt}
        WHERE state = 'failed_retryable' AND due_at > ${startedAt}`
      yield* sql`UPDATE slackwater_outbox SET due_at = ${startedAt} WHERE state = 'unknown' AND due_at > ${startedAt}`
      return { previousStop, turns: turns.length, replies, failed: dead.length }
    }).pipe(transaction(sql, "start"))

    yield* Effect.logInfo("started").pipe(Effect.annotateLogs({ instance: id, ...recovered }))

    return Instance.of({
      id,
      startedAt,
      previousStop: recovered.previousStop,
      markClean: Effect.flatMap(
        Clock.currentTimeMillis,
        (now) =>
          Effect.asVoid(sql`UPDATE slackwater_instances SET stopped_at = ${now} WHERE id = ${id}`).pipe(
            statement("markClean")
          )
      )
    })
  })
)
