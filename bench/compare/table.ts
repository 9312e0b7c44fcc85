/** The results as a table: for a terminal, and in Markdown for the pages that show it. */
import { at, type MeasureName, type Results, type RowResult, type Spread } from "./Measured.ts"

interface Column {
  readonly title: string
  readonly of: (row: RowResult) => string
}

const valueOf = ({ values }: RowResult, measure: MeasureName, concurrency?: number): Spread | undefined =>
  values[concurrency === undefined ? measure : at(measure, concurrency)]

const plain = (value: number): string =>
  value >= 1_000
    ? Math.round(value).toLocaleString("en-US")
    : value >= 100
    ? value.toFixed(0)
    : value >= 10
    ? value.toFixed(1)
    : value.toFixed(2)

/** As wide as the rounds lay apart: `12,345 ±4%`. */
const withSpread = ({ max, median, min }: Spread): string =>
  `${plain(median)} ±${Math.round((max - min) / 2 / median * 100)}%`

const cell = (spread: Spread | undefined, text = withSpread) =>
  spread === undefined || !Number.isFinite(spread.median) ? "" : text(spread)

const one = (title: string, measure: MeasureName, concurrency?: number, text?: (spread: Spread) => string): Column => ({
  title,
  of: (row) => cell(valueOf(row, measure, concurrency), text)
})

const median = ({ median }: Spread) => plain(median)

/** `p50 / p99 / p99.9` in one cell. */
const three = (title: string, name: "ack" | "answer", concurrency: number): Column => ({
  title,
  of: (row) => {
    const cells = (["P50", "P99", "P999"] as const).map((share) =>
      cell(valueOf(row, `${name}${share}`, concurrency), median)
    )
    return cells[0] === "" ? "" : cells.join(" / ")
  }
})

const pair = (title: string, first: Column, second: Column): Column => ({
  title,
  of: (row) => {
    const cells = [first.of(row), second.of(row)]
    return cells.every((text) => text === "") ? "" : cells.map((text) => text === "" ? "–" : text).join(" / ")
  }
})

const life = (concurrency: number): Column => ({
  title: `lives/s, c=${concurrency}`,
  of: (row) => cell(valueOf(row, "life", concurrency) ?? valueOf(row, "answers", concurrency))
})

const columns: ReadonlyArray<Column> = [
  { title: "", of: ({ title }) => title },
  { title: "durability", of: ({ durability }) => durability },
  life(1),
  life(16),
  life(100),
  pair("in / out per s, c=16", one("", "enqueue", 16, median), one("", "drain", 16, median)),
  one("in flight/s, c=16", "loop", 16, median),
  one("CPU µs a life, c=16", "cpu", 16, median),
  three("ack ms, c=16", "ack", 16),
  three("answer ms, c=16", "answer", 16),
  pair(
    "sparse ack / answer ms",
    one("", "sparseAckP50", undefined, median),
    one("", "sparseAnswerP50", undefined, median)
  ),
  pair("commits a message, c=1 / 16", one("", "commits", 1, median), one("", "commits", 16, median)),
  pair("RSS MB idle / busy", one("", "rssIdle", undefined, median), one("", "rssBusy", undefined, median)),
  one("start ms", "start", undefined, median)
]

/** Of these, the ones for a first page. */
const brief = ["", "durability", "lives/s, c=1", "lives/s, c=16", "ack ms, c=16", "sparse ack / answer ms", "start ms"]

const groups: Readonly<Record<RowResult["group"], string>> = {
  limit: "The limit: the same file, schema and statements, and nothing else",
  store: "Stores, each commit on disk before the ack",
  weaker: "Stores at what loses the last commits with the power",
  whole: "The whole way in one process: envelope, ack, handler, reply, delivered",
  "end to end": "End to end over real sockets, Slack to Slack"
}

const measured = ({ rows }: Results) => rows.filter(({ skipped }) => skipped === undefined)

/** Columns that say something about at least one row. */
const used = (rows: ReadonlyArray<RowResult>) => columns.filter(({ of }) => rows.some((row) => of(row) !== ""))

const grouped = <A>(rows: ReadonlyArray<RowResult>, each: (title: string, rows: ReadonlyArray<RowResult>) => A) =>
  Object.entries(groups).flatMap(([group, title]) => {
    const members = rows.filter((row) => row.group === group)
    return members.length === 0 ? [] : [each(title, members)]
  })

const skippedLines = ({ rows }: Results) =>
  rows.flatMap(({ durability, skipped, title }) =>
    skipped === undefined ? [] : [`skipped: ${title}${durability === "" ? "" : ` (${durability})`}: ${skipped}`]
  )

const about = ({ date, machine, rounds, seconds, versions }: Results) => [
  `${date}; ${rounds} rounds of ${seconds} s a phase, medians, ± half of what lay between the lowest and the highest`,
  Object.entries(machine).map(([name, value]) => `${name} ${value}`).join("; "),
  Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(", ")
]

export const asText = (results: Results): string => {
  const rows = measured(results)
  const shown = used(rows)
  const cells = (row: RowResult) => shown.map(({ of }) => of(row))
  const widths = shown.map(({ of, title }) => Math.max(title.length, ...rows.map((row) => of(row).length)))
  const line = (texts: ReadonlyArray<string>) =>
    texts.map((text, n) => n < 2 ? text.padEnd(widths[n] ?? 0) : text.padStart(widths[n] ?? 0)).join("  ").trimEnd()
  return [
    line(shown.map(({ title }) => title)),
    ...grouped(rows, (title, members) => ["", title, ...members.map((row) => line(cells(row)))]).flat(),
    "",
    ...skippedLines(results),
    ...about(results)
  ].join("\n")
}

const line = (texts: ReadonlyArray<string>) => `| ${texts.join(" | ")} |`

const markdownOf = (shown: ReadonlyArray<Column>, rows: ReadonlyArray<RowResult>) => [
  line(shown.map(({ title }) => title)),
  line(shown.map((_, n) => n < 2 ? "---" : "--:")),
  ...grouped(rows, (title, members) => [
    line([`**${title}**`, ...shown.slice(1).map(() => "")]),
    ...members.map((row) => line(shown.map(({ of }) => of(row))))
  ]).flat(),
  ""
]

const sentences = (results: Results) =>
  [...skippedLines(results), ...about(results)].flatMap((text) => [`${text}.`, ""])

export const asMarkdown = (results: Results): string => {
  const rows = measured(results)
  return [...markdownOf(used(rows), rows), ...sentences(results)].join("\n").trimEnd()
}

/** What fits onto a first page. */
export const shortTable = (results: Results): string => {
  const rows = measured(results)
  const shown = used(rows).filter(({ title }) => brief.includes(title))
  return [...markdownOf(shown, rows), ...sentences(results)].join("\n").trimEnd()
}
