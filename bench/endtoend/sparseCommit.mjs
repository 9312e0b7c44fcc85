/**
 * The limit of an ack: commits of one row each into a file of its own, WAL and `synchronous=FULL`, one every 20 to 40 ms.
 * Arguments: a directory, and how many. Prints the times in ms as JSON.
 */
import { join } from "node:path"
import process from "node:process"
import { DatabaseSync } from "node:sqlite"
import { setTimeout as sleep } from "node:timers/promises"

const [, , dir = ".", count = "100"] = process.argv
const database = new DatabaseSync(join(dir, "raw.db"))
database.exec("PRAGMA journal_mode = WAL")
database.exec("PRAGMA synchronous = FULL")
database.exec("CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY, key TEXT UNIQUE, body TEXT) STRICT")
const insert = database.prepare("INSERT INTO events (key, body) VALUES (?, ?)")
const body = "x".repeat(600)
const times = []
for (let n = 0; n < Number(count); n++) {
  await sleep(20 + (n * 7) % 21)
  const from = performance.now()
  insert.run(`${Date.now()}.${n}`, body)
  times.push(performance.now() - from)
}
database.close()
process.stdout.write(JSON.stringify(times))
