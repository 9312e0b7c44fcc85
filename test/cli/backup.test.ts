/** `slackwater backup`: taken beside a gateway and without one, restored, and what it refuses. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as Beside from "../../src/sql/Beside.ts"
import { LocalSlack } from "../../src/testing/index.ts"
import { past } from "../fixtures/past.ts"
import { answered } from "./answered.ts"
import { awaitReplies, gateway } from "./gateway.ts"
import { dataIn, execute, rowsIn, seed } from "./outboxSeed.ts"
import { contents, directory, echo, eventually, fixture, outcome, slackwater, tokens } from "./process.ts"

const withSlack = Effect.provide(LocalSlack.layer())

const backup = Effect.fnUntraced(function*(cwd: string, ...args: ReadonlyArray<string>) {
  const { code, stderr, stdout } = yield* outcome(["backup", ...args, "--json"], { cwd })
  assert.deepStrictEqual([code, stderr], [0, ""])
  return answered("backup", stdout)
})

const modeOf = (path: string) => statSync(path).mode & 0o777

const refused = ["auth.test", "chat.postMessage", "files.getUploadURLExternal"]
  .map((method) => ({ method, code: "token_revoked" }))

/** What the bot posted: texts, and what its files say. */
const posted = Effect.gen(function*() {
  const slack = yield* LocalSlack
  const messages = (yield* slack.messages("D0ALICE")).filter(({ bot_id }) => bot_id !== undefined)
  return yield* Effect.forEach(messages, ({ files, text }) => {
    const id = files?.[0]?.id
    return id === undefined
      ? Effect.succeed(text)
      : Effect.promise(() => fetch(`${slack.url}/_local/files/${id}`).then((answer) => answer.text()))
  })
})

describe("beside a gateway", () => {
  it.live("holds what waits, files too; a gateway on the restored copy sends it, and knows what was said before", () =>
    Effect.gen(function*() {
      const started = yield* gateway(fixture("uploads"))
      const { cwd, running, slack } = started
      yield* started.say("before")
      yield* eventually("the first file", posted, (said) => said.length === 1, running)
      yield* slack.faults({ error: refused })
      yield* started.say("meanwhile")
      assert.strictEqual((yield* outcome(["send", "--channel", "D0ALICE", "--text", "queued"], { cwd })).code, 0)
      const spool = join(dataIn(cwd), "spool")
      yield* eventually(
        "a file waits",
        Effect.sync(() => rowsIn(cwd).length === 3 && readdirSync(spool).length === 1),
        (waits) => waits,
        running
      )
      // Nobody needs it.
      writeFileSync(join(spool, "stray.copy"), "stray")

      const target = yield* directory
      const made = yield* backup(cwd, join(target, "daily.db"))
      assert.deepInclude(made, { file: join(target, "daily.db"), replies: 3, missing: 0 })
      assert.deepInclude(made.spool, { directory: join(target, "daily.db.spool"), files: 1 })
      assert.deepStrictEqual(readdirSync(target).toSorted(), ["daily.db", "daily.db.spool"])
      assert.deepStrictEqual([modeOf(made.file), modeOf(`${made.file}.spool`)], [0o600, 0o700])
      const [name = ""] = readdirSync(`${made.file}.spool`)
      assert.strictEqual(modeOf(join(`${made.file}.spool`, name)), 0o600)
      assert.notInclude(readFileSync(made.file, "latin1"), "5ecret")

      // The machine is gone.
      yield* running.signal("SIGKILL")
      yield* running.ended
      rmSync(dataIn(cwd), { recursive: true })
      const restored = yield* directory
      mkdirSync(dataIn(restored), { mode: 0o700 })
      cpSync(made.file, join(dataIn(restored), "slackwater.db"))
      cpSync(`${made.file}.spool`, join(dataIn(restored), "spool"), { recursive: true })
      yield* slack.faults({ error: null })
      const again = yield* gateway(fixture("uploads"), {}, restored)
      yield* again.say("after")
      const all = ["the file for before", "the file for meanwhile", "queued", "the file for after"]
      const said = yield* eventually("all of it", posted, ({ length }) => length >= 4, again.running)
      assert.sameMembers([...said], all)
      yield* eventually("all delivered", again.status, (status) => status?.outbox.delivered === 4, again.running)
      assert.strictEqual((yield* posted).length, 4)
      assert.isBelow(said.indexOf("the file for meanwhile"), said.indexOf("the file for after"))
    }).pipe(withSlack))

  it.live("leaves the gateway alone, which answers meanwhile and raises no alarm", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* past(30_000).pipe(Effect.provide(Beside.layer(dataIn(cwd)), { local: true }))
      const started = yield* gateway(echo, { SLACKWATER_PACE_INTERVAL: "0 millis" }, cwd)
      const target = join(yield* directory, "busy.db")
      const taking = yield* slackwater(["backup", target, "--json"], { cwd })
      for (let n = 0; n < 20; n++) yield* started.say(`${n}`)
      assert.deepStrictEqual(yield* taking.ended, { code: 0, signal: null }, taking.output)
      assert.isAtLeast(answered("backup", taking.stdout).messages, 30_000)
      yield* started.say("last")
      yield* eventually(
        "the last answer",
        awaitReplies(started, 1),
        (replies) => (replies.at(-1) ?? "").includes("last"),
        started.running
      )
      assert.deepStrictEqual((yield* started.status)?.alarms, [])
      const db = new DatabaseSync(target, { readOnly: true })
      assert.deepStrictEqual({ ...db.prepare("PRAGMA integrity_check").get() }, { integrity_check: "ok" })
      db.close()
    }).pipe(withSlack))
})

