/** What systemd hears of `slackwater run`: from a stand-in on the PATH that writes down what it is given, and from the real program. */
import { assert, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Layer, SubscriptionRef } from "effect"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { announce, intervalOf, type Told } from "../../src/cli/systemd.ts"
import { GatewayStatus } from "../../src/GatewayStatus.ts"
import { LocalSlack } from "../../src/testing/index.ts"
import { ground, inRooms, logged } from "../fixtures/rooms.ts"
import { advance } from "../fixtures/time.ts"
import { awaitReplies, gateway } from "./gateway.ts"
import { directory, echo, eventually, has, type Process, start, tokens } from "./process.ts"

const withSlack = Effect.provide(LocalSlack.layer())

/** A directory with a `systemd-notify` of its own, and what that was given, a line a call. */
const standIn = Effect.fnUntraced(function*(script: string) {
  const cwd = yield* directory
  mkdirSync(join(cwd, "bin"))
  writeFileSync(join(cwd, "bin/systemd-notify"), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  const read = (name: string) => existsSync(join(cwd, name)) ? readFileSync(join(cwd, name), "utf8") : ""
  return {
    cwd,
    env: { PATH: `${join(cwd, "bin")}:${process.env["PATH"] ?? ""}`, NOTIFY_SOCKET: join(cwd, "notify") },
    read,
    calls: () => read("calls").trimEnd().split("\n")
  }
})
const recorder = "cd \"$(dirname \"$NOTIFY_SOCKET\")\" && printf '%s|' \"$@\" >> calls && echo >> calls && env > env"

const ends = Effect.fnUntraced(function*(running: Process) {
  yield* running.signal("SIGTERM")
  assert.deepStrictEqual(yield* running.ended, { code: 0, signal: null }, running.output)
})

it.live("systemd hears that it is up, that it lives, what it does, and that it stops", () =>
  Effect.gen(function*() {
    const { calls, cwd, env, read } = yield* standIn(recorder)
    const { running } = yield* gateway(echo, { ...env, WATCHDOG_USEC: "400000" }, cwd)
    const alive = "--no-block|READY=1|STATUS=connected to Slack|WATCHDOG=1|"
    const isAlive = (heard: ReadonlyArray<string>) => heard.filter((call) => call === alive).length >= 3
    const heard = yield* eventually("three signs of life", Effect.sync(calls), isAlive, running)
    assert.match(heard[0] ?? "", /^--no-block\|READY=1\|STATUS=/)
    yield* ends(running)
    const all = yield* eventually("the stop", Effect.sync(calls), (heard) => /STOPPING/.test(heard.join()), running)
    assert.strictEqual(all.filter((call) => call === "--no-block|STOPPING=1|STATUS=stopping|WATCHDOG=1|").length, 1)
    for (const token of Object.values(tokens)) assert.notInclude(read("env"), token)
  }).pipe(withSlack))

it.live("nobody is told anything without NOTIFY_SOCKET", () =>
  Effect.gen(function*() {
    const { cwd, env } = yield* standIn("touch \"$(dirname \"$0\")/called\"")
    const started = yield* gateway(echo, { PATH: env.PATH, WATCHDOG_USEC: "100000" }, cwd)
    yield* started.say("hello")
    yield* awaitReplies(started, 1)
    yield* ends(started.running)
    assert.isFalse(existsSync(join(cwd, "bin/called")))
  }).pipe(withSlack))

it.live("without the program it says so once and goes on", () =>
  Effect.gen(function*() {
    const cwd = yield* directory
    const env = { PATH: cwd, NOTIFY_SOCKET: join(cwd, "notify"), WATCHDOG_USEC: "100000" }
    const started = yield* gateway(echo, env, cwd)
    yield* started.running.awaitOutput(/systemd-notify cannot be run/)
    yield* started.say("hello")
    yield* awaitReplies(started, 1)
    yield* ends(started.running)
    assert.strictEqual(started.running.count(/systemd-notify cannot be run/), 1)
  }).pipe(withSlack))

it.live("a program that hangs holds nothing up", () =>
  Effect.gen(function*() {
    const { cwd, env } = yield* standIn("exec sleep 1000")
    const env2 = { ...env, WATCHDOG_USEC: "100000", SLACKWATER_SHUTDOWN_TIMEOUT: "2 seconds" }
    const started = yield* gateway(echo, env2, cwd)
    yield* started.say("hello")
    yield* awaitReplies(started, 1)
    yield* ends(started.running)
  }).pipe(withSlack))

const real = has("systemd-notify") && has("socat")
it.live.skipIf(!real)(
  "the real systemd-notify (and socat to listen) brings it to the socket",
  () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      const socket = join(cwd, "notify")
      const systemd = yield* start("socat", ["-u", `UNIX-RECV:${socket}`, "STDOUT"], { cwd: dirname(socket) })
      yield* eventually("listening", Effect.sync(() => existsSync(socket)), (there) => there, systemd)
      const { running } = yield* gateway(echo, { NOTIFY_SOCKET: socket, WATCHDOG_USEC: "400000" }, cwd)
      yield* systemd.awaitOutput(/^READY=1$/)
      yield* systemd.awaitOutput(/^STATUS=connected to Slack$/)
      yield* systemd.awaitOutput(/WATCHDOG=1/, 2)
      yield* ends(running)
      yield* systemd.awaitOutput(/STOPPING=1$/)
    }).pipe(withSlack)
)

it("systemd hears twice within its bound, and every half minute where there is none", () => {
  assert.strictEqual(intervalOf("60000000"), 30_000)
  assert.strictEqual(intervalOf("5000000"), 2_500)
  for (const none of [undefined, "", "0", "-1", "soon"]) assert.strictEqual(intervalOf(none), 30_000)
})

it.effect("a sign of life goes out only while the heartbeat is fresh", () => {
  const log = logged()
  return inRooms(ground().pipe(Layer.provideMerge(log.layer)))(Effect.gen(function*() {
    const status = yield* GatewayStatus
    const heard: Array<string> = []
    const notify = (...messages: ReadonlyArray<string>) =>
      Effect.sync((): Told => {
        heard.push(messages.join(" "))
        return "told"
      })
    const announcing = yield* Effect.forkChild(announce(notify, 10_000), { startImmediately: true })
    const { pass, since } = {
      pass: advance("10 seconds"),
      since: Effect.sync(() => heard.splice(0))
    }
    assert.deepStrictEqual(yield* since, ["READY=1 STATUS=connecting to Slack"])
    yield* Effect.flatMap(Clock.currentTimeMillis, status.beat)
    for (let tick = 0; tick < 5; tick++) yield* pass
    const line = "READY=1 STATUS=connecting to Slack"
    assert.deepStrictEqual(yield* since, [...Array.from({ length: 3 }, () => `${line} WATCHDOG=1`), line, line])
    yield* status.setNetwork("down")
    yield* pass
    assert.deepStrictEqual(yield* since, ["READY=1 STATUS=waiting for the network"])
    yield* SubscriptionRef.update(status.socket, (before) => ({ ...before, state: "fatal" as const }))
    yield* pass
    assert.match((yield* since).join(), /STATUS=refused by Slack/)
    yield* Fiber.interrupt(announcing)
  }))
})
