/** Which gateway was the last one on this database, and how it ended: for commands, read from its row. */
import { Effect, Schema } from "effect"
import { SqlClient } from "effect/sql"

export const LastInstance = Schema.Struct({
  instance: Schema.String,
  pid: Schema.Int,
  /** Epoch milliseconds. */
  startedAt: Schema.Int,
  /** When it stopped in order; null where it runs, or was killed or crashed. */
  stoppedAt: Schema.NullOr(Schema.Int)
})
export type LastInstance = typeof LastInstance.Type

/** Null where none ever was. */
export const lastInstance = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const [row] = yield* sql<LastInstance>`SELECT id AS instance, pid, started_at AS startedAt, stopped_at AS stoppedAt
    FROM slackwater_instances ORDER BY number DESC LIMIT 1`
  return row === undefined ? null : { ...row }
})
