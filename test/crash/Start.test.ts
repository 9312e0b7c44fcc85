/**
 * Starts that are cut off, repeated, refused: what is in the data directory afterwards, and who may have it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { LocalSlack } from "slackwater/testing"
import { latest } from "../../src/sql/migrations.ts"
import { temporaryDirectory, withSlack } from "../fixtures/gateway.ts"
import {
  type Child,
  connected,
  connectGateway,
  count,
  databaseOf,
  ending,
  program,
  random,
  start,
  startGateway,
  stop,
  until
} from "./harness.ts"

const seed = Number(process.env["CRASH_SEED"] ?? 1)

/** Reads a file that nobody runs on, and mends it first if need be. */
const read = (dataDir: string, sql: string) => {
  const database = new DatabaseSync(databaseOf(dataDir), { timeout: 10_000 })
  try {
    return database.prepare(sql).all()
  } finally {
    database.close()
  }
}
const schemaOf = (dataDir: string) => read(dataDir, "SELECT type, name, sql FROM sqlite_schema ORDER BY name")
const versionOf = (dataDir: string) =>
  read(dataDir, "SELECT 1 FROM sqlite_schema WHERE name = 'slackwater_schema'").length === 0
    ? 0
    : read(dataDir, "SELECT version FROM slackwater_schema")[0]?.["version"]

describe("a migration", () => {
  it.live("that is killed leaves the schema complete or absent, and the next start brings it to the end", () =>
    Effect.gen(function*() {
      const dice = random(seed)
      const directory = yield* temporaryDirectory
      const copies = yield* temporaryDirectory
      const numbers = () => readdirSync(directory).map(Number).toSorted((a, b) => a - b)
      const found = { complete: 0, absent: 0 }
      for (let kill = 0; kill < 25; kill++) {
        yield* Effect.scoped(Effect.gen(function*() {
          const migrator = yield* start([program("migrate"), directory])
          // The first database it opens is the one that was cut off before.
          yield* until("a database was opened", () => migrator.stdout() !== "" || !migrator.isAlive(), migrator)
          assert.isTrue(migrator.isAlive(), migrator.stderr())
          yield* Effect.sleep(dice.below(60))
          migrator.signal("SIGKILL")
          yield* ending(migrator)
        }))
        // Looked at in a copy, since reading the file would mend it before the next start does.
        const copy = join(copies, String(kill))
        cpSync(join(directory, String(numbers().at(-1))), copy, { recursive: true })
        if (!existsSync(databaseOf(copy))) continue
        const version = versionOf(copy)
        assert.strictEqual(schemaOf(copy).length > 0, version === latest)
        found[version === latest ? "complete" : "absent"] += 1
      }
      const complete = schemaOf(join(directory, "1"))
      const all = numbers()
      for (const number of all.slice(0, -1)) {
        assert.deepStrictEqual(schemaOf(join(directory, String(number))), complete, `database ${number}`)
      }
      process.stderr.write(
        `killed migrations, seed ${seed}: 25 kills, ${all.length} databases, the last one ${found.absent} times ` +
          `without a schema and ${found.complete} times with all of it\n`
      )
      assert.isAtLeast(found.absent, 1)
    }))

  it.live("waits for another program that holds the file for a moment", () =>
    Effect.gen(function*() {
      const dataDir = yield* temporaryDirectory
      const other = new DatabaseSync(databaseOf(dataDir), { timeout: 10_000 })
      yield* Effect.addFinalizer(() => Effect.sync(() => other.close()))
      other.exec("PRAGMA journal_mode = WAL")
      other.exec("BEGIN IMMEDIATE")
      const gateway = yield* startGateway(dataDir)
      yield* until("it opens its files", () => existsSync(join(dataDir, "owner.lock")), gateway)
      // The time for which the file is held, from when it is wanted.
      yield* Effect.sleep("700 millis")
      other.exec("ROLLBACK")
      yield* connected(gateway)
      assert.strictEqual((yield* stop(gateway)).code, 0)
    }).pipe(withSlack))

  it.live("is not run when there is nothing to migrate", () =>
    Effect.gen(function*() {
      const dataDir = yield* temporaryDirectory
      assert.strictEqual((yield* stop(yield* connectGateway(dataDir))).code, 0)
      const before = count(dataDir, "PRAGMA schema_version")
      assert.isAbove(before, 0)
      assert.strictEqual((yield* stop(yield* connectGateway(dataDir))).code, 0)
      assert.strictEqual(count(dataDir, "PRAGMA schema_version"), before)
    }).pipe(withSlack))
})

