/** Slack does not accept us: at start that ends the process, later it is an alarm. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { type FaultPatch, LocalSlack } from "../../src/testing/index.ts"
import { gateway, startGateway } from "./gateway.ts"
import { echo, eventually, tokens } from "./process.ts"

const withSlack = Effect.provide(LocalSlack.layer())

const appToken = "the app-level token \\(App-Level Tokens"
const botToken = "the bot token \\(on the app's OAuth & Permissions page"
const refusals: ReadonlyArray<readonly [what: string, code: string, faults: FaultPatch, remedy: string]> = [
  ["the app token is not known", "invalid_auth", { openError: "invalid_auth" }, `does not know ${appToken}`],
  [
    "the app token lacks its scope",
    "missing_scope",
    { openError: "missing_scope" },
    "lacks the scope connections:write"
  ],
  ["the app is switched off", "account_inactive", { openError: "account_inactive" }, "install the app again"],
  ["the app token was revoked", "token_revoked", { openError: "token_revoked" }, `revoked ${appToken}`],
  ["the app token is over", "token_expired", { openError: "token_expired" }, `over for ${appToken}`],
  [
    "the bot token is not known",
    "invalid_auth",
    { error: { method: "auth.test", code: "invalid_auth" } },
    `does not know ${botToken}`
  ],
  [
    "the bot token was revoked",
    "token_revoked",
    { error: { method: "auth.test", code: "token_revoked" } },
    `revoked ${botToken}`
  ]
]
for (const [what, code, faults, remedy] of refusals) {
  it.live(`${what} at start: 78, with a sentence that names the remedy`, () =>
    Effect.gen(function*() {
      yield* (yield* LocalSlack).faults(faults)
      const { running } = yield* startGateway(echo)
      const ending = yield* running.ended
      assert.strictEqual(ending.code, 78)
      assert.match(
        running.stderr,
        new RegExp(`^slackwater: Slack refused the connection \\(${code}\\): .*${remedy}`, "m")
      )
      assert.notMatch(running.stderr, /^\s+at /m)
      for (const token of Object.values(tokens)) assert.notInclude(running.output, token)
    }).pipe(withSlack))
}

it.live("Socket Mode is switched off at start: 78, with a sentence that names the remedy", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    yield* slack.faults({ noHello: true })
    const { running } = yield* startGateway(echo)
    yield* slack.awaitJournal((entry) => entry._tag === "ConnectionOpened")
    yield* slack.disconnect("link_disabled")
    assert.strictEqual((yield* running.ended).code, 78)
    assert.match(running.stderr, /^slackwater: .*\(link_disabled\): Socket Mode is switched off for this app/m)
  }).pipe(withSlack))

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
    assert.match(refused?.alarms[0]?.text ?? "", /\(invalid_auth\): Slack does not know the app-level token/)
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
