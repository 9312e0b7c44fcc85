/**
 * Bad input, one row each: one clear line on stderr that says what is wrong and what to do, the exit code of the
 * manual, no stack trace, no token, and not a byte written.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdirSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { dirname, join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { chatOf } from "./http.ts"
import { connected, contents, directory, echo, eventually, outcome, slackwater, tokens } from "./process.ts"

interface Row {
  readonly what: string
  readonly args?: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
  /** What lies in the directory: contents by path; `null` makes a directory. */
  readonly files?: Readonly<Record<string, string | null>>
  readonly code: number
  readonly line: RegExp
}

const run = ["run", echo]
const handler = (source: string) => ({ args: ["run", "handler.mjs"], files: { "handler.mjs": source } })
const token = (name: string, value: string) => ({ env: { [name]: value } })

const commandLine: ReadonlyArray<Row> = [
  { what: "an unknown command", args: ["frob"], code: 64, line: /Unknown subcommand "frob".*; see slackwater --help/ },
  { what: "a misspelt command", args: ["rnu", echo], code: 64, line: /"rnu".*Did you mean this\? run; see/ },
  { what: "an unknown flag", args: ["--frob"], code: 64, line: /Unrecognized flag: --frob.*; see slackwater --help/ },
  {
    what: "an unknown flag of a command",
    args: ["run", "--frob", echo],
    code: 64,
    line: /--frob.*; see slackwater run --help/
  },
  { what: "a command without its argument", args: ["run"], code: 64, line: /Missing required argument: handler; see/ },
  { what: "an argument too many", args: ["run", echo, "more"], code: 64, line: /Unexpected.*"more"; see/ },
  {
    what: "a flag with a value it does not know",
    args: ["run", echo, "--log-level", "loud"],
    code: 64,
    line: /"loud".*; see/
  }
]

const settings: ReadonlyArray<Row> = [
  {
    what: "no app token",
    ...token("SLACK_APP_TOKEN", ""),
    code: 78,
    line: /SLACK_APP_TOKEN must be set to a token that begins with xapp- \(.+\)/
  },
  {
    what: "no bot token",
    ...token("SLACK_BOT_TOKEN", ""),
    code: 78,
    line: /SLACK_BOT_TOKEN must be set to a token that begins with xoxb- \(.+\)/
  },
  {
    what: "a token of the other kind",
    ...token("SLACK_APP_TOKEN", "xoxb-5ecret"),
    code: 78,
    line: /SLACK_APP_TOKEN must/
  },
  {
    what: "a token that is only its prefix",
    ...token("SLACK_BOT_TOKEN", "xoxb-"),
    code: 78,
    line: /SLACK_BOT_TOKEN must/
  },
  {
    what: "a token with a line break",
    ...token("SLACK_BOT_TOKEN", "xoxb-5ecret\nmore"),
    code: 78,
    line: /SLACK_BOT_TOKEN must/
  },
  {
    what: "a malformed duration",
    env: { SLACKWATER_DEBOUNCE: "soon" },
    code: 78,
    line: /SLACKWATER_DEBOUNCE must be a duration like "500 millis"/
  },
  {
    what: "a duration below zero",
    env: { SLACKWATER_SHUTDOWN_TIMEOUT: "-1 seconds" },
    code: 78,
    line: /SLACKWATER_SHUTDOWN_TIMEOUT must.*above zero/
  },
  {
    what: "a number that is none",
    env: { SLACKWATER_CONCURRENCY: "many" },
    code: 78,
    line: /SLACKWATER_CONCURRENCY must be a whole number/
  },
  {
    what: "a port that is none",
    env: { SLACKWATER_PORT: "70000" },
    code: 78,
    line: /SLACKWATER_PORT must be a port from 0 to 65535/
  },
  {
    what: "an address of Slack that is none",
    env: { SLACK_API_URL: "slack" },
    code: 78,
    line: /SLACK_API_URL must be an http/
  },
  {
    what: "an address that is not ours",
    env: { SLACKWATER_HOST: "192.0.2.1" },
    code: 78,
    line: /cannot listen on 192\.0\.2\.1:0 .*SLACKWATER_HOST/
  },
  {
    what: "a SLACKWATER_CONFIG that is not there",
    env: { SLACKWATER_CONFIG: "gone.env" },
    code: 78,
    line: /SLACKWATER_CONFIG names gone\.env, which cannot be read/
  },
  {
    what: "a SLACKWATER_CONFIG that is a directory",
    env: { SLACKWATER_CONFIG: "folder" },
    files: { folder: null },
    code: 78,
    line: /SLACKWATER_CONFIG names folder, which cannot be read/
  },
  {
    what: "a mistake in SLACKWATER_CONFIG",
    env: { SLACKWATER_CONFIG: "my.env" },
    files: { "my.env": "SLACKWATER_DEBOUNCE=soon\n" },
    code: 78,
    line: /SLACKWATER_DEBOUNCE must/
  }
]

