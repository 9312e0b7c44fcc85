/** Programs that lie outside the checkout, and programs that are not `slackwater` itself, run on its sources. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { LocalSlack } from "../../src/testing/index.ts"
import { awaitReplies, gateway } from "./gateway.ts"
import { chatOf } from "./http.ts"
import { checkout, connected, directory, eventually, outcome, quick, start, tokens } from "./process.ts"

const withSlack = Effect.provide(LocalSlack.layer())

const write = (cwd: string, files: Readonly<Record<string, string>>) =>
  Effect.sync(() => {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(cwd, path)), { recursive: true })
      writeFileSync(join(cwd, path), text)
    }
  })

it.live("a handler in a directory without packages imports slackwater, effect and parts of effect", () =>
  Effect.gen(function*() {
    const cwd = yield* directory
    yield* write(cwd, {
      "bot.ts": `import { Effect, Schema } from "effect"
        import * as Sql from "effect/sql"
        import { Handler, Reply } from "slackwater"
        export default Handler.make((turn) =>
          Effect.succeed(turn.text + " " + Schema.is(Reply)({ text: "" }) + " " + typeof Sql.SqlClient))`
    })
    const started = yield* gateway("bot.ts", {}, cwd)
    yield* started.say("hello")
    assert.deepStrictEqual(yield* awaitReplies(started, 1), ["hello true object"])
  }).pipe(withSlack))

it.live("a handler that has an effect of its own keeps it", () =>
  Effect.gen(function*() {
    const cwd = yield* directory
    yield* write(cwd, {
      "bot.mjs": "import { mine } from 'effect'\nthrow new Error(mine)",
      "node_modules/effect/package.json": "{ \"type\": \"module\", \"exports\": \"./index.js\" }",
      "node_modules/effect/index.js": "export const mine = 'an effect of its own'"
    })
    const { stderr } = yield* outcome(["run", "bot.mjs"], { cwd, env: tokens })
    assert.include(stderr, "could not be loaded (an effect of its own")
  }))

/** A program that embeds the gateway, unbuilt. */
const program = (name: string, cwd: string, env: Readonly<Record<string, string>> = {}) =>
  start(process.execPath, ["--import", join(checkout, "src/cli/fromSource.ts"), join(checkout, "examples", name)], {
    cwd,
    env: { ...quick, ...env }
  })

it.live("examples/embed.ts runs until SIGTERM, stops in order, and ends as runMain does: 130", () =>
  Effect.gen(function*() {
    const cwd = yield* directory
    const slack = yield* LocalSlack
    const env = { ...tokens, SLACK_API_URL: slack.apiUrl }
    const running = yield* program("embed.ts", cwd, env)
    yield* running.awaitOutput(connected)
    yield* slack.say({ channel: "D0ALICE", user: "U0ALICE", text: "hello" })
    yield* slack.awaitJournal((entry) => entry._tag === "MessagePosted" && entry.by === "U0BOT")
    yield* running.signal("SIGTERM")
    assert.deepStrictEqual(yield* running.ended, { code: 130, signal: null }, running.output)
    const next = yield* program("embed.ts", cwd, env)
    yield* next.awaitOutput(/previousStop.*clean/)
  }).pipe(withSlack))

it.live("examples/embed-local.ts needs no account: its chat page answers", () =>
  Effect.gen(function*() {
    const running = yield* program("embed-local.ts", yield* directory)
    const chat = yield* chatOf(running)
    yield* chat.say("hello")
    yield* eventually("the answer", chat.replies(), (replies) => replies.includes("You said: hello"), running)
  }))
