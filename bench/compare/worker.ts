/**
 * One row in one round: a process of its own, so that nobody inherits a warm compiler, a full heap or another's
 * servers. Answers what it measured to its parent.
 */
import process from "node:process"
import type { Ask, Measure } from "./Measured.ts"
import { rows } from "./rows.ts"

const [, , given = "{}"] = process.argv
const ask = JSON.parse(given) as Ask
const row = rows.find(({ id }) => id === ask.row)
if (row === undefined) throw new Error(`no row is called ${ask.row}`)
const { measure } = (await import(row.module)) as { readonly measure: Measure }
const measured = await measure(ask, row)
process.send?.(measured)
// Peers leave timers and connections behind.
process.disconnect()
process.exit(0)
