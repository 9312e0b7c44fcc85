/** `slackwater status`: beside a gateway, beside one that is somewhere else, and without one. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createServer, type IncomingHttpHeaders } from "node:http"
import { LocalSlack } from "../../src/testing/index.ts"
import { freePort } from "../fixtures/ask.ts"
import { answered } from "./answered.ts"
import { awaitReplies, gateway } from "./gateway.ts"
import { dataIn, execute, rowsIn, seed } from "./outboxSeed.ts"
import { contents, directory, echo, eventually, outcome, tokens } from "./process.ts"

const withSlack = Effect.provide(LocalSlack.layer())

const status = (cwd: string, port: number, args: ReadonlyArray<string> = [], env: Record<string, string> = {}) =>
  outcome(["status", ...args], { cwd, env: { SLACKWATER_PORT: String(port), ...env } })

/** A gateway of which we know the port. */
const known = Effect.gen(function*() {
  const port = yield* freePort
  const started = yield* gateway(echo, { SLACKWATER_PORT: String(port) })
  return { ...started, port }
})

/** Something that is no gateway. */
const server = (code: number, body: string) =>
  Effect.acquireRelease(
    Effect.callback<{ port: number; heard: ReadonlyArray<IncomingHttpHeaders>; close: () => unknown }>((resume) => {
      const heard: Array<IncomingHttpHeaders> = []
      const listening = createServer(({ headers }, response) => {
        heard.push(headers)
        response.writeHead(code, { "content-type": "application/json", connection: "close" }).end(body)
      })
      listening.listen(0, "127.0.0.1", () => {
        const address = listening.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        resume(Effect.succeed({ port, heard, close: () => listening.close() }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

describe("beside a gateway", () => {
  it.live("tells what it says about itself, without colours where there is no terminal, and with --json all of it", () =>
    Effect.gen(function*() {
      const started = yield* known
      const { cwd, port, running } = started
      yield* started.say("hello")
      yield* awaitReplies(started, 1)
      const shown = yield* eventually(
        "delivered",
        status(cwd, port),
        ({ stdout }) => /1 delivered/.test(stdout),
        running
      )
      assert.deepStrictEqual([shown.code, shown.stderr], [0, ""])
      assert.match(shown.stdout, new RegExp(`^Gateway +running at http://127\\.0\\.0\\.1:${port}, up for \\d+`, "m"))
      assert.match(shown.stdout, /^Socket +connected for \d+s.*, connection 1, 1 open$/m)
      assert.match(shown.stdout, /^Inbox +0 queued, 0 processing, 1 done/m)
      assert.match(shown.stdout, /^Alarms +none$/m)
      assert.notInclude(shown.stdout, "\u001b")

      const coloured = yield* status(cwd, port, [], { FORCE_COLOR: "1" })
      assert.include(coloured.stdout, "\u001b[32mrunning\u001b[0m")
      const plain = yield* status(cwd, port, [], { FORCE_COLOR: "1", NO_COLOR: "1" })
      assert.notInclude(plain.stdout, "\u001b")

      const { code, stdout } = yield* status(cwd, port, ["--json"])
      assert.strictEqual(code, 0)
      const said = answered("status", stdout)
      assert.deepInclude("answers" in said ? {} : { phase: said.phase, done: said.inbox.done }, {
        phase: "running",
        done: 1
      })
    }).pipe(withSlack))

  it.live("shows alarms, whose text a terminal does not obey", () =>
    Effect.gen(function*() {
      const evil = "a\u001b[31mb\nc"
      const started = yield* known
      const { stdout } = yield* status(started.cwd, started.port, ["--json"])
      const fake = { ...JSON.parse(stdout), alarms: [{ code: "slack-access", since: 0, text: evil }] }
      const other = yield* server(200, JSON.stringify({ ...fake, later: "a field of a later release" }))
      const shown = yield* status(started.cwd, other.port)
      assert.strictEqual(shown.code, 0, shown.stderr)
      assert.match(shown.stdout, /^ {2}slack-access for \d+d.*: a\\u\{1b\}\[31mb c$/m)
      const json = yield* status(started.cwd, other.port, ["--json"])
      assert.strictEqual(JSON.parse(json.stdout).later, "a field of a later release")
    }).pipe(withSlack))
})

describe("where no gateway answers", () => {
  it.live("says so, who was the last one and how it ended, and what waits, and exits with 1", () =>
    Effect.gen(function*() {
      const { cwd, port, running } = yield* known
      yield* running.signal("SIGTERM")
      assert.strictEqual((yield* running.ended).code, 0)
      assert.strictEqual((yield* outcome(["send", "--channel", "D0ALICE", "--text", "later"], { cwd })).code, 0)
      const rows = rowsIn(cwd)
      const shown = yield* status(cwd, port)
      assert.deepStrictEqual([shown.code, shown.stderr], [1, ""])
      assert.match(shown.stdout, /^Gateway +no answer at http:\S+ \(ECONNREFUSED\)$/m)
      assert.match(shown.stdout, /^Owner +nobody/m)
      assert.match(shown.stdout, new RegExp(`^The last one +pid ${running.pid} .* stopped in order \\d+`, "m"))
      assert.match(shown.stdout, /^Outbox +1 queued, .*the oldest queued for \d+/m)

      const stopped = yield* status(cwd, port, ["--json"])
      assert.strictEqual(stopped.code, 1)
      const said = answered("status", stopped.stdout)
      assert.deepInclude("answers" in said ? { ...said, ended: said.last?.ended, waits: said.outbox?.queued } : {}, {
        problem: "ECONNREFUSED",
        owner: null,
        database: null,
        ended: "clean",
        waits: 1
      })
      assert.deepStrictEqual(rowsIn(cwd), rows)

      execute(cwd, "UPDATE slackwater_instances SET stopped_at = NULL")
      assert.match((yield* status(cwd, port)).stdout, /ended without a stop: killed or crashed$/m)
    }).pipe(withSlack))

  it.live("names the gateway that owns the data and listens at another port", () =>
    Effect.gen(function*() {
      const { cwd, running } = yield* known
      const { code, stdout } = yield* status(cwd, yield* freePort)
      assert.strictEqual(code, 1)
      assert.match(stdout, new RegExp(`^Owner +pid ${running.pid}, since .*it runs and does not answer here`, "m"))
      assert.match(stdout, /has not stopped$/m)
    }).pipe(withSlack))

  it.live("makes nothing where there is nothing", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      const { code, stdout } = yield* status(cwd, yield* freePort, ["--json"])
      assert.strictEqual(code, 1)
      const said = answered("status", stdout)
      assert.match("answers" in said ? said.database ?? "" : "", /slackwater\.db is not there; set SLACKWATER_DATA_DIR/)
      assert.deepStrictEqual(contents(cwd), {})
    }))

  it.live("tells what can be told of a database that is newer", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* seed(cwd, [{ text: "waits" }])
      execute(cwd, "UPDATE slackwater_schema SET version = version + 1")
      const { code, stdout } = yield* status(cwd, yield* freePort)
      assert.strictEqual(code, 1)
      assert.match(stdout, /^Database .*written by a newer release/m)
      assert.include(stdout, dataIn(cwd))
    }))
})

describe("where something else answers", () => {
  it.live("sends the admin token, and says that it is wanted or wrong without saying it", () =>
    Effect.gen(function*() {
      const { heard, port } = yield* server(401, "{\"error\":\"no\"}")
      const secret = "5ecret-admin"
      const env = { SLACKWATER_ADMIN_TOKEN: secret, ...tokens }
      const { code, stderr, stdout } = yield* status(yield* directory, port, [], env)
      assert.deepStrictEqual([code, stdout], [1, ""])
      assert.match(stderr, /asks for the admin token \(401\): set SLACKWATER_ADMIN_TOKEN to the gateway's\n$/)
      assert.notInclude(stderr, "5ecret")
      assert.deepStrictEqual(heard.map(({ authorization }) => authorization), [`Bearer ${secret}`])
    }))

  for (const [status_, body] of [[200, "hello"], [200, "{\"phase\":1}"], [404, ""]] as const) {
    it.live(`says that it is no gateway: ${status_} ${body}`, () =>
      Effect.gen(function*() {
        const { port } = yield* server(status_, body)
        const { code, stderr } = yield* status(yield* directory, port)
        assert.strictEqual(code, 1)
        assert.match(stderr, /is answered \(\d+\) by something that is no gateway of this release: see SLACKWATER_HOST/)
      }))
  }
})
