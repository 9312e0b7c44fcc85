/** Programs that lie outside the checkout, and programs that are not `slackwater` itself, run on its sources. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { LocalSlack } from "../../src/testing/index.ts"
import { awaitReplies, gateway } from "./gateway.ts"
import { directory, outcome, tokens } from "./process.ts"

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
