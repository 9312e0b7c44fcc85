/**
 * End to end over real sockets: LocalSlack → echo → LocalSlack, for Slackwater as it is published and run (the built
 * package, SQLite with `synchronous=FULL`) and for Bolt 5, which stores nothing. Loads of 1, 16 and 100 conversations,
 * single events, memory, start. Both are given the same by the same LocalSlack; quiet and pace are off by
 * settings that everybody has (`SLACKWATER_DEBOUNCE`, `SLACKWATER_PACE_INTERVAL`).
 *
 *     npm run build && npm run bench:endtoend [-- --help]
 */
import { execFileSync } from "node:child_process"
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { setTimeout as sleep } from "node:timers/promises"
import { parseArgs } from "node:util"
import { bolt, type Kind, slackwaterOf, start } from "./Bot.ts"
import { type Latency, latency, median } from "./latency.ts"
import { firstAnswer, type Load, load, sparse } from "./measures.ts"
import { watchedSlack } from "./WatchedSlack.ts"

const { values } = parseArgs({
  options: {
    help: { type: "boolean", short: "h" },
    only: { type: "string" },
    concurrency: { type: "string", default: "1,16,100" },
    seconds: { type: "string", default: "10" },
    rounds: { type: "string", default: "3" },
    events: { type: "string", default: "300" },
    starts: { type: "string", default: "7" },
    checkout: { type: "string", default: join(import.meta.dirname, "../..") },
    profile: { type: "string" },
    "no-echoes": { type: "boolean", default: false },
    json: { type: "string" }
  }
})
if (values.help === true) {
  process.stdout.write(`End to end over real sockets, Slackwater beside Bolt 5. Run \`npm run build\` before.

  --only slackwater|bolt   one of them
  --concurrency 1,16,100   conversations at once
  --seconds 10             of each load, after two to warm up
  --rounds 3               of each load and of the single events; the median counts
  --events 300             single events of a round; 0 for none
  --starts 7               starts of each; 0 for none
  --no-echoes              Slack does not tell the bot of what it wrote itself (it does in reality)
  --checkout <directory>   whose dist is measured (this one)
  --profile <directory>    runs each load once, with --cpu-prof, and keeps the profiles there
  --json <file>            the result
`)
  process.exit(0)
}

