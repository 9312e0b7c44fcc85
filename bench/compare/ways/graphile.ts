/**
 * graphile-worker with what its page on performance names: a local queue of 500 and completions in batches.
 */
import type { Measure } from "../Measured.ts"
import { numberOf, payload } from "../payload.ts"
import { graphile } from "../peers.ts"
import { measureWay } from "../phases.ts"
import { producing, until, type Way } from "../Way.ts"
import { countingSyncs, durabilityOf, poolOf, versionOf } from "./postgres.ts"

const { Logger, makeWorkerUtils, run } = await graphile()

const open = (weak: boolean) => async (concurrency: number): Promise<Way> => {
  // As there: one more than jobs at once, with a local queue; and PostgreSQL has a hundred connections for all.
  const pool = poolOf(weak, Math.min(concurrency + 1, 25))
  const logger = new Logger(() => () => {})
  const utils = await makeWorkerUtils({ pgPool: pool, logger })
  await utils.migrate()
  await pool.query("DELETE FROM graphile_worker._private_jobs")
  return {
    durability: await durabilityOf(pool),
    versions: { PostgreSQL: await versionOf(pool) },
    produce: producing((n) => utils.addJob("job", JSON.parse(payload(n)))),
    consume: async (concurrency, handled) => {
      const runner = await run({
        pgPool: pool,
        logger,
        noHandleSignals: true,
        crontab: "",
        taskList: { job: async (data) => handled(numberOf(data)) },
        preset: {
          worker: {
            concurrentJobs: concurrency,
            localQueue: { size: 500 },
            completeJobBatchDelay: 0,
            failJobBatchDelay: 0
          }
        }
      })
      return () => runner.stop()
    },
    settled: () =>
      until("no job is left", async () => {
        const { rowCount } = await pool.query("SELECT 1 FROM graphile_worker._private_jobs LIMIT 1")
        return rowCount === 0
      }),
    countCommits: countingSyncs(pool),
    close: async () => {
      await utils.release()
      await pool.end()
    }
  }
}

export const measure: Measure = (ask, { variant = {} }) => measureWay(open(variant["weak"] === true), ask)
