/** A gateway that is told to reload again and again, while people talk and turns run. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { LocalSlack } from "slackwater/testing"
import { temporaryDirectory, withSlack } from "../fixtures/gateway.ts"
import { connected, count, type Gateway, random, startGateway, stop, until, within } from "./harness.ts"
import { openLedger, type Place } from "./ledger.ts"

const seed = Number(process.env["CRASH_SEED"] ?? 1)
const reloads = 50
/** What a process holds is compared with what it held after so many. */
const warm = 10
/** Of the heap from then on (bytes): the load is never the same twice. */
const mostGrowth = 1_000_000

const Account = Schema.fromJsonString(Schema.Struct({
  n: Schema.Int,
  pid: Schema.Int,
  timers: Schema.Int,
  sockets: Schema.Int,
  watchers: Schema.Int,
  listeners: Schema.Int,
  subscribers: Schema.Int,
  objects: Schema.Int,
  heap: Schema.Int
}))

/** What the process holds now. */
const account = Effect.fnUntraced(function*(gateway: Gateway, file: string) {
  const read = () => existsSync(file) ? Schema.decodeUnknownSync(Account)(readFileSync(file, "utf8")) : undefined
  const before = read()?.n ?? 0
  gateway.signal("SIGUSR2")
  return yield* until("an account", () => {
    const found = read()
    return found !== undefined && found.n > before ? found : undefined
  }, gateway)
})

/** The rooms of before have ended: the log says so after a line that counts the owners. */
const hasReloaded = (gateway: Gateway, times: number) => {
  const log = gateway.stderr()
  const at = log.indexOf(`.${times + 1}"`, log.indexOf("reloaded; the rooms of before end"))
  return at >= 0 && log.includes("the rooms of before have ended", at)
}

type Ledger = Effect.Success<typeof openLedger>

/** People in two direct messages, in threads of both and in those of a channel, who say the next thing after the ack. */
const crowd = Effect.fnUntraced(function*(ledger: Ledger, dice: ReturnType<typeof random>) {
  const conversations: Array<{ place: Place; last?: string }> = [
    { place: { channel: "D0ALICE", user: "U0ALICE" } },
    { place: { channel: "D0BOB", user: "U0BOB" } }
  ]
  while (true) {
    if (dice.below(8) === 0 && conversations.length < 12) {
      const user = dice.pick(["U0ALICE", "U0BOB"])
      const { name, ts } = yield* ledger.say({ channel: "C0GENERAL", user }, `wait=${dice.below(300)}`)
      conversations.push({ place: { channel: "C0GENERAL", user, thread_ts: ts }, last: name })
    }
    const conversation = dice.pick(conversations)
    if (conversation.last === undefined || (yield* ledger.isAcked(conversation.last))) {
      conversation.last = (yield* ledger.say(conversation.place, `wait=${dice.below(300)}`)).name
    }
    yield* Effect.sleep(dice.below(60))
  }
})

