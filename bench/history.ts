/**
 * Whether what is finished slows down what lives: the steps of a message's life over a file with N finished messages, with
 * as many turns, keys and replies.
 *
 *     npm run bench:history [-- rows ...]      (1,000, 100,000 and 1,000,000 unless said otherwise: some minutes)
 *
 * Each figure is the processor time of one step, one at a time: the median of rounds of 50, taken in turn from all the
 * files, so that a busy machine is the same to each of them.
 */
import { Clock, Effect, Exit, Layer, References, Scope } from "effect"
import { SqlClient } from "effect/sql"
import process from "node:process"
import { ConversationKey, OwnerId } from "../src/Message.ts"
import { MessageStore } from "../src/MessageStore.ts"
import { OutboxStore } from "../src/OutboxStore.ts"
import { directory, ground, percentile, row } from "./ground.ts"

const given = process.argv.slice(2).map(Number)
const sizes = given.length > 0 ? given : [1_000, 100_000, 1_000_000]
const [rounds, each] = [15, 50]
const owner = OwnerId.make("bench")
const steps = ["append", "ready", "claim", "nextDueAt", "complete", "claim of the outbox", "delivered"] as const
type Step = typeof steps[number]

const message = {
  kind: "message" as const,
  conversation: ConversationKey.make("D1"),
  team: "T1",
  channel: "D1",
  self: "U0BOT",
  direct: true,
  user: "U1",
  text: "hello",
  ts: "1700000000.000100",
  payload: { event: { text: "x".repeat(300) } }
}

/** Half of the past in ten conversations, half in one conversation each; keys in no order, as Slack's are. */
const past = Effect.fnUntraced(function*(n: number) {
  const sql = yield* SqlClient.SqlClient
  const numbers = sql.literal(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${n})`)
  const lane = sql.literal("CASE i % 2 WHEN 0 THEN 'D' || (i / 2 % 10) ELSE 'C1/' || i END")
  const body = JSON.stringify(message)
  yield* sql.withTransaction(Effect.gen(function*() {
    yield* sql`${numbers} INSERT INTO slackwater_messages
      (conversation, slack_ts, message, state, turn_id, due_at, received_at, finished_at)
      SELECT ${lane}, printf('%010d.000100', i), ${body}, CASE i % 9 WHEN 0 THEN 'ignored' ELSE 'done' END, 'past' || i, i, i, i FROM n`
    yield* sql`${numbers} INSERT INTO slackwater_turns (id, conversation, state, attempt, due_at, created_at, finished_at)
      SELECT 'past' || i, ${lane}, 'done', 1, i, i, i FROM n`
    yield* sql`${numbers} INSERT INTO slackwater_message_keys (key, message_id, seen_at)
      SELECT 'event:Ev' || hex(randomblob(6)), i, i FROM n`
    yield* sql`${numbers} INSERT INTO slackwater_outbox
      (key, lane, channel, kind, dispatch, state, turn_id, due_at, enqueued_at, lives_from, slack_ts, finished_at)
      SELECT 'k' || hex(randomblob(6)), ${lane}, 'D1', 'Post', '{"_tag":"Post","text":"hello"}', 'delivered', 'past' || i,
        i, i, i, i, i FROM n`
  }))
})

/** A file with such a past, and a round of `each` lives in it: microseconds of processor time for one of each step. */
const open = Effect.fnUntraced(function*(n: number) {
  const dataDir = yield* directory
  const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
  const context = yield* Layer.buildWithScope(ground(dataDir), scope)
  yield* Effect.provideContext(past(n), context)
  let last = 0
  const round = Effect.gen(function*() {
    const messages = yield* MessageStore
    const outbox = yield* OutboxStore
    const took: Record<string, number> = {}
    const timed = <A, E>(step: Step, effect: Effect.Effect<A, E>) =>
      Effect.suspend(() => {
        const before = process.cpuUsage()
        return Effect.tap(effect, () =>
          Effect.sync(() => {
            const { system, user } = process.cpuUsage(before)
            took[step] = (took[step] ?? 0) + (user + system) / each
          }))
      })
    for (let nth = 0; nth < each; nth++) {
      last += 1
      const now = yield* Clock.currentTimeMillis
      // In a conversation with a long past, and in a new one.
      const conversation = ConversationKey.make(nth % 2 === 0 ? `D${last % 10}` : `C2/${last}`)
      const keys = [`event:Ev${Math.random().toString(36)}`, `message:${last}`]
      const added = { message: { ...message, conversation }, keys, receivedAt: now, dueAt: now, cap: 1_000 }
      yield* timed("append", messages.append(added))
      yield* timed("ready", messages.ready(now, 16))
      const claimed = yield* timed("claim", messages.claim(conversation, owner, now))
      if (claimed._tag === "None") return yield* Effect.die(new Error("nothing to claim"))
      yield* timed("nextDueAt", messages.nextDueAt)
      const reply = {
        key: `${claimed.value.id}:1`,
        lane: conversation,
        destination: { channel: "D1" },
        dispatch: { _tag: "Post", text: "hello" } as const
      }
      yield* timed("complete", messages.complete(claimed.value.id, owner, [reply], now))
      const options = { owner, now, limit: 8, exclude: [], admit: () => true, expireBefore: 0 }
      const sending = yield* timed("claim of the outbox", outbox.claim(options))
      for (const { id } of sending.claimed) {
        yield* timed("delivered", outbox.delivered(id, owner, { channel: "D1", ts: `${last}` }, now))
      }
    }
    return took
  })
  return { n, round: Effect.provideContext(round, context) }
})

const program = Effect.gen(function*() {
  const files = yield* Effect.forEach(sizes, open)
  const found = new Map<string, Array<number>>()
  for (let n = -2; n < rounds; n++) {
    for (const file of files) {
      const took = yield* file.round
      for (const [step, us] of Object.entries(took)) {
        const key = `${step} ${file.n}`
        if (n >= 0) found.set(key, [...(found.get(key) ?? []), us])
      }
    }
  }
  const median = (key: string) => percentile((found.get(key) ?? []).toSorted((a, b) => a - b), 0.5)
  console.log(row(["µs of processor time", ...sizes.map((n) => n.toLocaleString("en")), "last against first"]))
  console.log(row(["---", ...sizes.map(() => "---"), "---"]))
  for (const step of steps) {
    const all = sizes.map((n) => median(`${step} ${n}`))
    console.log(row([step, ...all.map((us) => us.toFixed(0)), ((all.at(-1) ?? 0) / (all[0] ?? 1)).toFixed(2)]))
  }
})

await Effect.runPromise(Effect.provideService(Effect.scoped(program), References.MinimumLogLevel, "Error"))
