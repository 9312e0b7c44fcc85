/** One fault in the middle of three replies, with Slack's real client: in the end each is there once, in order. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Layer } from "effect"
import { Gateway, Outbox } from "slackwater"
import { type FaultPatch, LocalSlack } from "slackwater/testing"
import { answers, eventually, settingsFor, temporaryDirectory, withSlack } from "./fixtures/gateway.ts"

const method = "chat.postMessage"
const once = { method, times: 1 }

const faults: ReadonlyArray<readonly [what: string, patch: FaultPatch]> = [
  ["a rate limit", { rateLimit: { ...once, retryAfterSeconds: 1 } }],
  ["a reset before it takes effect", { resetBeforeCommit: once }],
  ["a reset after it took effect", { resetAfterCommit: once }],
  ["a reset after it took effect, and a history that lags", { resetAfterCommit: once, historyLagMs: 700 }],
  ["an answer that comes too late", { delayMs: { ...once, ms: 1_500 } }],
  ["half an answer", { stallBody: once }],
  ["a 502 after it took effect", { httpStatus: { ...once, status: 502, afterCommit: true } }],
  ["a page of HTML after it took effect", { httpStatus: { ...once, status: 200, afterCommit: true } }],
  ["an error that may have happened", { error: { ...once, code: "fatal_error", afterCommit: true } }],
  ["an error that nobody knows", { error: { ...once, code: "brand_new_error" } }],
  ["a workspace that is being moved", { error: { ...once, code: "org_login_required" } }]
]

describe("three replies", () => {
  for (const [what, patch] of faults) {
    it.live(`are posted once each and in order, whatever happens to the second: ${what}`, () =>
      withSlack(Effect.gen(function*() {
        const slack = yield* LocalSlack
        const threadTs = yield* slack.say({ channel: "C0GENERAL", user: "U0ALICE", text: "root" })
        const config = settingsFor(slack, yield* temporaryDirectory, {
          requestTimeout: Duration.millis(900),
          historyLag: Duration.millis(800),
          reconcileWindow: Duration.millis(1_800)
        })
        const outbox = Context.get(yield* Layer.build(Gateway.layerOutbox(config)), Outbox)
        const say = (text: string) => outbox.enqueue({ channel: "C0GENERAL", threadTs, text })
        yield* (yield* say("one")).delivered
        yield* slack.faults(patch)
        yield* say("two")
        const last = yield* say("three")
        yield* last.delivered
        yield* eventually("all three", Effect.map(answers("C0GENERAL"), ({ length }) => length >= 3))
        assert.deepStrictEqual(yield* answers("C0GENERAL"), ["one", "two", "three"])
      })))
  }
})
