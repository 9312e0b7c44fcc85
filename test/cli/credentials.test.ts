/** Slack does not accept us: at start that ends the process, later it is an alarm. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { type FaultPatch, LocalSlack } from "../../src/testing/index.ts"
import { gateway, startGateway } from "./gateway.ts"
import { echo, eventually, tokens } from "./process.ts"

const withSlack = Effect.provide(LocalSlack.layer())

const refusals: ReadonlyArray<readonly [what: string, code: string, faults: FaultPatch]> = [
  ["the app token is refused", "invalid_auth", { openError: "invalid_auth" }],
  ["the app token lacks its scope", "missing_scope", { openError: "missing_scope" }],
  ["the bot token is refused", "invalid_auth", { error: { method: "auth.test", code: "invalid_auth" } }],
  ["the bot token was revoked", "token_revoked", { error: { method: "auth.test", code: "token_revoked" } }]
]
for (const [what, code, faults] of refusals) {
  it.live(`${what} at start: 78, with a sentence that names the remedy`, () =>
    Effect.gen(function*() {
      yield* (yield* LocalSlack).faults(faults)
      const { running } = yield* startGateway(echo)
      const ending = yield* running.ended
      assert.strictEqual(ending.code, 78)
      const sentence = new RegExp(
        `^slackwater: Slack refused .*${code}; check the app's tokens, scopes and Socket Mode`,
        "m"
      )
      assert.match(running.stderr, sentence)
      assert.notMatch(running.stderr, /^\s+at /m)
      for (const token of Object.values(tokens)) assert.notInclude(running.output, token)
    }).pipe(withSlack))
}

it.live("the app token is refused while it runs: it lives, is not ready, and raises an alarm", () =>
  Effect.gen(function*() {
    const { get, running, slack, status } = yield* gateway(echo)
    yield* slack.faults({ openError: "invalid_auth" })
    yield* slack.dropConnections
    const refused = yield* eventually(
      "the alarm",
      status,
      (snapshot) => snapshot?.alarms.some((alarm) => alarm.code === "slack-connection") ?? false,
      running
    )
    assert.strictEqual(refused?.socket.state, "fatal")
    assert.match(refused?.alarms[0]?.text ?? "", /invalid_auth; check the app's tokens/)
    const ready = yield* get("/readyz")
    assert.strictEqual(ready.status, 503)
    assert.deepStrictEqual(JSON.parse(ready.body), { ready: false, reasons: ["socket fatal"] })
    assert.strictEqual((yield* get("/healthz")).status, 200)
    assert.isFalse(running.hasEnded)
    for (const token of Object.values(tokens)) assert.notInclude(running.output + JSON.stringify(refused), token)
  }).pipe(withSlack))

it.live("the bot token is refused while it runs: replies wait, nothing is lost, and an alarm says so", () =>
  Effect.gen(function*() {
    const { running, say, slack, status } = yield* gateway(echo)
    yield* slack.faults({ error: { method: "chat.postMessage", code: "token_revoked" } })
    yield* say("hello")
    const waiting = yield* eventually(
      "the alarm",
      status,
      (snapshot) => snapshot?.alarms.some((alarm) => alarm.code === "slack-access") ?? false,
      running
    )
    assert.match(waiting?.alarms[0]?.text ?? "", /token_revoked/)
    const written = yield* eventually("the row waits", status, (snapshot) => snapshot?.outbox.sending === 0, running)
    assert.include(written?.outbox, { paused: true, delivered: 0, failed_terminal: 0, expired: 0, unknown: 0 })
    assert.strictEqual((written?.outbox.queued ?? 0) + (written?.outbox.failed_retryable ?? 0), 1)
    assert.isFalse(running.hasEnded)
  }).pipe(withSlack))
