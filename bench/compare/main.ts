/**
 * `npm run bench`: Slackwater, the limit of the machine and its peers, side by side in one run.
 *
 * Each row has a process of its own in each round, and rounds go over all rows before the next one begins, so that what
 * changes on the machine meanwhile falls on all of them alike. Progress goes to stderr; the table, or with `--json` the
 * results, to stdout. What cannot be measured here is named with its reason, and the rest is measured.
 */
import { fork, spawnSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { parseArgs } from "node:util"
import { goalsAsText } from "./goals.ts"
import { describeMachine, fileSystemOf } from "./machine.ts"
import { type Ask, type Measured, type Results, type Row, together } from "./Measured.ts"
import { plot } from "./plot.ts"
import { rows as all } from "./rows.ts"
import { Missing, type Server, startServer } from "./servers.ts"
import { asText } from "./table.ts"

const home = new URL("..", import.meta.url).pathname
const results = join(home, "results")
const patience = 120_000

const help = `npm run bench [-- options]

  --only <rows>    only these, with commas between: ${all.map(({ id }) => id).join(", ")}
  --rounds <n>     rounds over all rows (3)
  --seconds <s>    how long each phase of a row is fed (0.4)
  --quick          one round of 0.2 s: to see that it works, not to quote
  --json           prints the results as JSON instead of the table
  --write          keeps the results in bench/results, as a run of all rows at full length does by itself
  --help

SLACKWATER_BENCH_DIR names the directory on the disk that is meant; a temporary one may be memory.
DATABASE_URL, or PGHOST and its kin, say where PostgreSQL is.`

const { values: options } = parseArgs({
  options: {
    only: { type: "string" },
    rounds: { type: "string" },
    seconds: { type: "string" },
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
    help: { type: "boolean", default: false }
  }
})

if (options.help) {
  console.log(help)
  process.exit(0)
}

const tell = (text: string) => process.stderr.write(text)
const stopWith = (text: string) => {
  tell(`${text}\n`)
  process.exit(2)
}

const numberFrom = (text: string | undefined, otherwise: number): number => {
  const value = text === undefined ? otherwise : Number(text)
  return Number.isFinite(value) && value > 0 ? value : stopWith(`${text} is not a number above zero`)
}

const rounds = Math.ceil(numberFrom(options.rounds, options.quick ? 1 : 3))
const seconds = numberFrom(options.seconds, options.quick ? 0.2 : 0.4)
const wanted = options.only?.split(",").map((id) => id.trim())
for (const id of wanted ?? []) if (!all.some((row) => row.id === id)) stopWith(`no row is called ${id}\n\n${help}`)
const rows = all.filter(({ id }) => wanted === undefined || wanted.includes(id))

if (!existsSync(join(home, "node_modules", ".package-lock.json"))) {
  tell("bench: installing what Slackwater is measured beside (npm ci in bench/) …\n")
  const { status } = spawnSync("npm", ["ci"], { cwd: home, stdio: ["ignore", 2, 2] })
  if (status !== 0) tell("bench: npm ci failed; what is missing is skipped\n")
}

if (rows.some(({ isBuilt }) => isBuilt === true)) {
  tell("bench: building what is published (npm run build) …\n")
  const { status } = spawnSync("npm", ["run", "--silent", "build"], { cwd: join(home, ".."), stdio: ["ignore", 2, 2] })
  if (status !== 0) stopWith("bench: npm run build failed")
}

const directory = mkdtempSync(join(process.env["SLACKWATER_BENCH_DIR"] ?? tmpdir(), "slackwater-bench-"))
if (fileSystemOf(directory) === "tmpfs") {
  tell(`bench: ${directory} is memory and no disk; name another one with SLACKWATER_BENCH_DIR\n`)
}

/** One of its own for all rounds: making a database takes longer than a row. */
let database: Server | undefined
const serverFor = async (row: Row): Promise<Server | undefined> => {
  if (row.server === undefined) return undefined
  if (row.server !== "postgres") return startServer(row.server, directory)
  database ??= await startServer("postgres", directory)
  return { ...database, stop: () => Promise.resolve() }
}

const children = new Set<ReturnType<typeof fork>>()
const servers = new Set<Server>()

const inItsProcess = (row: Row, ask: Ask, env: Readonly<Record<string, string>>) =>
  new Promise<Measured>((resolve, reject) => {
    const child = fork(join(import.meta.dirname, "worker.ts"), [JSON.stringify(ask)], {
      env: { ...process.env, ...env },
      stdio: ["ignore", "ignore", "pipe", "ipc"]
    })
    children.add(child)
    let said = ""
    child.stderr?.on("data", (chunk: Buffer) => {
      said = `${said}${chunk.toString()}`.slice(-4_000)
    })
    let measured: Measured | undefined
    child.on("message", (message) => {
      measured = message as Measured
    })
    const late = setTimeout(() => {
      said = `not done after ${patience / 1_000} s\n${said}`
      child.kill("SIGKILL")
    }, patience)
    child.on("close", () => {
      clearTimeout(late)
      children.delete(child)
      if (measured !== undefined) resolve(measured)
      else reject(new Error(said.trim() === "" ? "ended without a word" : said.trim()))
    })
  })

/** Why it cannot be measured; the sentence that says most, of what it printed. */
const reasonOf = (error: unknown): string => {
  const lines = (error instanceof Error ? error.message : String(error)).split("\n")
  return (lines.find((line) => /^(\w*error\b.*:|not done)/i.test(line)) ?? lines[0] ?? "").trim()
}

const measureOnce = async (row: Row): Promise<Measured> => {
  const missing = (row.packages ?? []).filter((name) => !existsSync(join(home, "node_modules", name)))
  if (missing.length > 0) throw new Missing(`${missing.join(", ")} not installed in bench/`)
  const server = await serverFor(row)
  if (server !== undefined) servers.add(server)
  const own = mkdtempSync(join(directory, `${row.id}-`))
  const ask: Ask = { row: row.id, concurrencies: row.concurrencies ?? [1, 16, 100], seconds, directory: own }
  try {
    return await inItsProcess(row, ask, server?.env ?? {})
  } finally {
    rmSync(own, { recursive: true, force: true })
    if (server !== undefined) {
      servers.delete(server)
      await server.stop()
    }
  }
}

const end = async () => {
  for (const child of children) child.kill("SIGKILL")
  for (const server of servers) await server.stop()
  await database?.stop()
  rmSync(directory, { recursive: true, force: true })
}
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => void end().finally(() => process.exit(130)))
}

