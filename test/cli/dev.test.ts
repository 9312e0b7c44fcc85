/** `slackwater dev`: Slack in the parent, the gateway in a child that may die and is started again. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { freePort } from "../fixtures/ask.ts"
import { chatOf, request } from "./http.ts"
import { checkout, connected, directory, echo, eventually, fixture, has, quick, slackwater, start } from "./process.ts"

const lines = (text: string) => text.split("\n").filter((line) => line !== "")

it.live("a message is answered, and the answer is a reply of examples/echo.ts", () =>
  Effect.gen(function*() {
    const running = yield* slackwater(["dev", echo])
    const chat = yield* chatOf(running)
    yield* running.awaitOutput(connected)
    assert.strictEqual((yield* chat.say("hello")).status, 200)
    yield* eventually("the answer", chat.replies(), (replies) => replies.length > 0)
    assert.deepStrictEqual(yield* chat.replies(), ["You said: hello"])
  }))

it.live("without a handler messages are echoed", () =>
  Effect.gen(function*() {
    const chat = yield* chatOf(yield* slackwater(["dev"]))
    // Said before the gateway is there: Slack keeps it.
    yield* chat.say("hello")
    yield* eventually("the answer", chat.replies(), (replies) => replies.includes("You said: hello"))
  }))

it.live.skipIf(!has("npm"))(
  "npm start prints the address of the chat page within 20 s, and the bot answers there",
  () =>
    Effect.gen(function*() {
      const home = yield* directory
      const running = yield* start("npm", ["start"], {
        cwd: checkout,
        env: { ...quick, HOME: home, npm_config_update_notifier: "false", SLACKWATER_DATA_DIR: join(home, "data") }
      })
      const chat = yield* Effect.timeout(chatOf(running), "20 seconds")
      const page = yield* request(`${chat.url}/`)
      assert.strictEqual(page.status, 200)
      assert.match(page.type, /text\/html/)
      yield* chat.say("hello")
      yield* eventually("the answer", chat.replies(), (replies) => replies.includes("You said: hello"))
    })
)

it.live("a gateway killed in the middle of an answer is started again, and the answer arrives once", () =>
  Effect.gen(function*() {
    const cwd = yield* directory
    const gate = join(cwd, "gate")
    const port = String(yield* freePort)
    const running = yield* slackwater(["dev", fixture("gated")], { cwd, env: { GATE: gate, SLACKWATER_PORT: port } })
    const chat = yield* chatOf(running)
    yield* chat.say("what is up?")
    yield* eventually("the first reply", chat.replies(), (replies) => replies.length > 0)
    const pid = yield* chat.gateway()
    process.kill(pid, "SIGKILL")
    yield* running.awaitOutput(/^Gateway: +ended \(SIGKILL\); starting it again/)
    assert.notStrictEqual(yield* chat.gateway(2), pid)
    yield* running.awaitOutput(connected, 2)
    writeFileSync(gate, "")
    // Until the gateway itself says that nothing is left to do.
    const status = yield* eventually(
      "everything is delivered",
      Effect.map(request(`http://127.0.0.1:${port}/api/status`), ({ body }) => JSON.parse(body || "{}")),
      ({ inbox, outbox }) => inbox?.done === 1 && outbox?.delivered === 2
    )
    assert.strictEqual(status.previousStop, "crash")
    assert.deepStrictEqual(yield* chat.replies(), ["one moment", "here it is: what is up?"])
  }))

it.live("the handler's module is loaded in the gateway and nowhere else", () =>
  Effect.gen(function*() {
    const cwd = yield* directory
    writeFileSync(join(cwd, "handler.mjs"), "console.log('loaded in', process.pid)\nexport default () => undefined\n")
    const running = yield* slackwater(["dev", "handler.mjs"], { cwd })
    const chat = yield* chatOf(running)
    yield* running.awaitOutput(connected)
    assert.strictEqual(running.count(/^loaded in/), 1)
    yield* running.awaitOutput(new RegExp(`^loaded in ${yield* chat.gateway()}$`))
  }))

it.live("a gateway that ends by itself is started again, too", () =>
  Effect.gen(function*() {
    const running = yield* slackwater(["dev"])
    const chat = yield* chatOf(running)
    yield* running.awaitOutput(connected)
    process.kill(yield* chat.gateway(), "SIGTERM")
    yield* running.awaitOutput(/^Gateway: +ended \(0\); starting it again/)
    yield* running.awaitOutput(connected, 2)
  }))

it.live("SIGUSR1 to dev is passed on, and the gateway reads its settings again", () =>
  Effect.gen(function*() {
    const running = yield* slackwater(["dev"])
    yield* running.awaitOutput(connected)
    yield* running.signal("SIGUSR1")
    yield* running.awaitOutput(/reloaded; the rooms of before end/)
    yield* running.awaitOutput(connected, 2)
    assert.strictEqual(running.count(/^Gateway: +pid/), 1)
  }))

/** Runs `dev` until it gives up. */
const givenUp = Effect.fnUntraced(function*(
  cwd: string,
  env: Readonly<Record<string, string>>,
  ...handler: ReadonlyArray<string>
) {
  const running = yield* slackwater(["dev", ...handler], { cwd, env })
  const { code } = yield* running.ended
  return {
    code,
    starts: running.count(/^Gateway: +pid/),
    restarts: running.count(/starting it again/),
    addresses: running.count(/^Chat:/),
    stderr: lines(running.stderr)
  }
})

