/** What a campaign and a single history say of themselves. Pure. */
import type { Tally } from "./Campaign.ts"
import { coincidences } from "./Coincidences.ts"
import type { Outcome } from "./History.ts"
import { rangesOf, type Shrunk } from "./Shrink.ts"

const rateOf = ({ seeds, took, virtualMs }: Tally) => ({
  seedsPerSecond: Math.round((seeds / took) * 10_000) / 10,
  virtualHoursPerMinute: Math.round((virtualMs / 3_600_000 / (took / 60_000)) * 10) / 10
})

export const progressLine = (tally: Tally, of: number): string => {
  const { seedsPerSecond, virtualHoursPerMinute } = rateOf(tally)
  return `${tally.seeds} of ${of} histories, ${seedsPerSecond} a second, ${virtualHoursPerMinute} virtual hours a minute, ` +
    `${tally.failures.length} failed`
}

/** Lines of `name  histories`. */
const table = (title: string, rows: ReadonlyArray<readonly [name: string, count: number]>): string => {
  const width = Math.max(...rows.map(([name]) => name.length), 0)
  return `${title}\n${rows.map(([name, count]) => `  ${name.padEnd(width)}  ${count}`).join("\n")}\n`
}

const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]) => a < b ? -1 : 1

/** Fault kinds against the rooms that met them. */
const matrix = (coverage: ReadonlyMap<string, number>): string => {
  const cells = new Map<string, Map<string, number>>()
  const rooms = new Map<string, number>()
  for (const [what, count] of coverage) {
    const [, fault, room] = /^met:(.*)@(.*)$/.exec(what) ?? []
    if (fault === undefined || room === undefined) continue
    const row = cells.get(fault) ?? new Map<string, number>()
    row.set(room, count)
    cells.set(fault, row)
    rooms.set(room, (rooms.get(room) ?? 0) + count)
  }
  const columns = [...rooms].toSorted((a, b) => b[1] - a[1]).map(([room]) => room).slice(0, 12)
  const lines = [...cells].toSorted(byName).map(([fault, row]) =>
    `  ${fault.padEnd(20)}${
      columns.map((room) => String(row.get(room) ?? ".").padStart(Math.max(8, room.length + 2))).join("")
    }`
  )
  const head = `  ${"".padEnd(20)}${columns.map((room) => room.padStart(Math.max(8, room.length + 2))).join("")}`
  return `Faults and the rooms that met them (histories)\n${head}\n${lines.join("\n")}\n`
}

export const replayOf = (seed: number, { omitted }: Pick<Shrunk, "omitted">): string =>
  [
    `npm run simulate -- --seed ${seed}`,
    omitted.faults.size === 0 ? "" : `--without-faults ${rangesOf(omitted.faults)}`,
    omitted.deeds.size === 0 ? "" : `--without-deeds ${rangesOf(omitted.deeds)}`
  ].filter((part) => part !== "").join(" ")

export const summary = (tally: Tally, shrunk: Shrunk | undefined, json: boolean): string => {
  const rates = rateOf(tally)
  const reached = coincidences.map(({ name, reached }) =>
    [name, [...tally.coverage].filter(([what]) => reached(what)).reduce((sum, [, count]) => sum + count, 0)] as const
  )
  const [first] = tally.failures
  const replay = first === undefined || shrunk === undefined ? undefined : replayOf(first.seed, shrunk)
  if (json) {
    return `${
      JSON.stringify({
        seeds: tally.seeds,
        steps: tally.steps,
        virtualMs: tally.virtualMs,
        tookMs: Math.round(tally.took),
        ...rates,
        failures: tally.failures.map(({ seed, steps, violation }) => ({ seed, steps, violation })),
        replay,
        coincidences: Object.fromEntries(reached),
        coverage: Object.fromEntries(tally.coverage)
      })
    }\n`
  }
  const faults = [...tally.coverage].filter(([what]) => /^(fault|kill|stop)/.test(what)).toSorted(byName)
  return [
    table("What went wrong (histories)", faults),
    matrix(tally.coverage),
    table("Dangerous coincidences (histories)", reached),
    `${progressLine(tally, tally.seeds)}, ${Math.round(tally.steps / Math.max(1, tally.seeds))} steps each\n`,
    ...tally.failures.map(({ seed, violation }) => `FAILED seed ${seed}: ${violation?.rule}: ${violation?.detail}\n`),
    ...(shrunk === undefined || replay === undefined
      ? []
      : [
        `\nThe smallest history found in ${shrunk.runs} runs:\n`,
        retold(shrunk.outcome),
        `\nRun it again:\n  ${replay}\n`
      ])
  ].join("\n")
}

export const retold = (outcome: Outcome): string =>
  `${outcome.lines.join("")}seed ${outcome.seed}: ${outcome.steps} steps, ${
    Math.round(outcome.virtualMs / 1_000)
  } virtual seconds, digest ${outcome.digest}\n${
    outcome.violation === undefined ? "nothing went wrong" : `${outcome.violation.rule}: ${outcome.violation.detail}`
  }\n`