describe("without a gateway", () => {
  const names = (folder: string) => readdirSync(folder).toSorted()

  it.live("refuses to overwrite, and replaces with --force what is there with what belongs to it", () =>
    Effect.gen(function*() {
      const [cwd, target] = [yield* directory, yield* directory]
      yield* seed(cwd, [{ text: "one" }])
      const before = rowsIn(cwd)
      const file = join(target, "b.db")
      assert.strictEqual((yield* backup(cwd, file)).replies, 1)
      mkdirSync(`${file}.spool`)
      writeFileSync(join(`${file}.spool`, "old"), "old")
      const kept = contents(target)
      const { code, stderr } = yield* outcome(["backup", file], { cwd })
      assert.strictEqual(code, 1)
      assert.match(
        stderr,
        /^slackwater: the backup was not made: .*b\.db: it is there already; take another name, or --force/
      )
      assert.deepStrictEqual(contents(target), kept)
      yield* seed(cwd, [{ text: "two" }, { text: "three" }])
      const forced = yield* outcome(["backup", file, "--force"], { cwd })
      assert.match(forced.stdout, /b\.db: .*B, 0 messages and \d+ replies\n$/)
      assert.deepStrictEqual(names(target), ["b.db"])
      assert.isAtLeast(rowsIn(cwd).length, before.length)
    }))

  it.live("never writes into the data directory, whatever --force says", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* seed(cwd, [{ text: "one" }])
      const before = contents(cwd)
      for (const file of ["slackwater-data/slackwater.db", "slackwater-data/b.db"]) {
        const { code, stderr } = yield* outcome(["backup", file, "--force"], { cwd })
        assert.strictEqual(code, 64)
        assert.match(stderr, /is in the data directory itself/)
      }
      assert.deepStrictEqual(Object.keys(contents(cwd)), Object.keys(before))
      assert.strictEqual(rowsIn(cwd).length, 1)
    }))

  it.live("74 where there is no database; 1 where there is no folder, or none that can be written; nothing is left", () =>
    Effect.gen(function*() {
      const [cwd, target] = [yield* directory, yield* directory]
      assert.strictEqual((yield* outcome(["backup", join(target, "b.db")], { cwd })).code, 74)
      yield* seed(cwd, [{ text: "one" }])
      const { code, stderr } = yield* outcome(["backup", join(target, "no/b.db")], { cwd })
      assert.strictEqual(code, 1)
      assert.match(stderr, /there is no such folder/)
      assert.deepStrictEqual(contents(target), {})
    }))

  it.live("a damaged database is no backup, and nothing is left of it", () =>
    Effect.gen(function*() {
      const [cwd, target] = [yield* directory, yield* directory]
      yield* past(3_000).pipe(Effect.provide(Beside.layer(dataIn(cwd)), { local: true }))
      execute(cwd, "PRAGMA wal_checkpoint(TRUNCATE)")
      const file = join(dataIn(cwd), "slackwater.db")
      const bytes = readFileSync(file)
      bytes.fill(0xff, 4_096 * 40, 4_096 * 60)
      writeFileSync(file, bytes)
      const { code, stderr } = yield* outcome(["backup", join(target, "b.db")], { cwd })
      assert.strictEqual(code, 1)
      assert.match(stderr, /^slackwater: the backup was not made: .*\n$/)
      assert.deepStrictEqual(readdirSync(target), [])
    }))

  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    it.live(`${signal} in the middle leaves nothing under its name`, () =>
      Effect.gen(function*() {
        const [cwd, target] = [yield* directory, yield* directory]
        yield* past(60_000).pipe(Effect.provide(Beside.layer(dataIn(cwd)), { local: true }))
        const running = yield* slackwater(["backup", join(target, "b.db")], { cwd })
        while (readdirSync(target).length === 0 && !running.hasEnded) yield* Effect.sleep("1 millis")
        yield* running.signal(signal)
        const { code } = yield* running.ended
        // It may have been done already; then it is whole.
        if (existsSync(join(target, "b.db"))) {
          const db = new DatabaseSync(join(target, "b.db"), { readOnly: true })
          assert.strictEqual(db.prepare("PRAGMA quick_check").get()?.["quick_check"], "ok")
          db.close()
        } else if (signal === "SIGTERM") assert.deepStrictEqual([code, readdirSync(target)], [1, []])
        rmSync(target, { recursive: true })
        mkdirSync(target)
        assert.strictEqual((yield* backup(cwd, join(target, "b.db"))).messages, 60_000)
      }))
  }
})

it.live("holds no token, and is a database that every command opens", () =>
  Effect.gen(function*() {
    const [cwd, target] = [yield* directory, yield* directory]
    yield* seed(cwd, [{ text: "one" }])
    const { code } = yield* outcome(["backup", join(target, "b.db")], { cwd, env: tokens })
    assert.strictEqual(code, 0)
    assert.notInclude(readFileSync(join(target, "b.db"), "latin1"), "5ecret")
    mkdirSync(join(target, "slackwater-data"))
    renameSync(join(target, "b.db"), join(target, "slackwater-data/slackwater.db"))
    const { stdout } = yield* outcome(["outbox", "list"], { cwd: target })
    assert.match(stdout, /^1 +queued .* one$/m)
  }))
