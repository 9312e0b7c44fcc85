import { newRoot } from "./Disk.ts"
import { simulate } from "./History.ts"
const from = Number(process.argv[2] ?? 1), n = Number(process.argv[3] ?? 1)
const root = newRoot()
const t = performance.now()
const cov = new Map<string, number>()
let steps = 0, ms = 0
for (let seed = from; seed < from + n; seed++) {
  const outcome = simulate(seed, root, { keeps: process.env["LINES"] === "1" })
  steps += outcome.steps; ms += outcome.virtualMs
  for (const [k, v] of outcome.coverage) cov.set(k, (cov.get(k) ?? 0) + v)
  if (process.env["LINES"] === "1") console.log(outcome.lines.join(""))
  if (outcome.violation !== undefined) console.log(seed, outcome.violation)
  if (n === 1) console.log({ ...outcome, lines: undefined, drawn: outcome.drawn.length })
}
console.log({ perSeed: (performance.now() - t) / n, steps: steps / n, virtualMin: ms / n / 60000 })
if (process.env["COV"] === "1") console.log([...cov].sort())
