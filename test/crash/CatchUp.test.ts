/**
 * What was said while the process was dead, and Slack never delivers: the next start finds it, once, also when it is
 * killed in the middle of that.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { temporaryDirectory, withDatabase, withSlack } from "../fixtures/gateway.ts"
import { forward, withWall } from "../fixtures/wall.ts"
import { connectGateway, count, ending, type Gateway, logged, startGateway, stop, until, within } from "./harness.ts"
import { openLedger } from "./ledger.ts"
import { tap } from "./wire.ts"

/** Slack repeats nothing, and what is said while nobody is connected never comes. */
const forgetful = {
  channels: ["C0NEW"],
  faults: {
    retryDelaysMs: [],
    deliverWhileDown: false,
    delayMs: ["users.conversations", "conversations.history", "conversations.replies"].map((method) => ({
      method,
      ms: 100
    }))
  }
}

const minute = 60_000

type Ledger = Effect.Success<typeof openLedger>

const alice = { channel: "D0ALICE", user: "U0ALICE" }
const bob = { channel: "D0BOB", user: "U0BOB" }
const general = { channel: "C0GENERAL", user: "U0BOB" }

/** Things that are said in five conversations, in an old thread and in a new one. */
const talk = Effect.fnUntraced(function*(ledger: Ledger, thread: string) {
  const { ts } = yield* ledger.say(general)
  yield* ledger.say({ ...general, thread_ts: thread })
  yield* ledger.say(alice)
  yield* ledger.say({ ...general, thread_ts: ts })
  yield* ledger.say(bob)
  yield* ledger.say({ ...general, user: "U0ALICE", thread_ts: ts })
  yield* ledger.say(alice)
})

/** A gateway that has answered something and marked how far it has heard; answers the thread that it is in. */
const settled = Effect.fnUntraced(function*(ledger: Ledger, gateway: Gateway) {
  const { ts } = yield* ledger.say(general)
  yield* allAnswered(ledger, gateway)
  const marks = "SELECT count(*) FROM slackwater_instances WHERE heard_until IS NOT NULL"
  yield* until("it is marked", () => count(gateway.dataDir, marks) > 0, gateway)
  const unsettled = "SELECT count(*) FROM slackwater_outbox WHERE state <> 'delivered'"
  yield* until("it knows that it has answered", () => count(gateway.dataDir, unsettled) === 0, gateway)
  return ts
})

const allAnswered = (ledger: Ledger, gateway: Gateway) =>
  within(
    "everything is answered",
    Effect.gen(function*() {
      while ((yield* ledger.verdict).lost > 0) yield* Effect.sleep("5 millis")
    }),
    gateway
  )

const kill = Effect.fnUntraced(function*(gateway: Gateway) {
  gateway.signal("SIGKILL")
  assert.strictEqual((yield* ending(gateway)).signal, "SIGKILL", gateway.stderr().slice(-2_000))
})

/** Lets it answer everything, ends it in order, and compares. */
const assertOnce = Effect.fnUntraced(function*(ledger: Ledger, gateway: Gateway) {
  yield* allAnswered(ledger, gateway)
  assert.strictEqual((yield* stop(gateway)).code, 0)
  const { doubled, lost, outOfOrder } = yield* ledger.verdict
  assert.deepStrictEqual({ lost, doubled, outOfOrder }, { lost: 0, doubled: 0, outOfOrder: 0 })
  const stuck = "SELECT count(*) FROM slackwater_messages WHERE state NOT IN ('done', 'ignored')"
  assert.strictEqual(count(gateway.dataDir, stuck), 0)
})

describe("what was said while nobody was there, and Slack never delivers", () => {
  it.live("is answered once after kill -9, however short the gap was", () =>
    Effect.gen(function*() {
      const settings = { SLACKWATER_CATCH_UP: "1 hour" }
      const dataDir = yield* temporaryDirectory
      const ledger = yield* openLedger
      const first = yield* connectGateway(dataDir, settings)
      const thread = yield* settled(ledger, first)
      yield* kill(first)
      yield* talk(ledger, thread)
      yield* assertOnce(ledger, yield* connectGateway(dataDir, settings))
    }).pipe((body) => withSlack(body, forgetful)))

  it.live("is answered once after a clean stop", () =>
    Effect.gen(function*() {
      const settings = { SLACKWATER_CATCH_UP: "10 millis" }
      const dataDir = yield* temporaryDirectory
      const ledger = yield* openLedger
      const first = yield* connectGateway(dataDir, settings)
      const thread = yield* settled(ledger, first)
      assert.strictEqual((yield* stop(first)).code, 0)
      yield* talk(ledger, thread)
      yield* assertOnce(ledger, yield* connectGateway(dataDir, settings))
    }).pipe((body) => withSlack(body, forgetful)))

  it.live("is answered once, although the process is killed in the middle of catching up, again and again", () =>
    Effect.gen(function*() {
      const settings = { SLACKWATER_CATCH_UP: "1 hour" }
      const dataDir = yield* temporaryDirectory
      const ledger = yield* openLedger
      const calls = yield* tap
      const first = yield* connectGateway(dataDir, settings)
      const thread = yield* settled(ledger, first)
      yield* kill(first)
      // Said five minutes ago, by Slack's clock; it was heard what was said ten minutes ago.
      yield* withDatabase(
        dataDir,
        (database) => database.exec(`UPDATE slackwater_instances SET heard_until = heard_until - ${10 * minute}`)
      )
      yield* talk(ledger, thread)
      yield* forward(5 * minute)
      for (
        const [method, times] of [
          ["users.conversations", 2],
          ["conversations.history", 1],
          ["conversations.history", 3],
          ["conversations.replies", 2]
        ] as const
      ) {
        yield* Effect.scoped(Effect.gen(function*() {
          const gateway = yield* startGateway(dataDir, settings)
          const made = () => calls.filter((call) => call.run === gateway.run && call.method === method).length
          yield* until(`${method}, ${times} times`, () => made() >= times, gateway)
          yield* kill(gateway)
          assert.isAbove((yield* ledger.verdict).lost, 0, "it was over before the kill")
        }))
      }
      yield* assertOnce(ledger, yield* connectGateway(dataDir, settings))
    }).pipe((body) => withWall(withSlack(body, forgetful), -5 * minute)))

  for (const interruption of ["a stop and a start", "a reload"]) {
    it.live(`is answered once after kill -9 and, while it is looked for, ${interruption}`, () =>
      Effect.gen(function*() {
        const settings = { SLACKWATER_CATCH_UP: "1 hour" }
        const dataDir = yield* temporaryDirectory
        const ledger = yield* openLedger
        const calls = yield* tap
        const first = yield* connectGateway(dataDir, settings)
        const thread = yield* settled(ledger, first)
        yield* kill(first)
        yield* talk(ledger, thread)
        const second = yield* startGateway(dataDir, settings)
        const made = () => calls.filter((call) => call.run === second.run && call.method === "users.conversations")
        yield* until("it is looking", () => made().length > 0, second)
        if (interruption === "a reload") {
          second.signal("SIGUSR1")
          yield* until("it has reloaded", () => logged(second, "the rooms of before have ended").length > 0, second)
        } else assert.strictEqual((yield* stop(second)).code, 0)
        assert.isAbove((yield* ledger.verdict).lost, 0, "it was over before")
        yield* assertOnce(ledger, second.isAlive() ? second : yield* connectGateway(dataDir, settings))
      }).pipe((body) => withSlack(body, forgetful)))
  }
})
