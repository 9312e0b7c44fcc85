/**
 * `npm run simulate:mutants`: plants each fault of the list into a copy of the sources, and looks for the first seed that
 * finds it. Prints the table that stands in docs/testing.md. Exit code 1 when one is not found, or does not apply.
 */
import { execFile } from "node:child_process"
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { availableParallelism, tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { parseArgs, promisify } from "node:util"
import { type Mutant, mutants } from "./list.ts"

const run = promisify(execFile)
const root = new URL("../../../", import.meta.url).pathname

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    only: { type: "string", default: "" },
    help: { type: "boolean", default: false }
  }
})
if (values.help) {
  process.stdout.write("npm run simulate:mutants -- [--seeds 1000] [--only <part of a name>]\n")
  process.exit(0)
}

interface Found {
  readonly mutant: Mutant
  readonly seed: number | undefined
  readonly steps: number | undefined
  readonly rule: string
}

interface Report {
  readonly failures: ReadonlyArray<{
    readonly seed: number
    readonly steps: number
    readonly violation: { readonly rule: string; readonly detail: string }
  }>
}

/** The first seed that finds it, in a copy of its own. */
const hunt = async (mutant: Mutant): Promise<Found> => {
  const folder = mkdtempSync(join(tmpdir(), "slackwater-mutant-"))
  try {
    for (const part of ["src", "test/simulation", "package.json"]) {
      cpSync(join(root, part), join(folder, part), { recursive: true })
    }
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"))
    const file = join(folder, mutant.file)
    const source = readFileSync(file, "utf8")
    if (source.split(mutant.find).length !== 2) {
      return { mutant, seed: undefined, steps: undefined, rule: "does not apply" }
    }
    writeFileSync(file, source.replace(mutant.find, () => mutant.put))
    const args = ["test/simulation/main.ts", "--seeds", values.seeds, "--threads", "1", "--json", "--no-shrink"]
    const { stdout } = await run(process.execPath, args, { cwd: folder, maxBuffer: 1 << 26 }).catch(
      (error: { readonly stdout: string; readonly stderr: string }) => error
    )
    if (stdout === "") return { mutant, seed: undefined, steps: undefined, rule: "it does not run" }
    const [first] = (JSON.parse(stdout) as Report).failures
    const rule = first === undefined ? "not found" : `${first.violation.rule}: ${first.violation.detail}`
    return { mutant, seed: first?.seed, steps: first?.steps, rule }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const wanted = mutants.filter(({ name }) => name.includes(values.only))
const waiting = [...wanted]
const found: Array<Found> = []
await Promise.all(Array.from({ length: availableParallelism() }, async () => {
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const one = await hunt(next)
    found.push(one)
    process.stderr.write(`${next.name}: ${one.seed === undefined ? one.rule : `seed ${one.seed}, ${one.rule}`}\n`)
  }
}))
const rows = wanted.map((mutant) => found.find((one) => one.mutant === mutant))
process.stdout.write("| planted fault | found by seed | steps | as |\n|---|---|---|---|\n")
for (const row of rows) {
  if (row === undefined) continue
  const rule = row.rule.replaceAll("|", "\\|").slice(0, 110)
  process.stdout.write(`| ${row.mutant.name} | ${row.seed ?? "-"} | ${row.steps ?? "-"} | ${rule} |\n`)
}
if (found.some(({ seed }) => seed === undefined)) process.exitCode = 1
