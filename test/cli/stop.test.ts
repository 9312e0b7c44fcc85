/** How `slackwater run` ends, and with which exit code. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { LocalSlack } from "../../src/testing/index.ts"
import { awaitReplies, gateway, startGateway } from "./gateway.ts"
import { directory, echo, fixture, type Process, tokens } from "./process.ts"

const withSlack = Effect.provide(LocalSlack.layer())

/** Ended with this exit code, the log says so at most once, and it never held a token. */
const ends = Effect.fnUntraced(function*(running: Process, code: number) {
  assert.deepStrictEqual(yield* running.ended, { code, signal: null }, running.output)
  assert.strictEqual(running.count(/"stopped"/), code === 0 ? 1 : 0, running.output)
  for (const token of Object.values(tokens)) assert.notInclude(running.output, token)
})

/** The next start in that directory says how the last one ended. */
const nextStart = Effect.fnUntraced(function*(cwd: string, previousStop: string, env: Record<string, string> = {}) {
  const next = yield* gateway(fixture("gated"), env, cwd)
  assert.match(next.running.stderr, new RegExp(`"previousStop":"${previousStop}"`))
  return next
})

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  it.live(`${signal}: 0, a clean stop`, () =>
    Effect.gen(function*() {
      const { cwd, running } = yield* gateway(echo)
      yield* running.signal(signal)
      yield* ends(running, 0)
      yield* nextStart(cwd, "clean")
    }).pipe(withSlack))
}

it.live("a turn that cannot finish in time is given back: 0, and its answer comes with the next start, once", () =>
  Effect.gen(function*() {
    const env = { GATE: "gate", SLACKWATER_SHUTDOWN_TIMEOUT: "500 millis" }
    const first = yield* gateway(fixture("gated"), env)
    yield* first.say("hello")
    yield* awaitReplies(first, 1)
    yield* first.running.signal("SIGTERM")
    yield* ends(first.running, 0)
    assert.match(first.running.stderr, /"requeued":1/)
    writeFileSync(join(first.cwd, "gate"), "")
    const next = yield* nextStart(first.cwd, "clean", env)
    assert.deepStrictEqual(yield* awaitReplies(next, 2), ["one moment", "here it is: hello"])
  }).pipe(withSlack))

it.live("a handler that does not listen holds nothing up: 0", () =>
  Effect.gen(function*() {
    const { running, say } = yield* gateway(fixture("deaf"), { SLACKWATER_SHUTDOWN_TIMEOUT: "500 millis" })
    yield* say("hello")
    yield* running.awaitOutput(/^deaf$/)
    yield* running.signal("SIGTERM")
    yield* ends(running, 0)
  }).pipe(withSlack))

it.live("a second signal while the first is at work: 71 at once, and nothing is lost", () =>
  Effect.gen(function*() {
    const env = { GATE: "gate" }
    const first = yield* gateway(fixture("gated"), env)
    yield* first.say("hello")
    yield* awaitReplies(first, 1)
    yield* first.running.signal("SIGTERM")
    yield* first.running.awaitOutput(/"stopping"/)
    yield* first.running.signal("SIGTERM")
    yield* ends(first.running, 71)
    writeFileSync(join(first.cwd, "gate"), "")
    const next = yield* nextStart(first.cwd, "crash", env)
    assert.deepStrictEqual(yield* awaitReplies(next, 2), ["one moment", "here it is: hello"])
  }).pipe(withSlack))

it.live("a Ctrl-C that comes from the terminal and again from npm is one: 0", () =>
  Effect.gen(function*() {
    const env = { GATE: "gate", npm_lifecycle_event: "start" }
    const started = yield* gateway(fixture("gated"), env)
    yield* started.say("hello")
    yield* awaitReplies(started, 1)
    yield* started.running.signal("SIGINT")
    yield* started.running.awaitOutput(/"stopping"/)
    yield* started.running.signal("SIGINT")
    writeFileSync(join(started.cwd, "gate"), "")
    yield* ends(started.running, 0)
  }).pipe(withSlack))

it.live("an end that does not get done by its absolute deadline is cut off: 70", () =>
  Effect.gen(function*() {
    const cwd = yield* directory
    // The deadline is the configured one, wherever it is configured.
    writeFileSync(join(cwd, "my.env"), "SLACKWATER_SHUTDOWN_TIMEOUT=100 millis\n")
    const { running } = yield* gateway(fixture("hog"), { SLACKWATER_CONFIG: "my.env" }, cwd)
    yield* running.signal("SIGTERM")
    yield* ends(running, 70)
    yield* nextStart(cwd, "crash")
  }).pipe(withSlack))

it.live("a watchdog that cannot get a connection although Slack answers gives up: 75", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    yield* slack.faults({ refuseWebSocket: true })
    const { running } = yield* startGateway(echo, { SLACKWATER_WATCHDOG_THRESHOLD: "20 millis" })
    const { code } = yield* running.ended
    assert.strictEqual(code, 75)
    assert.match(running.stderr, /^slackwater: Slack's API answers, but 10 forced reconnects in a row/m)
  }).pipe(withSlack))

it.live("SIGUSR1 does not open a debugger", () =>
  Effect.gen(function*() {
    const { running } = yield* gateway(echo)
    yield* running.signal("SIGUSR1")
    yield* running.signal("SIGTERM")
    yield* ends(running, 0)
    assert.notInclude(running.output, "Debugger")
  }).pipe(withSlack))
