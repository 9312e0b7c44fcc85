/** What was promised of these numbers, and what they are. */
import { at, type MeasureName, type Results } from "./Measured.ts"

interface Goal {
  readonly text: string
  readonly bound: number
  readonly better: "more" | "less"
  readonly of: (value: Value) => number
}

/** The median of a row's measure; not a number where it was not measured. */
type Value = (row: string, measure: MeasureName, concurrency?: number) => number

export interface Verdict {
  readonly text: string
  readonly better: "more" | "less"
  readonly bound: number
  /** Undefined where a row was not measured. */
  readonly value?: number
  readonly met?: boolean
}

const lives = (row: string, against: string, concurrency = 16) => (value: Value) =>
  value(row, "life", concurrency) / value(against, "life", concurrency)

const least = (text: string, bound: number, of: Goal["of"]): Goal => ({ text, bound, better: "more", of })
const most = (text: string, bound: number, of: Goal["of"]): Goal => ({ text, bound, better: "less", of })

export const goals: ReadonlyArray<Goal> = [
  least("store, c=16: lives/s against raw node:sqlite with group commit", 0.8, lives("store", "raw")),
  least("store, c=16, with a reply each: the same", 0.8, lives("store-reply", "raw-reply")),
  least("store, c=16, against plainjob at FULL", 9, lives("store", "plainjob-full")),
  least("store, c=16, against BullMQ, always", 3.5, lives("store", "bullmq-always")),
  least("store, c=16, against PersistedQueue at FULL", 8, lives("store", "persisted-full")),
  least("store, c=16, against graphile-worker", 15, lives("store", "graphile")),
  least("store, c=16, against pg-boss, 1 a fetch", 50, lives("store", "pg-boss")),
  least("store, c=16, against pg-boss, 100 a fetch", 50, lives("store", "pg-boss-100")),
  least("store at FULL, c=16, against plainjob at its NORMAL", 2, lives("store", "plainjob")),
  least("store at FULL, c=16, against BullMQ at everysec", 1.3, lives("store", "bullmq-everysec")),
  most(
    "sparse events, ack p50 against a raw commit",
    3,
    (value) => value("whole", "sparseAckP50") / value("raw", "sparseAckP50")
  ),
  most("commits a message with its reply, c=1, no quiet window", 3, (value) => value("whole", "commits", 1)),
  most("commits a message with its reply, c=1, quiet window", 4, (value) => value("whole", "commitsDebounced", 1)),
  most("commits a message with its reply, c=16", 0.3, (value) => value("whole", "commits", 16)),
  least(
    "end to end, c=16: answers/s against Bolt, which stores nothing",
    0.7,
    (value) => value("end-to-end", "answers", 16) / value("bolt", "answers", 16)
  ),
  most("start to first answer against Bolt", 1.5, (value) => value("end-to-end", "start") / value("bolt", "start")),
  most("idle RSS against Bolt", 1.3, (value) => value("end-to-end", "rssIdle") / value("bolt", "rssIdle"))
]

export const verdicts = ({ rows }: Pick<Results, "rows">): ReadonlyArray<Verdict> => {
  const value: Value = (row, measure, concurrency) =>
    rows.find(({ id }) => id === row)?.values[concurrency === undefined ? measure : at(measure, concurrency)]?.median ??
      Number.NaN
  return goals.map(({ better, bound, of, text }) => {
    const found = of(value)
    return {
      text,
      better,
      bound,
      ...(Number.isFinite(found) ? { value: found, met: better === "more" ? found >= bound : found <= bound } : {})
    }
  })
}

const sign = ({ better }: Verdict) => better === "more" ? "≥" : "≤"
const short = (value: number) => value >= 10 ? value.toFixed(1) : value.toFixed(2)

/** How far from its bound, in the words of a person. */
const outcome = ({ bound, met, value }: Verdict): string =>
  value === undefined || met === undefined
    ? "not measured"
    : met
    ? "met"
    : `missed: ${short(Math.max(value / bound, bound / value))} times too ${value < bound ? "little" : "much"}`

export const goalsAsText = (results: Pick<Results, "rows">): string => {
  const all = verdicts(results)
  const width = Math.max(...all.map(({ text }) => text.length))
  return all.map((verdict) =>
    [
      verdict.text.padEnd(width),
      `${sign(verdict)} ${verdict.bound}`.padEnd(6),
      (verdict.value === undefined ? "" : short(verdict.value)).padStart(7),
      outcome(verdict)
    ].join("  ")
  ).join("\n")
}

export const goalsAsMarkdown = (results: Pick<Results, "rows">): string =>
  [
    "| goal | bound | reached | |",
    "| --- | --: | --: | --- |",
    ...verdicts(results).map((verdict) =>
      `| ${verdict.text} | ${sign(verdict)} ${verdict.bound} | ${
        verdict.value === undefined ? "" : short(verdict.value)
      } | ${outcome(verdict)} |`
    )
  ].join("\n")