it.live(
  `${reloads} reloads under load lose and double nothing, are in force, and leave nothing behind`,
  () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dice = random(seed)
      const dataDir = yield* temporaryDirectory
      const ledger = yield* openLedger
      const [config, counted] = [join(dataDir, "my.env"), join(dataDir, "counted.json")]
      let connections = 1
      const configure = () => writeFileSync(config, `SLACKWATER_CONNECTIONS=${connections}\n`)
      configure()
      const gateway = yield* startGateway(dataDir, { SLACKWATER_CONFIG: config, COUNTED: counted }, "counted")
      yield* connected(gateway)

      const inForce = within(
        `${connections} connections`,
        Effect.gen(function*() {
          while ((yield* slack.connections) !== connections) yield* Effect.sleep("5 millis")
        }),
        gateway
      )
      const reload = Effect.fnUntraced(function*(times: number) {
        if (times % 2 === 0) {
          connections = 3 - connections
          configure()
        }
        gateway.signal("SIGUSR1")
        yield* until(`reload ${times}`, () => hasReloaded(gateway, times), gateway)
        yield* Effect.suspend(() => inForce)
      })
      const under = Effect.fnUntraced(function*<A>(load: Effect.Effect<A>) {
        const talking = yield* Effect.forkChild(crowd(ledger, dice))
        yield* load
        yield* Fiber.interrupt(talking)
        yield* within(
          "everything is answered",
          Effect.gen(function*() {
            while ((yield* ledger.verdict).lost > 0) yield* Effect.sleep("20 millis")
          }),
          gateway
        )
        const busy = "SELECT count(*) FROM slackwater_outbox WHERE state <> 'delivered'"
        yield* until("it knows that it has answered", () => count(dataDir, busy) === 0, gateway)
      })

      yield* under(Effect.forEach(Array.from({ length: warm }, (_, n) => n + 1), reload))
      const before = yield* account(gateway, counted)
      yield* under(Effect.forEach(Array.from({ length: reloads - warm }, (_, n) => warm + n + 1), reload))
      // What has just ended may hold a timer or an idle socket for a moment.
      const isBack = (after: typeof before) => after.timers <= before.timers && after.sockets <= before.sockets
      let after = yield* account(gateway, counted)
      for (let n = 0; n < 100 && !isBack(after); n++) after = yield* account(gateway, counted)
      const verdict = yield* ledger.verdict
      console.log(`reload, seed ${seed}: ${JSON.stringify({ ...verdict, before, after })}`)

      assert.strictEqual((yield* stop(gateway)).code, 0)
      const { doubled, lost, outOfOrder } = yield* ledger.verdict
      assert.deepStrictEqual({ lost, doubled, outOfOrder }, { lost: 0, doubled: 0, outOfOrder: 0 })
      assert.deepStrictEqual([before.pid, after.pid], [gateway.pid, gateway.pid])
      for (const what of ["timers", "sockets", "watchers", "listeners", "subscribers"] as const) {
        assert.isAtMost(after[what], before[what], what)
      }
      assert.isBelow(after.heap - before.heap, mostGrowth)
    }).pipe((body) => withSlack(body, { faults: { retryDelaysMs: Array.from({ length: 500 }, () => 400) } })),
  300_000
)

describe("an idle gateway", () => {
  /** V8 has compiled and learnt what a reload runs after so many. */
  const settled = 60
  /** Together less than a hundred: of a line that says the same no more are written in a minute, and they are waited for. */
  const measured = 38
  /** What one reload may leave on average. A set of rooms that is kept is 90 objects at least, and 8 kB. */
  const most = { objects: 2, bytes: 4_000 }

  /** When the timers of the last reloads have passed: nothing was given back for a while. */
  const atRest = Effect.fnUntraced(function*(gateway: Gateway, file: string) {
    let least = yield* account(gateway, file)
    for (let n = 0; n < 6; n++) {
      const now = yield* account(gateway, file)
      if (now.objects < least.objects) {
        least = now
        n = 0
      }
    }
    return least
  })

  /** Reloads one by one, each until `isDone`. */
  const keepsNothing = (
    isDone: (gateway: Gateway, times: number) => boolean,
    whenUp: Effect.Effect<void, never, LocalSlack> = Effect.void
  ) =>
    Effect.gen(function*() {
      const dataDir = yield* temporaryDirectory
      const counted = join(dataDir, "counted.json")
      const gateway = yield* startGateway(dataDir, { COUNTED: counted }, "counted")
      yield* connected(gateway)
      yield* whenUp
      let times = 0
      const reload = Effect.suspend(() => {
        times++
        gateway.signal("SIGUSR1")
        return until(`reload ${times}`, () => isDone(gateway, times), gateway)
      })

      yield* Effect.replicateEffect(reload, settled, { discard: true })
      const before = yield* atRest(gateway, counted)
      yield* Effect.replicateEffect(reload, measured, { discard: true })
      const after = yield* atRest(gateway, counted)
      const left = {
        objects: (after.objects - before.objects) / measured,
        bytes: (after.heap - before.heap) / measured
      }
      console.log(`an idle reload leaves ${JSON.stringify(left)}`)
      assert.isAtMost(left.objects, most.objects)
      assert.isAtMost(left.bytes, most.bytes)
    })

  it.live("holds after a reload what it held before", () => keepsNothing(hasReloaded).pipe(withSlack))

  it.live("holds after a reload that was refused what it held before", () =>
    keepsNothing(
      (gateway, times) => gateway.stderr().split("reload refused").length > times,
      LocalSlack.use((slack) => slack.faults({ error: { method: "auth.test", code: "invalid_auth", times: 1_000 } }))
    ).pipe(withSlack))
})
