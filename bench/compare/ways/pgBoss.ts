/**
 * pg-boss by its `fetch` and `complete`: its own worker asks twice a second at most, which no table should show. What was
 * put in wakes them here at once, since both ends are in one process.
 *
 * `batch` jobs per fetch: 1, as it comes; or 100, completed together, as its documentation says for many small jobs.
 */
import type { Measure } from "../Measured.ts"
import { numberOf, payload } from "../payload.ts"
import { pgBoss } from "../peers.ts"
import { measureWay } from "../phases.ts"
import { producing, until, type Way } from "../Way.ts"
import { connectionTo, countingSyncs, durabilityOf, poolOf, versionOf } from "./postgres.ts"

const { PgBoss } = await pgBoss()

const open = (weak: boolean, batch: number) => async (concurrency: number): Promise<Way> => {
  const pool = poolOf(weak, 2)
  const boss = new PgBoss({ ...connectionTo(weak), max: 20, supervise: false, schedule: false })
  boss.on("error", console.error)
  await boss.start()
  const queue = `bench-${concurrency}`
  await boss.createQueue(queue)
  let unfinished = 0
  let wake = () => {}

  const work = async (isOn: () => boolean, handled: (n: number) => void) => {
    while (isOn()) {
      const jobs = await boss.fetch(queue, { batchSize: batch })
      if (jobs.length === 0) {
        const { promise, resolve } = Promise.withResolvers<void>()
        const before = wake
        wake = () => {
          before()
          resolve()
        }
        // It may have come while we asked.
        const late = setTimeout(resolve, 20)
        await promise
        clearTimeout(late)
        continue
      }
      for (const { data } of jobs) handled(numberOf(data))
      await boss.complete(queue, jobs.map(({ id }) => id))
      unfinished -= jobs.length
    }
  }

  return {
    durability: await durabilityOf(pool),
    versions: { PostgreSQL: await versionOf(pool) },
    produce: producing(async (n) => {
      await boss.send(queue, JSON.parse(payload(n)))
      unfinished += 1
      const waking = wake
      wake = () => {}
      waking()
    }),
    consume: (concurrency, handled) => {
      let isOn = true
      const workers = Array.from({ length: batch === 1 ? concurrency : 1 }, () => work(() => isOn, handled))
      return Promise.resolve(async () => {
        isOn = false
        wake()
        await Promise.all(workers)
      })
    },
    settled: () => until("every job is completed", () => unfinished === 0),
    countCommits: countingSyncs(pool),
    close: async () => {
      await boss.deleteQueue(queue)
      await boss.stop({ graceful: false })
      await pool.end()
    }
  }
}

export const measure: Measure = (ask, { variant = {} }) =>
  measureWay(open(variant["weak"] === true, Number(variant["batch"] ?? 1)), ask)
