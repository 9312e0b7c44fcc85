/** Runs seeds for a campaign, in a thread of its own. */
import { parentPort, workerData } from "node:worker_threads"
import { newRoot } from "./Disk.ts"
import { simulate } from "./History.ts"

interface Part {
  readonly from: number
  readonly step: number
  readonly to: number
  /** Runs each seed again, which must be the same history. */
  readonly twice: boolean
}

const port = parentPort
if (port === null) throw new Error("a worker is started by a campaign")
const { from, step, to, twice } = workerData as Part
const root = newRoot()
for (let seed = from; seed < to; seed += step) {
  const { coverage, digest, steps, violation, virtualMs } = simulate(seed, root)
  const again = twice ? simulate(seed, root).digest : digest
  const differs = again === digest
    ? undefined
    : { rule: "the same seed is the same history", detail: `${digest} and ${again}`, at: 0 }
  port.postMessage({ seed, digest, steps, violation: violation ?? differs, virtualMs, coverage })
}
port.close()
