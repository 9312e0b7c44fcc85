#!/usr/bin/env node
/**
 * argv → command line. Installs the signal handlers first of all: until then SIGUSR1 opens Node's inspector, and a
 * signal during the imports would end the process without a word.
 *
 * First SIGTERM or SIGINT: the program is interrupted and ends in order; a hard timer stands behind its own deadline
 * (70). A second one leaves at once (71): what is held then is given back by the next start.
 */
import process from "node:process"

/** The program's own deadline is `SLACKWATER_SHUTDOWN_TIMEOUT`; this much later patience ends (ms). */
const grace = 5_000
const longestDeadline = 600_000

let stopping = false
let ready = false

const deadline = () => {
  const match = /^\s*(\d+(?:\.\d+)?)\s*(milli|second|minute)s?\s*$/.exec(
    process.env["SLACKWATER_SHUTDOWN_TIMEOUT"] ?? ""
  )
  const unit = { milli: 1, second: 1_000, minute: 60_000 }[match?.[2] ?? ""]
  return match === null || unit === undefined ? 25_000 : Math.min(longestDeadline, Number(match[1]) * unit)
}

const onSignal = () => {
  if (stopping) process.exit(71)
  stopping = true
  if (!ready) process.exit(0)
  setTimeout(() => process.exit(70), deadline() + grace).unref()
}
process.on("SIGTERM", onSignal)
process.on("SIGINT", onSignal)
process.on("SIGUSR1", () => {})
process.on("SIGHUP", () => process.kill(process.pid, "SIGTERM"))
// `slackwater dev` holds the other end: when it is gone, whatever the reason, we stop too.
if (process.env["SLACKWATER_PARENT"] !== undefined && process.connected) {
  process.once("disconnect", () => process.kill(process.pid, "SIGTERM"))
}

if (import.meta.url.endsWith(".ts")) await import("./cli/fromSource.ts")
const { main } = await import("./cli/main.ts")
ready = true
main(process.argv.slice(2))
