/** A change in your own database and the message about it: both, or neither. */
import { Effect, Layer, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { Gateway, Handler, Outbox, type Settings } from "slackwater"
import { SqliteClient } from "slackwater/sqlite"

const tables = Layer.effectDiscard(
  SqlClient.SqlClient.use((sql) =>
    Effect.andThen(
      sql`CREATE TABLE IF NOT EXISTS stock (item TEXT PRIMARY KEY, pieces INTEGER NOT NULL)`,
      sql`CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, item TEXT NOT NULL)`
    )
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

export class SoldOut extends Schema.TaggedError<SoldOut>()("SoldOut", { item: Schema.String }) {}

/**
 * The order, the piece and the message: all or none of them, so no message for a piece that is not there. The same
 * order again changes nothing.
 */
export const sell = Effect.fn("sell")(function*(order: string, item: string) {
  const sql = yield* SqlClient.SqlClient
  const outbox = yield* Outbox
  yield* sql.withTransaction(Effect.gen(function*() {
    const recorded = yield* sql`INSERT INTO orders VALUES (${order}, ${item}) ON CONFLICT DO NOTHING RETURNING id`
    if (recorded.length === 0) return
    const taken = yield* sql`UPDATE stock SET pieces = pieces - 1 WHERE item = ${item} AND pieces > 0 RETURNING pieces`
    if (taken.length === 0) return yield* new SoldOut({ item })
    yield* outbox.enqueue({ channel: "C0GENERAL", text: `Order ${order}: one ${item}`, key: order })
  }))
})
