/**
 * What counting costs when there is a long past, and what finding the end of what is kept by number costs: N finished
 * messages and as many replies of 600 bytes each, in the gateway's own file; and how much of that file a message takes.
 * Beside the gateway's own statements runs a plain one that reads every row.
 *
 *     npm run bench:counts [-- rows]      (100,000 unless said otherwise: a few seconds)
 *
 * Each figure is the best of twelve.
 */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import process from "node:process"
import { MessageStore } from "../src/MessageStore.ts"
import { OutboxStore } from "../src/OutboxStore.ts"
import { directory, ground, row, used } from "./ground.ts"

const rows = Number(process.argv[2] ?? 100_000)
const rounds = 12
const body = JSON.stringify({ text: "x".repeat(600 - `{"text":""}`.length) })

/** Messages of every end, and replies of which every third is the host's own. Answers the bytes that a message takes. */
const fill = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const numbers = sql.literal(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})`)
  const before = yield* used
  yield* sql`${numbers} INSERT INTO slackwater_messages
    (conversation, slack_ts, message, state, turn_id, due_at, received_at, finished_at)
    SELECT 'C0123456789/' || i || '.000100', i || '.000100', ${body},
      CASE i % 9 WHEN 0 THEN 'ignored' WHEN 1 THEN 'failed' ELSE 'done' END, 'turn_abcdefgh_' || i, i, i, i FROM n`
  const each = ((yield* used) - before) / rows
  yield* sql`${numbers} INSERT INTO slackwater_outbox
    (key, lane, channel, kind, dispatch, state, turn_id, due_at, enqueued_at, lives_from, slack_ts, finished_at)
    SELECT 'k' || i, 'C0123456789/' || i || '.000100', 'C0123456789', 'Post', ${body}, 'delivered',
      CASE i % 3 WHEN 0 THEN NULL ELSE 'turn_abcdefgh_' || i END, i, i, i, i, i FROM n`
  return each
})

/** The shortest time in ms. */
const best = Effect.fnUntraced(function*<A, E, R>(effect: Effect.Effect<A, E, R>) {
  let shortest = Infinity
  for (let n = 0; n < rounds; n++) {
    const from = performance.now()
    yield* effect
    shortest = Math.min(shortest, performance.now() - from)
  }
  return shortest.toFixed(1)
})

const measure = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const messages = yield* MessageStore
  const outbox = yield* OutboxStore
  const each = yield* fill
  const everyRow = (table: string) =>
    sql.unsafe(
      `SELECT state, count(*), min(CASE WHEN state = 'queued' THEN due_at END) FROM ${table} GROUP BY state`
    )
  console.log(row(["", "reading every row, ms", "as it is, ms"]))
  console.log(row(["---", "---", "---"]))
  console.log(row(["counts of the inbox", yield* best(everyRow("slackwater_messages")), yield* best(messages.counts)]))
  console.log(row(["counts of the outbox", yield* best(everyRow("slackwater_outbox")), yield* best(outbox.counts)]))
  console.log(row([`where the newest ${rows} messages end`, "", yield* best(messages.cutoffKeeping(rows))]))
  console.log(row([`where the newest ${rows} replies end`, "", yield* best(outbox.cutoffKeeping(rows))]))
  console.log(`\na message takes ${each.toFixed(0)} bytes, its indexes included and its keys not`)
})

await Effect.runPromise(
  Effect.scoped(Effect.flatMap(directory, (dataDir) => Effect.provide(measure, ground(dataDir))))
)
