/** Whether the Web API answers at all: the question that tells an outage from a wedge. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { LocalSlack } from "slackwater/testing"
import * as WebApi from "../../src/slack/WebApi.ts"
import { SlackApi } from "../../src/SlackApi.ts"
import type { FaultPatch } from "../../src/testing/Faults.ts"
import { settings } from "../fixtures/stores.ts"
import { advance } from "../fixtures/time.ts"

const withApi = <A, E>(
  body: (answers: Effect.Effect<boolean>, slack: LocalSlack["Service"]) => Effect.Effect<A, E>
) =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const api = WebApi.layer.pipe(Layer.provide(settings({ slackApiUrl: slack.apiUrl })))
    return yield* Effect.provide(Effect.flatMap(SlackApi, ({ answers }) => body(answers, slack)), api, { local: true })
  }).pipe(Effect.provide(Layer.fresh(LocalSlack.layer())))

const cases: ReadonlyArray<readonly [what: string, faults: FaultPatch, answers: boolean]> = [
  ["answers", {}, true],
  ["answers when it refuses the token", { error: { method: "api.test", code: "token_revoked" } }, true],
  ["answers when it asks for patience", { rateLimit: { method: "api.test" } }, true],
  ["does not answer when nobody is there", { apiDown: true }, false],
  ["does not answer when the connection is reset", { resetAfterCommit: { method: "api.test" } }, false],
  ["does not answer with an error of its own", { httpStatus: { method: "api.test", status: 500 } }, false],
  ["does not answer with somebody else's page", {
    httpStatus: { method: "api.test", status: 200, body: "<html>Please log in to this network</html>" }
  }, false]
]

describe("the Web API", () => {
  for (const [what, faults, expected] of cases) {
    it.live(what, () =>
      withApi((answers, slack) =>
        Effect.gen(function*() {
          yield* slack.faults(faults)
          assert.strictEqual(yield* answers, expected)
        })
      ))
  }

  it.effect("does not answer when it takes longer than five seconds", () =>
    withApi((answers, slack) =>
      Effect.gen(function*() {
        yield* slack.faults({ stallBody: { method: "api.test" } })
        const asking = yield* Effect.forkChild(answers)
        yield* advance("4900 millis")
        assert.isUndefined(asking.pollUnsafe())
        yield* advance("200 millis")
        assert.isFalse(yield* Fiber.join(asking))
      })
    ))
})
