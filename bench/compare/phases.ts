/**
 * The phases that every queue goes through, each at several concurrencies:
 *
 * - equal work: `c` producers hand over messages, each waiting for its durable ack; then `c` handlers that do nothing
 *   drain them, until the last completion is durable. `life` is 1 / (1 / enqueue + 1 / drain).
 * - closed loop: `c` in flight from the enqueue until handled, producers and handlers side by side.
 * - sparse: one message each 20 to 40 ms with nothing else going on, as most bots live.
 * - commits: so many messages through the closed loop while commits are counted.
 *
 * A shorter round of the closed loop goes before, so that what is measured is not the compiler at work.
 */
import process from "node:process"
import { type Ask, at, type Measured, type MeasureName, percentile } from "./Measured.ts"
import { type Open, sleep, until, type Way } from "./Way.ts"

/** No drain gets more than this: the rates are known long before. */
const most = 20_000
const sparseMessages = 40
const counted = (concurrency: number) => concurrency === 1 ? 100 : 20 * concurrency

interface Loop {
  readonly handled: number
  readonly ms: number
  /** Sorted, ms. */
  readonly acks: ReadonlyArray<number>
  readonly answers: ReadonlyArray<number>
}

let last = 0

/** Numbers of messages that nobody has seen, while it is time and there are some left. */
const numbers = (ms: number, limit: number) => {
  const end = performance.now() + ms
  let given = 0
  return { next: () => performance.now() < end && given < limit ? (given++, ++last) : undefined, given: () => given }
}

const equalWork = async (way: Way, concurrency: number, ms: number, limit: number) => {
  const { given, next } = numbers(ms, limit)
  const usage = process.cpuUsage()
  const began = performance.now()
  await way.produce(concurrency, next, () => undefined)
  const acked = performance.now()
  let left = given()
  let end = () => {}
  const all = new Promise<void>((resolve) => {
    end = resolve
  })
  const begun = performance.now()
  const stop = await way.consume(concurrency, () => {
    left -= 1
    if (left === 0) end()
  })
  await all
  await way.settled()
  const drained = performance.now()
  const { system, user } = process.cpuUsage(usage)
  await stop()
  const enqueue = given() / (acked - began) * 1_000
  const drain = given() / (drained - begun) * 1_000
  return { enqueue, drain, life: 1 / (1 / enqueue + 1 / drain), cpu: (system + user) / given() }
}

interface Around {
  /** What each producer waits for after its message. */
  readonly pause?: () => Promise<void>
  /** Handlers run, and nothing is under way; what it answers is called when everything is settled. */
  readonly begun?: () => Promise<() => Promise<void>>
}

const closedLoop = async (
  way: Way,
  concurrency: number,
  { limit, ms }: { readonly limit: number; readonly ms: number },
  { begun, pause }: Around = {}
): Promise<Loop> => {
  const { given, next } = numbers(ms, limit)
  // A handler may be called before the ack has come.
  const started = new Map<number, number>()
  const unhandled = new Map<number, number>()
  const waiting = new Map<number, () => void>()
  const acks: Array<number> = []
  const answers: Array<number> = []
  const stop = await way.consume(concurrency, (n) => {
    const from = unhandled.get(n)
    if (from === undefined) return
    answers.push(performance.now() - from)
    unhandled.delete(n)
    waiting.get(n)?.()
    waiting.delete(n)
  })
  // Handlers that poll have seen that there is nothing.
  await sleep(20)
  const end = await begun?.()
  const began = performance.now()
  await way.produce(concurrency, () => {
    const n = next()
    if (n === undefined) return n
    const now = performance.now()
    started.set(n, now)
    unhandled.set(n, now)
    return n
  }, (n) => {
    acks.push(performance.now() - (started.get(n) ?? Number.NaN))
    started.delete(n)
    const handled = unhandled.has(n) ? new Promise<void>((resolve) => waiting.set(n, resolve)) : undefined
    return pause === undefined ? handled : (handled ?? Promise.resolve()).then(pause)
  })
  const took = performance.now() - began
  await until("everything was handled", () => answers.length === given())
  await way.settled()
  await end?.()
  await stop()
  return {
    handled: answers.length,
    ms: took,
    acks: acks.toSorted((a, b) => a - b),
    answers: answers.toSorted((a, b) => a - b)
  }
}

