/**
 * plainjob on better-sqlite3. As it comes: `synchronous=NORMAL`, a commit may be lost with the power; with `full`, FULL.
 * Its workers poll: each 10 ms here, which is far more often than its default of a second.
 */
import { join } from "node:path"
import { countingCommits } from "../commits.ts"
import type { Measure } from "../Measured.ts"
import { numberOf, payload } from "../payload.ts"
import { betterSqlite, plainjob } from "../peers.ts"
import { measureWay } from "../phases.ts"
import { producing, until, type Way } from "../Way.ts"

const { better, defineQueue, defineWorker, JobStatus } = await plainjob()
const { default: Better } = await betterSqlite()

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: console.error }
const levels = ["OFF", "NORMAL", "FULL", "EXTRA"]

const open = (directory: string, full: boolean) => (concurrency: number): Promise<Way> => {
  const file = join(directory, `plainjob-${concurrency}.db`)
  const db = new Better(file)
  const queue = defineQueue({ connection: better(db), logger: quiet, serializer: String })
  if (full) db.pragma("synchronous = FULL")
  const left = () => queue.countJobs({ status: JobStatus.Pending }) + queue.countJobs({ status: JobStatus.Processing })
  return Promise.resolve({
    durability: `synchronous=${levels[Number(db.pragma("synchronous", { simple: true }))]}`,
    produce: producing(async (n) => queue.add("job", payload(n))),
    consume: (concurrency, handled) => {
      const workers = Array.from(
        { length: concurrency },
        () =>
          defineWorker("job", async ({ data }) => handled(numberOf(data)), { queue, logger: quiet, pollIntervall: 10 })
      )
      const running = workers.map((worker) => worker.start())
      return Promise.resolve(async () => {
        await Promise.all(workers.map((worker) => worker.stop()))
        await Promise.all(running)
      })
    },
    settled: () => until("every job is done", () => left() === 0),
    countCommits: countingCommits(file, () => new Better(file)),
    close: () => Promise.resolve(queue.close())
  })
}

export const measure: Measure = (ask, { variant = {} }) =>
  measureWay(open(ask.directory, variant["full"] === true), ask)
