/** What an import did, as a table for people. Names and reasons come from strangers' files: nothing in them is obeyed. */
import { Schema } from "effect"
import { type Outcome, pathOf, type Stayed } from "../import/LegacyQueue.ts"
import { oneLine } from "./terminalText.ts"

/** Entries by what became of them; `known` were taken over before. */
export type Counts = Record<Outcome | "known", number>

export const emptyCounts = (): Counts => ({
  queued: 0,
  delivered: 0,
  unknown: 0,
  expired: 0,
  interim: 0,
  failed: 0,
  known: 0
})

const count = Schema.Int

/** What `import --json` prints. Fields may be added, never changed. */
export const ImportReport = Schema.Struct({
  dryRun: Schema.Boolean,
  /** Entries by what became of them. */
  counts: Schema.Struct({
    queued: count,
    delivered: count,
    unknown: count,
    expired: count,
    interim: count,
    failed: count,
    known: count,
    stayed: count
  }),
  stayed: Schema.Array(Schema.Struct({ file: Schema.String, malformed: Schema.Boolean, reason: Schema.String }))
})

const meanings: Readonly<Record<keyof Counts, string>> = {
  queued: "sent in their order, as soon as a gateway runs",
  delivered: "were sent before",
  unknown: "may have been sent before: held, sent only by a retry",
  expired: "too old, or of unknown age: sent only by a retry",
  interim: "progress, which is not sent later",
  failed: "had failed before: dead letters",
  known: "were taken over before"
}

export const table = (counts: Counts, stayed: ReadonlyArray<Stayed>, dryRun: boolean): string => {
  const row = (what: string, count: number, meaning: string) =>
    `${what.padEnd(10)}${String(count).padStart(7)}   ${meaning}`
  const lines = [
    ...(dryRun ? ["A dry run: nothing was changed."] : []),
    ...Object.entries(meanings).map(([what, meaning]) => row(what, counts[what as keyof Counts], meaning)),
    row("stayed", stayed.length, stayed.length === 0 ? "nothing is left" : "are where they were, for these reasons:"),
    ...stayed.map((file) => `  ${oneLine(pathOf(file))}: ${file.malformed ? "malformed: " : ""}${oneLine(file.reason)}`)
  ]
  return lines.join("\n")
}
