/** What a gateway never uses it does not load: a start and a process are as small as what they do. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { LocalSlack } from "../../src/testing/index.ts"
import { bin, checkout, connected, directory, fixture, quick, start, tokens } from "./process.ts"

const recorder = fileURLToPath(new URL("../fixtures/loadedModules.ts", import.meta.url))

const home = pathToFileURL(checkout).href
const commands =
  "backup|cancel|completions|dev|doctor|forget|importQueue|inbox|main|outbox|otlp|pause|prune|send|status"
const needless = new RegExp(
  `^src/(?:testing|import|exec|dashboard|promise|index|cli/(?:${commands})\\.)|/observability/Otlp|/@effect/sql-pg/`
)

it.live("run loads no other command, and nothing of LocalSlack, the exporter, import, --exec or the dashboard's page", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const cwd = yield* directory
    const list = join(cwd, "loaded.txt")
    const running = yield* start(process.execPath, ["--import", recorder, bin, "run", fixture("plain")], {
      cwd,
      env: { ...quick, ...tokens, SLACK_API_URL: slack.apiUrl, LOADED_MODULES: list }
    })
    yield* running.awaitOutput(connected)
    yield* running.signal("SIGTERM")
    yield* running.ended
    const loaded = readFileSync(list, "utf8").split("\n").map((url) => url.replace(home, ""))
    assert.include(loaded, "src/Gateway.ts")
    assert.deepStrictEqual(loaded.filter((url) => needless.test(url)), [])
  }).pipe(Effect.scoped, Effect.provide(LocalSlack.layer())))
