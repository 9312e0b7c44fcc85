/** The end of `slackwater dev`: by a signal, from a terminal, under npm, or because the parent is gone. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { join } from "node:path"
import { freePort } from "../fixtures/ask.ts"
import { chatOf, request } from "./http.ts"
import {
  bin,
  checkout,
  connected,
  directory,
  echo,
  eventually,
  fixture,
  has,
  type Process,
  quick,
  slackwater,
  start
} from "./process.ts"

const clean = { code: 0, signal: null }
const ctrlC = "\u0003"

/** Ends with 0, both stopped in order, and nobody was in a hurry. */
const stopsOnce = Effect.fnUntraced(function*(running: Process) {
  assert.deepStrictEqual(yield* running.ended, clean)
  assert.deepStrictEqual([running.count(/\bstopping\b/), running.count(/\bstopped\b/)], [1, 1])
  assert.notMatch(running.output, /starting it again|was killed/)
})

/** The next start says how the last one ended. */
const nextStart = Effect.fnUntraced(function*(cwd: string, previousStop: string) {
  const next = yield* slackwater(["dev", echo], { cwd })
  yield* next.awaitOutput(new RegExp(`"previousStop":"${previousStop}"`))
  yield* next.awaitOutput(connected)
})

const dev = Effect.fnUntraced(function*(env: Readonly<Record<string, string>> = {}, handler = echo) {
  const cwd = yield* directory
  const running = yield* slackwater(["dev", handler], { cwd, env })
  const chat = yield* chatOf(running)
  yield* running.awaitOutput(connected)
  return { cwd, running, chat }
})

it.live("SIGTERM stops the gateway and then Slack, in order, with 0", () =>
  Effect.gen(function*() {
    const { cwd, running } = yield* dev()
    yield* running.signal("SIGTERM")
    yield* stopsOnce(running)
    yield* nextStart(cwd, "clean")
  }))

it.live("SIGINT to the whole process group is one stop", () =>
  Effect.gen(function*() {
    const { running } = yield* dev()
    yield* running.signalGroup("SIGINT")
    yield* stopsOnce(running)
  }))

it.live("SIGINT to parent and gateway at the same time is one stop", () =>
  Effect.gen(function*() {
    const { chat, running } = yield* dev()
    const gateway = yield* chat.gateway()
    yield* running.signal("SIGINT")
    process.kill(gateway, "SIGINT")
    yield* stopsOnce(running)
  }))

it.live("a second Ctrl-C leaves at once with 71, and the gateway does not stay behind", () =>
  Effect.gen(function*() {
    const { chat, cwd, running } = yield* dev({ GATE: "closed" }, fixture("gated"))
    yield* chat.say("hello")
    yield* eventually("the first reply", chat.replies(), (replies) => replies.length > 0)
    yield* running.signal("SIGINT")
    yield* running.awaitOutput(/\bstopping\b/)
    yield* running.signal("SIGINT")
    assert.deepStrictEqual(yield* running.ended, { code: 71, signal: null })
    yield* nextStart(cwd, "crash")
  }))

it.live("when the parent dies by SIGKILL the gateway notices and stops in order", () =>
  Effect.gen(function*() {
    const { cwd, running } = yield* dev()
    yield* running.signal("SIGKILL")
    yield* running.ended
    assert.strictEqual(running.count(/\bstopped\b/), 1)
    yield* nextStart(cwd, "clean")
  }))

it.live("when the parent dies by SIGKILL before the gateway is up, the gateway does not stay", () =>
  Effect.gen(function*() {
    const running = yield* slackwater(["dev", echo])
    yield* running.awaitOutput(/^Gateway: +pid \d+/)
    yield* running.signal("SIGKILL")
    yield* running.ended
    assert.strictEqual(running.count(connected), 0)
  }))

it.live("a gateway that cannot stop is killed after its time, and the end is in order for Slack", () =>
  Effect.gen(function*() {
    const { chat, cwd, running } = yield* dev({ SLACKWATER_SHUTDOWN_TIMEOUT: "100 millis" }, fixture("wedge"))
    yield* chat.say("hello")
    yield* running.awaitOutput(/^wedged/)
    yield* running.signal("SIGTERM")
    assert.deepStrictEqual(yield* running.ended, clean)
    assert.match(running.stdout, /^Gateway: +did not stop in time and was killed$/m)
    yield* nextStart(cwd, "crash")
  }))

describe.skipIf(process.platform !== "linux" || !has("script"))("in a terminal", () => {
  const inTerminal = Effect.fnUntraced(function*(command: string, env: Readonly<Record<string, string>> = {}) {
    const cwd = yield* directory
    const running = yield* start("script", ["-qefc", `exec ${command}`, "/dev/null"], {
      cwd: command.startsWith("npm") ? checkout : cwd,
      env: { ...quick, HOME: cwd, SHELL: "/bin/sh", SLACKWATER_DATA_DIR: join(cwd, "data"), ...env }
    })
    const chat = yield* chatOf(running)
    yield* running.awaitOutput(connected)
    return { cwd, running, chat }
  })
  const command = `"${process.execPath}" "${bin}" dev "${echo}"`

  it.live("Ctrl-C is one stop and not two", () =>
    Effect.gen(function*() {
      const { running } = yield* inTerminal(command)
      yield* running.type(ctrlC)
      yield* stopsOnce(running)
    }))

  it.live.skipIf(!has("npm") || !has("bash"))(
    "Ctrl-C under npm, which passes it on, is one stop and not two",
    () =>
      Effect.gen(function*() {
        // A shell that puts node in its own place: both the terminal and npm signal node.
        const { running } = yield* inTerminal("npm start --script-shell=bash", { npm_config_update_notifier: "false" })
        yield* running.type(ctrlC)
        yield* stopsOnce(running)
      })
  )

  it.live("closing the terminal stops both", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      const { chat, cwd, running } = yield* inTerminal(command, { SLACKWATER_PORT: String(port) })
      yield* running.signal("SIGKILL")
      const silent = (url: string) => eventually(`${url} is gone`, request(url), ({ status }) => status === 0)
      yield* silent(`${chat.url}/`)
      yield* silent(`http://127.0.0.1:${port}/healthz`)
      const next = yield* slackwater(["dev", echo], { cwd, env: { SLACKWATER_DATA_DIR: "data" } })
      yield* next.awaitOutput(/"previousStop":"clean"/)
    }))
})