const handlers: ReadonlyArray<Row> = [
  {
    what: "a handler that does not exist",
    args: ["run", "gone.ts"],
    code: 78,
    line: /handler gone\.ts: no such file; give/
  },
  {
    what: "a handler that is a directory",
    args: ["run", "folder"],
    files: { folder: null },
    code: 78,
    line: /handler folder: no such file; give/
  },
  {
    what: "a handler that throws on import",
    ...handler("throw new Error('no key\\nset KEY')"),
    code: 78,
    line: /handler handler\.mjs: it could not be loaded \(no key\)/
  },
  {
    what: "a handler that throws something odd",
    ...handler("throw undefined"),
    code: 78,
    line: /handler handler\.mjs: it could not be loaded/
  },
  {
    what: "a handler with a mistake in its syntax",
    ...handler("export default ("),
    code: 78,
    line: /handler handler\.mjs: it could not be loaded \(.+\)/
  },
  {
    what: "a handler that needs what is not installed",
    ...handler("import 'no-such-package'"),
    code: 78,
    line: /it could not be loaded \(.*no-such-package/
  },
  {
    what: "a handler that exports nothing",
    ...handler("export {}"),
    code: 78,
    line: /its default export must be a function or the result of Handler\.make/
  },
  {
    what: "a handler that exports something else",
    ...handler("export default { run() {} }"),
    code: 78,
    line: /its default export must be/
  }
]

const databases: ReadonlyArray<Row> = [
  {
    what: "a data directory below a file",
    env: { SLACKWATER_DATA_DIR: "file/data" },
    files: { file: "" },
    code: 74,
    line: /cannot use file\/data: .*set SLACKWATER_DATA_DIR/
  },
  {
    what: "a data directory that is a file",
    env: { SLACKWATER_DATA_DIR: "file" },
    files: { file: "" },
    code: 74,
    line: /cannot use file: .*set SLACKWATER_DATA_DIR/
  },
  {
    what: "a database that is not SQLite",
    env: { SLACKWATER_DATA_DIR: "data" },
    files: { "data/slackwater.db": "dear diary" },
    code: 74,
    line: /data\/slackwater\.db is not an SQLite database; move it away, or set/
  },
  {
    what: "a database that is a directory",
    env: { SLACKWATER_DATA_DIR: "data" },
    files: { "data/slackwater.db": null },
    code: 74,
    line: /cannot use .*data\/slackwater\.db: /
  },
  ...process.platform === "linux"
    ? [{
      what: "a data directory that nobody can write",
      env: { SLACKWATER_DATA_DIR: "/proc" },
      code: 74,
      line: /cannot use \/proc.*: .*set SLACKWATER_DATA_DIR/
    }]
    : []
]

const development: ReadonlyArray<Row> = [
  {
    what: "dev: a handler that does not exist",
    args: ["dev", "gone.ts"],
    code: 78,
    line: /handler gone\.ts: no such file; give/
  },
  {
    what: "dev: a malformed duration",
    args: ["dev"],
    env: { SLACKWATER_DEBOUNCE: "soon" },
    code: 78,
    line: /SLACKWATER_DEBOUNCE must/
  },
  {
    what: "dev: a port for Slack that is none",
    args: ["dev"],
    env: { SLACKWATER_LOCAL_SLACK_PORT: "chat" },
    code: 78,
    line: /SLACKWATER_LOCAL_SLACK_PORT must be a port from 0 to 65535/
  },
  {
    what: "dev: a SLACKWATER_CONFIG that is not there",
    args: ["dev"],
    env: { SLACKWATER_CONFIG: "gone.env" },
    code: 78,
    line: /SLACKWATER_CONFIG names gone\.env/
  }
]

const secrets = (env: Readonly<Record<string, string>>) =>
  [env["SLACK_APP_TOKEN"], env["SLACK_BOT_TOKEN"]].filter((value) => value !== undefined && value.length > 5)

/** Runs a row in `cwd` and checks everything that holds for all of them. */
const check = Effect.fnUntraced(function*(row: Row, cwd: string) {
  const env = { ...tokens, ...row.env }
  const before = contents(cwd)
  const { code, signal, stderr, stdout } = yield* outcome(row.args ?? run, { cwd, env })
  assert.deepStrictEqual({ code, signal }, { code: row.code, signal: null }, stderr)
  assert.match(stderr, /^slackwater: [^\n]+\n$/, "one line")
  assert.match(stderr, row.line)
  assert.notMatch(stderr, /^\s+at /m, "a stack trace")
  assert.strictEqual(stdout, "")
  for (const secret of secrets(env)) assert.notInclude(stdout + stderr, secret)
  assert.deepStrictEqual(contents(cwd), before, "something was written")
})

for (const [group, rows] of Object.entries({ commandLine, settings, handlers, databases, development })) {
  describe(group, () => {
    for (const row of rows) {
      it.live(`${row.what}: ${row.code}`, () =>
        Effect.gen(function*() {
          const cwd = yield* directory
          for (const [path, text] of Object.entries(row.files ?? {})) {
            const file = join(cwd, path)
            mkdirSync(text === null ? file : dirname(file), { recursive: true })
            if (text !== null) writeFileSync(file, text)
          }
          yield* check(row, cwd)
        }))
    }
  })
}
