/**
 * Starts that are cut off, repeated, refused: what is in the data directory afterwards, and who may have it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { cpSync, existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { LocalSlack } from "slackwater/testing"
import { latest } from "../../src/sql/migrations.ts"
import { temporaryDirectory, withSlack } from "../fixtures/gateway.ts"
import {
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
  const database = new DatabaseSync(databaseOf(dataDir))
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
      const other = new DatabaseSync(databaseOf(dataDir))
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
      const database = new DatabaseSync(databaseOf(dataDir))
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
