/** `slackwater import`: a legacy file queue taken over by real processes, also ones that are killed. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { emptyCounts } from "../../src/cli/importReport.ts"
import { LocalSlack } from "../../src/testing/index.ts"
import { random } from "../crash/harness.ts"
import { startHost } from "../fixtures/host.ts"
import { answered } from "./answered.ts"
import { gateway } from "./gateway.ts"
import { contents, directory, echo, eventually, outcome, slackwater } from "./process.ts"

const withSlack = Effect.provide(LocalSlack.layer())
const hour = 3_600_000

type Entry = Readonly<Record<string, unknown>>
const entry = (id: string, given: Entry = {}): Entry => ({
  id,
  enqueuedAt: Date.now() - hour,
  channel: "slack",
  to: "D0ALICE",
  payloads: [{ text: id }],
  retryCount: 0,
  ...given
})

/** Writes files below a directory. */
const write = (root: string, files: Readonly<Record<string, unknown>>) => {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), typeof content === "string" ? content : JSON.stringify(content))
  }
}

const rowsIn = (cwd: string) => {
  const db = new DatabaseSync(join(cwd, "slackwater-data", "slackwater.db"), { readOnly: true, timeout: 5_000 })
  try {
    return db.prepare("SELECT * FROM slackwater_outbox ORDER BY id").all()
  } finally {
    db.close()
  }
}

/** Looks again and again for so long (ms), and lets nothing else run. */
const seenWithin = (ms: number, isThere: () => boolean): boolean => {
  const until = performance.now() + ms
  while (performance.now() < until) if (isThere()) return true
  return false
}

/** One of each kind; answers what a report must say. */
const oneOfEach = (root: string) => {
  write(root, {
    "delivery-queue/queued.json": entry("queued", { retryCount: 2 }),
    "delivery-queue/sent.json": entry("sent"),
    "delivery-queue/sent.delivered": "",
    "delivery-queue/perhaps.json": entry("perhaps", { recoveryState: "send_attempt_started" }),
    "delivery-queue/old.json": entry("old", { enqueuedAt: Date.now() - 48 * hour }),
    "delivery-queue/timeless.json": entry("timeless", { enqueuedAt: null }),
    "delivery-queue/progress.json": entry("progress", { dispatchKind: "tool" }),
    "delivery-queue/failed/inside.json": entry("inside", { lastError: "not_in_channel" }),
    "failed/beside.json": entry("beside", { lastError: "is_archived" }),
    "delivery-queue/other.json": entry("other", { channel: "telegram" }),
    "delivery-queue/media.json": entry("media", { payloads: [{ mediaUrl: "file:///a.png" }] }),
    "delivery-queue/broken.json": "{",
    "delivery-queue/large.json": "{",
    "elsewhere.json": entry("linked")
  })
  truncateSync(join(root, "delivery-queue/large.json"), 10 * 1024 * 1024 + 1)
  symlinkSync(join(root, "elsewhere.json"), join(root, "delivery-queue/linked.json"))
  return {
    counts: { queued: 1, delivered: 1, unknown: 1, expired: 2, interim: 1, failed: 2, known: 0, stayed: 5 },
    stayed: ["broken", "large", "linked", "media", "other"].map((name) => `delivery-queue/${name}.json`)
  }
}

const report = Effect.fnUntraced(function*(cwd: string, args: ReadonlyArray<string>) {
  const { code, stderr, stdout } = yield* outcome(["import", ...args, "--json"], { cwd })
  assert.notMatch(stderr, /slackwater:|^\s+at /m)
  return { code, report: answered("import", stdout) }
})

