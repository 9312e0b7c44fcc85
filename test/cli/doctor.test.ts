/** `slackwater doctor`: what it finds in a Slack with faults, in a data directory, and in settings. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { join } from "node:path"
import { roomFinding } from "../../src/cli/doctorFiles.ts"
import { scopeFindings } from "../../src/cli/doctorScopes.ts"
import { type FaultPatch, LocalSlack } from "../../src/testing/index.ts"
import { freePort } from "../fixtures/ask.ts"
import { answered } from "./answered.ts"
import { called, gateway } from "./gateway.ts"
import { dataIn, execute, rowsIn, seed } from "./outboxSeed.ts"
import { contents, directory, echo, outcome, tokens } from "./process.ts"

const withSlack = Effect.provide(LocalSlack.layer())

type Env = Readonly<Record<string, string | undefined>>

/** Runs it against the LocalSlack of the test; no token is ever in what it says. */
const doctor = Effect.fnUntraced(function*(cwd: string, env: Env = {}, args: ReadonlyArray<string> = []) {
  const slack = yield* LocalSlack
  const done = yield* outcome(["doctor", "--json", ...args], {
    cwd,
    env: { ...tokens, SLACK_API_URL: slack.apiUrl, ...env }
  })
  assert.strictEqual(done.stderr, "")
  assert.notInclude(done.stdout, "5ecret")
  const { exitCode, findings } = answered("doctor", done.stdout)
  assert.strictEqual(exitCode, done.code)
  return {
    code: done.code,
    findings,
    wrong: findings.filter(({ result }) => result === "wrong").map(({ check }) => check),
    of: (check: string) => findings.find((finding) => finding.check === check)
  }
})

describe("where all is well", () => {
  it.live("0 without a gateway, and nothing is made", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      const { code, findings, of } = yield* doctor(cwd, { SLACKWATER_PORT: String(yield* freePort) })
      assert.strictEqual(code, 0)
      assert.deepStrictEqual(findings.filter(({ result }) => result !== "ok"), [])
      assert.match(of("bot token")?.says ?? "", /^accepted: \S+ in \S+ \(T0LOCAL\)$/)
      assert.match(of("database")?.says ?? "", /none yet/)
      assert.match(of("port")?.says ?? "", /is free$/)
      assert.deepStrictEqual(contents(cwd), {})
    }).pipe(withSlack))

  it.live("0 beside a gateway, which keeps its connection and its rows", () =>
    Effect.gen(function*() {
      const port = String(yield* freePort)
      const { cwd, slack, status } = yield* gateway(echo, { SLACKWATER_PORT: port })
      yield* outcome(["send", "--channel", "D0ALICE", "--text", "hi"], { cwd })
      const rows = rowsIn(cwd).length
      const { code, findings, of } = yield* doctor(cwd, { SLACKWATER_PORT: port }, ["--deep"])
      assert.strictEqual(code, 0, JSON.stringify(findings))
      assert.match(of("owner")?.says ?? "", /^a gateway runs: pid \d+/)
      assert.match(of("port")?.says ?? "", /the gateway answers/)
      assert.match(of("workspace")?.says ?? "", /T0LOCAL/)
      assert.match(of("database")?.says ?? "", /integrity_check/)
      yield* slack.awaitJournal(called("apps.connections.open"))
      assert.strictEqual(yield* slack.connections, 1)
      assert.strictEqual(rowsIn(cwd).length, rows)
      const now = yield* status
      if (now !== undefined) assert.deepInclude(now.socket, { state: "connected", reconnects: 0 })
    }).pipe(withSlack))

  it.live("in words, one thing a line", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const env = { ...tokens, SLACK_API_URL: slack.apiUrl }
      const { code, stdout } = yield* outcome(["doctor"], { cwd: yield* directory, env })
      assert.strictEqual(code, 0)
      for (const check of ["node", "settings", "bot token", "scopes", "clock", "app token", "Socket Mode", "disk"]) {
        assert.match(stdout, new RegExp(`^ok +${check} +\\S`, "m"))
      }
      assert.notInclude(stdout, "5ecret")
    }).pipe(withSlack))
})