describe("a database of a newer release", () => {
  it.live("is refused with 74 and one line, and nothing in it is changed", () =>
    Effect.gen(function*() {
      const dataDir = yield* temporaryDirectory
      assert.strictEqual((yield* stop(yield* connectGateway(dataDir))).code, 0)
      const database = new DatabaseSync(databaseOf(dataDir), { timeout: 10_000 })
      // As in a backup that was put back.
      database.exec("PRAGMA journal_mode = DELETE")
      database.exec("UPDATE slackwater_schema SET version = 99")
      database.close()
      const before = readFileSync(databaseOf(dataDir))
      const refused = yield* startGateway(dataDir)
      assert.strictEqual((yield* ending(refused)).code, 74)
      assert.match(refused.stderr(), /^slackwater: [^\n]*newer release[^\n]*\n$/)
      assert.isTrue(readFileSync(databaseOf(dataDir)).equals(before), "the file was changed")
      assert.notInclude(readdirSync(dataDir), "slackwater.db-wal")
    }).pipe(withSlack))
})

describe("the data directory", () => {
  it.live("is refused to a second gateway with 73 and the owner's pid", () =>
    Effect.gen(function*() {
      const dataDir = yield* temporaryDirectory
      const owner = yield* connectGateway(dataDir)
      const second = yield* startGateway(dataDir)
      assert.strictEqual((yield* ending(second)).code, 73)
      assert.match(second.stderr(), new RegExp(`^slackwater: [^\\n]*pid ${owner.pid}\\b[^\\n]*\\n$`))
      assert.isTrue(owner.isAlive())
      assert.strictEqual((yield* stop(owner)).code, 0)
    }).pipe(withSlack))

  it.live("goes to exactly one of several that start at the same moment, and the others name it", () =>
    Effect.gen(function*() {
      const rounds = Array.from({ length: 25 }, (_, n) => n + 1)
      const directory = yield* temporaryDirectory
      for (const round of rounds) mkdirSync(join(directory, String(round)))
      // Enough time for three processes to be up.
      const begin = String(Date.now() + 3_000)
      const rivals = yield* Effect.forEach(
        [1, 2, 3],
        () => start([program("own"), directory, begin, String(rounds.length)])
      )
      const linesOf = (child: Child) => child.stdout().split("\n").filter((line) => line !== "")
      yield* until("all have said how it went", () => rivals.every((child) => linesOf(child).length === rounds.length))
      assert.isTrue(rivals.every((child) => child.isAlive()), "who has won keeps it")
      for (const round of rounds) {
        const winners = rivals.filter((child) => linesOf(child).includes(`won ${round}`))
        assert.lengthOf(winners, 1, `round ${round}: ${rivals.map((child) => child.stdout()).join("\n")}`)
        const refusals = rivals.flatMap((child) => linesOf(child).filter((line) => line.startsWith(`lost ${round} `)))
        for (const line of refusals) assert.include(line, `pid ${winners[0]?.pid},`)
      }
    }))

  it.live("goes to one of two gateways that start together; the other ends with 73 and names it", () =>
    Effect.gen(function*() {
      const dataDir = yield* temporaryDirectory
      const both = [yield* startGateway(dataDir), yield* startGateway(dataDir)]
      yield* until("one has ended", () => both.some((gateway) => !gateway.isAlive()))
      const loser = both.find((gateway) => !gateway.isAlive())
      const winner = both.find((gateway) => gateway !== loser)
      if (loser === undefined || winner === undefined) return assert.fail("nobody has ended")
      assert.strictEqual((yield* ending(loser)).code, 73)
      assert.match(loser.stderr(), new RegExp(`^slackwater: [^\\n]*pid ${winner.pid}\\b[^\\n]*\\n$`))
      yield* connected(winner)
      assert.strictEqual((yield* stop(winner)).code, 0)
    }).pipe(withSlack))

  it.live("of another workspace is refused with 78 and a sentence, and what waits in it is not sent", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dataDir = yield* temporaryDirectory
      const first = yield* connectGateway(dataDir)
      yield* slack.faults({ rateLimit: { method: "chat.postMessage", retryAfterSeconds: 60 } })
      yield* slack.say({ channel: "D0ALICE", user: "U0ALICE", text: "m1" })
      const waiting = "SELECT count(*) FROM slackwater_outbox WHERE state = 'failed_retryable'"
      yield* until("a reply waits", () => count(dataDir, waiting) > 0, first)
      first.signal("SIGKILL")
      yield* ending(first)
      yield* slack.clearFaults
      const database = new DatabaseSync(databaseOf(dataDir), { timeout: 10_000 })
      database.exec("UPDATE slackwater_workspace SET team = 'T0OTHER'")
      const refused = yield* startGateway(dataDir)
      assert.strictEqual((yield* ending(refused)).code, 78)
      const sentence = new RegExp(`^slackwater: the data in ${dataDir} belong to workspace T0OTHER.*T0LOCAL`, "m")
      assert.match(refused.stderr(), sentence)
      assert.isEmpty((yield* slack.journal).filter((entry) => entry._tag === "MessagePosted" && entry.by === "U0BOT"))
      database.exec("UPDATE slackwater_workspace SET team = 'T0LOCAL'")
      database.close()
      const next = yield* connectGateway(dataDir)
      yield* slack.awaitJournal((entry) => entry._tag === "MessagePosted" && entry.by === "U0BOT")
      assert.strictEqual((yield* stop(next)).code, 0)
    }).pipe(withSlack))

  it.live("whose database cannot be used leaves nothing behind that keeps a later start from it", () =>
    Effect.gen(function*() {
      const dataDir = yield* temporaryDirectory
      writeFileSync(databaseOf(dataDir), "SQLite format 3\0" + "not a database after all".repeat(1_000))
      const refused = yield* startGateway(dataDir)
      assert.strictEqual((yield* ending(refused)).code, 74, refused.stderr())
      assert.include(readdirSync(dataDir), "owner.lock")
      rmSync(databaseOf(dataDir))
      assert.strictEqual((yield* stop(yield* connectGateway(dataDir))).code, 0)
    }).pipe(withSlack))

  it.live("that was copied while its owner works, lock and all, has no owner", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dataDir = yield* temporaryDirectory
      const copy = join(yield* temporaryDirectory, "copy")
      const owner = yield* connectGateway(dataDir)
      yield* Effect.sync(() => cpSync(dataDir, copy, { recursive: true }))
      assert.include(readdirSync(copy), "owner.lock")
      const other = yield* connectGateway(copy)
      assert.strictEqual((yield* stop(owner)).code, 0)
      yield* slack.say({ channel: "D0ALICE", user: "U0ALICE", text: "m1" })
      yield* slack.awaitJournal((entry) => entry._tag === "MessagePosted" && entry.by === "U0BOT")
      assert.strictEqual((yield* stop(other)).code, 0)
    }).pipe(withSlack))

  it.live("is free at once when its owner is killed", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dataDir = yield* temporaryDirectory
      const owner = yield* connectGateway(dataDir)
      owner.signal("SIGKILL")
      yield* ending(owner)
      const next = yield* connectGateway(dataDir)
      yield* slack.say({ channel: "D0ALICE", user: "U0ALICE", text: "m1" })
      yield* slack.awaitJournal((entry) => entry._tag === "MessagePosted" && entry.by === "U0BOT")
      assert.strictEqual((yield* stop(next)).code, 0)
    }).pipe(withSlack))
})
