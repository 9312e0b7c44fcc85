/** The Watchdog in a real process: an outage is sat out, and a wedge ends with 75. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { LocalSlack } from "../../src/testing/index.ts"
import { awaitReplies, gateway, startGateway } from "./gateway.ts"
import { directory, echo, eventually, outcome } from "./process.ts"

const withSlack = Effect.provide(LocalSlack.layer())
const hasty = { SLACKWATER_WATCHDOG_THRESHOLD: "50 millis", SLACKWATER_WATCHDOG_MAX_ATTEMPTS: "2" }

it.live("an outage is no wedge: the process lives, healthy, says that the network is down, and connects afterwards", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const started = yield* gateway(echo, hasty)
    const { cwd, running, status } = started
    assert.strictEqual((yield* status)?.network, "up")
    yield* slack.faults({ apiDown: true, refuseWebSocket: true })
    yield* slack.dropConnections
    yield* running.awaitOutput(/an outage, which no restart would end/)
    assert.strictEqual((yield* status)?.network, "down")
    // Many more than would end it if Slack's API answered.
    yield* running.awaitOutput(/forcing a new connection/, 6)
    const check = outcome(["healthcheck"], { cwd })
    const down = yield* eventually("network down", check, ({ stdout }) => /network down/.test(stdout), running)
    assert.strictEqual(down.code, 0)
    yield* slack.clearFaults
    yield* eventually("up again", status, (now) => now?.network === "up" && now.socket.state === "connected", running)
    yield* started.say("hello")
    yield* awaitReplies(started, 1)
    assert.strictEqual(running.count(/an outage, which no restart would end/), 1)
    yield* running.signal("SIGTERM")
    assert.strictEqual((yield* running.ended).code, 0)
  }).pipe(withSlack))

it.live("as many forced reconnects as configured that bring nothing while Slack's API answers: 75", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    yield* slack.faults({ refuseWebSocket: true })
    const { running } = yield* startGateway(echo, hasty)
    assert.strictEqual((yield* running.ended).code, 75)
    assert.strictEqual(running.count(/forcing a new connection/), 2)
    assert.match(running.stderr, /^slackwater: Slack's API answers, but 2 forced reconnects in a row/m)
  }).pipe(withSlack))

it.live("a handler that blocks the event loop is an alarm and a metric, until it turned for a while", () =>
  Effect.gen(function*() {
    const cwd = yield* directory
    const block = "const until = performance.now() + 2_600; while (performance.now() < until);"
    writeFileSync(join(cwd, "bot.mjs"), `export default async () => { ${block} return "done" }\n`)
    const started = yield* gateway("bot.mjs", {}, cwd)
    const { get, running, status } = started
    yield* started.say("hello")
    yield* awaitReplies(started, 1)
    const codes = Effect.map(status, (now) => now?.alarms.map(({ code }) => code) ?? [])
    yield* eventually("the alarm", codes, (found) => found.includes("event-loop"), running)
    yield* eventually("its size", status, (now) => (now?.eventLoopDelayMs ?? 0) >= 2_000, running)
    assert.match((yield* get("/metrics")).body, /^slackwater_event_loop_delay_seconds (?:[2-9]|\d\d)/m)
    yield* eventually("its end", codes, (found) => !found.includes("event-loop"), running)
  }).pipe(withSlack))
