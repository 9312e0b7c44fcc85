/** A stop that comes before everything is up: 0, nothing hangs, nothing is left half-made. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type FaultPatch, LocalSlack } from "../../src/testing/index.ts"
import { called, gateway, startGateway } from "./gateway.ts"
import { echo, eventually, fixture, hearsSignals, type Process } from "./process.ts"

const withSlack = Effect.provide(LocalSlack.layer())

const stopsSoon = Effect.fnUntraced(function*(running: Process) {
  yield* running.signal("SIGTERM")
  // Its deadline is 25 s, of which a start needs nothing.
  const ending = yield* Effect.timeoutOrElse(running.ended, {
    duration: "10 seconds",
    orElse: () => Effect.die(new Error(`hangs\n${running.output}`))
  })
  assert.deepStrictEqual(ending, { code: 0, signal: null }, running.output)
  assert.notMatch(running.stderr, /^slackwater:|^\s+at /m)
})

it.live("while the handler's module is loading", () =>
  Effect.gen(function*() {
    const { running } = yield* startGateway(fixture("stuckImport"))
    yield* running.awaitOutput(/^importing$/)
    yield* stopsSoon(running)
  }).pipe(withSlack))

for (const line of ["database schema is up to date", "started"]) {
  it.live(`when the log says "${line}"; the next start finds everything in order`, () =>
    Effect.gen(function*() {
      const { cwd, running } = yield* startGateway(echo)
      yield* running.awaitOutput(new RegExp(`"${line}"`))
      yield* stopsSoon(running)
      const next = yield* gateway(echo, {}, cwd)
      assert.notMatch(next.running.stderr, /"previousStop":"crash"/)
    }).pipe(withSlack))
}

const waits: ReadonlyArray<readonly [what: string, faults: FaultPatch, last: string]> = [
  ["while Slack is slow to say who we are", { delayMs: { method: "auth.test", ms: 30_000 } }, "auth.test"],
  ["while the WebSocket is not answered", { hangUpgrade: true }, "apps.connections.open"],
  ["while Slack's hello does not come", { noHello: true }, "apps.connections.open"],
  ["while Slack is down", { apiDown: true }, ""]
]
for (const [what, faults, last] of waits) {
  it.live(what, () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      yield* slack.faults(faults)
      const { running } = yield* startGateway(echo)
      yield* last === "" ? running.awaitOutput(/no connection to Slack/) : slack.awaitJournal(called(last))
      yield* stopsSoon(running)
    }).pipe(withSlack))
}

describe.skipIf(process.platform !== "linux")("at any moment after the process hears signals", () => {
  // Spread over what a start takes here, each a bit off the grid.
  for (const moment of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]) {
    it.live(`moment ${moment}`, () =>
      Effect.gen(function*() {
        const { running } = yield* startGateway(echo)
        yield* eventually("it hears signals", hearsSignals(running.pid), (hears) => hears)
        // The moment is what is tested; nothing waits for it.
        yield* Effect.sleep(moment * 120 + Math.random() * 120)
        yield* stopsSoon(running)
      }).pipe(withSlack))
  }
})
