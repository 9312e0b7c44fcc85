/**
 * What is done to a gateway from inside its own process, so that nothing in the gateway has to know of it. Loaded with
 * `--import` before the gateway's first module; the gateway is the real one.
 *
 * A trap is a named point in the way of a message. The process sends itself the signal exactly there, between two
 * statements of its database, and says so before it does. `TEST_TRAP` sets one: the point, the signal, and how many
 * times it may be passed first. `TEST_SWEEP` is the time in ms after which finished rows are deleted, instead of minutes
 * and hours. Whoever started the process may send it orders later (`Order`).
 */
import { writeSync } from "node:fs"
import process from "node:process"
import { DatabaseSync, StatementSync } from "node:sqlite"
import { atPoint, type Order, type Trap, traps } from "../traps.ts"

const trap = process.env["TEST_TRAP"] === undefined ? undefined : JSON.parse(process.env["TEST_TRAP"]) as Trap
const watch = trap === undefined ? undefined : traps[trap.point]
let passes = trap?.pass ?? 0
let follows = watch?.following === undefined

const spring = () => {
  if (trap === undefined || passes-- !== 0) return
  writeSync(2, atPoint(trap.point))
  process.kill(process.pid, trap.signal)
}

let gateways: DatabaseSync | undefined
DatabaseSync.prototype.prepare = new Proxy(DatabaseSync.prototype.prepare, {
  apply: (prepare, database: DatabaseSync, values) => {
    // The first that is open; the other one can only read.
    if (gateways?.isOpen !== true && database.location()?.endsWith("slackwater.db") === true) gateways = database
    return Reflect.apply(prepare, database, values)
  }
})

const watched = <A>(statement: StatementSync, run: () => A): A => {
  const sql = statement.sourceSQL.trim()
  if (watch?.before?.test(sql)) spring()
  const result = run()
  if (watch?.following !== undefined) {
    if (watch.following.test(sql)) follows = true
    else if (/^(?:BEGIN|ROLLBACK)\b(?! TO)/.test(sql)) follows = false
  }
  const isEmpty = Array.isArray(result) && result.length === 0
  if (follows && watch?.after?.test(sql) && !(isEmpty && watch.withRows === true)) spring()
  return result
}
StatementSync.prototype.all = new Proxy(StatementSync.prototype.all, {
  apply: (all, statement: StatementSync, values) => watched(statement, () => Reflect.apply(all, statement, values))
})
StatementSync.prototype.run = new Proxy(StatementSync.prototype.run, {
  apply: (run, statement: StatementSync, values) => watched(statement, () => Reflect.apply(run, statement, values))
})

const sweepMs = process.env["TEST_SWEEP"]
const sweeps: ReadonlyArray<unknown> = [5 * 60_000, 60 * 60_000]
if (sweepMs !== undefined) {
  globalThis.setTimeout = new Proxy(globalThis.setTimeout, {
    apply: (setTimeout, self, [run, ms, ...values]) =>
      Reflect.apply(setTimeout, self, [run, sweeps.includes(ms) ? Number(sweepMs) : ms, ...values])
  })
}

const { now } = Date
let ahead = 0
Date.now = () => now() + ahead

process.on("message", ({ clockMs, sql }: Order) => {
  if (clockMs !== undefined) ahead += clockMs
  if (sql !== undefined) gateways?.exec(sql)
  process.send?.("done")
})
process.channel?.unref()
