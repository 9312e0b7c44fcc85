/**
 * Bad input: one clear line on stderr that says what is wrong and what to do, the exit code of the manual, no stack
 * trace, no token, and not a byte written.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { dirname, join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { chatOf } from "./http.ts"
import { type Mistake, mistakes } from "./mistakes.ts"
import { bin, connected, contents, directory, echo, eventually, outcome, slackwater, tokens } from "./process.ts"

/** Nobody is asked over the network, whatever happens. */
const nowhere = { SLACK_API_URL: "http://127.0.0.1:9/api/" }
const aServer = Effect.acquireRelease(
  Effect.callback<Server>((resume) => {
    const server = createServer().listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
  }),
  (server) => Effect.sync(() => server.close())
)
const portOf = (server: Server) => String((server.address() as AddressInfo).port)

/** Runs it in `cwd` and checks everything that holds for every mistake. */
const check = Effect.fnUntraced(function*(mistake: Omit<Mistake, "what">, cwd: string, uid?: number) {
  const env = { ...tokens, ...nowhere, ...mistake.env }
  const before = contents(cwd)
  const options = { cwd, env, ...(uid === undefined ? {} : { uid }) }
  const { code, signal, stderr, stdout } = yield* outcome(mistake.args, options)
  assert.deepStrictEqual({ code, signal }, { code: mistake.code, signal: null }, stderr)
  assert.match(stderr, /^slackwater: [^\n]+\n$/, "one line")
  assert.match(stderr, mistake.line)
  assert.notMatch(stderr, /^\s+at /m, "a stack trace")
  assert.strictEqual(stdout, "")
  for (const token of [env.SLACK_APP_TOKEN, env.SLACK_BOT_TOKEN]) {
    if (token.length > "xoxb-".length) assert.notInclude(stderr, token)
  }
  assert.deepStrictEqual(contents(cwd), before, "something was written")
})

for (const [group, rows] of Object.entries(mistakes)) {
  describe.concurrent(`bad input: ${group}`, () => {
    for (const mistake of rows) {
      it.live(`${mistake.what} (${mistake.code})`, () =>
        Effect.gen(function*() {
          const cwd = yield* directory
          for (const [path, text] of Object.entries(mistake.files ?? {})) {
            const file = join(cwd, path)
            mkdirSync(text === null ? file : dirname(file), { recursive: true })
            if (text !== null) writeFileSync(file, text)
          }
          yield* check(mistake, cwd)
        }))
    }
  })
}

it.live("a port that is in use (78)", () =>
  Effect.gen(function*() {
    const port = portOf(yield* aServer)
    const line = new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port} \\(the port is in use\\); stop what uses it, or`)
    yield* check({ args: ["run", echo], env: { SLACKWATER_PORT: port }, code: 78, line }, yield* directory)
  }))

it.live("dev: a port for Slack that is in use (78)", () =>
  Effect.gen(function*() {
    const port = portOf(yield* aServer)
    const line = new RegExp(`SLACKWATER_LOCAL_SLACK_PORT must be free: port ${port} is in use; stop what uses it, or`)
    yield* check({ args: ["dev"], env: { SLACKWATER_LOCAL_SLACK_PORT: port }, code: 78, line }, yield* directory)
  }))

it.live("a data directory that another gateway owns (73), which works on undisturbed", () =>
  Effect.gen(function*() {
    const cwd = yield* directory
    const owner = yield* slackwater(["dev", echo], { cwd })
    const chat = yield* chatOf(owner)
    yield* owner.awaitOutput(connected)
    const files = () => Object.keys(contents(cwd)).filter((name) => !name.includes("heartbeat"))
    const before = files()
    const env = { ...tokens, ...nowhere, SLACKWATER_DATA_DIR: join(cwd, "slackwater-data", "dev") }
    const { code, stderr } = yield* outcome(["run", echo], { cwd, env })
    assert.strictEqual(code, 73)
    const line =
      /^slackwater: another gateway owns .*owner\.lock \(pid (\d+), since \S+\); stop it, or give this one .+\n$/
    assert.strictEqual(Number(line.exec(stderr)?.[1]), yield* chat.gateway())
    assert.deepStrictEqual(files(), before)
    yield* chat.say("still there?")
    yield* eventually("the answer", chat.replies(), (replies) => replies.length > 0, owner)
  }))

it.live("a database of a newer release (74), which stays as it is", () =>
  Effect.gen(function*() {
    const cwd = yield* directory
    const file = join(cwd, "slackwater-data", "slackwater.db")
    mkdirSync(dirname(file))
    const db = new DatabaseSync(file, { timeout: 10_000 })
    db.exec(`PRAGMA journal_mode = WAL; CREATE TABLE slackwater_schema (id INTEGER, version INTEGER);
      INSERT INTO slackwater_schema VALUES (1, 1000)`)
    db.close()
    const before = readFileSync(file)
    const { code, stderr } = yield* outcome(["run", echo], { cwd, env: { ...tokens, ...nowhere } })
    assert.strictEqual(code, 74)
    assert.match(
      stderr,
      /^slackwater: .*slackwater\.db was written by a newer release \(schema 1000, .*; install .+\n$/
    )
    assert.deepStrictEqual(readFileSync(file), before)
  }))

const isRoot = process.getuid?.() === 0
const nobody = 65_534
/** Whether somebody else could run this checkout. */
const isPublic = (path: string): boolean =>
  (statSync(path).mode & 0o005) !== 0 && (dirname(path) === path || isPublic(dirname(path)))

it.live.skipIf(isRoot && !(isPublic(bin) && isPublic(process.execPath)))(
  "a data directory without permission to write (74)",
  () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      const data = join(cwd, "data")
      mkdirSync(data)
      chmodSync(data, 0o500)
      if (isRoot) { for (const path of [cwd, data]) chownSync(path, nobody, nobody) }
      const line = /cannot use data: EACCES: permission denied.*check that the directory can be written, or set SLACK/
      const mistake = { args: ["run", echo], env: { SLACKWATER_DATA_DIR: "data" }, code: 74, line }
      yield* check(mistake, cwd, isRoot ? nobody : undefined)
      // And where the directory itself cannot be made.
      const below = { ...mistake, env: { SLACKWATER_DATA_DIR: "data/deeper" }, line: /cannot use data\/deeper: EACCES/ }
      yield* check(below, cwd, isRoot ? nobody : undefined)
    })
)
