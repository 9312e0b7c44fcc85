/**
 * A soak: so many events a second for so long, through the gateway as it is published and run, each of them answered, with
 * retention and key horizon of minutes, so that everything that comes also goes. Memory and files are to level off, and
 * times are not to drift.
 *
 *     npm run build && npm run bench:soak -- --minutes 30 --rate 500
 *
 * The events come from a LocalSlack in this process, which keeps a few messages of each conversation and so does not grow.
 * They are spread over many conversations, none of which has two on its way: an answer belongs to one event. When all
 * have, the gateway is too slow for the rate; what could not be sent is counted. Pace is off by its setting: Slack takes
 * 300 posts a minute of one app, and this is about what piles up, not about Slack.
 */
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs"
import { cpus, tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { setTimeout as sleep } from "node:timers/promises"
import { parseArgs } from "node:util"
import { slackwaterOf, start } from "../endtoend/Bot.ts"
import { latency } from "../endtoend/latency.ts"
import type { Life } from "../endtoend/WatchedSlack.ts"
import { watchedSlack } from "../endtoend/WatchedSlack.ts"
import { svg } from "./plot.ts"
import { type Sample, verdict } from "./verdict.ts"

const { values } = parseArgs({
  options: {
    help: { type: "boolean", short: "h" },
    minutes: { type: "string", default: "30" },
    rate: { type: "string", default: "500" },
    keep: { type: "string", default: "5" },
    conversations: { type: "string", default: "2000" },
    every: { type: "string", default: "10" },
    echoes: { type: "boolean", default: false },
    out: { type: "string", default: "bench/results/soak" }
  }
})
if (values.help === true) {
  process.stdout.write(`So many events a second for so long, through a real gateway. Run \`npm run build\` before.

  --minutes 30           how long
  --rate 500             events a second; each is answered
  --keep 5               retention and key horizon, in minutes
  --conversations 2000   over which the events are spread
  --every 10             seconds between samples
  --echoes               Slack tells the bot of each of its answers too: as many events again, which start no turn
  --out bench/results/soak   where <out>.json and <out>.svg go

Stop it with Ctrl-C: what there is so far is written. SLACKWATER_BENCH_DIR names a directory on the disk that is meant.
`)
  process.exit(0)
}

const rate = Number(values.rate)
const everyMs = Number(values.every) * 1_000
const lasts = Number(values.minutes) * 60_000
const conversations = Number(values.conversations)
const say = (text: string) => process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`)
const mib = (bytes: number) => (bytes / 1_048_576).toFixed(0)
const sizeOf = (file: string) => statSync(file, { throwIfNoEntry: false })?.size ?? 0

const dir = mkdtempSync(join(process.env["SLACKWATER_BENCH_DIR"] ?? tmpdir(), "slackwater-soak-"))
process.on("exit", () => rmSync(dir, { recursive: true, force: true }))
const slack = await watchedSlack({ conversations, echoes: values.echoes })
const keep = `${values.keep} minutes`
const gateway = slackwaterOf(join(import.meta.dirname, "../.."), join(import.meta.dirname, "echo.mjs"))
const bot = start(gateway, {
  apiUrl: slack.apiUrl,
  dir,
  nodeArgs: ["--import", join(import.meta.dirname, "inside.mjs")],
  env: {
    SLACKWATER_RETENTION: keep,
    SLACKWATER_KEY_HORIZON: keep,
    // Shorter than the horizon, as it must be.
    SLACKWATER_CATCH_UP_AGE: `${Math.floor(Number(values.keep) * 48)} seconds`
  }
})
let heap = 0
bot.onMessage((message) => {
  if (typeof message === "object" && message !== null && "heapUsed" in message) heap = Number(message.heapUsed)
})
await bot.whileItRuns(slack.connected())
say(`connected; ${rate} events/s for ${values.minutes} minutes, ${keep} kept, in ${dir}`)

const run = { goesOn: true }
process.once("SIGINT", () => {
  run.goesOn = false
})
bot.onEnd(() => {
  if (run.goesOn) say("the gateway has ended by itself")
  run.goesOn = false
})

const free = Array.from({ length: conversations }, (_, n) => n)
let lives: Array<Life> = []
let failed = 0
let notSent = 0
let sent = 0
const one = async (conversation: number) => {
  try {
    lives.push(await slack.ask(conversation))
    // To the end of the line: who was asked last comes last.
    free.push(conversation)
  } catch {
    // An answer that comes later would be taken for that of the next event, so there is no next one.
    failed++
  }
}

const from = performance.now()
const sending = async () => {
  while (run.goesOn && performance.now() - from < lasts) {
    const due = (performance.now() - from) / 1_000 * rate
    while (sent + notSent < due) {
      const conversation = free.shift()
      if (conversation === undefined) notSent++
      else {
        sent++
        void one(conversation)
      }
    }
    await sleep(5)
  }
  run.goesOn = false
}

const both = (p50: number, p99: number) => `${p50.toFixed(1)}/${p99.toFixed(1)} ms`
const line = (sample: Sample) =>
  [
    `${sample.minutes.toFixed(1)} min: ${sample.answers.toFixed(0)} answers/s`,
    ...(sample.notSent > 0 ? [`${sample.notSent.toFixed(0)}/s not sent`] : []),
    `ack ${both(sample.ackP50, sample.ackP99)}`,
    `answer ${both(sample.answerP50, sample.answerP99)}`,
    `RSS ${mib(sample.rss)}, heap ${mib(sample.heap)}, db ${mib(sample.database)}, wal ${mib(sample.wal)} MiB`,
    `${sample.backlog} on their way`,
    `busy ${sample.busy.toFixed(2)}, LocalSlack ${sample.slackBusy.toFixed(2)}`
  ].join("; ")

const samples: Array<Sample> = []
const sampling = async () => {
  let before = { at: performance.now(), cpu: bot.cpu(), slackCpu: slack.cpu(), notSent: 0 }
  while (run.goesOn) {
    await sleep(everyMs)
    if (!run.goesOn) return
    const now = { at: performance.now(), cpu: bot.cpu(), slackCpu: slack.cpu(), notSent }
    const took = now.at - before.at
    const these = lives
    lives = []
    const ack = latency(these.map(({ acked, sent }) => acked - sent))
    const answer = latency(these.map(({ answered, sent }) => answered - sent))
    const sample: Sample = {
      minutes: (now.at - from) / 60_000,
      rss: bot.memory().rss,
      heap,
      database: sizeOf(join(dir, "data", "slackwater.db")),
      wal: sizeOf(join(dir, "data", "slackwater.db-wal")),
      answers: these.length / took * 1_000,
      notSent: (now.notSent - before.notSent) / took * 1_000,
      backlog: conversations - free.length,
      ackP50: ack.p50,
      ackP99: ack.p99,
      answerP50: answer.p50,
      answerP99: answer.p99,
      busy: (now.cpu - before.cpu) / 1_000 / took,
      slackBusy: (now.slackCpu - before.slackCpu) / 1_000 / took,
      slackRss: process.memoryUsage.rss()
    }
    before = now
    samples.push(sample)
    say(line(sample))
  }
}
await Promise.all([sending(), sampling()])
await bot.stop()

const findings = verdict(samples)
for (const { bound, holds, last, middle, ratio, what } of findings) {
  const found = `${middle.toFixed(1)} → ${last.toFixed(1)} (${ratio.toFixed(2)}, up to ${bound})`
  say(`${holds ? "ok" : "GROWS"} ${what}: ${found}`)
}
const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim()
const machine = `${cpus().length} × ${cpus()[0]?.model ?? "?"}, Node ${process.versions.node}`
const date = new Date().toISOString().slice(0, 10)
const of = {
  date,
  commit,
  machine,
  rate,
  minutes: Number(values.minutes),
  keepMinutes: Number(values.keep),
  conversations,
  echoes: values.echoes,
  sent,
  notSent,
  failed,
  repeated: slack.repeated(),
  refused: slack.refused()
}
say(`${sent} sent, ${notSent} not sent, ${failed} without an answer, ${of.repeated} repeated, ${of.refused} refused`)
writeFileSync(`${values.out}.json`, `${JSON.stringify({ ...of, findings, samples }, undefined, 1)}\n`)
const column = (what: keyof Sample, scale = 1) => samples.map((sample) => sample[what] * scale)
const inMib = 1 / 1_048_576
writeFileSync(
  `${values.out}.svg`,
  svg(
    `${rate} events/s, each answered; ${keep} kept. ${date}, ${machine}`,
    column("minutes"),
    [
      {
        title: "Memory of the gateway",
        unit: "MiB",
        series: [{ name: "RSS", values: column("rss", inMib) }, { name: "heap", values: column("heap", inMib) }]
      },
      {
        title: "Files",
        unit: "MiB",
        series: [
          { name: "slackwater.db", values: column("database", inMib) },
          { name: "slackwater.db-wal", values: column("wal", inMib) }
        ]
      },
      {
        title: "Event sent → acked",
        unit: "ms",
        series: [{ name: "p50", values: column("ackP50") }, { name: "p99", values: column("ackP99") }]
      },
      {
        title: "Event sent → answered",
        unit: "ms",
        series: [{ name: "p50", values: column("answerP50") }, { name: "p99", values: column("answerP99") }]
      },
      {
        title: "Answers",
        unit: "a second",
        series: [{ name: "answered", values: column("answers") }, { name: "on their way", values: column("backlog") }]
      }
    ]
  )
)
process.exit(findings.every(({ holds }) => holds) && failed === 0 ? 0 : 1)