describe("a queue without a gateway", () => {
  it.live("is reported in JSON that a terminal does not obey, whatever its files are called", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      const name = "\u009b31m\u202e.json"
      write(cwd, { [`delivery-queue/${name}`]: "{" })
      const { stdout } = yield* outcome(["import", ".", "--json", "--dry-run"], { cwd })
      assert.notMatch(stdout.trim(), /\p{C}/u)
      const found = answered("import", stdout)
      assert.deepStrictEqual(found.stayed.map(({ file }) => file), [`delivery-queue/${name}`])
    }))

  it.live("is taken over entry by entry; what stays is named with its reason, and what is malformed fails (1)", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      const expected = oneOfEach(cwd)
      const { code, report: found } = yield* report(cwd, ["."])
      assert.strictEqual(code, 1)
      assert.deepStrictEqual(found.counts, expected.counts)
      assert.deepStrictEqual(found.stayed.map(({ file }) => file), expected.stayed)
      assert.deepStrictEqual(found.stayed.map(({ malformed }) => malformed), [true, true, false, false, false])
      assert.deepStrictEqual(
        readdirSync(join(cwd, "delivery-queue")),
        ["broken.json", "failed", "large.json", "linked.json", "media.json", "other.json"]
      )
      const states = Object.fromEntries(
        rowsIn(cwd).map((
          row
        ) => [String(row["key"]).split(":")[1], [row["state"], row["attempts"], row["error_class"]]])
      )
      assert.deepStrictEqual(states, {
        queued: ["queued", 2, null],
        sent: ["delivered", 0, null],
        perhaps: ["unknown", 0, "Ambiguous"],
        old: ["expired", 0, "Expired"],
        timeless: ["expired", 0, "NoTime"],
        progress: ["failed_terminal", 0, "Interim"],
        inside: ["failed_terminal", 0, "Imported"],
        beside: ["failed_terminal", 0, "Imported"]
      })
    }))

  it.live("once the malformed are gone the rest is rightly left (0), and nothing is taken over twice", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      oneOfEach(cwd)
      yield* report(cwd, ["delivery-queue"])
      for (const name of ["broken", "large"]) rmSync(join(cwd, "delivery-queue", `${name}.json`))
      // As if it had been killed after the commit.
      write(cwd, { "delivery-queue/queued.json": entry("queued") })
      const { code, report: again } = yield* report(cwd, ["delivery-queue"])
      assert.strictEqual(code, 0)
      assert.deepInclude(again.counts, { known: 1, queued: 0, stayed: 3 })
      assert.isFalse(existsSync(join(cwd, "delivery-queue/queued.json")))
      assert.strictEqual(rowsIn(cwd).length, 8)
    }))

  it.live("a dry run prints the same report and changes nothing", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      oneOfEach(cwd)
      const before = contents(cwd)
      const dry = yield* report(cwd, [".", "--dry-run"])
      assert.deepStrictEqual(contents(cwd), before)
      const done = yield* report(cwd, ["."])
      assert.deepStrictEqual({ ...done, report: { ...done.report, dryRun: true } }, dry)
      write(cwd, { "delivery-queue/queued.json": entry("queued"), "delivery-queue/more.json": entry("more") })
      const next = yield* report(cwd, [".", "--dry-run"])
      assert.deepInclude(next.report.counts, { known: 1, queued: 1 })
      assert.isTrue(existsSync(join(cwd, "delivery-queue/queued.json")))
      assert.strictEqual(rowsIn(cwd).length, 8)
    }))

  it.live("a dry run says what is done with one id in both folders, without entries, and with an empty file", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      write(cwd, {
        "delivery-queue/twice.json": entry("twice"),
        "failed/twice.json": entry("twice"),
        "slackwater-data/slackwater.db": ""
      })
      const before = contents(cwd)
      const dry = yield* report(cwd, [".", "--dry-run"])
      assert.deepStrictEqual(contents(cwd), before)
      assert.deepInclude(dry.report.counts, { queued: 1, known: 1 })
      const done = yield* report(cwd, ["."])
      assert.deepStrictEqual({ ...done, report: { ...done.report, dryRun: true } }, dry)
      const db = new DatabaseSync(join(cwd, "slackwater-data", "slackwater.db"), { timeout: 10_000 })
      db.exec("UPDATE slackwater_schema SET version = 4711")
      db.close()
      // There is nothing to take over, so nobody minds the database of a newer release.
      const nothing = yield* report(cwd, [".", "--dry-run"])
      assert.deepStrictEqual(nothing.report.counts, { ...emptyCounts(), stayed: 0 })
    }))

  it.live("a dry run fails as the import does: an unusable directory, rows in a host's database, a newer release", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      write(cwd, { "delivery-queue/a.json": entry("a"), "file": "" })
      const both = Effect.fnUntraced(function*(env: Readonly<Record<string, string>>) {
        // Names only: whoever opens and closes the host's lock takes it away.
        const databases = () =>
          readdirSync(cwd, { recursive: true }).map(String).filter((path) => path.includes("slackwater.db"))
        const before = databases()
        const dry = yield* outcome(["import", ".", "--dry-run"], { cwd, env })
        assert.deepStrictEqual(databases(), before)
        const real = yield* outcome(["import", "."], { cwd, env })
        assert.deepStrictEqual([dry.code, real.code], [74, 74])
        assert.isTrue(existsSync(join(cwd, "delivery-queue/a.json")))
        return dry.stderr + real.stderr
      })
      assert.match(yield* both({ SLACKWATER_DATA_DIR: "file/data" }), /cannot use[^]*cannot use/)
      mkdirSync(join(cwd, "host"))
      yield* startHost({ directory: join(cwd, "host") })
      assert.match(
        yield* both({ SLACKWATER_DATA_DIR: "host" }),
        /let the host enqueue them[^]*let the host enqueue them/
      )
      yield* outcome(["send", "--channel", "D0ALICE", "--text", "x"], { cwd })
      const db = new DatabaseSync(join(cwd, "slackwater-data", "slackwater.db"), { timeout: 10_000 })
      db.exec("UPDATE slackwater_schema SET version = 4711")
      db.close()
      assert.match(yield* both({}), /newer release[^]*newer release/)
    }).pipe(withSlack))

  it.live("entries of another account stay until that is named", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      write(cwd, {
        "delivery-queue/a.json": entry("a", { accountId: "work" }),
        "delivery-queue/b.json": entry("b", { accountId: "default" }),
        "delivery-queue/c.json": entry("c")
      })
      const first = yield* report(cwd, ["."])
      assert.deepInclude(first, { code: 0 })
      assert.deepInclude(first.report.counts, { queued: 2, stayed: 1 })
      assert.match(first.report.stayed[0]?.reason ?? "", /--account "work"/)
      assert.deepStrictEqual(readdirSync(join(cwd, "delivery-queue")), ["a.json"])
      const named = yield* report(cwd, [".", "--account", "work"])
      assert.deepInclude(named.report.counts, { queued: 1, stayed: 0 })
      assert.lengthOf(rowsIn(cwd), 3)
    }))

  it.live("the report for people is a table; nothing of a hostile file reaches the terminal", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      write(cwd, {
        "delivery-queue/a.json": entry("a"),
        "delivery-queue/b.json": entry("b", { channel: "\u001b[2Jtelegram" })
      })
      const { code, stderr, stdout } = yield* outcome(["import", "."], { cwd })
      assert.strictEqual(code, 0)
      assert.match(stdout, /^queued {10}1 {3}sent in their order/m)
      assert.match(stdout, /^stayed {10}1 {3}are where they were/m)
      assert.match(stdout, /^ {2}delivery-queue\/b\.json: it is for \\u\{1b\}\[2Jtelegram$/m)
      assert.notInclude(stderr, "taking over", "progress is for terminals")
    }))

  it.live("a time to live of one's own counts, and \"off\"", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      write(cwd, { "delivery-queue/old.json": entry("old", { enqueuedAt: Date.now() - 48 * hour }) })
      const env = { SLACKWATER_OUTBOX_TTL: "off" }
      const { stdout } = yield* outcome(["import", ".", "--dry-run", "--json"], { cwd, env })
      const off = answered("import", stdout)
      assert.strictEqual(off.counts.queued, 1)
      assert.strictEqual((yield* report(cwd, [".", "--dry-run"])).report.counts["expired"], 1)
    }))
})

