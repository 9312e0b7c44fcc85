/** What people get wrong: one row each, with the exit code and the line that it must answer. */
import { echo } from "./process.ts"

export interface Mistake {
  readonly what: string
  readonly code: number
  /** In the one line on stderr. */
  readonly line: RegExp
  readonly args: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
  /** What lies in the directory: contents by path; `null` makes a directory. */
  readonly files?: Readonly<Record<string, string | null>>
}

const usage = (what: string, args: ReadonlyArray<string>, line: RegExp): Mistake => ({ what, code: 64, line, args })

const setting = (what: string, env: Mistake["env"] & object, line: RegExp, files: Mistake["files"] = {}): Mistake => ({
  what,
  code: 78,
  line,
  args: ["run", echo],
  env,
  files
})

const handler = (what: string, source: string, line: RegExp): Mistake => ({
  what: `a handler that ${what}`,
  code: 78,
  line,
  args: ["run", "bad.mjs"],
  files: { "bad.mjs": source }
})

const command = (of: "run" | "dev", what: string, exec: string, line: RegExp): Mistake => ({
  what: `${of} --exec: a command that ${what}`,
  code: 78,
  line,
  args: [of, "--exec", exec]
})

const database = (what: string, dataDir: string, line: RegExp, files: Mistake["files"] = {}): Mistake => ({
  what,
  code: 74,
  line,
  args: ["run", echo],
  env: { SLACKWATER_DATA_DIR: dataDir },
  files
})

const send = (what: string, args: ReadonlyArray<string>, line: RegExp, files: Mistake["files"] = {}): Mistake => ({
  what: `send: ${what}`,
  code: 64,
  line,
  args: ["send", ...args],
  files
})
const toC0 = ["--channel", "C0GENERAL"]

const importing = (what: string, code: number, dir: string, line: RegExp, files: Mistake["files"] = {}): Mistake => ({
  what: `import: ${what}`,
  code,
  line,
  args: ["import", dir],
  files
})

const outbox = (what: string, args: ReadonlyArray<string>, line: RegExp): Mistake =>
  usage(`outbox: ${what}`, ["outbox", ...args], line)

const dev = (what: string, line: RegExp, env: Mistake["env"] & object = {}, handler = echo): Mistake => ({
  what: `dev: ${what}`,
  code: 78,
  line,
  args: ["dev", handler],
  env
})

