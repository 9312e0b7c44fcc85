/**
 * Looks at a database that somebody else may be writing, without changing it: its schema, whose it is, and whether it is
 * sound. Reading holds up no writer; only the WAL grows meanwhile.
 */
import { Effect } from "effect"
import { DatabaseSync } from "node:sqlite"
import { unusable } from "./DatabaseError.ts"
import { latest } from "./migrations.ts"

export interface Inspected {
  /** The schema that is there, 0 where there is none yet; and the one of this release. */
  readonly found: number
  readonly known: number
  /** The workspace that the data belong to; empty as long as nobody knows. */
  readonly team: string
  /** What SQLite found; empty where it is sound. */
  readonly damage: ReadonlyArray<string>
}

/** `deep` reads the indexes too, and compares them with the tables: minutes for a large file. */
export const inspect = (file: string, { deep }: { readonly deep: boolean }) =>
  Effect.try({
    try: (): Inspected => {
      const db = new DatabaseSync(file, { readOnly: true, timeout: 5_000 })
      const column = (statement: string) => db.prepare(statement).all().map((row) => String(Object.values(row)[0]))
      try {
        const tables = new Set(column("SELECT name FROM sqlite_schema WHERE type = 'table'"))
        const checked = column(deep ? "PRAGMA integrity_check(10)" : "PRAGMA quick_check(10)")
        return {
          found: tables.has("slackwater_schema") ? Number(column("SELECT version FROM slackwater_schema")[0] ?? 0) : 0,
          known: latest,
          team: tables.has("slackwater_workspace") ? column("SELECT team FROM slackwater_workspace")[0] ?? "" : "",
          damage: checked.filter((line) => line !== "ok")
        }
      } finally {
        db.close()
      }
    },
    catch: (error) => unusable(file, error)
  })
