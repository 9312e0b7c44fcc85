/** An ack that does not reach Slack: counted, and harmless. */
import { assert } from "@effect/vitest"
import { Effect, Metric } from "effect"
import { defaultActivation } from "../src/Activation.ts"
import { ackFailures } from "../src/Telemetry.ts"
import { SimulatedSlack } from "../src/testing/SimulatedSlack.ts"
import { bot } from "../src/testing/Workspace.ts"
import { test } from "./fixtures/simulatedGateway.ts"
import { advance } from "./fixtures/time.ts"

let meanwhile = () => {}

test(
  "an event whose connection ends before its ack is handled once, and the repetition is acked",
  {
    handler: (turn) => turn.reply(`You said: ${turn.text}`),
    // It is in hand, and not stored yet.
    activate: (...given) => {
      meanwhile()
      return defaultActivation(...given)
    }
  },
  () =>
    Effect.gen(function*() {
      const { act, drop, world } = yield* SimulatedSlack
      yield* advance("10 seconds")
      const before = yield* Metric.value(ackFailures)
      meanwhile = () => {
        meanwhile = () => {}
        assert.strictEqual(Effect.runSync(drop()), 1)
      }
      yield* act((_, now) => world.say({ channel: "D0ALICE", user: "U0ALICE", text: "once" }, now))
      yield* advance("5 minutes", "1 second")
      const replies = world.messages("D0ALICE").filter(({ user }) => user === bot.userId).map(({ text }) => text)
      assert.deepStrictEqual(replies, ["You said: once"])
      assert.strictEqual((yield* Metric.value(ackFailures)).count - before.count, 1)
      assert.deepStrictEqual(world.unacked, [])
      const sent = world.journal.filter((entry) => entry._tag === "EnvelopeSent" && entry.type === "message")
      assert.strictEqual(new Set(sent.map((entry) => "connection" in entry ? entry.connection : "")).size, 2)
      for (const entry of world.journal) {
        if (entry._tag !== "AckReceived") continue
        const brought = world.journal.find((one) => one._tag === "EnvelopeSent" && one.envelopeId === entry.envelopeId)
        assert.include(brought, { connection: entry.connection })
      }
    })
)