it.live("beside a running gateway it is sent at once and in order; what may have been sent is held, with an alarm", () =>
  Effect.gen(function*() {
    const { cwd, replies, running, slack, status } = yield* gateway(echo, { SLACKWATER_PACE_INTERVAL: "0 millis" })
    const threadId = yield* slack.say({ channel: "D0ALICE", user: "U0ALICE", text: "root" })
    yield* eventually("the echo", replies, (texts) => texts.length > 0, running)
    const times = Date.now() - hour
    write(cwd, {
      "delivery-queue/a.json": entry("a", { enqueuedAt: times + 2, threadId }),
      "delivery-queue/b.json": entry("b", { enqueuedAt: times + 1, replyToId: threadId }),
      "delivery-queue/held.json": entry("held", { recoveryState: "unknown_after_send" })
    })
    assert.strictEqual((yield* report(cwd, ["."])).code, 0)
    const sent = yield* eventually("both", replies, (texts) => texts.length >= 3, running)
    assert.deepStrictEqual(sent.slice(1), ["b", "a"])
    const inThread = (yield* slack.messages("D0ALICE")).filter((message) => message.thread_ts === threadId)
    assert.deepStrictEqual(inThread.filter(({ bot_id }) => bot_id !== undefined).map(({ text }) => text), ["b", "a"])
    const { alarms = [], outbox } = (yield* eventually(
      "the alarm",
      status,
      (now) => now?.alarms.some(({ code }) => code === "reply-unknown") === true,
      running
    )) ?? {}
    assert.match(alarms.find(({ code }) => code === "reply-unknown")?.text ?? "", /^1 replies may have arrived/)
    assert.strictEqual(outbox?.unknown, 1)
    const looks = (yield* slack.journal).filter((line) =>
      line._tag === "ApiCall" && line.method.startsWith("conversations.")
    )
    assert.deepStrictEqual(looks, [], "nobody looks for what carries no key of ours")
  }).pipe(withSlack))

