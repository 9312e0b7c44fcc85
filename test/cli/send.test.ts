/** `slackwater send` beside a running gateway, and without one. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, mkdirSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { latest } from "../../src/sql/migrations.ts"
import { LocalSlack } from "../../src/testing/index.ts"
import { startHost } from "../fixtures/host.ts"
import { answered } from "./answered.ts"
import { gateway } from "./gateway.ts"
import { directory, echo, eventually, hearsSignals, outcome, slackwater } from "./process.ts"

const withSlack = Effect.provide(LocalSlack.layer())
const toAlice = ["send", "--channel", "D0ALICE"]

/** Runs it to its success. */
const send = Effect.fnUntraced(function*(cwd: string, args: ReadonlyArray<string>, input?: string) {
  const ended = yield* outcome([...toAlice, ...args], { cwd, ...(input === undefined ? {} : { input }) })
  assert.deepStrictEqual([ended.code, ended.signal], [0, null], ended.stderr)
  return ended
})

const rowsIn = (cwd: string) => {
  const db = new DatabaseSync(join(cwd, "slackwater-data", "slackwater.db"), { readOnly: true, timeout: 10_000 })
  try {
    return db.prepare("SELECT * FROM slackwater_outbox ORDER BY id").all()
  } finally {
    db.close()
  }
}

describe("beside a running gateway", () => {
  it.live("a message is sent at once and not at the next sweep; repeated with its key it is not sent again", () =>
    Effect.gen(function*() {
      const { cwd, replies, running } = yield* gateway(echo)
      const sentAt = Date.now()
      yield* send(cwd, ["--text", "one", "--key", "k"])
      // Far below the minute of the sweep, and far above what a busy machine needs.
      yield* eventually("the message", replies, (texts) => texts.length > 0, running)
      assert.isBelow(Date.now() - sentAt, 30_000)
      const { stderr, stdout } = yield* send(cwd, ["--text", "one", "--key", "k"])
      assert.strictEqual(stdout, "1\n")
      assert.match(stderr, /^slackwater: the key "k" was used before: row 1 \(delivered\); nothing new was made\n$/)
      yield* send(cwd, ["--text", "two"])
      assert.deepStrictEqual(
        yield* eventually("the next one", replies, (texts) => texts.length > 1, running),
        ["one", "two"]
      )
    }).pipe(withSlack))

  it.live("twenty at the same time are all sent, once", () =>
    Effect.gen(function*() {
      const { cwd, replies, running } = yield* gateway(echo, { SLACKWATER_PACE_INTERVAL: "0 millis" })
      const texts = Array.from({ length: 20 }, (_, index) => `message ${index}`)
      yield* Effect.forEach(texts, (text) => send(cwd, ["--text", text]), { concurrency: 4 })
      const sent = yield* eventually("all of them", replies, (found) => found.length >= texts.length, running)
      assert.deepStrictEqual(sent.toSorted(), texts.toSorted())
    }).pipe(withSlack))
})

describe("without a gateway", () => {
  it.live("a message waits on disk and is sent when one starts", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      const { stdout } = yield* send(cwd, ["--json"], "from standard input\n")
      assert.deepStrictEqual(answered("send", stdout), { id: 1, state: "queued" })
      assert.strictEqual(statSync(join(cwd, "slackwater-data")).mode & 0o777, 0o700)
      assert.strictEqual(statSync(join(cwd, "slackwater-data", "slackwater.db")).mode & 0o777, 0o600)
      const { replies, running } = yield* gateway(echo, {}, cwd)
      assert.deepStrictEqual(
        yield* eventually("the message", replies, (texts) => texts.length > 0, running),
        ["from standard input"]
      )
    }).pipe(withSlack))

  it.live("where it makes the database it says so, on stderr; the next one says nothing", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      const made = /^slackwater: there was no database in .*slackwater-data, so one was made; .+ SLACKWATER_DATA_DIR$/m
      assert.match((yield* send(cwd, ["--text", "one"])).stderr, made)
      assert.strictEqual((yield* send(cwd, ["--text", "two"])).stderr, "")
    }))

  it.live("thread, blocks and moment are kept with it; a longer text under a used key adds nothing", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      const blocks = [{ type: "section", text: { type: "mrkdwn", text: "*hi*" } }]
      writeFileSync(join(cwd, "blocks.json"), JSON.stringify({ blocks }))
      const moment = "2099-01-01T09:00:00+01:00"
      const thread = "1700000000.000100"
      yield* send(cwd, ["--blocks", "blocks.json", "--thread", thread, "--not-before", moment, "--key", "k"])
      yield* send(cwd, ["--text", "x".repeat(9_000), "--key", "k"])
      const [row, ...others] = rowsIn(cwd)
      assert.deepStrictEqual(others, [])
      assert.deepInclude(row, {
        key: "host:key:k",
        lane: `D0ALICE/${thread}`,
        channel: "D0ALICE",
        thread_ts: thread,
        due_at: Date.UTC(2099, 0, 1, 8),
        lives_from: Date.UTC(2099, 0, 1, 8)
      })
      assert.deepStrictEqual(JSON.parse(String(row?.["dispatch"])), { _tag: "Post", text: "", blocks })
    }))

  it.live.skipIf(process.platform !== "linux")(
    "cut off before its text was read it fails, and nothing is on disk",
    () =>
      Effect.gen(function*() {
        const cwd = yield* directory
        const running = yield* slackwater([...toAlice, "--key", "run"], { cwd })
        yield* running.type("half of it")
        yield* eventually("it hears signals", hearsSignals(running.pid), (hears) => hears)
        yield* running.signal("SIGTERM")
        assert.deepStrictEqual(yield* running.ended, { code: 1, signal: null })
        assert.isFalse(existsSync(join(cwd, "slackwater-data")))
      })
  )
})

it.live("a database that its owner must bring up to date is left alone (74)", () =>
  Effect.gen(function*() {
    const { cwd, running } = yield* gateway(echo)
    const db = new DatabaseSync(join(cwd, "slackwater-data", "slackwater.db"), { timeout: 5_000 })
    db.exec("UPDATE slackwater_schema SET version = 0")
    const { code, stderr } = yield* outcome([...toAlice, "--text", "x"], { cwd })
    assert.strictEqual(code, 74)
    assert.match(
      stderr,
      /^slackwater: .*slackwater\.db is not at this release's schema yet \(0, not \d+\); a gateway owns/
    )
    assert.include(stderr, `(0, not ${latest})`)
    assert.include(stderr, `pid ${running.pid}`)
    db.exec("UPDATE slackwater_schema SET version = 1000")
    const newer = yield* outcome([...toAlice, "--text", "x"], { cwd })
    assert.strictEqual(newer.code, 74)
    assert.match(newer.stderr, /newer release/)
    db.exec(`UPDATE slackwater_schema SET version = ${latest}`)
    db.close()
  }).pipe(withSlack))

it.live("where a gateway keeps its rows in its host's database nothing is made (74)", () =>
  Effect.gen(function*() {
    const cwd = yield* directory
    const data = join(cwd, "slackwater-data")
    mkdirSync(data)
    yield* startHost({ directory: data })
    const { code, stderr } = yield* outcome([...toAlice, "--text", "x"], { cwd })
    assert.strictEqual(code, 74, stderr)
    assert.match(stderr, /^slackwater: .*slackwater\.db is not there, and a gateway owns the directory \(pid /)
    assert.match(stderr, /host's database, so let the host enqueue them\n$/)
    assert.isFalse(existsSync(join(data, "slackwater.db")))
  }).pipe(withSlack))
