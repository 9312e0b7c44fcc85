/**
 * Takes what a burst has left in the WAL over into the database, when the burst is over.
 *
 * SQLite does that by itself inside the commit that makes the WAL longer than 1,000 pages, and somebody waits for that
 * commit. After a burst, when nothing was written for a second, it is done here once, while nobody waits; so the next
 * burst begins with an empty WAL, and so does the next start after a crash.
 * Does not: run anything while the gateway is idle, or where there are but few writes; wait for readers (PASSIVE);
 * matter to what is promised: a commit is on disk before.
 */
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { Supervisor } from "../Supervisor.ts"
import { GroupCommit } from "./GroupCommit.ts"

/** Nothing was written for so long: the burst is over (ms). */
const quiet = 1_000

export const layer = Layer.effectDiscard(Effect.gen(function*() {
  const group = yield* GroupCommit
  const sql = yield* SqlClient.SqlClient
  const supervisor = yield* Supervisor

  const checkpoint = Effect.ignore(sql.unsafe("PRAGMA wal_checkpoint(PASSIVE)"))

  yield* supervisor.fork("checkpoint", Effect.forever(Effect.andThen(group.burstIsOver(quiet), checkpoint)))
}))
