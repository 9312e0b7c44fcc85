/**
 * What is measured of one bot that talks to a LocalSlack: a full load of so many conversations at once, single events on an
 * otherwise idle system, and its start.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { type Bot, type Kind, start } from "./Bot.ts"
import { type Latency, latency } from "./latency.ts"
import { type Life, type WatchedSlack, watchedSlack } from "./WatchedSlack.ts"

export interface Load {
  readonly concurrency: number
  readonly answersPerSecond: number
  readonly ack: Latency
  readonly answer: Latency
  /** Microseconds of processor time per answer, and the share of one processor that was busy. */
  readonly cpuPerAnswer: number
  readonly busy: number
  /** The same of LocalSlack: near 1 it is the one who was measured. */
  readonly slackCpuPerAnswer: number
  readonly slackBusy: number
  /** The most that was seen, in bytes. */
  readonly rss: number
  /** Events that had to be sent again, and calls that were refused: 0, or the row means something else. */
  readonly repeated: number
  readonly refused: number
}

const acked = ({ acked, sent }: Life) => acked - sent
const answered = ({ answered, sent }: Life) => answered - sent

/** Every conversation says the next thing when it has its answer. */
export const load = async (
  slack: WatchedSlack,
  bot: Bot,
  { concurrency, seconds, warmUp }: { readonly concurrency: number; readonly seconds: number; readonly warmUp: number }
): Promise<Load> => {
  const lives: Array<Life> = []
  let counting = false
  const talk = { goesOn: true }
  let rss = 0
  const talking = Array.from({ length: concurrency }, async (_, conversation) => {
    while (talk.goesOn) {
      const life = await slack.ask(conversation)
      if (counting && talk.goesOn) lives.push(life)
    }
  })
  const sampling = setInterval(() => {
    rss = Math.max(rss, bot.memory().rss)
  }, 200)
  await sleep(warmUp * 1_000)
  counting = true
  const from = performance.now()
  const before = { bot: bot.cpu(), slack: slack.cpu(), repeated: slack.repeated(), refused: slack.refused() }
  await sleep(seconds * 1_000)
  talk.goesOn = false
  const micros = (performance.now() - from) * 1_000
  const cpu = bot.cpu() - before.bot
  const slackCpu = slack.cpu() - before.slack
  clearInterval(sampling)
  const count = lives.length
  await Promise.all(talking)
  return {
    concurrency,
    answersPerSecond: count / micros * 1_000_000,
    ack: latency(lives.map(acked)),
    answer: latency(lives.map(answered)),
    cpuPerAnswer: cpu / count,
    busy: cpu / micros,
    slackCpuPerAnswer: slackCpu / count,
    slackBusy: slackCpu / micros,
    rss,
    repeated: slack.repeated() - before.repeated,
    refused: slack.refused() - before.refused
  }
}

/** A pause like that between events which nobody planned. */
export const pause = (n: number) => sleep(20 + (n * 7) % 21)

/** One event every 20 to 40 ms, each in another conversation. */
export const sparse = async (slack: WatchedSlack, events: number, conversations: number) => {
  const lives: Array<Life> = []
  for (let n = 0; n < events; n++) {
    await pause(n)
    lives.push(await slack.ask(n % conversations))
  }
  return { ack: lives.map(acked), answer: lives.map(answered) }
}

/** From the start of the process to its first answer: the event was waiting, as events do while nobody is connected. */
export const firstAnswer = async (kind: Kind, dir: string): Promise<number> => {
  const slack = await watchedSlack({ conversations: 1, echoes: true })
  const life = slack.ask(0)
  const bot = start(kind, { apiUrl: slack.apiUrl, dir })
  const { answered } = await life
  await bot.stop()
  await slack.close()
  return answered - bot.startedAt
}
