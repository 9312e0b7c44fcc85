/**
 * SIGTERM in the middle of everything: the order of the end, seen from outside by its effects.
 *
 * The quiet window is long here, so that a message can be left in it: what ends before its window would have, was
 * flushed.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { LocalSlack } from "slackwater/testing"
import { temporaryDirectory, withSlack } from "../fixtures/gateway.ts"
import { connectGateway, count, ending, type Gateway, logged, query, stop, until } from "./harness.ts"
import { openLedger } from "./ledger.ts"

const alice = { channel: "D0ALICE", user: "U0ALICE" }
const bob = { channel: "D0BOB", user: "U0BOB" }
const windowMs = 2_000
const settings = { SLACKWATER_DEBOUNCE: `${windowMs} millis` }
const clean = { lost: 0, doubled: 0, outOfOrder: 0 }

/** A turn runs, and Slack has what it said so far. */
const begun = (gateway: Gateway) =>
  until("a turn has begun", () =>
    count(
      gateway.dataDir,
      `SELECT count(*) FROM slackwater_turns t JOIN slackwater_outbox o ON o.turn_id = t.id
        WHERE t.state = 'running' AND o.state = 'delivered'`
    ), gateway)

/** What an orderly end leaves behind. */
const assertCleanStop = (dataDir: string) => {
  assert.strictEqual(count(dataDir, "SELECT count(*) FROM slackwater_messages WHERE state = 'processing'"), 0)
  assert.strictEqual(count(dataDir, "SELECT count(*) FROM slackwater_turns WHERE state = 'running'"), 0)
  assert.strictEqual(count(dataDir, "SELECT count(*) FROM slackwater_outbox WHERE state = 'sending'"), 0)
  assert.strictEqual(count(dataDir, "SELECT count(*) FROM slackwater_instances WHERE stopped_at IS NULL"), 0)
}

/** Runs a gateway until everything is answered, and stops it. */
const answerTheRest = Effect.fnUntraced(function*(
  dataDir: string,
  ledger: Effect.Success<typeof openLedger>,
  environment = settings
) {
  const gateway = yield* connectGateway(dataDir, environment)
  yield* Effect.gen(function*() {
    while ((yield* ledger.verdict).lost > 0) yield* Effect.sleep("10 millis")
  }).pipe(Effect.timeoutOption("20 seconds"))
  assert.strictEqual((yield* stop(gateway)).code, 0)
  const { doubled, lost, outOfOrder } = yield* ledger.verdict
  assert.deepStrictEqual({ lost, doubled, outOfOrder }, clean, gateway.stderr())
})

describe("SIGTERM", () => {
  it.live("closes the socket, flushes, drains, sends and marks the clean stop, in this order", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const ledger = yield* openLedger
      const dataDir = yield* temporaryDirectory
      const gateway = yield* connectGateway(dataDir, settings)

      const slow = yield* ledger.say(alice, "wait=1500")
      yield* begun(gateway)
      const inWindow = yield* ledger.say(bob)
      yield* ledger.acked(inWindow.name)
      gateway.signal("SIGTERM")
      const closed = yield* slack.awaitJournal((entry) => entry._tag === "ConnectionClosed")
      const tooLate = yield* ledger.say({ channel: "C0GENERAL", user: "U0BOB" })
      assert.strictEqual((yield* ending(gateway)).code, 0, gateway.stderr())

      const journal = yield* slack.journal
      assert.deepStrictEqual(journal.filter((entry) => entry._tag === "AckReceived" && entry.n > closed.n), [])
      assert.isFalse(yield* ledger.isAcked(tooLate.name))
      // The drained turn and the flushed one were both answered between the closing of the socket and the exit.
      const answered = journal.filter((entry) =>
        entry._tag === "MessagePosted" && entry.by === "U0BOT" && entry.n > closed.n
      )
      const posts = yield* ledger.posts
      assert.deepStrictEqual(posts.get("D0ALICE"), [`began ${slow.name}`, `ended ${slow.name}`])
      assert.deepStrictEqual(posts.get("D0BOB"), [`began ${inWindow.name}`, `ended ${inWindow.name}`])
      assert.strictEqual(answered.length, 3)
      const waited = `SELECT t.created_at - m.received_at FROM slackwater_messages m
        JOIN slackwater_turns t ON t.id = m.turn_id WHERE m.conversation = 'D0BOB'`
      assert.isBelow(count(dataDir, waited), windowMs, "the window was not ended, it ended by itself")
      assertCleanStop(dataDir)
      const [line] = logged(gateway, "stopped")
      assert.deepStrictEqual(line?.["message"], ["stopped", { flushed: 1, drained: 2, requeued: 0, sent: 3 }])

      yield* answerTheRest(dataDir, ledger)
    }).pipe(withSlack))

  it.live("interrupts a handler that outlives the drain, and its turn costs no attempt", () =>
    Effect.gen(function*() {
      const ledger = yield* openLedger
      const dataDir = yield* temporaryDirectory
      const quick = { SLACKWATER_DEBOUNCE: "20 millis", SLACKWATER_SHUTDOWN_TIMEOUT: "2 seconds" }
      const gateway = yield* connectGateway(dataDir, { ...quick, TEST_HANG: "1" })

      yield* ledger.say(alice, "hang")
      yield* begun(gateway)
      const signalledAt = Date.now()
      assert.strictEqual((yield* stop(gateway)).code, 0, gateway.stderr())
      assert.isBelow(Date.now() - signalledAt, 2_500)

      assertCleanStop(dataDir)
      const [turn] = query(dataDir, "SELECT state, attempt, failures, crashes FROM slackwater_turns")
      assert.deepStrictEqual({ ...turn }, { state: "waiting", attempt: 0, failures: 0, crashes: 0 })
      assert.deepStrictEqual(logged(gateway, "stopped").map((line) => line["message"]), [
        ["stopped", { flushed: 0, drained: 0, requeued: 1, sent: 0 }]
      ])

      yield* answerTheRest(dataDir, ledger, quick)
      const [done] = query(dataDir, "SELECT state, attempt, failures, crashes FROM slackwater_turns")
      assert.deepStrictEqual({ ...done }, { state: "done", attempt: 1, failures: 0, crashes: 0 })
    }).pipe(withSlack))
})

describe("SIGINT", () => {
  it.live("ends the gateway just as orderly", () =>
    Effect.gen(function*() {
      const ledger = yield* openLedger
      const dataDir = yield* temporaryDirectory
      const gateway = yield* connectGateway(dataDir, settings)
      yield* ledger.say(alice, "wait=300")
      yield* begun(gateway)
      assert.strictEqual((yield* stop(gateway, "SIGINT")).code, 0, gateway.stderr())
      assertCleanStop(dataDir)
      yield* answerTheRest(dataDir, ledger)
    }).pipe(withSlack))
})