export const mistakes: Readonly<Record<string, ReadonlyArray<Mistake>>> = {
  "the command line": [
    usage("an unknown command", ["frob"], /Unknown subcommand "frob".*; see slackwater --help$/m),
    usage("a misspelt command", ["rnu", echo], /"rnu".* Did you mean this\? run; see slackwater --help$/m),
    usage("an unknown flag", ["--frob"], /Unrecognized flag: --frob.*; see slackwater --help$/m),
    usage("an unknown flag of a command", ["run", "--frob", echo], /--frob.*; see slackwater run --help$/m),
    usage(
      "a missing argument",
      ["run"],
      /Missing required argument: handler, or --exec "<command>"; see slackwater run --help$/m
    ),
    usage("a handler and a command", ["run", echo, "--exec", "x"], /give one of them; see slackwater run --help$/m),
    usage("workers of a module", ["dev", "--exec-workers", "2"], /--exec-workers is for --exec; see slackwater dev/),
    usage("no workers", ["run", "--exec", "x", "--exec-workers", "0"], /must be a whole number from 1 to 256; see/),
    usage("an argument too many", ["run", echo, "more"], /"more"; see slackwater run --help$/m),
    usage("a flag's value", ["run", echo, "--log-level", "loud"], /"loud".*; see slackwater run --help$/m)
  ],
  settings: [
    setting("no app token", { SLACK_APP_TOKEN: "" }, /SLACK_APP_TOKEN must be set to a token .* xapp- \(.+\)/),
    setting("no bot token", { SLACK_BOT_TOKEN: "" }, /SLACK_BOT_TOKEN must be set to a token .* xoxb- \(.+\)/),
    setting("a token of the other kind", { SLACK_APP_TOKEN: "xoxb-5ecret" }, /SLACK_APP_TOKEN must be set/),
    setting("a token that is only its prefix", { SLACK_BOT_TOKEN: "xoxb-" }, /SLACK_BOT_TOKEN must be set/),
    setting("a token of two lines", { SLACK_BOT_TOKEN: "xoxb-5ecret\nxoxb-5ecret" }, /SLACK_BOT_TOKEN must be set/),
    setting("a malformed duration", { SLACKWATER_DEBOUNCE: "soon" }, /_DEBOUNCE must be a duration like "500 millis"/),
    setting("a duration below zero", { SLACKWATER_SHUTDOWN_TIMEOUT: "-1 second" }, /_TIMEOUT must .* above zero/),
    setting("a number that is none", { SLACKWATER_CONCURRENCY: "many" }, /_CONCURRENCY must be a whole number/),
    setting("a port that is none", { SLACKWATER_PORT: "70000" }, /SLACKWATER_PORT must be a port from 0 to 65535/),
    setting("no address of Slack", { SLACK_API_URL: "slack" }, /SLACK_API_URL must be an http/),
    setting(
      "an address of others",
      { SLACKWATER_HOST: "192.0.2.1", SLACKWATER_ADMIN_TOKEN: "5ecret-admin" },
      /listen on 192\.0\.2\.1.*set SLACKWATER_HOST/
    ),
    setting(
      "others let in without a token",
      { SLACKWATER_HOST: "0.0.0.0" },
      /_ADMIN_TOKEN must be set where .*0\.0\.0\.0/
    ),
    setting(
      "an empty token is none",
      { SLACKWATER_HOST: "::", SLACKWATER_ADMIN_TOKEN: "" },
      /_ADMIN_TOKEN must be set/
    ),
    setting("an admin token with a blank", { SLACKWATER_ADMIN_TOKEN: "5ecret admin" }, /_ADMIN_TOKEN must be a token/),
    setting(
      "a host that is an address",
      { SLACKWATER_ALLOWED_HOSTS: "https://a.example" },
      /_HOSTS must be host names/
    ),
    setting("no such SLACKWATER_CONFIG", { SLACKWATER_CONFIG: "my.env" }, /names my\.env, .* cannot be read.*; mend/),
    setting("a directory as SLACKWATER_CONFIG", { SLACKWATER_CONFIG: "my.env" }, /names my\.env, .* cannot be read/, {
      "my.env": null
    }),
    setting("a mistake in SLACKWATER_CONFIG", { SLACKWATER_CONFIG: "my.env" }, /SLACKWATER_MAX_ATTEMPTS must be/, {
      "my.env": "SLACKWATER_MAX_ATTEMPTS=never\n"
    })
  ],
  handlers: [
    { ...handler("does not exist", "", /gone\.ts: no such file; give the path/), args: ["run", "gone.ts"] },
    {
      ...handler("is a directory", "", /folder: no such file; give/),
      args: ["run", "folder"],
      files: { folder: null }
    },
    command("run", "does not exist", "gone.py --fast", /there is no gone\.py, or it is not executable; check the path/),
    command("dev", "does not exist, behind a variable", "A=1 ./gone", /there is no \.\/gone, or it is not executable/),
    command("run", "is empty", " ", /it is empty; give the command that answers/),
    {
      ...command(
        "run",
        "is not executable",
        "./bot.sh",
        /there is no \.\/bot\.sh, or it is not executable; .*chmod \+x/
      ),
      files: { "bot.sh": "#!/bin/sh\n" }
    },
    handler(
      "throws on import",
      "throw new Error('no key\\nset KEY')",
      /it could not be loaded \(no key; bad\.mjs:1:7\)$/m
    ),
    handler(
      "throws below its first line",
      "const f = () => { throw new Error('no key') }\n\nf()",
      /\(no key; bad\.mjs:1:25\)$/m
    ),
    handler("throws nothing at all", "throw undefined", /bad\.mjs: it could not be loaded/),
    handler("has a mistake in its syntax", "\nexport default ]", /it could not be loaded \(.+; bad\.mjs:2\)$/m),
    {
      ...handler("has a mistake in its types' syntax", "", /it could not be loaded \(.+; bad\.ts:2\)$/m),
      args: ["run", "bad.ts"],
      files: { "bad.ts": "const a: number = 1\nexport default ]" }
    },
    {
      ...handler(
        "is read as CommonJS",
        "",
        /outside a module; bad\.ts:1\); Node reads it as CommonJS: say "type": "module"/
      ),
      args: ["run", "bad.ts"],
      // Node warns of it, too.
      env: { NODE_NO_WARNINGS: "1" },
      files: { "bad.ts": "import { Handler } from 'slackwater'", "package.json": `{ "type": "commonjs" }` }
    },
    {
      ...handler("imports what has a mistake in its syntax", "", /it could not be loaded \([^;]+\)$/m),
      files: { "bad.mjs": "import './worse.mjs'", "worse.mjs": "export default ]" }
    },
    handler("imports a name that is not there", "\nimport { x } from 'slackwater'", /named 'x'; bad\.mjs:2\)$/m),
    handler("needs what is not installed", "import 'no-such-package'", /could not be loaded \(.*no-such-package/),
    handler(
      "exports nothing",
      "export {}",
      /its default export must be a function, an object of entries .* Handler\.make or Handler\.route$/m
    ),
    handler("exports something else", "export default { run() {} }", /its default export must be a function/),
    handler(
      "exports a route with a mistake",
      "export default { message() {}, mesage() {} }",
      /must be a function, an object of entries \(message, .*; no entry, or no function: mesage$/m
    ),
    handler(
      "exports a responder that is none",
      "export default () => {}; export const respond = { viewSubmit() {} }",
      /its export "respond" must be an object of functions named slashCommand, viewSubmission, blockSuggestion/
    )
  ],
  databases: [
    database("a directory below a file", "file/data", /cannot use file\/data: .*set SLACKWATER_DATA_DIR/, { file: "" }),
    database("a directory that is a file", "file", /cannot use file: .*set SLACKWATER_DATA_DIR/, { file: "" }),
    database("a database that is not SQLite", "data", /slackwater\.db is not an SQLite database; move it away, or/, {
      "data/slackwater.db": "dear diary"
    }),
    database("a database that is a directory", "data", /cannot use .*data\/slackwater\.db: /, {
      "data/slackwater.db": null
    }),
    ...process.platform === "linux" ? [database("no place for files", "/proc", /cannot use \/proc.*: .*set SLA/)] : []
  ],
  sending: [
    send("no channel", ["--text", "x"], /Missing required flag: --channel; see slackwater send --help$/m),
    send("a channel's name", ["--channel", "#general", "--text", "x"], /--channel is "#general", and must be an id of/),
    send("an empty text", [...toC0, "--text", " "], /the message is empty: give it some text; see slackwater send/),
    send("a text that is too long", [...toC0, "--text", "x".repeat(12_001)], /has 12001 characters, and 12000 are/),
    send("a thread that is none", [...toC0, "--text", "x", "--thread", "yesterday"], /--thread is "yesterday", and/),
    send("an empty key", [...toC0, "--text", "x", "--key", ""], /--key is empty/),
    send(
      "a moment without its zone",
      [...toC0, "--text", "x", "--not-before", "2026-12-01T09:00:00"],
      /its zone, like/
    ),
    send("a moment that is none", [...toC0, "--text", "x", "--not-before", "2026-13-01T09:00:00Z"], /must be a moment/),
    send("no such blocks", [...toC0, "--blocks", "b.json"], /--blocks: b\.json cannot be read \(.+\); see/),
    send("blocks that are no JSON", [...toC0, "--blocks", "b.json"], /b\.json cannot be read/, { "b.json": "[" }),
    send("blocks that are none", [...toC0, "--blocks", "b.json"], /b\.json must hold a JSON array of/, {
      "b.json": "{\"text\":\"x\"}"
    }),
    {
      ...send(
        "a data directory that is a file",
        [...toC0, "--text", "x"],
        /cannot use file: .*set SLACKWATER_DATA_DIR/
      ),
      code: 74,
      env: { SLACKWATER_DATA_DIR: "file" },
      files: { file: "" }
    },
    {
      ...send("a database that is not SQLite", [...toC0, "--text", "x"], /slackwater\.db is not an SQLite database/),
      code: 74,
      files: { "slackwater-data/slackwater.db": "dear diary, today I was no database at all" }
    }
  ],
  outbox: [
    outbox("no such command", ["frob"], /Unknown subcommand "frob".*; see slackwater outbox --help$/m),
    outbox(
      "a state that is none",
      ["list", "--state", "lost"],
      /--state is "lost", and must be of queued, sending, unk/
    ),
    outbox("an empty state", ["list", "--state", ""], /--state is "", and must be of queued/),
    outbox(
      "a state that a retry cannot leave",
      ["retry", "--state", "delivered"],
      /must be of expired, failed_terminal, u/
    ),
    outbox(
      "a state that a discard cannot leave",
      ["discard", "--state", "sending"],
      /must be of expired, .*, queued, f/
    ),
    outbox(
      "a retry of nothing",
      ["retry", "--yes"],
      /which rows\? Give their numbers, or --state; see slackwater outbox r/
    ),
    outbox("a discard of nothing", ["discard", "--yes"], /which rows\? Give their numbers, or --state; see slackwater/),
    outbox(
      "all of a channel in any state",
      ["discard", "--channel", "C1", "--yes"],
      /which rows\? Give their numbers, or/
    ),
    outbox(
      "numbers and a state",
      ["retry", "7", "--state", "expired"],
      /give numbers of rows or --state, not both; see/
    ),
    outbox(
      "numbers and a channel",
      ["retry", "7", "--channel", "C1"],
      /give numbers of rows or --state, not both; see/
    ),
    outbox(
      "a number that is none",
      ["show", "seven"],
      /"seven" is no number of a row; see slackwater outbox show --help/
    ),
    outbox("a number below one", ["discard", "0"], /"0" is no number of a row; see slackwater outbox discard --help/),
    outbox("no number", ["show"], /Missing required argument: id; see slackwater outbox show --help$/m),
    outbox(
      "too long a page",
      ["list", "--limit", "5000"],
      /--limit is 5000, and must be from 1 to 1000; see slackwater/
    ),
    outbox(
      "more numbers than go at once",
      ["retry", ...Array.from({ length: 1_001 }, (_, id) => String(id + 1))],
      /1001 r/
    )
  ],
  importing: [
    importing(
      "no such folder",
      64,
      "gone",
      /gone: there is no such folder; give the folder delivery-queue, or the one/
    ),
    importing("a file", 64, "file", /file: it is no folder; give/, { file: "" }),
    importing("a folder without a queue", 64, "photos", /photos: there is no queue in it; give/, {
      "photos/a.png": ""
    }),
    {
      ...importing("a malformed time to live", 78, "q", /SLACKWATER_OUTBOX_TTL must be a duration/, { q: null }),
      env: { SLACKWATER_OUTBOX_TTL: "soon" }
    }
  ],
  development: [
    dev("a handler that does not exist", /gone\.ts: no such file; give the path/, {}, "gone.ts"),
    dev("a malformed duration", /SLACKWATER_DEBOUNCE must be a duration/, { SLACKWATER_DEBOUNCE: "soon" }),
    dev("a port that is none", /LOCAL_SLACK_PORT must be a port from 0/, { SLACKWATER_LOCAL_SLACK_PORT: "chat" }),
    dev("no such SLACKWATER_CONFIG", /SLACKWATER_CONFIG names my\.env/, { SLACKWATER_CONFIG: "my.env" })
  ]
}