const machine = describeMachine(directory)
const found = new Map<string, Array<Measured>>()
const skipped = new Map<string, string>()
const began = performance.now()
for (let round = 1; round <= rounds; round++) {
  for (const row of rows) {
    if (skipped.has(row.id)) continue
    const from = performance.now()
    tell(`bench: round ${round} of ${rounds}: ${row.id} … `)
    try {
      const measured = await measureOnce(row)
      found.set(row.id, [...found.get(row.id) ?? [], measured])
      const life = measured.values["life@16"] ?? measured.values["answers@16"]
      tell(
        `${life === undefined ? "" : `${Math.round(life)}/s at c=16, `}${
          ((performance.now() - from) / 1_000).toFixed(1)
        } s\n`
      )
    } catch (error) {
      // One bad round of several is a gap, and not the end of a row.
      const reason = reasonOf(error)
      tell(`${error instanceof Missing ? "skipped" : "failed"}: ${reason}\n`)
      if (error instanceof Missing || !found.has(row.id)) skipped.set(row.id, reason)
    }
  }
}
await end()

const result: Results = {
  date: new Date().toISOString().slice(0, 10),
  rounds,
  seconds,
  machine: { ...machine, took: `${Math.round((performance.now() - began) / 1_000)} s` },
  versions: Object.fromEntries(
    rows.flatMap(({ id }) => (found.get(id) ?? []).flatMap(({ versions = {} }) => Object.entries(versions)))
  ),
  rows: rows.map((row) => {
    const reason = skipped.get(row.id)
    const over = together(row, found.get(row.id) ?? [])
    return reason === undefined ? over : { ...over, skipped: reason }
  })
}

const text = `${asText(result)}\n\n${goalsAsText(result)}`
if (options.write || (wanted === undefined && !options.quick)) {
  mkdirSync(results, { recursive: true })
  writeFileSync(join(results, "latest.json"), `${JSON.stringify(result, null, 2)}\n`)
  try {
    writeFileSync(join(results, "latest.svg"), await plot(result))
  } catch (error) {
    tell(`bench: no plot: ${reasonOf(error)}\n`)
  }
}
console.log(options.json ? JSON.stringify(result, null, 2) : text)
