/**
 * Start and size, beside Bolt (which stores nothing): from the start of a process to its first answer in Slack, and what it
 * weighs when all is silent. LocalSlack runs here, the bots in processes of their own; a message waits for them.
 *
 *     npm run build && npm run bench:start [-- rounds]      (7 unless said otherwise; a minute and a half)
 *
 * Everything in turn, medians. Each bot has a folder of its own; compiled code is kept as each does by itself.
 */
import { spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { fileURLToPath, pathToFileURL } from "node:url"
import { startLocalSlack } from "../src/testing/index.ts"

const rounds = Number(process.argv[2] ?? 7)
const silence = 5_000
const checkout = fileURLToPath(new URL("../", import.meta.url))
const folder = mkdtempSync(join(tmpdir(), "slackwater-start-"))
const slack = await startLocalSlack()

const bolt = join(folder, "bolt.mjs")
writeFileSync(bolt, `
import { App } from ${JSON.stringify(pathToFileURL(join(checkout, "node_modules/@slack/bolt/dist/index.js")).href)}
const clientOptions = { slackApiUrl: process.env.SLACK_API_URL }
const app = new App({
  token: process.env.SLACK_BOT_TOKEN,
  appToken: process.env.SLACK_APP_TOKEN,
  socketMode: true,
  clientOptions,
  installerOptions: { clientOptions }
})
app.message(async ({ message, say }) => { await say("You said: " + message.text) })
await app.start()
`)
const handler = join(folder, "handler.mjs")
writeFileSync(handler, "export default async (turn) => `You said: ${turn.text}`\n")

const ways: Readonly<Record<string, ReadonlyArray<string>>> = {
  "slackwater run, as installed": [join(checkout, "dist/bin.js"), "run", handler],
  "slackwater run, from the checkout": [join(checkout, "src/bin.ts"), "run", handler],
  "Bolt": [bolt]
}

const median = (values: ReadonlyArray<number>) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN
const field = (pid: number, name: string) =>
  Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1])
/** Clock ticks of ten milliseconds, user and system. */
const cpu = (pid: number) =>
  readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ").slice(11, 13).reduce((sum, n) => sum + Number(n), 0) * 10

let answers = 0
const once = async (args: ReadonlyArray<string>) => {
  const cwd = mkdtempSync(join(folder, "run-"))
  await slack.say({ channel: "D0ALICE", user: "U0ALICE", text: "hello" })
  const started = performance.now()
  const child = spawn(process.execPath, args, {
    cwd,
    stdio: process.env["SHOW"] === undefined ? "ignore" : "inherit",
    env: {
      PATH: process.env["PATH"],
      HOME: folder,
      ...(process.env["NODE_COMPILE_CACHE"] === undefined ? {} : { NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"] }),
      SLACK_APP_TOKEN: "xapp-1",
      SLACK_BOT_TOKEN: "xoxb-1",
      SLACK_API_URL: slack.apiUrl,
      SLACKWATER_PORT: "0",
      SLACKWATER_DEBOUNCE: "0 millis"
    }
  })
  const pid = child.pid ?? -1
  await slack.replies("D0ALICE", { count: ++answers, withinMs: 20_000 })
  const answered = performance.now() - started
  const startCpu = cpu(pid)
  await new Promise((resolve) => setTimeout(resolve, silence))
  const idle = { rss: field(pid, "VmRSS") / 1_024, anonymous: field(pid, "RssAnon") / 1_024, cpu: cpu(pid) - startCpu,
    switches: field(pid, "voluntary_ctxt_switches") }
  await new Promise((resolve) => setTimeout(resolve, silence))
  const result = { answered, startCpu, ...idle, wakes: field(pid, "voluntary_ctxt_switches") - idle.switches }
  const ended = new Promise((resolve) => child.once("exit", resolve))
  child.kill("SIGTERM")
  await ended
  return result
}

const results = Object.entries(ways).map(([name, args]) => ({ name, args, runs: [] as Array<Awaited<ReturnType<typeof once>>> }))
for (const { args } of results) await once(args)
for (let round = 0; round < rounds; round++) for (const { args, runs } of results) runs.push(await once(args))
const columns = ["answered", "startCpu", "rss", "anonymous", "cpu", "wakes"] as const
console.log(`| | first answer ms | CPU until then ms | RSS MiB | of it private | CPU in ${silence / 1_000} s after it | wakeups in ${silence / 1_000} s |`)
console.log("|---|---|---|---|---|---|---|")
for (const { name, runs } of results) {
  console.log(`| ${name} | ${columns.map((c) => {
    const all = runs.map((run) => run[c])
    return `${median(all).toFixed(0)} (${Math.min(...all).toFixed(0)}-${Math.max(...all).toFixed(0)})`
  }).join(" | ")} |`)
}
await slack.close()
rmSync(folder, { recursive: true, force: true })
