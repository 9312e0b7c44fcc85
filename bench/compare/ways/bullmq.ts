/**
 * BullMQ over a Redis of our own, which writes an append-only file: `always` syncs it before it answers, `everysec` once a
 * second. One worker with so many jobs at once, as its documentation says for jobs that wait for something.
 */
import process from "node:process"
import type { Measure } from "../Measured.ts"
import { numberOf, payload } from "../payload.ts"
import { bullmq, ioredis } from "../peers.ts"
import { measureWay } from "../phases.ts"
import { producing, until, type Way } from "../Way.ts"

const { Queue, Worker } = await bullmq()
const { Redis } = await ioredis()

const open = (port: number) => async (concurrency: number): Promise<Way> => {
  const connection = { host: "127.0.0.1", port, maxRetriesPerRequest: null }
  const name = `bench-${concurrency}`
  const queue = new Queue(name, { connection })
  const redis = new Redis(connection)
  const config = async (key: string) => `${key} ${String((await redis.config("GET", key))[1])}`
  const version = /redis_version:(\S+)/.exec(await redis.info("server"))?.[1] ?? "?"
  const durability = `${await config("appendonly")}, ${await config("appendfsync")}`
  redis.disconnect()
  return {
    durability,
    versions: { Redis: version },
    produce: producing((n) => queue.add("job", JSON.parse(payload(n)))),
    consume: async (concurrency, handled) => {
      const worker = new Worker(name, async ({ data }) => handled(numberOf(data)), { connection, concurrency })
      worker.on("error", console.error)
      await worker.waitUntilReady()
      return () => worker.close()
    },
    settled: () =>
      until("every job is completed", async () => {
        const { active = 0, waiting = 0 } = await queue.getJobCounts("active", "waiting")
        return active + waiting === 0
      }),
    close: async () => {
      await queue.obliterate({ force: true })
      await queue.close()
    }
  }
}

export const measure: Measure = (ask) => measureWay(open(Number(process.env["BENCH_REDIS_PORT"])), ask)
