/**
 * Who is measured, in the order of the table.
 */
import type { Row } from "./Measured.ts"

export const rows: ReadonlyArray<Row> = [
  {
    id: "raw",
    title: "limit: node:sqlite, group commit",
    group: "limit",
    module: "./ways/raw.ts",
    variant: { group: true }
  },
  {
    id: "raw-reply",
    title: "limit: the same, with a reply each",
    group: "limit",
    module: "./ways/raw.ts",
    variant: { group: true, reply: true }
  },
  { id: "raw-unbatched", title: "node:sqlite, a commit a step", group: "limit", module: "./ways/raw.ts" },
  { id: "store", title: "Slackwater, store only", group: "store", module: "./ways/store.ts" },
  {
    id: "store-reply",
    title: "Slackwater, store only, with a reply each",
    group: "store",
    module: "./ways/store.ts",
    variant: { reply: true }
  }
]
