/**
 * A message that kills the process every time it is handled: it is put aside, and nobody around it is.
 *
 * The process is started again after every death, as a service manager would.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { LocalSlack } from "slackwater/testing"
import { temporaryDirectory, withSlack } from "../fixtures/gateway.ts"
import { connectGateway, count, ending, query, stop, until } from "./harness.ts"
import { openLedger } from "./ledger.ts"

const settings = { SLACKWATER_DEBOUNCE: "100 millis" }
/** More starts than it takes. */
const bound = 10

describe("a message that kills the process", () => {
  it.live("is dead-lettered with its payload after a few starts, and its neighbours are answered exactly once", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const neighbours = yield* openLedger
      const dataDir = yield* temporaryDirectory
      let deaths = 0
      let said = false
      while (true) {
        const gateway = yield* connectGateway(dataDir, settings)
        if (!said) {
          // All in one quiet window, so that they run together and see every crash together.
          for (let n = 0; n < 5; n++) yield* neighbours.say({ channel: "C0GENERAL", user: "U0BOB" }, "wait=400")
          yield* slack.say({ channel: "D0ALICE", user: "U0ALICE", text: "m0 die" })
          yield* neighbours.say({ channel: "D0BOB", user: "U0BOB" }, "wait=400")
          said = true
        }
        yield* until(
          "the process is dead, or the poison is put aside and everybody else is answered",
          () =>
            !gateway.isAlive() ||
            count(dataDir, "SELECT count(*) FROM slackwater_messages WHERE state IN ('done', 'failed')") === 7,
          gateway
        )
        if (gateway.isAlive()) {
          assert.strictEqual((yield* stop(gateway)).code, 0, gateway.stderr())
          break
        }
        assert.strictEqual((yield* ending(gateway)).signal, "SIGKILL", gateway.stderr())
        deaths += 1
        assert.isAtMost(deaths, bound)
      }
      assert.strictEqual(deaths, 4)
      const dead = query(dataDir, "SELECT state, message, reason FROM slackwater_messages WHERE state = 'failed'")
      assert.strictEqual(dead.length, 1)
      const { text }: { readonly text: string } = JSON.parse(String(dead[0]?.["message"]))
      assert.strictEqual(text, "m0 die")
      assert.match(String(dead[0]?.["reason"]), /process ended/)
      const { doubled, lost, messages, outOfOrder } = yield* neighbours.verdict
      assert.deepStrictEqual({ messages, lost, doubled, outOfOrder }, {
        messages: 6,
        lost: 0,
        doubled: 0,
        outOfOrder: 0
      })
    }).pipe(withSlack))
})
