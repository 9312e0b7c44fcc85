/** The example of docs/agents.md, killed while its model is at work. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { LocalSlack } from "slackwater/testing"
import { answered, answers, dm, temporaryDirectory, withSlack } from "../fixtures/gateway.ts"
import { connectGateway, count, ending, logged, stop, until } from "./harness.ts"

const agent = "../../../examples/agent"

describe("an agent that kill -9 cuts off in its second model call", () => {
  it.live("makes that call again and none before it, orders once and answers once", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dataDir = yield* temporaryDirectory
      const killed = yield* connectGateway(dataDir, {}, agent)
      yield* slack.say({ ...dm, text: "tea" })
      yield* until("the second call is at work", () => logged(killed, "the model is asked").length === 2, killed)
      killed.signal("SIGKILL")
      yield* ending(killed)
      assert.strictEqual(count(dataDir, "SELECT count(*) FROM slackwater_steps"), 3)
      const next = yield* connectGateway(dataDir, {}, agent)
      const answer = "tea: 3 euros; tea is ordered. Orders so far: 1"
      yield* answered(dm.channel, answer)
      assert.strictEqual((yield* stop(next)).code, 0)
      assert.deepStrictEqual(yield* answers(dm.channel), [answer])
      assert.lengthOf(logged(next, "the model is asked"), 2)
      assert.lengthOf([...logged(killed, "the shop is asked"), ...logged(next, "the shop is asked")], 1)
    }).pipe(withSlack))
})
