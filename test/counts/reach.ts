/**
 * How many rows a step of a query plan may have to visit, found out by counting in the very data: for a scan the size of
 * the index or table, for a search the size of the largest group that its equalities can name.
 *
 * So no list says which indexes are small: one from which rows go once they are finished is found to be small.
 */
import { DatabaseSync } from "node:sqlite"

export interface Step {
  readonly statement: string
  readonly step: string
  readonly rows: number
}

interface Row {
  readonly detail: string
}

const first = (row: unknown) => Number(Object.values(row as object)[0] ?? 0)

/** Every step of these statements that reads a table. */
export const reachOf = (file: string, statements: Iterable<string>): ReadonlyArray<Step> => {
  const db = new DatabaseSync(file, { readOnly: true })
  const known = new Map<string, number>()
  const count = (query: string) => {
    const before = known.get(query)
    if (before !== undefined) return before
    const found = first(db.prepare(query).get())
    known.set(query, found)
    return found
  }

  /** The table of an index, and what its rows have in common. */
  const indexNamed = (name: string) => {
    const row = db.prepare("SELECT tbl_name, coalesce(sql, '') FROM sqlite_schema WHERE type = 'index' AND name = ?")
      .get(name)
    if (row === undefined) return undefined
    const [table, sql] = Object.values(row).map(String)
    return { table: table ?? "", where: /\bWHERE\b([^]*)$/.exec(sql ?? "")?.[1] ?? "1" }
  }

  /** A name in a plan is a table, another name of one in the statement, or a result that its own steps tell about. */
  const tableNamed = (name: string, statement: string) => {
    const isTable = (table: string) =>
      db.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?").get(table) !== undefined
    if (isTable(name)) return name
    const table = new RegExp(`\\b(\\w+) (?:AS )?${name}\\b`, "g")
    for (const [, before = ""] of statement.matchAll(table)) if (isTable(before)) return before
    return undefined
  }

  const rowsOf = (detail: string, statement: string): number | undefined => {
    const [, how, name = ""] = /^(SCAN|SEARCH) (\w+)/.exec(detail) ?? []
    if (how === undefined || /^SCAN CONSTANT ROW|VIRTUAL TABLE/.test(detail)) return undefined
    const index = indexNamed(/ INDEX (\w+)/.exec(detail)?.[1] ?? "")
    const table = index?.table ?? tableNamed(name, statement)
    if (table === undefined) return undefined
    const where = index?.where ?? "1"
    const equal = [...(/\(([^()]*[=<>][^()]*)\)/.exec(detail)?.[1] ?? "").matchAll(/(\w+)=\?/g)].map(([, column]) =>
      column
    )
    if (equal.length === 0) return count(`SELECT count(*) FROM ${table} WHERE ${where}`)
    const columns = equal.join(", ")
    return count(
      `SELECT max(n) FROM (SELECT count(*) AS n FROM ${table} WHERE (${where}) AND ${
        equal[0]
      } IS NOT NULL GROUP BY ${columns})`
    )
  }

  const steps: Array<Step> = []
  try {
    for (const statement of statements) {
      for (const { detail } of db.prepare(`EXPLAIN QUERY PLAN ${statement}`).all() as unknown as ReadonlyArray<Row>) {
        const rows = rowsOf(detail, statement)
        if (rows !== undefined) steps.push({ statement: statement.replace(/\s+/g, " ").trim(), step: detail, rows })
      }
    }
  } finally {
    db.close()
  }
  return steps
}
