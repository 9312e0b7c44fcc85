/** Finished rows go when they are old or too many, in small batches; the keys that recognise repetitions stay. */
import { assert, it } from "@effect/vitest"
import { Duration, Effect, Layer, Option } from "effect"
import { SqlClient, Statement } from "effect/sql"
import type { Settings } from "../src/GatewayConfig.ts"
import { MessageStore } from "../src/MessageStore.ts"
import { OutboxStore } from "../src/OutboxStore.ts"
import { Retention } from "../src/Retention.ts"
import { Spool } from "../src/Spool.ts"
import { arrival, at, key, post } from "./fixtures/messages.ts"
import { advance, epoch, ground, inRooms, me } from "./fixtures/rooms.ts"
import { whileTimePasses } from "./fixtures/time.ts"

const count = (table: string) =>
  Effect.flatMap(
    SqlClient.SqlClient,
    (sql) => Effect.map(sql.unsafe<{ readonly n: number }>(`SELECT count(*) AS n FROM ${table}`), ([row]) => row?.n)
  )

const test = <A, E>(
  sentence: string,
  body: Effect.Effect<A, E, MessageStore | OutboxStore | Spool | SqlClient.SqlClient | Retention>,
  given: Partial<Settings> = {}
) => it.effect(sentence, () => inRooms(Retention.layer.pipe(Layer.provideMerge(ground(given))))(body))

/** `n` messages that were answered and whose answers were delivered, a second apart. */
const answered = Effect.fnUntraced(function*(from: number, n: number) {
  const store = yield* MessageStore
  const outbox = yield* OutboxStore
  for (let i = from; i < from + n; i++) {
    const now = epoch + 1_000 * i
    yield* store.append(arrival({ text: `m${i}` }, { keys: [`event:r${i}`], receivedAt: now, dueAt: now }))
    const turn = Option.getOrThrow(yield* store.claim(key("D1"), me, now))
    yield* store.complete(turn.id, me, [post(`a${i}`)], now)
    const { claimed } = yield* outbox.claim({
      owner: me,
      now,
      limit: 9,
      exclude: [],
      admit: () => true,
      expireBefore: 0
    })
    for (const { id } of claimed) yield* outbox.delivered(id, me, at("1.1"), now)
  }
})

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
  "an age of minutes is looked at every minute, not once an hour",
  Effect.gen(function*() {
    const store = yield* MessageStore
    yield* store.append(arrival({ text: "old" }, { ignored: "not addressed" }))
    yield* advance("4 minutes", "10 seconds")
    assert.strictEqual(yield* count("slackwater_messages"), 1)
    yield* advance("3 minutes", "10 seconds")
    assert.strictEqual(yield* count("slackwater_messages"), 0)
  }),
  { retention: Duration.minutes(5) }
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
  "keeps the newest so many messages and replies, however young the others are, by itself",
  Effect.gen(function*() {
    yield* answered(0, 12)
    yield* advance("6 minutes")
    for (const table of ["slackwater_messages", "slackwater_outbox"]) assert.strictEqual(yield* count(table), 5)
    const left = yield* (yield* MessageStore).history(key("D1"), 99)
    assert.deepStrictEqual(
      left.map((entry) => entry._tag === "Message" ? entry.message.text : entry.text),
      ["m7", "a7", "m8", "a8", "m9", "a9", "m10", "a10", "m11", "a11"]
    )
    assert.isAtMost((yield* count("slackwater_turns")) ?? 99, 5)
  }),
  { retentionCount: 5 }
)

test(
  "forgets no key because there are too many messages: a repetition makes no turn until the horizon",
  Effect.gen(function*() {
    const store = yield* MessageStore
    yield* answered(0, 3)
    yield* advance("6 days", "6 hours")
    assert.strictEqual(yield* count("slackwater_messages"), 1)
    assert.deepStrictEqual(yield* store.append(arrival({}, { keys: ["event:r0"] })), {
      _tag: "Duplicate",
      revived: false
    })
    assert.deepStrictEqual(yield* store.ready(epoch * 2, 9), [])
    yield* advance("2 days", "6 hours")
    assert.strictEqual(yield* count("slackwater_message_keys"), 0)
  }),
  { retentionCount: 1 }
)

test(
  "touches nothing unfinished, however many have finished since",
  Effect.gen(function*() {
    const store = yield* MessageStore
    const outbox = yield* OutboxStore
    yield* store.append(arrival({ conversation: key("D2"), text: "runs" }))
    const { attempt, id: turn } = Option.getOrThrow(yield* store.claim(key("D2"), me, epoch))
    const run = { turn, owner: me, attempt }
    yield* store.saveStep(run, "search", "1", epoch)
    const [said] = yield* outbox.enqueue([post("so far", "D2")], run, epoch)
    yield* store.append(arrival({ conversation: key("D3"), text: "waits" }))
    yield* answered(1, 20)
    yield* advance("3 hours", "1 hour")
    assert.deepStrictEqual([yield* count("slackwater_messages"), yield* count("slackwater_turns")], [4, 3])
    assert.deepStrictEqual(yield* store.steps(turn), new Map([["search", "1"]]))
    assert.strictEqual((yield* outbox.enqueue([post("so far", "D2")], run, epoch))[0]?.id, said?.id)
  }),
  { retentionCount: 2 }
)

test(
  "keeps everything that is young when the number is switched off",
  Effect.gen(function*() {
    yield* answered(0, 12)
    yield* advance("3 hours", "1 hour")
    for (const table of ["slackwater_messages", "slackwater_outbox"]) assert.strictEqual(yield* count(table), 12)
  }),
  { retentionCount: null }
)

test(
  "keeps everything for an age that reaches back before there were computers",
  Effect.gen(function*() {
    yield* answered(0, 2)
    yield* advance("40 days", "10 days")
    assert.strictEqual(yield* count("slackwater_messages"), 2)
    // It swept all the same.
    assert.strictEqual(yield* count("slackwater_message_keys"), 0)
  }),
  { retention: Duration.days(100 * 365) }
)

test(
  "looks once for where the number ends, and not for every batch",
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2600)
      INSERT INTO slackwater_messages (conversation, slack_ts, message, state, due_at, received_at, finished_at)
      SELECT 'D1', i, '{}', 'done', 0, 0, ${epoch} + i FROM n`
    const offsets: Array<string> = []
    const sweep = Effect.provideService(
      (yield* Retention).sweep,
      Statement.CurrentTransformer,
      (self) =>
        Effect.sync(() => {
          offsets.push(...self.compile()[0].match(/OFFSET/) ?? [])
          return self
        })
    )
    assert.strictEqual(yield* whileTimePasses(sweep), 2_500)
    assert.lengthOf(offsets, 2)
    assert.strictEqual(yield* count("slackwater_messages"), 100)
  }),
  { retentionCount: 100 }
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
