/**
 * How soon a gateway works again after a crash with much in flight: N turns that a dead owner left running, and how long
 * from opening their file to the first handler that runs, and to the last.
 *
 *     npm run bench:orphans [-- turns]      (100,000 unless said otherwise: minutes)
 *
 * The first start of a process compiles what it runs: a few files are opened before, and each figure is the median of
 * some starts. The rate is of one run through a handler that does nothing.
 */
import { Clock, Deferred, Effect, Exit, Layer, References, Scope } from "effect"
import { SqlClient } from "effect/sql"
import { closeSync, cpSync, fsyncSync, openSync } from "node:fs"
import { join } from "node:path"
import process from "node:process"
import { Conversations } from "../src/Conversations.ts"
import * as Spool from "../src/files/Spool.ts"
import { GatewayStatus } from "../src/GatewayStatus.ts"
import { Handler } from "../src/Handler.ts"
import { Outbox } from "../src/Outbox.ts"
import { SlackApi } from "../src/SlackApi.ts"
import * as SqlInstance from "../src/sql/Instance.ts"
import { directory, ground, percentile, row } from "./ground.ts"

const turns = Number(process.argv[2] ?? 100_000)
const starts = 9

const slack = Layer.mock(SlackApi)({
  identity: Effect.succeed({ team: "T1", user: "U0BOT", bot: "B0BOT" }),
  answers: Effect.succeed(true)
})

/** What a process leaves that is killed with so many turns in flight. */
const orphans = Effect.fnUntraced(function*(n: number) {
  const sql = yield* SqlClient.SqlClient
  const now = yield* Clock.currentTimeMillis
  const message = JSON.stringify({
    kind: "message",
    conversation: "D1",
    team: "T1",
    channel: "D1",
    self: "U0BOT",
    direct: true,
    user: "U1",
    text: "hello",
    ts: "1700000000.000100",
    payload: { event: { text: "x".repeat(600) } }
  })
  const numbers = sql.literal(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${n})`)
  yield* sql.withTransaction(Effect.gen(function*() {
    yield* sql`${numbers} INSERT INTO slackwater_messages
      (conversation, slack_ts, message, state, turn_id, due_at, received_at)
      SELECT 'D' || i, i, ${message}, 'processing', 'turn' || i, ${now} + i, ${now} + i FROM n`
    yield* sql`${numbers} INSERT INTO slackwater_turns
      (id, conversation, state, owner, attempt, due_at, created_at, started_at)
      SELECT 'turn' || i, 'D' || i, 'running', 'dead', 1, ${now} - i, ${now}, ${now} FROM n`
  }))
})

/** Ms. */
const used = (since: NodeJS.CpuUsage) => {
  const { system, user } = process.cpuUsage(since)
  return (user + system) / 1_000
}

/** On disk when it returns: the start must not wait for it. */
const copySync = (from: string, to: string) => {
  cpSync(from, to)
  const file = openSync(to, "r+")
  fsyncSync(file)
  closeSync(file)
}

interface Start {
  /** Ms from opening the file until the rooms stand, the first handler runs, and the last has ended. */
  readonly open: number
  readonly first: number
  readonly all: number
  /** Ms of processor time until the first handler runs, and the last has ended. */
  readonly firstCpu: number
  readonly allCpu: number
}

/** Opens the file and runs its turns, the first or all of them. */
const start = (dataDir: string, wanted: number) =>
  Effect.gen(function*() {
    let ran = 0
    let firstAt = 0
    let firstCpu = 0
    const done = yield* Deferred.make<void>()
    const cpu = process.cpuUsage()
    const handler = Effect.sync(() => {
      if (firstAt === 0) {
        firstAt = performance.now()
        firstCpu = used(cpu)
      }
      if (++ran === wanted) Deferred.doneUnsafe(done, Effect.void)
    })
    const rooms = Conversations.layer.pipe(
      Layer.provideMerge(Outbox.layer),
      Layer.provide([slack, Handler.layer(Handler.make(() => handler))]),
      Layer.provideMerge(Spool.layer),
      Layer.provideMerge(GatewayStatus.layer),
      Layer.provideMerge(SqlInstance.layer),
      Layer.provideMerge(ground(dataDir))
    )
    const scope = yield* Scope.make()
    const from = performance.now()
    yield* Layer.buildWithScope(Layer.fresh(rooms), scope)
    const openAt = performance.now()
    yield* Deferred.await(done)
    const allAt = performance.now()
    const allCpu = used(cpu)
    yield* Scope.close(scope, Exit.void)
    return { open: openAt - from, first: firstAt - from, all: allAt - from, firstCpu, allCpu } satisfies Start
  })

/** A copy for each start, since a start changes the file. */
const several = Effect.fnUntraced(function*(n: number, times: number) {
  const template = yield* directory
  yield* Effect.provide(orphans(n), ground(template))
  const found: Array<Start> = []
  for (let nth = 0; nth < times; nth++) {
    const dataDir = yield* directory
    copySync(join(template, "slackwater.db"), join(dataDir, "slackwater.db"))
    found.push(yield* start(dataDir, 1))
  }
  const median = (what: keyof Start) => percentile(found.map((one) => one[what]).toSorted((a, b) => a - b), 0.5)
  return { open: median("open"), first: median("first"), firstCpu: median("firstCpu") }
})

const program = Effect.gen(function*() {
  yield* several(1_000, starts)
  console.log(row(["orphans", "rooms stand, ms", "first handler runs, ms", "processor time until then, ms"]))
  console.log(row(["---", "---", "---", "---"]))
  for (const n of [1_000, turns]) {
    const { first, firstCpu, open } = yield* several(n, starts)
    console.log(row([n, open.toFixed(1), first.toFixed(1), firstCpu.toFixed(1)]))
  }
  const whole = yield* directory
  yield* Effect.provide(orphans(turns), ground(whole))
  const { all, allCpu } = yield* start(whole, turns)
  console.log(
    `\n${turns} turns through a handler that does nothing: ${(all / 1_000).toFixed(1)} s, ${
      Math.round(turns / all * 1_000)
    } turns/s; ${(allCpu / turns * 1_000).toFixed(0)} µs of processor time each`
  )
})

await Effect.runPromise(Effect.provideService(Effect.scoped(program), References.MinimumLogLevel, "Error"))
