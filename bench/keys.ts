/**
 * What the memory of repetitions costs: the size of a key in the file, and how the key table's size changes the pace and
 * the latency of `append`, alone and while the pruning of old keys and messages goes on beside it.
 *
 *     npm run bench:keys [-- keys …]      (0 100000 1000000 unless said otherwise: about two minutes)
 *
 * Every append is the gateway's own, through group commit into a file with `synchronous=FULL`, with the two keys that a
 * message from Slack has: the event's, which look random, and the message's, which are in order within a channel. Each
 * figure is the best of five rounds.
 */
import { Duration, Effect } from "effect"
import { SqlClient } from "effect/sql"
import { createHash } from "node:crypto"
import process from "node:process"
import { endedBefore } from "../src/Cutoff.ts"
import { ConversationKey } from "../src/Message.ts"
import { MessageStore } from "../src/MessageStore.ts"
import { directory, ground, percentile, row, used } from "./ground.ts"

const sizes = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [0, 100_000, 1_000_000]
const rounds = 5
/** Appends of one round, in all and alone. */
const crowd = 4_000
const lone = 500
/** As `src/Retention.ts` does it. */
const most = 500
const between = Duration.millis(50)

const padding = "x".repeat(500)
const began = Date.now()

const eventKey = (n: number) =>
  `event:Ev${
    createHash("sha256").update(String(n)).digest("base64url").replaceAll(/[-_]/g, "").slice(0, 9).toUpperCase()
  }`
const messageKey = (n: number) => `message:C0${1_000_000 + n % 200}A/${1_700_000_000 + n}.000100`

/** Fills the key table with two keys a message, all of them seen long ago. */
const fill = Effect.fnUntraced(function*(keys: number) {
  const sql = yield* SqlClient.SqlClient
  for (let from = 0; from < keys / 2; from += 5_000) {
    const chunk = Array.from({ length: Math.min(5_000, keys / 2 - from) }, (_, n) => from + n)
    yield* sql.withTransaction(Effect.gen(function*() {
      const pairs = JSON.stringify(chunk.flatMap((n) => [[eventKey(n), n], [messageKey(n), n]]))
      yield* sql`INSERT INTO slackwater_message_keys (key, message_id, seen_at)
        SELECT value ->> 0, -1 - (value ->> 1), 1 + (value ->> 1) FROM json_each(${pairs}) WHERE true
        ON CONFLICT DO NOTHING`
    }))
  }
})

let next = 10_000_000
/** Appends one message that nobody has seen; answers how long it took, in ms. */
const append = Effect.gen(function*() {
  const store = yield* MessageStore
  const n = next++
  const channel = `C0${1_000_000 + n % 200}A`
  const ts = `${1_700_000_000 + n}.000100`
  const now = Date.now()
  const from = performance.now()
  yield* store.append({
    message: {
      kind: "message",
      conversation: ConversationKey.make(`${channel}/${ts}`),
      team: "T1",
      channel,
      self: "U0BOT",
      direct: false,
      user: "U1",
      text: "hello",
      ts,
      payload: { padding }
    },
    keys: [eventKey(n), messageKey(n)],
    receivedAt: now,
    dueAt: now,
    // Finished at once, so that the next message finds an idle conversation, as it does in life.
    ignored: "bench"
  })
  return performance.now() - from
})

const appends = Effect.fnUntraced(function*(count: number, concurrency: number) {
  const from = performance.now()
  const cpu = process.cpuUsage()
  const { fsWrite } = process.resourceUsage()
  const took = yield* Effect.forEach(Array.from({ length: count }), () => append, { concurrency })
  const ms = performance.now() - from
  const sorted = took.toSorted((a, b) => a - b)
  const { system, user } = process.cpuUsage(cpu)
  return {
    perSecond: count / ms * 1_000,
    p50: percentile(sorted, 0.5),
    p99: percentile(sorted, 0.99),
    cpu: (system + user) / count,
    // Blocks of 512 bytes, the checkpoints' among them.
    written: (process.resourceUsage().fsWrite - fsWrite) / 2 / count
  }
})

type Measured = Effect.Success<ReturnType<typeof appends>>

/** The rounds that the rest of the machine disturbed least. */
const best = (rounds: ReadonlyArray<Measured>): Measured => ({
  perSecond: Math.max(...rounds.map(({ perSecond }) => perSecond)),
  p50: Math.min(...rounds.map(({ p50 }) => p50)),
  p99: Math.min(...rounds.map(({ p99 }) => p99)),
  cpu: Math.min(...rounds.map(({ cpu }) => cpu)),
  written: Math.min(...rounds.map(({ written }) => written))
})

const print = (keys: number, how: string, { cpu, p50, p99, perSecond, written }: Measured) =>
  console.log(row([
    keys,
    how,
    Math.round(perSecond),
    p50.toFixed(2),
    p99.toFixed(1),
    Math.round(cpu),
    written.toFixed(1)
  ]))

/** Deletes keys and messages batch after batch, as a sweep that has a lot to do. */
const pruning = Effect.fnUntraced(function*(batches: Array<number>) {
  const store = yield* MessageStore
  while (true) {
    const from = performance.now()
    const gone = yield* store.prune({ finishedBefore: endedBefore(Date.now()), keysBefore: began, most })
    // With less than a batch of old keys left, what is measured is no longer a sweep at work.
    if (gone >= most) batches.push(performance.now() - from)
    yield* Effect.sleep(between)
  }
})

const measure = Effect.fnUntraced(function*(keys: number) {
  const empty = yield* used
  yield* fill(keys)
  const size = keys === 0 ? null : ((yield* used) - empty) / keys
  yield* appends(2_000, 16)
  const alone: Array<Measured> = []
  const many: Array<Measured> = []
  for (let n = 0; n < rounds; n++) {
    alone.push(yield* appends(lone, 1))
    many.push(yield* appends(crowd, 16))
  }
  const batches: Array<number> = []
  const beside: Array<Measured> = []
  const sweep = yield* Effect.forkChild(pruning(batches))
  for (let n = 0; n < rounds; n++) beside.push(yield* appends(crowd, 16))
  sweep.interruptUnsafe()
  batches.sort((a, b) => a - b)
  print(keys, "one at a time", best(alone))
  print(keys, "16 at once", best(many))
  print(keys, "16 at once, beside a sweep", best(beside))
  return [
    `${keys} keys:`,
    ...(size === null ? [] : [`${size.toFixed(0)} bytes a key;`]),
    `batches of the sweep p50 ${percentile(batches, 0.5).toFixed(1)} ms, p99 ${percentile(batches, 0.99).toFixed(1)} ms`
  ].join(" ")
})

console.log(row(["keys", "appends", "per second", "p50 ms", "p99 ms", "CPU µs each", "KiB written each"]))
console.log(row(Array.from({ length: 7 }, () => "---")))
const notes: Array<string> = []
for (const keys of sizes) {
  notes.push(
    await Effect.runPromise(
      Effect.scoped(Effect.flatMap(directory, (dataDir) => Effect.provide(measure(keys), ground(dataDir))))
    )
  )
}
console.log(["", ...notes].join("\n"))
