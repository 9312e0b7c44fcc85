/**
 * A message that kills the process every time it is handled: it is put aside, and nobody around it is.
 *
 * The process is started again after every death, as a service manager would.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { LocalSlack } from "slackwater/testing"
import { temporaryDirectory, withSlack } from "../fixtures/gateway.ts"
import { connected, connectGateway, count, ending, query, startGateway, stop, until, within } from "./harness.ts"
import { openLedger } from "./ledger.ts"

const settings = { SLACKWATER_DEBOUNCE: "100 millis" }
/** More starts than it takes. */
const bound = 10

/** Something was put aside, nothing waits, and Slack has nothing more to deliver. */
const settled = Effect.fnUntraced(function*(dataDir: string) {
  const slack = yield* LocalSlack
  return (yield* slack.unacked).length === 0 &&
    count(dataDir, "SELECT count(*) FROM slackwater_messages WHERE state = 'failed'") > 0 &&
    count(dataDir, "SELECT count(*) FROM slackwater_messages WHERE state IN ('queued', 'processing')") === 0
})

/**
 * Starts the gateway again whenever it dies, until everything is settled. Answers the deaths. `people` may say
 * something at every start; at the first one the gateway is connected.
 */
const restartUntilSettled = Effect.fnUntraced(function*<E>(
  dataDir: string,
  people: (start: number) => Effect.Effect<void, E> = () => Effect.void
) {
  for (let deaths = 0; deaths <= bound; deaths++) {
    const gateway = yield* startGateway(dataDir, settings)
    if (deaths === 0) yield* connected(gateway)
    yield* people(deaths)
    yield* within(
      "the process is dead, or everything is settled",
      Effect.gen(function*() {
        while (gateway.isAlive() && !(yield* settled(dataDir))) yield* Effect.sleep("5 millis")
      }),
      gateway,
      // Sixteen suspects run one after the other, each at its own second.
      90_000
    )
    if (gateway.isAlive()) {
      assert.strictEqual((yield* stop(gateway)).code, 0, gateway.stderr())
      return deaths
    }
    assert.strictEqual((yield* ending(gateway)).signal, "SIGKILL", gateway.stderr())
  }
  return yield* Effect.die(new Error(`not settled after ${bound} deaths`))
})

describe("a message that kills the process", () => {
  it.live(
    "is dead-lettered with its payload after a few starts, and the 15 turns beside it are answered exactly once",
    () =>
      Effect.gen(function*() {
        const slack = yield* LocalSlack
        const neighbours = yield* openLedger
        const dataDir = yield* temporaryDirectory
        // All in one quiet window, so that they run together and see every crash together.
        const people = Effect.fnUntraced(function*(start: number) {
          if (start > 0) return
          for (let n = 0; n < 14; n++) yield* neighbours.say({ channel: "C0GENERAL", user: "U0BOB" }, "wait=400")
          yield* slack.say({ channel: "D0ALICE", user: "U0ALICE", text: "m0 die=150" })
          yield* neighbours.say({ channel: "D0BOB", user: "U0BOB" }, "wait=400")
        })
        const deaths = yield* restartUntilSettled(dataDir, people)
        assert.strictEqual(deaths, 4)
        const dead = query(dataDir, "SELECT state, message, reason FROM slackwater_messages WHERE state = 'failed'")
        assert.strictEqual(dead.length, 1)
        const { text }: { readonly text: string } = JSON.parse(String(dead[0]?.["message"]))
        assert.strictEqual(text, "m0 die=150")
        assert.match(String(dead[0]?.["reason"]), /process ended/)
        const told = (yield* slack.messages("D0ALICE")).filter((message) => message.bot_id !== undefined)
        assert.deepStrictEqual(told.map((message) => message.text.slice(0, 5)), ["Sorry"])
        const { doubled, lost, messages, outOfOrder } = yield* neighbours.verdict
        assert.deepStrictEqual({ messages, lost, doubled, outOfOrder }, {
          messages: 15,
          lost: 0,
          doubled: 0,
          outOfOrder: 0
        })
      }).pipe(withSlack),
    240_000
  )

  it.live("does not drag along a neighbour that was in flight at two earlier crashes", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const neighbour = yield* openLedger
      const dataDir = yield* temporaryDirectory
      yield* neighbour.say({ channel: "D0BOB", user: "U0BOB" }, "wait=1500")
      for (const crash of [1, 2]) {
        const gateway = yield* connectGateway(dataDir, settings)
        yield* until(
          "the neighbour runs again",
          () => count(dataDir, "SELECT count(*) FROM slackwater_turns WHERE state = 'running' AND attempt = ?", crash),
          gateway
        )
        gateway.signal("SIGKILL")
        yield* ending(gateway)
      }
      yield* slack.say({ channel: "D0ALICE", user: "U0ALICE", text: "m0 die=150" })
      yield* restartUntilSettled(dataDir)
      const dead = query(dataDir, "SELECT conversation FROM slackwater_messages WHERE state = 'failed'")
      assert.deepStrictEqual(dead.map((row) => row["conversation"]), ["D0ALICE"])
      const { doubled, lost } = yield* neighbour.verdict
      assert.deepStrictEqual({ lost, doubled }, { lost: 0, doubled: 0 })
    }).pipe(withSlack))

  it.live("is dead-lettered also while new people come in all the time", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const neighbours = yield* openLedger
      const dataDir = yield* temporaryDirectory
      const people = Effect.fnUntraced(function*(start: number) {
        if (start === 0) yield* slack.say({ channel: "D0ALICE", user: "U0ALICE", text: "m0 die=1000" })
        yield* neighbours.say({ channel: "C0GENERAL", user: "U0BOB" }, "wait=2000")
      })
      yield* restartUntilSettled(dataDir, people)
      const dead = query(dataDir, "SELECT conversation FROM slackwater_messages WHERE state = 'failed'")
      assert.deepStrictEqual(dead.map((row) => row["conversation"]), ["D0ALICE"])
      const { doubled, lost } = yield* neighbours.verdict
      assert.deepStrictEqual({ lost, doubled }, { lost: 0, doubled: 0 })
    }).pipe(withSlack))
})
