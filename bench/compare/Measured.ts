/**
 * What a row of the table answers, and what becomes of it over several rounds: the seam between those who measure and
 * those who print, plot and judge.
 *
 * A row is measured in a process of its own, by the `measure` of its module. It answers plain numbers under names from
 * `columns` below: `life@16` is lives a second at concurrency 16. A measure that a row does not have is left out, and its
 * cell stays empty; nothing stands for "not measured".
 */

/** What the rounds of one row go by; also what is passed to its process. */
export interface Ask {
  /** The row's id. */
  readonly row: string
  readonly concurrencies: ReadonlyArray<number>
  /** How long each phase of a row is fed, in seconds. */
  readonly seconds: number
  /** An empty directory on the disk that is measured; it goes with the process. */
  readonly directory: string
}

/** One round of one row. */
export interface Measured {
  /** As read back from whoever keeps the data: `synchronous=FULL`, `appendfsync always`, `nothing is stored`. */
  readonly durability: string
  readonly values: Readonly<Record<string, number>>
  /** Of peers and servers, by name. */
  readonly versions?: Readonly<Record<string, string>>
  /** What a reader must know about these very numbers. */
  readonly notes?: ReadonlyArray<string>
}

export type Measure = (ask: Ask, row: Row) => Promise<Measured>

export interface Row {
  readonly id: string
  readonly title: string
  /** What it is compared with: stores among themselves, the way through a process, or over real sockets. */
  readonly group: "limit" | "store" | "weaker" | "whole" | "end to end"
  /** Beside this file; exports `measure`. */
  readonly module: string
  /** What its process finds in its environment besides: a server that the bench starts for it. */
  readonly server?: "redis always" | "redis everysec" | "postgres"
  /** Packages of `bench/package.json` that must be there. */
  readonly packages?: ReadonlyArray<string>
  /** It runs what `npm run build` makes. */
  readonly isBuilt?: boolean
  /** Given to the module as is, so that one module serves several rows. */
  readonly variant?: Readonly<Record<string, string | number | boolean>>
  readonly concurrencies?: ReadonlyArray<number>
}

/** Over all rounds. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

export interface RowResult {
  readonly id: string
  readonly title: string
  readonly group: Row["group"]
  readonly durability: string
  readonly values: Readonly<Record<string, Spread>>
  readonly notes: ReadonlyArray<string>
  /** Why it could not be measured. */
  readonly skipped?: string
}

export interface Results {
  readonly date: string
  readonly rounds: number
  readonly seconds: number
  readonly machine: Readonly<Record<string, string | number>>
  readonly versions: Readonly<Record<string, string>>
  readonly rows: ReadonlyArray<RowResult>
}

/** What may stand before the `@`, or alone; and how it reads. Rates: more is better; all else: less is. */
export const measures = {
  life: "whole lives a second, equal work for all: 1 / (1 / enqueue + 1 / drain)",
  enqueue: "acks a second: durable when answered",
  drain: "completions a second, until the last one is durable",
  cpu: "µs of processor time of this process for each life of equal work; a server's is not in it",
  loop: "whole lives a second, with so many in flight from the enqueue until handled",
  answers: "answers a second, with so many in flight from Slack to Slack",
  ackP50: "ms until the ack, with so many in flight (median)",
  ackP99: "ms until the ack (99 of 100)",
  ackP999: "ms until the ack (999 of 1,000)",
  answerP50: "ms until handled, or answered end to end (median)",
  answerP99: "ms until handled, or answered end to end (99 of 100)",
  answerP999: "ms until handled, or answered end to end (999 of 1,000)",
  sparseAckP50: "ms until the ack of one event each 20 to 40 ms (median)",
  sparseAckP99: "ms until the ack of one event each 20 to 40 ms (99 of 100)",
  sparseAnswerP50: "ms until one event each 20 to 40 ms is handled, or answered (median)",
  sparseAnswerP99: "ms until one event each 20 to 40 ms is handled, or answered (99 of 100)",
  commits: "commits that reach the disk, for each message",
  commitsDebounced: "the same with a quiet window before the turn",
  rssIdle: "MB of this process (RSS), started and with nothing to do",
  rssBusy: "MB of this process (RSS), after the load",
  start: "ms from the start of the process to the first answer"
} as const

export type MeasureName = keyof typeof measures

/** `life`, 16 → `life@16`. */
export const at = (measure: MeasureName, concurrency: number) => `${measure}@${concurrency}`

export const spreadOf = (values: ReadonlyArray<number>): Spread => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  const lower = sorted[sorted.length % 2 === 0 ? middle - 1 : middle] ?? Number.NaN
  return { median: (lower + upper) / 2, min: sorted[0] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN }
}

/** What the rounds of a row come to. */
export const together = (row: Row, rounds: ReadonlyArray<Measured>): RowResult => {
  const names = [...new Set(rounds.flatMap(({ values }) => Object.keys(values)))]
  return {
    id: row.id,
    title: row.title,
    group: row.group,
    durability: rounds.at(-1)?.durability ?? "",
    values: Object.fromEntries(names.map((name) => [
      name,
      spreadOf(rounds.flatMap(({ values }) => values[name] ?? []).filter(Number.isFinite))
    ])),
    notes: [...new Set(rounds.flatMap(({ notes }) => notes ?? []))]
  }
}

export const percentile = (sorted: ReadonlyArray<number>, share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
