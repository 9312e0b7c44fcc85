/** `slackwater healthcheck`, beside real gateways and over files that tell of what is hard to bring about. */
import { assert, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { mkdirSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Heartbeat } from "../../src/heartbeatFile.ts"
import { LocalSlack } from "../../src/testing/index.ts"
import { answered } from "./answered.ts"
import { gateway } from "./gateway.ts"
import { contents, directory, echo, eventually, outcome } from "./process.ts"

const withSlack = Effect.provide(LocalSlack.layer())
const check = (cwd: string, ...args: ReadonlyArray<string>) => outcome(["healthcheck", ...args], { cwd })

it.live("0 beside a gateway that runs, without tokens; 1 when it stands still, 0 when it goes on", () =>
  Effect.gen(function*() {
    const { cwd, running } = yield* gateway(echo)
    // The heartbeat after the connection.
    const healthy = yield* eventually("connected", check(cwd), ({ stdout }) => /socket connected/.test(stdout), running)
    assert.deepStrictEqual([healthy.code, healthy.stderr], [0, ""])
    assert.match(healthy.stdout, /^ok: running, socket connected, network up, \d+ s ago\n$/)
    assert.strictEqual(statSync(join(cwd, "slackwater-data/heartbeat.json")).mode & 0o777, 0o600)

    yield* running.signal("SIGSTOP")
    const wedged = yield* eventually("stale", check(cwd, "--max-age", "6 seconds"), ({ code }) => code !== 0)
    assert.deepStrictEqual([wedged.code, wedged.stdout], [1, ""])
    assert.match(wedged.stderr, /^slackwater: the last heartbeat is \d+ s old, more than 6 s\n$/)
    assert.strictEqual((yield* check(cwd, "--max-age", "1 hour")).code, 0)
    yield* running.signal("SIGCONT")
    yield* eventually("fresh again", check(cwd, "--max-age", "6 seconds"), ({ code }) => code === 0, running)
  }).pipe(withSlack))

it.live("1 after a clean stop, at once", () =>
  Effect.gen(function*() {
    const { cwd, running } = yield* gateway(echo)
    yield* running.signal("SIGTERM")
    assert.strictEqual((yield* running.ended).code, 0)
    const { code, stderr } = yield* check(cwd)
    assert.strictEqual(code, 1)
    assert.match(stderr, /^slackwater: the gateway has stopped, \d+ s ago\n$/)
  }).pipe(withSlack))

it.live("1 where no gateway has run, and nothing is made there", () =>
  Effect.gen(function*() {
    const cwd = yield* directory
    const { code, stderr, stdout } = yield* check(cwd)
    assert.deepStrictEqual([code, stdout], [1, ""])
    assert.match(stderr, /^slackwater: there is no .*heartbeat\.json: no gateway has run there yet; .*\n$/)
    assert.deepStrictEqual(contents(cwd), {})
  }))

/** A data directory that holds this and nothing else. */
const holding = Effect.fnUntraced(function*(text: string) {
  const cwd = yield* directory
  mkdirSync(join(cwd, "data"))
  writeFileSync(join(cwd, "data/heartbeat.json"), text)
  writeFileSync(join(cwd, "my.env"), "SLACKWATER_DATA_DIR=data\n")
  return { cwd, env: { SLACKWATER_CONFIG: "my.env" } }
})

const beat = (changed: Partial<Heartbeat>): Heartbeat => ({
  at: 0,
  instance: "me",
  pid: 1,
  version: "0.1.0",
  phase: "running",
  generation: 1,
  socket: "connected",
  network: "up",
  ...changed
})

const judged: ReadonlyArray<
  readonly [sentence: string, heartbeat: (now: number) => string, code: number, says: RegExp]
> = [
  ["0 in an outage", (at) => JSON.stringify(beat({ at, socket: "disconnected", network: "down" })), 0, /network down/],
  ["0 in a drain", (at) => JSON.stringify(beat({ at, phase: "draining" })), 0, /^ok: draining/],
  ["0 when a later release wrote more", (at) => JSON.stringify({ ...beat({ at }), more: true }), 0, /^ok: running/],
  [
    "1 when it is older than half a minute",
    (now) => JSON.stringify(beat({ at: now - 31_000 })),
    1,
    /s old, more than 30 s/
  ],
  ["1 when the clock was set back", (now) => JSON.stringify(beat({ at: now + 3_600_000 })), 1, /in the future/],
  ["1 for half a file", () => "{\"at\":", 1, /holds no heartbeat/],
  ["1 for something else", () => "{}", 1, /holds no heartbeat/]
]
for (const [sentence, heartbeat, code, says] of judged) {
  it.live(sentence, () =>
    Effect.gen(function*() {
      const { cwd, env } = yield* holding(heartbeat(yield* Clock.currentTimeMillis))
      const before = contents(cwd)
      const found = yield* outcome(["healthcheck"], { cwd, env })
      assert.strictEqual(found.code, code)
      assert.match(code === 0 ? found.stdout : found.stderr.replace("slackwater: ", ""), says)
      assert.strictEqual((found.stdout + found.stderr).trimEnd().split("\n").length, 1)
      assert.deepStrictEqual(contents(cwd), before)
    }))
}

it.live("--json says the same to programs", () =>
  Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    const fresh = beat({ at: now })
    const { cwd, env } = yield* holding(JSON.stringify(fresh))
    const healthy = yield* outcome(["healthcheck", "--json"], { cwd, env })
    assert.deepStrictEqual([healthy.code, healthy.stderr], [0, ""])
    assert.deepInclude(answered("healthcheck", healthy.stdout), {
      ok: true,
      problem: null,
      maxAgeMs: 30_000,
      heartbeat: fresh
    })
    const late = yield* outcome(["healthcheck", "--json", "--max-age", "1 millis"], { cwd, env })
    assert.deepStrictEqual([late.code, late.stderr], [1, ""])
    const found = answered("healthcheck", late.stdout)
    assert.deepStrictEqual([found.ok, found.maxAgeMs], [false, 1])
    assert.match(found.problem ?? "", /s old/)
    const nothing = yield* outcome(["healthcheck", "--json"], { cwd })
    assert.strictEqual(nothing.code, 1)
    assert.isNull(answered("healthcheck", nothing.stdout).heartbeat)
  }))

for (const age of ["soon", "0 seconds", "-1 seconds", "Infinity"]) {
  it.live(`64 for --max-age=${age}`, () =>
    Effect.gen(function*() {
      const { code, stderr } = yield* outcome(["healthcheck", `--max-age=${age}`], { cwd: yield* directory })
      assert.strictEqual(code, 64)
      assert.match(stderr, /^slackwater: --max-age must be a duration above zero.*--help\n$/)
    }))
}