describe("what Slack says", () => {
  const faults: ReadonlyArray<readonly [what: string, faults: FaultPatch, check: string, says: RegExp, fix: RegExp]> = [
    [
      "a bot token that was revoked",
      { revokedTokens: [tokens.SLACK_BOT_TOKEN] },
      "bot token",
      /\(token_revoked\)$/,
      /make a new one and set SLACK_BOT_TOKEN/
    ],
    [
      "an app token that was revoked",
      { revokedTokens: [tokens.SLACK_APP_TOKEN] },
      "app token",
      /\(token_revoked\)$/,
      /make a new one and set SLACK_APP_TOKEN/
    ],
    [
      "an app token without its scope",
      { openError: "missing_scope" },
      "app token",
      /\(missing_scope\)$/,
      /connections:write/
    ],
    ["Socket Mode that is off", { openError: "link_disabled" }, "Socket Mode", /link_disabled/, /switch it on under/],
    [
      "a scope that is missing",
      { missingScopes: ["im:history", "channels:history"] },
      "scopes",
      /lacks im:history \(direct messages do not come.*\); channels:history/,
      /^add im:history, channels:history under OAuth/
    ]
  ]
  for (const [what, patch, check, says, fix] of faults) {
    it.live(`1 for ${what}, with what to do`, () =>
      Effect.gen(function*() {
        const slack = yield* LocalSlack
        yield* slack.faults(patch)
        const { code, of, wrong } = yield* doctor(yield* directory)
        assert.deepStrictEqual([code, wrong], [1, [check]])
        assert.match(of(check)?.says ?? "", says)
        assert.match(of(check)?.fix ?? "", fix)
      }).pipe(withSlack))
  }

  it.live("1 where Slack cannot be reached", () =>
    Effect.gen(function*() {
      const url = `http://127.0.0.1:${yield* freePort}/api/`
      const { code, of, wrong } = yield* doctor(yield* directory, { SLACK_API_URL: url })
      assert.deepStrictEqual([code, wrong], [1, ["bot token", "app token"]])
      assert.match(of("bot token")?.says ?? "", /does not answer at http:\S+ \(ECONNREFUSED\)$/)
    }).pipe(withSlack))

  it.live("a rate limit is no fault of the token", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      yield* slack.faults({ error: [{ method: "auth.test", code: "ratelimited" }] })
      const { code, of } = yield* doctor(yield* directory)
      assert.deepStrictEqual([code, of("bot token")?.result], [0, "warning"])
    }).pipe(withSlack))

  it.live("less common scopes are a warning", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      yield* slack.faults({ missingScopes: ["files:write"] })
      const { code, of } = yield* doctor(yield* directory)
      assert.deepStrictEqual([code, of("more scopes")?.result], [0, "warning"])
      assert.match(of("more scopes")?.says ?? "", /files:write \(turn\.upload\)/)
    }).pipe(withSlack))

  for (const [off, result] of [[-3_600_000, "wrong"], [3_600_000, "wrong"], [20_000, "ok"]] as const) {
    it.live(`a clock that is ${off / 1_000} s off is ${result}`, () =>
      Effect.gen(function*() {
        const port = yield* Effect.acquireRelease(
          Effect.callback<{ readonly port: number; readonly close: () => unknown }>((resume) => {
            const server = createServer((_, response) => {
              response.sendDate = false
              response.setHeader("date", new Date(Date.now() + off).toUTCString())
              response.end("{\"ok\":true}")
            })
            server.listen(0, "127.0.0.1", () => {
              const address = server.address()
              const port = typeof address === "object" && address !== null ? address.port : 0
              resume(Effect.succeed({ port, close: () => server.close() }))
            })
          }),
          ({ close }) => Effect.sync(close)
        )
        const { of } = yield* doctor(yield* directory, { SLACK_API_URL: `http://127.0.0.1:${port.port}/` })
        assert.strictEqual(of("clock")?.result, result)
        assert.match(of("clock")?.says ?? "", off > 0 ? /^\d+ s behind Slack's$/ : /^36\d\d s ahead of Slack's$/)
        assert.strictEqual(of("scopes")?.result, "skipped")
      }).pipe(withSlack))
  }
})

