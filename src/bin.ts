#!/usr/bin/env node
/**
 * argv → command line. Installs the signal handlers first of all: until then SIGUSR1 opens Node's inspector, and a
 * signal during the imports would end the process without a word.
 *
 * First SIGTERM or SIGINT: the program is interrupted and ends in order; a hard timer stands behind its own deadline
 * (70). A second one leaves at once (71): what is held then is given back by the next start. So does what nobody
 * caught (70): the next start counts it against the turns that ran.
 */
import process from "node:process"
import { interruptedCode, patience } from "./cli/patience.ts"

/** The program's own deadline is `SLACKWATER_SHUTDOWN_TIMEOUT`; this much later patience ends (ms). */
const grace = 5_000
const longestTimer = 2 ** 31 - 1
/** Under npm a Ctrl-C can reach us twice: from the terminal, and from npm, which passes it on. That is one (ms). */
const sameCtrlC = 300
const underNpm = process.env["npm_lifecycle_event"] !== undefined

let stoppingSince: number | undefined
let letGo = false
let ready = false

const onSignal = (signal: NodeJS.Signals) => {
  const now = performance.now()
  if (stoppingSince !== undefined) {
    if (letGo || (underNpm && signal === "SIGINT" && now - stoppingSince < sameCtrlC)) return
    process.exit(71)
  }
  stoppingSince = now
  if (!ready) process.exit(interruptedCode(process.argv.slice(2)))
  setTimeout(() => process.exit(70), Math.min(longestTimer, patience.ms + grace)).unref()
}
process.on("SIGTERM", onSignal)
process.on("SIGINT", onSignal)
process.on("SIGUSR1", () => {})
process.on("SIGHUP", () => process.kill(process.pid, "SIGTERM"))
process.on("uncaughtException", (error: unknown) => {
  process.stderr.write(`slackwater: nobody caught this: ${error instanceof Error ? error.stack : String(error)}\n`)
  process.exit(70)
})
// `slackwater dev` holds the other end. It lets go of it to stop us, or because it is gone; then it is the one who kills
// us if we are too slow, and no signal is a second one: everybody in a terminal or a service may have got the same.
if (process.env["SLACKWATER_PARENT"] !== undefined) {
  delete process.env["SLACKWATER_PARENT"]
  if (!process.connected) process.exit(0)
  process.once("disconnect", () => {
    letGo = true
    process.kill(process.pid, "SIGTERM")
  })
}

if (import.meta.url.endsWith(".ts")) await import("./cli/fromSource.ts")
const { main } = await import("./cli/main.ts")
ready = true
main(process.argv.slice(2))
