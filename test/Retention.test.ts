/** Finished rows go when they are old, in small batches; the keys that recognise repetitions stay. */
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { MessageStore } from "../src/MessageStore.ts"
import { Retention } from "../src/Retention.ts"
import { Spool } from "../src/Spool.ts"
import { arrival } from "./fixtures/messages.ts"
import { advance, ground, inRooms } from "./fixtures/rooms.ts"

const count = (table: string) =>
  Effect.flatMap(
    SqlClient.SqlClient,
    (sql) => Effect.map(sql.unsafe<{ readonly n: number }>(`SELECT count(*) AS n FROM ${table}`), ([row]) => row?.n)
  )

const test = <A, E>(
  sentence: string,
  body: Effect.Effect<A, E, MessageStore | Spool | SqlClient.SqlClient | Retention>
) => it.effect(sentence, () => inRooms(Retention.layer.pipe(Layer.provideMerge(ground({}))))(body))

test(
  "deletes what is finished and old, by itself and not earlier",
  Effect.gen(function*() {
    const store = yield* MessageStore
    const old = arrival({ text: "old" }, { ignored: "not addressed" })
    yield* store.append(old)
    yield* advance("29 days", "1 hour")
    assert.strictEqual(yield* count("slackwater_messages"), 1)
    yield* advance("2 days", "1 hour")
    assert.strictEqual(yield* count("slackwater_messages"), 0)
  })
)

test(
  "leaves what waits alone, however old it is",
  Effect.gen(function*() {
    yield* (yield* MessageStore).append(arrival({ text: "waiting" }))
    yield* advance("40 days", "1 day")
    assert.strictEqual(yield* (yield* Retention).sweep, 0)
    assert.strictEqual(yield* count("slackwater_messages"), 1)
  })
)

test(
  "deletes far more than one batch in one sweep",
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1700)
      INSERT INTO slackwater_messages (conversation, slack_ts, message, state, due_at, received_at, finished_at)
      SELECT 'D1', i, '{}', 'done', 0, 0, 0 FROM n`
    yield* advance("62 minutes", "1 second")
    assert.strictEqual(yield* count("slackwater_messages"), 0)
  })
)

test(
  "removes files that no row needs any more, but not those that may be about to get one",
  Effect.gen(function*() {
    const spool = yield* Spool
    yield* spool.keep(yield* spool.stage("x", 9), "stray")
    yield* advance("30 minutes", "10 minutes")
    yield* (yield* Retention).sweep
    assert.deepStrictEqual(yield* spool.list(Infinity), ["stray"])
    yield* advance("40 minutes", "10 minutes")
    yield* (yield* Retention).sweep
    assert.isEmpty(yield* spool.list(Infinity))
  })
)
