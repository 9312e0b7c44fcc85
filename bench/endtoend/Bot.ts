/**
 * A bot as people run it, as a process of its own: `slackwater run` of the built package, and Bolt 5.
 *
 * What it takes is read from `/proc`, so Linux only. What it logs goes to a file in its directory.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { closeSync, openSync, readFileSync } from "node:fs"
import { join } from "node:path"
import process from "node:process"

const here = import.meta.dirname

export interface Kind {
  readonly name: string
  readonly args: ReadonlyArray<string>
}

/** Of the checkout at `root`; with a handler of its own. */
export const slackwaterOf = (root: string, handler = join(here, "echo.mjs")): Kind => ({
  name: "Slackwater",
  args: [join(root, "dist/bin.js"), "run", handler]
})
export const slackwater = slackwaterOf(join(here, "../.."))
export const bolt: Kind = { name: "Bolt 5", args: [join(here, "boltEcho.mjs")] }

export interface Bot {
  readonly pid: number
  /** `performance.now()` just before the process was made. */
  readonly startedAt: number
  /** Microseconds of processor time so far. */
  readonly cpu: () => number
  /** Bytes that are resident, now and at most. */
  readonly memory: () => { readonly rss: number; readonly peak: number }
  /** What the process sends to its parent. */
  readonly onMessage: (listener: (message: unknown) => void) => void
  readonly onEnd: (listener: () => void) => void
  /** Fails when it ends first, with the end of its log. */
  readonly whileItRuns: <A>(wait: Promise<A>) => Promise<A>
  readonly stop: () => Promise<void>
}

/** The kernel counts in hundredths of a second. */
const tick = 10_000

const cpuOf = (pid: number) => {
  // The name, in parentheses, may hold anything.
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /s, "").split(" ")
  return (Number(fields[11]) + Number(fields[12])) * tick
}

const memoryOf = (pid: number) => {
  const status = readFileSync(`/proc/${pid}/status`, "utf8")
  const bytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0) * 1024
  return { rss: bytes("VmRSS"), peak: bytes("VmHWM") }
}

export interface Given {
  readonly apiUrl: string
  /** Its data and its log. */
  readonly dir: string
  /** For node, before the program: a profile, for example. */
  readonly nodeArgs?: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
}

export const start = (kind: Kind, { apiUrl, dir, env = {}, nodeArgs = [] }: Given): Bot => {
  const log = openSync(join(dir, "bot.log"), "a")
  const startedAt = performance.now()
  const child: ChildProcess = spawn(process.execPath, [...nodeArgs, ...kind.args], {
    cwd: dir,
    stdio: ["ignore", log, log, "ipc"],
    env: {
      PATH: process.env["PATH"] ?? "",
      HOME: dir,
      SLACK_APP_TOKEN: "xapp-1-bench",
      SLACK_BOT_TOKEN: "xoxb-bench",
      SLACK_API_URL: apiUrl,
      SLACKWATER_DATA_DIR: join(dir, "data"),
      SLACKWATER_PORT: "0",
      // Bolt waits for nobody and knows no limit of Slack's.
      SLACKWATER_DEBOUNCE: "0 millis",
      SLACKWATER_PACE_INTERVAL: "0 millis",
      SLACKWATER_CONCURRENCY: "100",
      ...env
    }
  })
  closeSync(log)
  const pid = child.pid ?? 0
  const gone = once(child, "exit")
  return {
    pid,
    startedAt,
    cpu: () => cpuOf(pid),
    memory: () => memoryOf(pid),
    onMessage: (listener) => {
      child.on("message", listener)
    },
    onEnd: (listener) => {
      child.on("exit", listener)
    },
    whileItRuns: (wait) =>
      Promise.race([
        wait,
        gone.then(() => {
          throw new Error(`${kind.name} has ended: ${readFileSync(join(dir, "bot.log"), "utf8").slice(-500)}`)
        })
      ]),
    stop: async () => {
      child.kill("SIGTERM")
      await gone
    }
  }
}