describe("what is on disk", () => {
  it.live("1 for files that others can read, with the commands that mend it", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* seed(cwd, [{ text: "waits" }])
      chmodSync(dataIn(cwd), 0o755)
      chmodSync(join(dataIn(cwd), "slackwater.db"), 0o644)
      mkdirSync(join(dataIn(cwd), "spool"), { mode: 0o700 })
      writeFileSync(join(dataIn(cwd), "spool/file"), "", { mode: 0o600 })
      chmodSync(join(dataIn(cwd), "spool/file"), 0o640)
      const { code, of, wrong } = yield* doctor(cwd)
      assert.deepStrictEqual([code, wrong], [1, ["permissions"]])
      assert.match(
        of("permissions")?.fix ?? "",
        /^chmod 700 \S+\/slackwater-data; chmod 600 \S+slackwater\.db \S+spool\/file$/
      )
    }).pipe(withSlack))

  it.live("1 for a database that is damaged; the shallow look finds it too", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* seed(cwd, Array.from({ length: 200 }, (_, n) => ({ text: `${n} ${"x".repeat(500)}` })))
      execute(cwd, "PRAGMA wal_checkpoint(TRUNCATE)")
      const file = join(dataIn(cwd), "slackwater.db")
      const bytes = readFileSync(file)
      bytes.fill(0xff, bytes.length - 4_096 * 20, bytes.length - 4_096 * 2)
      writeFileSync(file, bytes)
      const { code, of, wrong } = yield* doctor(cwd)
      assert.deepStrictEqual([code, wrong], [1, ["database"]])
      assert.match(of("database")?.fix ?? "", /restore|Backup and restore/)
    }).pipe(withSlack))

  it.live("1 for a newer schema, for data of another workspace, and for what is no database", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* seed(cwd, [{ text: "waits" }])
      execute(cwd, "UPDATE slackwater_schema SET version = version + 1")
      execute(cwd, "INSERT INTO slackwater_workspace VALUES (1, 'T0OTHER')")
      const { code, of, wrong } = yield* doctor(cwd)
      assert.deepStrictEqual([code, wrong], [1, ["schema", "workspace"]])
      assert.match(of("workspace")?.says ?? "", /belong to T0OTHER, and the bot token to T0LOCAL/)
      writeFileSync(join(dataIn(cwd), "slackwater.db"), "no database at all, but long enough to be one".repeat(50))
      assert.deepInclude((yield* doctor(cwd)).wrong, "database")
    }).pipe(withSlack))

  it("room: enough, little, none", () => {
    assert.deepStrictEqual([5e9, 5e8, 5e7].map((free) => roomFinding(free).result), ["ok", "warning", "wrong"])
    assert.match(roomFinding(5e7).fix ?? "", /slackwater prune/)
  })

  it("scopes that nobody named are skipped", () => {
    assert.deepStrictEqual(scopeFindings(undefined).map(({ result }) => result), ["skipped"])
    assert.deepStrictEqual(scopeFindings("chat:write").map(({ result }) => result), ["wrong", "warning"])
  })

  it.live("1 for a port that another program has", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const { code, of, wrong } = yield* doctor(yield* directory, { SLACKWATER_PORT: new URL(slack.url).port })
      assert.deepStrictEqual([code, wrong], [1, ["port"]])
      assert.match(of("port")?.fix ?? "", /SLACKWATER_PORT/)
    }).pipe(withSlack))
})

describe("settings", () => {
  it.live("78 for everything that is wrong at once, and the rest is looked at all the same", () =>
    Effect.gen(function*() {
      const env = {
        SLACK_BOT_TOKEN: "xoxp-5ecret",
        SLACK_APP_TOKEN: undefined,
        SLACKWATER_CONCURRENCY: "0",
        SLACKWATER_DEBOUNCE: "soon"
      }
      const { code, findings, of, wrong } = yield* doctor(yield* directory, env)
      assert.deepStrictEqual([code, wrong.toSorted()], [78, ["app token", "bot token", "settings", "settings"]])
      assert.match(of("bot token")?.says ?? "", /must be set to a token that begins with xoxb-/)
      const says = findings.filter(({ check }) => check === "settings").map((finding) => finding.says)
      assert.match(says.join("\n"), /^SLACKWATER_DEBOUNCE must be.*\nSLACKWATER_CONCURRENCY must be/)
      assert.strictEqual(of("disk")?.result, "ok")
    }).pipe(withSlack))

  it.live("78 where the file of SLACKWATER_CONFIG cannot be read; a warning where others can read it", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      const missing = yield* doctor(cwd, { SLACKWATER_CONFIG: "no.env" })
      assert.deepStrictEqual([missing.code, missing.wrong], [78, ["settings"]])
      const lines = Object.entries(tokens).map(([name, value]) => `${name}=${value}\n`).join("")
      writeFileSync(join(cwd, "my.env"), lines)
      chmodSync(join(cwd, "my.env"), 0o644)
      const env = { SLACKWATER_CONFIG: "my.env", SLACK_APP_TOKEN: undefined, SLACK_BOT_TOKEN: undefined }
      const { code, of } = yield* doctor(cwd, env)
      assert.deepStrictEqual([code, of("settings file")?.fix], [0, "chmod 600 my.env"])
    }).pipe(withSlack))

  it.live("78 for settings that do not go together", () =>
    Effect.gen(function*() {
      const { code, of } = yield* doctor(yield* directory, { SLACKWATER_CATCH_UP_AGE: "8 days" })
      assert.deepStrictEqual([code, of("settings")?.result], [78, "wrong"])
    }).pipe(withSlack))
})
