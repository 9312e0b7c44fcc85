/**
 * `kill -9`, again and again, while people talk.
 *
 * The moments come from a seed (`CRASH_SEED`). Some wait for a state first, so that the interesting ones are met: while
 * the process starts, with a turn running, with a reply in `sending` that Slack may or may not have, and just after
 * Slack took a post of which we have not heard. What was really hit is counted afterwards in the database of the dead
 * process.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { LocalSlack } from "slackwater/testing"
import { fingerprint } from "../../src/fingerprint.ts"
import { temporaryDirectory, withSlack } from "../fixtures/gateway.ts"
import { crowd } from "./crowd.ts"
import {
  connectGateway,
  count,
  ending,
  type Gateway,
  query,
  random,
  startGateway,
  stop,
  until,
  within
} from "./harness.ts"
import { type Call, tap } from "./wire.ts"

const seed = Number(process.env["CRASH_SEED"] ?? 1)

type Moment = "starting" | "running" | "sending" | "posted" | "any"
const kills: Record<Moment, number> = { starting: 6, running: 10, sending: 8, posted: 8, any: 8 }

/** Slack repeats what nobody acked, and its answer to a post comes late, so that `sending` lasts. */
const slackOptions = {
  faults: { retryDelaysMs: Array.from({ length: 500 }, () => 400), delayMs: { method: "chat.postMessage", ms: 120 } }
}

const instance = "(SELECT id FROM slackwater_instances WHERE pid = ? ORDER BY started_at DESC LIMIT 1)"
const held = (gateway: Gateway, table: "turns" | "outbox") =>
  query(
    gateway.dataDir,
    `SELECT * FROM slackwater_${table} WHERE owner = ${instance} AND state = ?`,
    gateway.pid,
    table === "turns" ? "running" : "sending"
  )

/** Kills a gateway at the moment asked for. */
const killAt = Effect.fnUntraced(function*(
  moment: Moment,
  options: {
    readonly start: Parameters<typeof startGateway>
    readonly startMs: number
    readonly talk: Effect.Effect<void, unknown>
  },
  dice: ReturnType<typeof random>
) {
  const slack = yield* LocalSlack
  const { start, startMs, talk } = options
  if (moment === "starting") {
    const gateway = yield* startGateway(...start)
    yield* Effect.sleep(dice.below(startMs * 1.2))
    return gateway
  }
  const gateway = yield* connectGateway(...start)
  const after = (yield* slack.journal).at(-1)?.n ?? 0
  yield* talk
  if (moment === "running") yield* until("a turn runs", () => held(gateway, "turns").length > 0, gateway)
  if (moment === "sending") yield* until("a reply is sent", () => held(gateway, "outbox").length > 0, gateway)
  if (moment === "posted") {
    yield* within(
      "Slack takes a post",
      slack.awaitJournal((entry) => entry._tag === "MessagePosted" && entry.by === "U0BOT", { after }),
      gateway
    )
  }
  yield* Effect.sleep(dice.below(moment === "any" ? 600 : moment === "running" ? 100 : moment === "posted" ? 60 : 8))
  return gateway
})

interface Sent {
  readonly run: number
  readonly key: string
  readonly channel: string
  readonly threadTs: string | null
}

/**
 * What became of a reply after the death of its sender: found in Slack, or sent again after a look, or sent again
 * without one. A look is one in the place where the reply belongs, and a lane has one reply in `sending` at a time.
 */
const fateOf = (calls: ReadonlyArray<Call>, sent: Sent): "found" | "again" | "blind" => {
  const later = calls.filter((call) => call.run > sent.run)
  const look = later.findIndex((call) =>
    call.method === (sent.threadTs === null ? "conversations.history" : "conversations.replies") &&
    call.channel === sent.channel && call.threadTs === sent.threadTs
  )
  const again = later.findIndex((call) => call.method === "chat.postMessage" && call.key === sent.key)
  if (look === -1 || (again !== -1 && again < look)) return "blind"
  return again === -1 ? "found" : "again"
}

