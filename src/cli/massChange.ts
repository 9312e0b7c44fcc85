/**
 * Rows changed by hand, few or very many: found page by page in the order of their numbers, and changed a page at a
 * time.
 *
 * Guarantees: each page is one short transaction, so a gateway beside us waits no longer than that takes; the change
 * itself looks at the state again, so what somebody else did meanwhile is left and named. Cut off, it is finished by the
 * same command: what was changed already is left.
 */
import { Effect } from "effect"

/** Rows in one transaction. */
const together = 100

export interface Mending<Row extends { readonly id: number }, E> {
  /** Rows that were asked for, behind this one. */
  readonly page: (after: number, limit: number) => Effect.Effect<ReadonlyArray<Row>, E>
  /** Why it is left as it is; undefined where it is to be changed. */
  readonly refusal: (row: Row) => string | undefined
  /** Those that would be changed together with these. */
  readonly along?: (rows: ReadonlyArray<Row>) => Effect.Effect<ReadonlyArray<number>, E>
  /** Answers the rows that were changed, and those that were changed with them. */
  readonly change: (ids: ReadonlyArray<number>) => Effect.Effect<ReadonlyArray<number>, E>
  /** The rows as they stand now. */
  readonly again: (ids: ReadonlyArray<number>) => Effect.Effect<ReadonlyArray<Row>, E>
}

export interface Mended {
  readonly changed: ReadonlySet<number>
  /** Rows by why they were left. */
  readonly left: ReadonlyMap<string, ReadonlyArray<number>>
  /** The last row that was looked at. */
  readonly last: number
}

const walk = Effect.fnUntraced(function*<Row extends { readonly id: number }, E>(
  { page, refusal }: Mending<Row, E>,
  until: number,
  act: (rows: ReadonlyArray<Row>) => Effect.Effect<{
    readonly changed: ReadonlyArray<number>
    readonly left: ReadonlyArray<readonly [id: number, why: string]>
  }, E>
) {
  const changed = new Set<number>()
  const left = new Map<string, Array<number>>()
  let last = 0
  for (let isMore = true; isMore;) {
    const rows = (yield* page(last, together)).filter(({ id }) => id <= until)
    isMore = rows.length === together
    last = rows.at(-1)?.id ?? last
    const willing = rows.filter((row) => refusal(row) === undefined)
    const done = willing.length === 0 ? { changed: [], left: [] } : yield* act(willing)
    for (const id of done.changed) changed.add(id)
    const refused = rows.map((row) => [row.id, refusal(row)] as const)
    for (const [id, why] of [...refused, ...done.left]) {
      if (why === undefined || changed.has(id)) continue
      const others = left.get(why)
      if (others === undefined) left.set(why, [id])
      else others.push(id)
    }
  }
  return { changed, left, last } satisfies Mended
})

/** What would be changed now. */
export const foresee = <Row extends { readonly id: number }, E>(mending: Mending<Row, E>) =>
  walk(mending, Infinity, (rows) =>
    Effect.map(mending.along?.(rows) ?? Effect.succeed([]), (others) => ({
      changed: [...new Set([...rows.map(({ id }) => id), ...others])],
      left: []
    })))

/** Changes it, up to the row `until`. */
export const mend = <Row extends { readonly id: number }, E>(mending: Mending<Row, E>, until = Infinity) =>
  walk(mending, until, (rows) =>
    Effect.gen(function*() {
      const ids = rows.map(({ id }) => id)
      const changed = yield* mending.change(ids)
      const missed = ids.filter((id) => !changed.includes(id))
      const now = missed.length === 0 ? [] : yield* mending.again(missed)
      const left = missed.map((id) => {
        const row = now.find((row) => row.id === id)
        return [id, row === undefined ? "deleted meanwhile" : mending.refusal(row) ?? "changed meanwhile"] as const
      })
      return { changed, left }
    }))
