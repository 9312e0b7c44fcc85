/** The simulation says what Slack's client would have said. */
import { assert, it } from "@effect/vitest"
import { WebAPIHTTPError } from "@slack/web-api"
import { Duration, Effect } from "effect"
import { classify } from "../../src/slack/classify.ts"
import { SimulatedSlack } from "../../src/testing/SimulatedSlack.ts"

for (const status of [500, 502, 503, 504]) {
  it.effect(`an answer with HTTP ${status} means what it means through Slack's client`, () =>
    Effect.gen(function*() {
      const { call } = yield* SimulatedSlack
      const reason = yield* Effect.flip(call("xoxb-1", Duration.seconds(10))("auth.test", {}))
      // As JSON: errors are compared by their messages alone.
      const real = classify(new WebAPIHTTPError(status, "", {}), "auth.test")
      assert.strictEqual(JSON.stringify(reason), JSON.stringify(real))
    }).pipe(Effect.provide(SimulatedSlack.layer({ faults: { httpStatus: { method: "auth.test", status } } }))))
}