describe("kill -9", () => {
  it.live("at 40 random moments loses, doubles and reorders nothing", () =>
    Effect.gen(function*() {
      const startedAt = Date.now()
      const dice = random(seed)
      const dataDir = yield* temporaryDirectory
      const calls = yield* tap
      const { ledger, talk } = yield* crowd(dice)

      const beganAt = Date.now()
      assert.strictEqual((yield* stop(yield* connectGateway(dataDir))).code, 0)
      const startMs = Date.now() - beganAt
      // History shows a post later than a new process can look for it: one look proves nothing.
      const historyLagMs = Math.min(1_500, startMs)
      yield* (yield* LocalSlack).faults({ historyLagMs })
      const settings = {
        SLACKWATER_MAX_CRASHES: "0",
        SLACKWATER_HISTORY_LAG: `${historyLagMs} millis`,
        SLACKWATER_RECONCILE_WINDOW: `${historyLagMs + 2_100} millis`
      }

      const moments = dice.shuffle(
        Object.entries(kills).flatMap(([moment, times]) => Array.from({ length: times }, () => moment as Moment))
      )
      const sending: Array<Sent> = []
      const hit = { running: 0, sending: 0 }
      for (const moment of moments) {
        yield* talk(dice.below(4))
        yield* Effect.scoped(Effect.gen(function*() {
          const gateway = yield* killAt(
            moment,
            { start: [dataDir, settings], startMs, talk: talk(2 + dice.below(4)) },
            dice
          )
          gateway.signal("SIGKILL")
          assert.strictEqual((yield* ending(gateway)).signal, "SIGKILL", gateway.stderr().slice(-2_000))
          const rows = held(gateway, "outbox")
          hit.running += held(gateway, "turns").length > 0 ? 1 : 0
          hit.sending += rows.length > 0 ? 1 : 0
          for (const row of rows) {
            sending.push({
              run: gateway.run,
              key: yield* fingerprint(String(row["key"])),
              channel: String(row["channel"]),
              threadTs: row["thread_ts"] === null ? null : String(row["thread_ts"])
            })
          }
        }))
      }

      const last = yield* connectGateway(dataDir, settings)
      yield* Effect.gen(function*() {
        while ((yield* ledger.verdict).lost > 0) yield* Effect.sleep("20 millis")
      }).pipe(Effect.timeoutOption("30 seconds"))
      assert.strictEqual((yield* stop(last)).code, 0)

      const verdict = yield* ledger.verdict
      const fates = { found: 0, again: 0, blind: 0 }
      for (const sent of sending) fates[fateOf(calls, sent)] += 1
      const seconds = (Date.now() - startedAt) / 1_000
      process.stderr.write(
        `kill -9, seed ${seed}: ${moments.length} kills, ${hit.running} with a turn running, ${hit.sending} with a ` +
          `reply in sending (${fates.found} replies found in Slack, ${fates.again} sent again after a look, ` +
          `${fates.blind} without one); ${verdict.messages} messages, ${verdict.posts} posts: ${verdict.lost} lost, ` +
          `${verdict.doubled} doubled, ${verdict.outOfOrder} out of order; ${seconds.toFixed(1)} s\n`
      )
      assert.deepStrictEqual(
        { lost: verdict.lost, doubled: verdict.doubled, outOfOrder: verdict.outOfOrder },
        { lost: 0, doubled: 0, outOfOrder: 0 },
        last.stderr().slice(-4_000)
      )
      assert.strictEqual(fates.blind, 0)
      assert.isAtLeast(hit.running, 10)
      assert.isAtLeast(hit.sending, 10)
      assert.strictEqual(count(dataDir, "SELECT count(*) FROM slackwater_outbox WHERE state <> 'delivered'"), 0)
      assert.strictEqual(
        count(dataDir, "SELECT count(*) FROM slackwater_messages WHERE state NOT IN ('done', 'ignored')"),
        0
      )
    }).pipe((test) => withSlack(test, slackOptions)), 240_000)
})