const times = (name: "ack" | "answer", concurrency: number, sorted: ReadonlyArray<number>) => ({
  [at(`${name}P50`, concurrency)]: percentile(sorted, 0.5),
  [at(`${name}P99`, concurrency)]: percentile(sorted, 0.99),
  [at(`${name}P999`, concurrency)]: percentile(sorted, 0.999)
})

/** For each message; counted while handlers run, so that starting and stopping them is not. */
export const commitsOf = async (way: Way, concurrency: number): Promise<{ readonly commits?: number }> => {
  const { countCommits } = way
  if (countCommits === undefined) return {}
  let commits = 0
  const { handled } = await closedLoop(way, concurrency, { ms: 10_000, limit: counted(concurrency) }, {
    begun: async () => {
      const end = await countCommits()
      return async () => {
        commits = await end()
      }
    }
  })
  return { commits: commits / handled }
}

const sparse = async (way: Way): Promise<Record<string, number>> => {
  let n = 0
  const { acks, answers } = await closedLoop(
    way,
    1,
    { ms: 60_000, limit: way.slow === true ? 8 : sparseMessages },
    { pause: () => sleep(20 + (n++ * 7) % 20) }
  )
  return {
    sparseAckP50: percentile(acks, 0.5),
    sparseAckP99: percentile(acks, 0.99),
    sparseAnswerP50: percentile(answers, 0.5),
    sparseAnswerP99: percentile(answers, 0.99)
  } satisfies Partial<Record<MeasureName, number>>
}

const megabytes = () => process.memoryUsage.rss() / 1e6

/** All phases, at each concurrency over an empty queue. */
export const measureWay = async (open: Open, ask: Ask): Promise<Measured> => {
  const ms = ask.seconds * 1_000
  const values: Record<string, number> = {}
  let busy = 0
  let seen: Way | undefined
  for (const concurrency of ask.concurrencies) {
    const way = await open(concurrency)
    if (seen === undefined) {
      const stop = await way.consume(concurrency, () => {})
      await sleep(200)
      values["rssIdle"] = megabytes()
      await stop()
      await closedLoop(way, concurrency, { ms, limit: most })
    }
    seen = way
    const warm = await closedLoop(way, concurrency, { ms: ms / 4, limit: most })
    // Who takes far faster than he handles must not be waited for much longer than the others.
    const limit = Math.max(50, Math.min(most, Math.round(warm.handled / warm.ms * ms * 3)))
    for (const [name, value] of Object.entries(await equalWork(way, concurrency, ms, limit))) {
      values[`${name}@${concurrency}`] = value
    }
    busy = Math.max(busy, megabytes())
    const loop = await closedLoop(way, concurrency, { ms, limit: most })
    values[at("loop", concurrency)] = loop.handled / loop.ms * 1_000
    busy = Math.max(busy, megabytes())
    Object.assign(values, times("ack", concurrency, loop.acks), times("answer", concurrency, loop.answers))
    if (concurrency === 1) Object.assign(values, await sparse(way))
    const { commits } = concurrency > 16 ? {} : await commitsOf(way, concurrency)
    if (commits !== undefined) values[at("commits", concurrency)] = commits
    await way.close()
  }
  values["rssBusy"] = busy
  return {
    durability: seen?.durability ?? "",
    values,
    ...(seen?.versions === undefined ? {} : { versions: seen.versions }),
    ...(seen?.notes === undefined ? {} : { notes: seen.notes })
  }
}
