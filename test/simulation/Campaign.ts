/**
 * Many histories, on as many threads as there are cores; ends at the first that goes wrong, or when the time is up.
 *
 * Guarantees: which seeds were run is known, whatever thread ran them.
 */
import { availableParallelism } from "node:os"
import { Worker } from "node:worker_threads"
import type { Outcome, Violation } from "./History.ts"

export interface Told extends Pick<Outcome, "seed" | "digest" | "steps" | "virtualMs" | "coverage"> {
  readonly violation: Violation | undefined
}

export interface Wanted {
  readonly from: number
  readonly seeds: number
  readonly minutes?: number | undefined
  readonly threads?: number | undefined
  /** Goes on after a failure. */
  readonly keepGoing?: boolean
  /** Runs each seed twice and compares. */
  readonly twice?: boolean
}

export interface Tally {
  seeds: number
  steps: number
  virtualMs: number
  /** Real ms. */
  took: number
  readonly failures: Array<Told>
  /** How many histories showed it. */
  readonly coverage: Map<string, number>
  /** By seed. */
  readonly digests: Map<number, string>
}

export const campaign = async (
  { from, keepGoing = false, minutes, seeds, threads = availableParallelism(), twice = false }: Wanted,
  onEach: (tally: Tally) => void = () => {}
): Promise<Tally> => {
  const tally: Tally = {
    seeds: 0,
    steps: 0,
    virtualMs: 0,
    took: 0,
    failures: [],
    coverage: new Map(),
    digests: new Map()
  }
  const begun = performance.now()
  const workers = Array.from(
    { length: Math.min(threads, seeds) },
    (_, index) =>
      new Worker(new URL("./worker.ts", import.meta.url), {
        workerData: { from: from + index, step: Math.min(threads, seeds), to: from + seeds, twice }
      })
  )
  const stop = () => Promise.all(workers.map((worker) => worker.terminate()))
  const timer = minutes === undefined ? undefined : setTimeout(() => void stop(), minutes * 60_000)
  await Promise.all(workers.map((worker) =>
    new Promise<void>((resolve, reject) => {
      worker.on("message", (told: Told) => {
        tally.seeds += 1
        tally.steps += told.steps
        tally.virtualMs += told.virtualMs
        tally.took = performance.now() - begun
        tally.digests.set(told.seed, told.digest)
        for (const what of told.coverage.keys()) tally.coverage.set(what, (tally.coverage.get(what) ?? 0) + 1)
        if (told.violation !== undefined) tally.failures.push(told)
        onEach(tally)
        if (told.violation !== undefined && !keepGoing) void stop()
      })
      worker.on("error", reject)
      worker.on("exit", () => resolve())
    })
  ))
  clearTimeout(timer)
  tally.took = performance.now() - begun
  tally.failures.sort((a, b) => a.seed - b.seed)
  return tally
}
