/** One bot over real sockets as a row of the table (`../compare`): all loads, single events, memory, start. */
import { mkdtempSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { at, type Measure } from "../compare/Measured.ts"
import { bolt, slackwater, start } from "./Bot.ts"
import { latency, median } from "./latency.ts"
import { firstAnswer, load, sparse } from "./measures.ts"
import { watchedSlack } from "./WatchedSlack.ts"

const warmUp = 2
const quietSeconds = 3
const conversations = 100
const events = 100
const starts = 3

const version = (file: string) => (JSON.parse(readFileSync(file, "utf8")) as { readonly version: string }).version
const root = join(import.meta.dirname, "../..")

export const measure: Measure = async ({ concurrencies, directory, seconds }, { variant = {} }) => {
  const isBolt = variant["bot"] === "bolt"
  const kind = isBolt ? bolt : slackwater
  const echoes = variant["echoes"] !== false
  const dir = () => mkdtempSync(join(directory, "run-"))
  const values: Record<string, number> = {}
  const notes: Array<string> = []
  const rss: Array<number> = []
  for (const concurrency of concurrencies) {
    const slack = await watchedSlack({ conversations, echoes })
    const bot = start(kind, { apiUrl: slack.apiUrl, dir: dir() })
    await bot.whileItRuns(slack.connected())
    await sleep(quietSeconds * 1_000)
    rss.push(bot.memory().rss)
    if (concurrency === 1) {
      await sparse(slack, 20, conversations)
      const single = await sparse(slack, events, conversations)
      const ack = latency(single.ack)
      const answer = latency(single.answer)
      Object.assign(values, { sparseAckP50: ack.p50, sparseAckP99: ack.p99 })
      Object.assign(values, { sparseAnswerP50: answer.p50, sparseAnswerP99: answer.p99 })
    }
    const measured = await load(slack, bot, { concurrency, seconds: Math.max(2, seconds * 4), warmUp })
    await bot.stop()
    await slack.close()
    values[at("answers", concurrency)] = measured.answersPerSecond
    values[at("ackP50", concurrency)] = measured.ack.p50
    values[at("ackP99", concurrency)] = measured.ack.p99
    values[at("ackP999", concurrency)] = measured.ack.p999
    values[at("answerP50", concurrency)] = measured.answer.p50
    values[at("answerP99", concurrency)] = measured.answer.p99
    values[at("answerP999", concurrency)] = measured.answer.p999
    values["rssBusy"] = Math.max(values["rssBusy"] ?? 0, measured.rss / 1e6)
    if (measured.slackBusy > 0.9) {
      notes.push(`at ${concurrency} LocalSlack took ${measured.slackBusy.toFixed(2)} of a processor: it was the limit`)
    }
    if (measured.repeated + measured.refused > 0) {
      notes.push(`at ${concurrency}, ${measured.repeated} events were sent again, ${measured.refused} calls refused`)
    }
  }
  values["rssIdle"] = median(rss) / 1e6
  const again = dir()
  const times: Array<number> = []
  for (let n = 0; n <= starts; n++) times.push(await firstAnswer(kind, again))
  // The first one made the database.
  values["start"] = median(times.slice(1))
  return {
    durability: isBolt ? "nothing is stored" : "synchronous=FULL",
    values,
    notes,
    versions: isBolt ? { bolt: version(join(root, "node_modules/@slack/bolt/package.json")) } : {}
  }
}
