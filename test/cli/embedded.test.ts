/** Programs that embed the gateway, as processes: `examples/start.ts` and `examples/embed-http.ts`. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { LocalSlack } from "../../src/testing/index.ts"
import { freePort } from "../fixtures/ask.ts"
import { checkout, connected, directory, eventually, type Options, quick, start, tokens } from "./process.ts"

const withSlack = Effect.provide(LocalSlack.layer())

const unbuilt = Effect.fnUntraced(function*(file: string, env: Options["env"] = {}) {
  const slack = yield* LocalSlack
  const cwd = yield* directory
  const running = yield* start(process.execPath, ["--import", join(checkout, "src/cli/fromSource.ts"), file], {
    cwd,
    env: { ...quick, ...tokens, SLACK_API_URL: slack.apiUrl, ...env }
  })
  return { cwd, running, slack }
})

const texts = (channel: string) =>
  LocalSlack.use((slack) => Effect.map(slack.messages(channel), (all) => all.map(({ text }) => text)))
const said = (channel: string, text: string) => eventually(text, texts(channel), (all) => all.includes(text))

it.live("examples/start.ts answers, sends, stops in order at SIGTERM, and ends by itself with 0", () =>
  Effect.gen(function*() {
    const { running, slack } = yield* unbuilt(join(checkout, "examples/start.ts"))
    yield* running.awaitOutput(connected)
    yield* slack.say({ channel: "D0ALICE", user: "U0ALICE", text: "hello" })
    yield* said("D0ALICE", "You said: hello")
    yield* said("C0GENERAL", "I am here.")
    yield* running.signal("SIGTERM")
    assert.deepStrictEqual(yield* running.ended, { code: 0, signal: null }, running.output)
    assert.match(running.stderr, /"stopped"/)
    for (const token of Object.values(tokens)) assert.notInclude(running.output, token)
  }).pipe(withSlack))

it.live("a program that does not ask for signals ends by them as any other, and its close is its own", () =>
  Effect.gen(function*() {
    const cwd = yield* directory
    const file = join(cwd, "host.mjs")
    writeFileSync(
      file,
      `import { start, SlackwaterError } from "slackwater/promise"
       const gateway = await start({ handler: (turn) => turn.reply(turn.text) })
       process.once("SIGUSR2", async () => {
         await gateway.close()
         console.log("closed", process.listenerCount("SIGTERM"))
         console.log(await gateway.status().catch((error) => error instanceof SlackwaterError && error.code))
       })`
    )
    const { running } = yield* unbuilt(file)
    yield* running.awaitOutput(connected)
    yield* running.signal("SIGUSR2")
    assert.deepStrictEqual(yield* running.ended, { code: 0, signal: null }, running.output)
    assert.strictEqual(running.stdout, "closed 0\nClosed\n")
    const other = yield* unbuilt(file)
    yield* other.running.awaitOutput(connected)
    yield* other.running.signal("SIGTERM")
    assert.deepStrictEqual(yield* other.running.ended, { code: null, signal: "SIGTERM" })
  }).pipe(withSlack))

it.live("examples/embed-http.ts answers a post when the message is kept, and tells a deploy once", () =>
  Effect.gen(function*() {
    const port = yield* freePort
    const { running } = yield* unbuilt(join(checkout, "examples/embed-http.ts"), { PORT: String(port) })
    yield* running.awaitOutput(connected)
    const post = (body: unknown) =>
      Effect.promise(() =>
        fetch(`http://127.0.0.1:${port}/deploys`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify(body)
        }).then(({ status }) => status)
      )
    assert.strictEqual(yield* post({ id: "7", what: "the shop" }), 202)
    assert.strictEqual(yield* post({ id: "7", what: "the shop" }), 202)
    assert.strictEqual(yield* post({ id: 7 }), 400)
    assert.strictEqual(yield* post({ id: "8", what: "the till" }), 202)
    yield* said("C0GENERAL", "Deployed: the till")
    assert.deepStrictEqual(yield* texts("C0GENERAL"), ["Deployed: the shop", "Deployed: the till"])
    yield* running.signal("SIGTERM")
    assert.strictEqual((yield* running.ended).code, 130)
  }).pipe(withSlack))
