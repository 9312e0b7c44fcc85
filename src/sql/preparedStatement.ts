/**
 * Statements of a fixed text, for what is done for every message: prepared once and then only executed. No text is put
 * together for a call, no span is made, nothing is renamed.
 *
 * A text is written once, with `?` for each value, and gets the placeholders of the dialect when it is defined; so no
 * `?` may stand in it for anything else, and what one dialect alone can say is the caller's to avoid.
 * Each distinct text is one prepared statement that the driver keeps: `many` knows a handful of sizes, and never makes
 * a text for the number at hand.
 * Guarantees: inside a transaction (a job of the writer, or the host's) on its connection; outside of one, a statement
 * of its own, which does not get into anybody's transaction.
 */
import { Context, Effect } from "effect"
import type { SqlClient, SqlError } from "effect/sql"

/** What goes to the database as it is; there is no boolean in SQLite. */
export type Value = string | number | bigint | null | Uint8Array

/** Rows of one statement at most: the largest size, a power of two. */
const most = 64

/** One after the other: `(?, ?)` for each row that a statement takes. */
export type Repeat = (piece: string) => string

export interface Many {
  /**
   * The values of each row. Nothing to do for no rows. Answers the rows of all statements; those of `RETURNING` come in
   * no promised order, and one that met a conflict is missing, so tell them by a key.
   */
  <Row extends object = Record<string, unknown>>(
    rows: ReadonlyArray<ReadonlyArray<Value>>
  ): Effect.Effect<ReadonlyArray<Row>, SqlError.SqlError>
}

/** `$1, $2 …` where the database wants them numbered. */
const numbered = (text: string) => {
  let n = 0
  return text.replaceAll("?", () => `$${++n}`)
}

const largestPower = (n: number) => 2 ** (31 - Math.clz32(n))
const nextPower = (n: number) => n <= 1 ? 1 : 2 * largestPower(n - 1)

/** How statements are defined for a client: once, when a store is made. */
export const preparedStatements = (sql: SqlClient.SqlClient) => {
  const inDialect = sql.onDialectOrElse({ pg: () => numbered, orElse: () => (text: string) => text })

  const execute = <Row>(
    text: string,
    values: ReadonlyArray<Value>
  ): Effect.Effect<ReadonlyArray<Row>, SqlError.SqlError> =>
    Effect.withFiber((fiber) => {
      const open = Context.getOrUndefined(fiber.context, sql.transactionService)
      if (open !== undefined) return open[0].execute(text, values, undefined)
      return Effect.scoped(Effect.flatMap(sql.reserve, (connection) => connection.execute(text, values, undefined)))
    })

  return {
    /** One statement: `one<{ readonly id: number }>("SELECT id FROM t WHERE name = ?")`. */
    one: <Row extends object = Record<string, unknown>>(text: string) => {
      const inFull = inDialect(text)
      return (values: ReadonlyArray<Value>) => execute<Row>(inFull, values)
    },

    /**
     * One statement for many rows: `many((repeat) => \`INSERT INTO t (a, b) VALUES ${repeat("(?, ?)")}\`)`. It runs in
     * pieces of 64, 32 … 1 rows. With `again`, what is left is one piece that repeats its last row up to the next size:
     * for a list that may name a row twice, like that of `IN`.
     */
    many: (write: (repeat: Repeat) => string, { again = false } = {}): Many => {
      const texts = new Map<number, string>()
      const textOf = (size: number) => {
        let text = texts.get(size)
        if (text === undefined) {
          text = inDialect(write((piece) => Array.from({ length: size }, () => piece).join(", ")))
          texts.set(size, text)
        }
        return text
      }
      return <Row extends object = Record<string, unknown>>(rows: ReadonlyArray<ReadonlyArray<Value>>) => {
        const piece = (from: number, size: number) => {
          const values: Array<Value> = []
          for (let n = from; n < from + size; n++) values.push(...(rows[n] ?? rows[rows.length - 1] ?? []))
          return execute<Row>(textOf(size), values)
        }
        const sizeAt = (from: number) => {
          const left = rows.length - from
          return Math.min(most, again ? nextPower(left) : largestPower(left))
        }
        const first = rows.length === 0 ? 0 : sizeAt(0)
        if (first >= rows.length) return first === 0 ? Effect.succeed([]) : piece(0, first)
        return Effect.gen(function*() {
          const found: Array<Row> = []
          for (let from = 0, size = first; from < rows.length; from += size) {
            size = sizeAt(from)
            found.push(...yield* piece(from, size))
          }
          return found
        })
      }
    }
  }
}