it.live("a gateway that ends with 73 is not started again: its data directory is owned by another one", () =>
  Effect.gen(function*() {
    const cwd = yield* directory
    const owner = yield* slackwater(["dev"], { cwd })
    yield* owner.awaitOutput(connected)
    const { stderr, ...rest } = yield* givenUp(cwd, {})
    assert.deepStrictEqual(rest, { code: 73, starts: 1, restarts: 0, addresses: 0 })
    assert.lengthOf(stderr, 1)
    assert.match(stderr[0] ?? "", /^slackwater: another gateway owns .*\(pid \d+, since .*\); stop it, or/)
    assert.isFalse(owner.hasEnded)
  }))

it.live("a gateway that ends with 74 is not started again: its database cannot be used", () =>
  Effect.gen(function*() {
    const cwd = yield* directory
    writeFileSync(join(cwd, "file"), "")
    const { stderr, ...rest } = yield* givenUp(cwd, { SLACKWATER_DATA_DIR: "file/data" })
    assert.deepStrictEqual(rest, { code: 74, starts: 1, restarts: 0, addresses: 0 })
    assert.lengthOf(stderr, 1)
    assert.match(stderr[0] ?? "", /^slackwater: cannot use file\/data: .*set SLACKWATER_DATA_DIR/)
  }))

it.live("a gateway that ends with 78 is not started again: its port is in use", () =>
  Effect.gen(function*() {
    const taken = yield* Effect.acquireRelease(
      Effect.callback<ReturnType<typeof createServer>>((resume) => {
        const server = createServer().listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => server.close())
    )
    const { port } = taken.address() as AddressInfo
    const { stderr, ...rest } = yield* givenUp(yield* directory, { SLACKWATER_PORT: String(port) })
    assert.deepStrictEqual(rest, { code: 78, starts: 1, restarts: 0, addresses: 0 })
    assert.lengthOf(stderr, 1)
    assert.match(stderr[0] ?? "", /^slackwater: cannot listen on 127\.0\.0\.1:\d+ \(the port is in use\); stop what/)
  }))

it.live("a gateway whose handler cannot be loaded ends with 78 and is not started again", () =>
  Effect.gen(function*() {
    const cwd = yield* directory
    writeFileSync(join(cwd, "bad.mjs"), "throw new Error('no key')\n")
    const { stderr, ...rest } = yield* givenUp(cwd, {}, "bad.mjs")
    assert.deepStrictEqual(rest, { code: 78, starts: 1, restarts: 0, addresses: 0 })
    assert.deepStrictEqual(stderr, ["slackwater: handler bad.mjs: it could not be loaded (no key; bad.mjs:1:7)"])
  }))
