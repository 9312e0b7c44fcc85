#!/usr/bin/env node
/**
 * argv → command line. Installs the signal handlers first of all: until then SIGUSR1 opens Node's inspector, and a
 * signal during the imports would end the process without a word. On a Node that is too old it says so and ends (78);
 * what is imported here must load there too, and everything else is imported behind that.
 *
 * SIGUSR1, and SIGHUP without a controlling terminal, ask `run` to reload. With one, and for other commands, SIGHUP says
 * that somebody has left, and stops.
 * First SIGTERM or SIGINT: the program is interrupted and ends in order; a hard timer stands behind its own deadline
 * (70). A second one leaves at once (71): what is held then is given back by the next start.
 * An error that nobody caught fails the turn that it came from. One that is no turn's ends `run` in order (70), and counts
 * against the turns that still ran at the end of it; other commands it ends at once.
 */
import { closeSync, openSync } from "node:fs"
import process from "node:process"
import { bundled, bundleFor } from "./cli/bundled.ts"
import { nodeProblem } from "./cli/nodeVersion.ts"
import { hide } from "./cli/secrets.ts"
import { canReload, interruptedCode, patience, reloading, uncaught } from "./cli/signals.ts"
import { contain } from "./cli/strayErrors.ts"

/** The program's own deadline is `SLACKWATER_SHUTDOWN_TIMEOUT`; this much later patience ends (ms). */
const grace = 5_000
/** Errors that are printed while the end is under way. */
const mostErrors = 20
const longestTimer = 2 ** 31 - 1
/** Under npm a Ctrl-C can reach us twice: from the terminal, and from npm, which passes it on. That is one (ms). */
const sameCtrlC = 300
const underNpm = process.env["npm_lifecycle_event"] !== undefined

const tooOld = nodeProblem(process.versions.node, process.execPath)
if (tooOld !== undefined) {
  process.stderr.write(`slackwater: ${tooOld}\n`)
  process.exit(78)
}

const args = process.argv.slice(2)

let stoppingSince: number | undefined
let letGo = false
let ready = false
let errors = 0

/** Asked at the start: when the signal comes a terminal may be gone. */
const hasTerminal = () => {
  try {
    closeSync(openSync("/dev/tty", "r"))
    return true
  } catch {
    return false
  }
}
const reloads = canReload(args) && !hasTerminal()

const endWithin = () => {
  patience.since = stoppingSince
  setTimeout(() => process.exit(70), Math.min(longestTimer, patience.ms + grace)).unref()
}

const onSignal = (signal: NodeJS.Signals) => {
  const now = performance.now()
  if (stoppingSince !== undefined) {
    if (letGo || (underNpm && signal === "SIGINT" && now - stoppingSince < sameCtrlC)) return
    process.exit(71)
  }
  stoppingSince = now
  if (!ready) process.exit(interruptedCode(args))
  endWithin()
}
process.on("SIGTERM", onSignal)
process.on("SIGINT", onSignal)
process.on("SIGUSR1", reloading.request)
process.on("SIGHUP", () => reloads ? reloading.request() : process.kill(process.pid, "SIGTERM"))

const onUncaught = (error: unknown) => {
  if (contain(error) || ++errors > mostErrors) return
  const text = error instanceof Error ? error.stack ?? error.message : String(error)
  process.stderr.write(`slackwater: nobody caught this: ${hide(text)}\n`)
  // The end is under way and has its bound: another error, often the same, is no reason to cut it short.
  if (stoppingSince !== undefined) return
  if (!uncaught.listener(error)) process.exit(70)
  stoppingSince = performance.now()
  endWithin()
}
process.on("uncaughtException", onUncaught)
process.on("unhandledRejection", onUncaught)

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

// A gateway loads nothing that only other commands need, and a healthcheck, asked every few seconds, hardly anything.
const modules = {
  healthcheck: () => import("./cli/healthcheck.ts"),
  run: () => import("./cli/run.ts"),
  main: () => import("./cli/main.ts")
}
const [first = ""] = args
const isAlone = (first === "healthcheck" || first === "run") && !args.some((arg) => arg.startsWith("--completions"))
const name = isAlone ? first : "main"
if (name !== "healthcheck" && import.meta.url.endsWith(".ts")) await import("./cli/fromSource.ts")
bundled.handOver = () => {
  bundled.isUsed = false
  // Until the modules are there nothing has begun, and nobody would hear a signal.
  ready = false
  if (stoppingSince !== undefined) process.exit(interruptedCode(args))
  void modules[name]().then(({ main }) => {
    ready = true
    main(args)
  })
}
const bundle = bundleFor(name, args)
const { main }: { readonly main: (args: ReadonlyArray<string>) => void } =
  await (bundle === undefined ? modules[name]() : import(bundle))
ready = true
main(args)