it.live("kill -9 at random moments loses and doubles nothing of 200 entries and more, and keeps their order", () =>
  Effect.gen(function*() {
    const dice = random(Number(process.env["CRASH_SEED"] ?? 1))
    const cwd = yield* directory
    const queue = join(cwd, "delivery-queue")
    const slack = yield* LocalSlack
    const places: Array<{ readonly to: string; readonly threadId?: string }> = [{ to: "D0ALICE" }, { to: "user:U0BOB" }]
    for (const name of ["one", "two", "three"]) {
      const threadId = yield* slack.say({ channel: "C0GENERAL", user: "U0ALICE", text: name })
      places.push({ to: "channel:C0GENERAL", threadId })
    }
    const times = Date.now() - hour
    const names: Array<string> = []
    const texts: Array<string> = []
    /** 200 more, with names that say nothing about their order, and some texts of several parts. */
    const fill = () => {
      const from = names.length
      for (const name of dice.shuffle(Array.from({ length: 200 }, (_, index) => `e${from + index}`))) {
        const at = names.push(name) - 1
        const text = `${at}:${at % 9 === 0 ? name.padEnd(9_000, "x") : name}`
        texts.push(text)
        const place = places[at % places.length]
        write(queue, { [`${name}.json`]: entry(name, { ...place, enqueuedAt: times + at, payloads: [{ text }] }) })
      }
    }

    fill()
    const left = () => readdirSync(queue).length
    const committed = () => {
      if (!existsSync(join(cwd, "slackwater-data", "slackwater.db"))) return 0
      try {
        return rowsIn(cwd).filter((row) => String(row["key"]).endsWith(":0")).length
      } catch {
        return 0
      }
    }
    const kills = { start: 0, committed: 0, deleted: 0 }
    // A quick machine may be through with all of them before it is killed once: then there are 200 more.
    while (kills.committed + kills.deleted < 5 || left() > 0) {
      if (left() === 0) fill()
      const before = left()
      const importer = yield* slackwater(["import", "."], { cwd })
      const moment = dice.pick(["start", "committed", "deleted", "deleted"] as const)
      const some = dice.below(16)
      const isThere = () => moment === "committed" ? committed() > names.length - left() : left() < before - some
      if (moment === "start") yield* Effect.sleep(dice.below(600))
      // What is waited for is over in milliseconds, so most of the time is spent looking.
      else while (!importer.hasEnded && !seenWithin(3, isThere)) yield* Effect.sleep("0 millis")
      yield* importer.signal("SIGKILL")
      const { signal } = yield* importer.ended
      if (signal === "SIGKILL") kills[moment] += 1
    }
    process.stderr.write(`import: ${names.length} entries, killed ${JSON.stringify(kills)}\n`)

    const rows = rowsIn(cwd)
    assert.deepStrictEqual(new Set(rows.map((row) => row["state"])), new Set(["queued"]))
    const stored = new Map<string, string>()
    for (const row of rows) {
      const id = String(row["key"]).split(":")[1] ?? ""
      const dispatch: { readonly text: string } = JSON.parse(String(row["dispatch"]))
      stored.set(id, (stored.get(id) ?? "") + dispatch.text)
    }
    assert.deepStrictEqual(
      [...stored],
      names.map((name, at) => [name, texts[at] ?? ""] satisfies [string, string])
    )

    const { running } = yield* gateway(echo, { SLACKWATER_PACE_INTERVAL: "0 millis" }, cwd)
    const posted = Effect.map(
      Effect.forEach(["D0ALICE", "D0BOB", "C0GENERAL"], slack.messages),
      (channels) => channels.flat().filter(({ bot_id }) => bot_id !== undefined).map(({ text }) => text)
    )
    const all = yield* eventually("everything is posted", posted, (found) => found.length >= rows.length, running)
    assert.strictEqual(all.length, rows.length)
    for (const [index] of places.entries()) {
      const wanted = texts.filter((_, at) => at % places.length === index)
      const lane = wanted.map((text) => text.slice(0, text.indexOf(":")))
      const found = all.filter((text) => /^\d+:/.test(text)).map((text) => text.slice(0, text.indexOf(":")))
      assert.deepStrictEqual(found.filter((at) => lane.includes(at)), lane)
    }
  }).pipe(withSlack))
