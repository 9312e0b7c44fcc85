/** The functions of a `.cpuprofile` that take most time of their own. Arguments: the file, and how many (20). */
import { readFileSync } from "node:fs"
import process from "node:process"

const [, , profile = "", most = "20"] = process.argv
const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(profile, "utf8"))
const byId = new Map(nodes.map((node) => [node.id, node]))
const names = new Map()
let total = 0
for (const [index, id] of samples.entries()) {
  const { functionName, lineNumber, url } = byId.get(id).callFrame
  if (functionName === "(idle)") continue
  const file = url.replace(/^.*\/(?:node_modules|dist)\//, "").replace("file://", "")
  const name = `${functionName || "(anonymous)"}${file === "" ? "" : ` ${file}:${lineNumber + 1}`}`
  names.set(name, (names.get(name) ?? 0) + timeDeltas[index])
  total += timeDeltas[index]
}
process.stdout.write(`${(total / 1e6).toFixed(1)} s busy\n`)
for (const [name, micros] of [...names].toSorted(([, a], [, b]) => b - a).slice(0, Number(most))) {
  process.stdout.write(`${(micros / total * 100).toFixed(1).padStart(5)} %  ${name}\n`)
}
