/** Runs seeds for a campaign, in a thread of its own. */
import { parentPort, workerData } from "node:worker_threads"
import { newRoot } from "./Disk.ts"
import { simulate } from "./History.ts"

const port = parentPort
if (port === null) throw new Error("a worker is started by a campaign")
const { from, step, to } = workerData as { readonly from: number; readonly step: number; readonly to: number }
const root = newRoot()
for (let seed = from; seed < to; seed += step) {
  const { coverage, digest, steps, violation, virtualMs } = simulate(seed, root)
  port.postMessage({ seed, digest, steps, violation, virtualMs, coverage })
}
port.close()
