/** A change in your own database and the message about it: both, or neither. */
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { Gateway, Handler, Outbox, type Settings } from "slackwater"
import { SqliteClient } from "slackwater/sqlite"

const tables = Layer.effectDiscard(
  SqlClient.SqlClient.use((sql) =>
    sql`CREATE TABLE IF NOT EXISTS stock (item TEXT PRIMARY KEY, pieces INTEGER NOT NULL CHECK (pieces >= 0))`
  )
)

/** The gateway keeps its tables in your database, beside yours. */
export const shop = (filename: string, config: Partial<Settings> = {}) =>
  Gateway.layer({
    handler: Handler.make((turn) => turn.reply(`You said: ${turn.text}`)),
    config,
    database: "host"
  }).pipe(
    Layer.provideMerge(tables),
    Layer.provideMerge(SqliteClient.layer({ filename }))
  )

/** The message goes out if, and only if, the transaction commits: not for a piece that is not there. */
export const sell = Effect.fn("sell")(function*(order: string, item: string) {
  const sql = yield* SqlClient.SqlClient
  const outbox = yield* Outbox
  yield* sql.withTransaction(Effect.gen(function*() {
    yield* outbox.enqueue({ channel: "C0GENERAL", text: `Order ${order}: one ${item}`, key: order })
    yield* sql`UPDATE stock SET pieces = pieces - 1 WHERE item = ${item}`
  }))
})