const say = (text: string) => process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`)
const slackwater = slackwaterOf(values.checkout)
if (!existsSync(slackwater.args[0] ?? "")) {
  say("there is no dist/bin.js: npm run build")
  process.exit(1)
}

const warmUp = 2
const quietSeconds = 5
const conversations = 100
const echoes = !values["no-echoes"]
const kinds = [slackwater, bolt].filter(({ name }) => name.toLowerCase().startsWith(values.only ?? ""))
const concurrencies = values.concurrency.split(",").map(Number)
const seconds = Number(values.seconds)
const rounds = values.profile === undefined ? Number(values.rounds) : 1
const events = values.profile === undefined ? Number(values.events) : 0
const starts = values.profile === undefined ? Number(values.starts) : 0

const base = mkdtempSync(join(process.env["SLACKWATER_BENCH_DIR"] ?? tmpdir(), "slackwater-endtoend-"))
process.on("exit", () => rmSync(base, { recursive: true, force: true }))
const directory = () => mkdtempSync(join(base, "run-"))
const both = ({ p50, p99 }: Latency) => `${p50.toFixed(2)}/${p99.toFixed(2)} ms`
const mib = (bytes: number) => Math.round(bytes / 1_048_576)

interface Running {
  readonly idle: number
  readonly load: Load
}

/** A bot of its own for each load: memory is of this load alone. */
const oneLoad = async (kind: Kind, concurrency: number): Promise<Running> => {
  const slack = await watchedSlack({ conversations, echoes })
  const nodeArgs = values.profile === undefined ? [] : [
    "--cpu-prof",
    `--cpu-prof-dir=${values.profile}`,
    `--cpu-prof-name=${kind.name.replace(/\W/g, "").toLowerCase()}-c${concurrency}.cpuprofile`
  ]
  const bot = start(kind, { apiUrl: slack.apiUrl, dir: directory(), nodeArgs })
  await bot.whileItRuns(slack.connected())
  await sleep(quietSeconds * 1_000)
  const idle = bot.memory().rss
  const measured = await load(slack, bot, { concurrency, seconds, warmUp })
  await bot.stop()
  await slack.close()
  const { ack, answer, answersPerSecond, busy, cpuPerAnswer, refused, repeated, rss, slackBusy } = measured
  say(
    `${kind.name} c=${concurrency}: ${Math.round(answersPerSecond)} answers/s, ` +
      `ack ${both(ack)}, answer ${both(answer)}, ${Math.round(cpuPerAnswer)} µs each, ` +
      `busy ${busy.toFixed(2)}, LocalSlack ${slackBusy.toFixed(2)} (${Math.round(measured.slackCpuPerAnswer)} µs), ` +
      `RSS ${mib(idle)} → ${mib(rss)} MiB` +
      (repeated + refused === 0 ? "" : `, ${repeated} repeated, ${refused} refused`)
  )
  return { idle, load: measured }
}

/** Of each number the median of the rounds. */
const middle = (loads: ReadonlyArray<Load>): Load => {
  const of = (pick: (load: Load) => number) => median(loads.map(pick))
  const latencyOf = (pick: (load: Load) => Load["ack"]) => ({
    p50: of((load) => pick(load).p50),
    p99: of((load) => pick(load).p99),
    p999: of((load) => pick(load).p999)
  })
  return {
    concurrency: of(({ concurrency }) => concurrency),
    answersPerSecond: of(({ answersPerSecond }) => answersPerSecond),
    ack: latencyOf(({ ack }) => ack),
    answer: latencyOf(({ answer }) => answer),
    cpuPerAnswer: of(({ cpuPerAnswer }) => cpuPerAnswer),
    busy: of(({ busy }) => busy),
    slackCpuPerAnswer: of(({ slackCpuPerAnswer }) => slackCpuPerAnswer),
    slackBusy: of(({ slackBusy }) => slackBusy),
    rss: of(({ rss }) => rss),
    repeated: Math.max(...loads.map(({ repeated }) => repeated)),
    refused: Math.max(...loads.map(({ refused }) => refused))
  }
}

const spread = (values: ReadonlyArray<number>) => ({
  median: median(values),
  least: Math.min(...values),
  most: Math.max(...values)
})

const loads = async () => {
  const all = kinds.map(({ name }) => ({ name, idle: new Array<number>(), loads: new Map<number, Array<Load>>() }))
  for (const concurrency of concurrencies) {
    for (let round = 0; round < rounds; round++) {
      for (const [index, kind] of kinds.entries()) {
        const one = await oneLoad(kind, concurrency)
        all[index]?.idle.push(one.idle)
        all[index]?.loads.set(concurrency, [...all[index].loads.get(concurrency) ?? [], one.load])
      }
    }
  }
  return all.map(({ idle, loads, name }) => ({
    name,
    idleRss: spread(idle),
    loads: [...loads.values()].map((of) => ({
      ...middle(of),
      spread: spread(of.map(({ answersPerSecond }) => answersPerSecond))
    }))
  }))
}

/** Single events, and single commits, by turns, since the machine does not stay the same. */
const singles = async () => {
  const rows = new Map<string, { readonly ack: Array<number>; readonly answer: Array<number> }>()
  const note = (name: string, ack: ReadonlyArray<number>, answer: ReadonlyArray<number>) => {
    const row = rows.get(name) ?? { ack: [], answer: [] }
    row.ack.push(...ack)
    row.answer.push(...answer)
    rows.set(name, row)
  }
  const raw = directory()
  for (let round = 0; round < rounds; round++) {
    const script = join(import.meta.dirname, "sparseCommit.mjs")
    const times = execFileSync(process.execPath, [script, raw, String(events)], { encoding: "utf8" })
    note("one raw commit", JSON.parse(times) as Array<number>, [])
    for (const kind of kinds) {
      const slack = await watchedSlack({ conversations, echoes })
      const bot = start(kind, { apiUrl: slack.apiUrl, dir: directory() })
      await bot.whileItRuns(slack.connected())
      await sparse(slack, 50, conversations)
      const { ack, answer } = await sparse(slack, events, conversations)
      note(kind.name, ack, answer)
      await bot.stop()
      await slack.close()
    }
  }
  return [...rows].map(([name, { ack, answer }]) => {
    const row = { name, ack: latency(ack), answer: answer.length === 0 ? undefined : latency(answer) }
    const single = row.answer === undefined ? both(row.ack) : `ack ${both(row.ack)}, answer ${both(row.answer)}`
    say(`single events, ${name}: ${single}`)
    return row
  })
}

/** Each with a directory of its own, that it has seen before but for the first time, which is not counted. */
const startTimes = async () => {
  const rows = kinds.map((kind) => ({ kind, dir: directory(), times: new Array<number>() }))
  for (let n = 0; n <= starts; n++) {
    for (const { dir, kind, times } of rows) times.push(await firstAnswer(kind, dir))
  }
  return rows.map(({ kind: { name }, times: [fresh, ...times] }) => {
    const row = { name, fresh, again: spread(times) }
    say(`${name}: ${row.again.median.toFixed(0)} ms to its first answer (in an empty directory ${fresh?.toFixed(0)})`)
    return row
  })
}

const result = {
  echoes,
  loads: await loads(),
  singles: events === 0 ? [] : await singles(),
  starts: starts === 0 ? [] : await startTimes()
}
const text = JSON.stringify(result, undefined, 2)
if (values.json === undefined) process.stdout.write(`${text}\n`)
else writeFileSync(values.json, `${text}\n`)
process.exit(0)
