/** Very many rows changed by hand: bounded steps, each row once, and what others did meanwhile is told. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { foresee, mend, type Mending } from "../../src/cli/massChange.ts"

interface Row {
  readonly id: number
  readonly state: string
}

/** Rows 1 to `count` wait; `meanwhile` happens between a look and the change that follows it. */
const rowsOf = (count: number, meanwhile: (rows: Map<number, string>) => void = () => undefined) => {
  const rows = new Map(Array.from({ length: count }, (_, index) => [index + 1, "waits"]))
  const steps: Array<number> = []
  const found = (matches: (row: Row) => boolean) => [...rows].map(([id, state]) => ({ id, state })).filter(matches)
  const mending: Mending<Row, never> = {
    page: (after, limit) => Effect.sync(() => found(({ id, state }) => id > after && state !== "done").slice(0, limit)),
    refusal: ({ state }) => state === "waits" ? undefined : state,
    change: (ids) =>
      Effect.sync(() => {
        meanwhile(rows)
        const changed = ids.filter((id) => rows.get(id) === "waits")
        for (const id of changed) rows.set(id, "done")
        steps.push(ids.length)
        return changed
      }),
    again: (ids) => Effect.sync(() => found(({ id }) => ids.includes(id)))
  }
  return { rows, mending, steps }
}

it.effect("rows are changed a hundred at a time, in their order", () =>
  Effect.gen(function*() {
    const { mending, steps } = rowsOf(250)
    const { changed, left } = yield* mend(mending)
    assert.deepStrictEqual([...changed], Array.from({ length: 250 }, (_, index) => index + 1))
    assert.deepStrictEqual(steps, [100, 100, 50])
    assert.strictEqual(left.size, 0)
  }))

it.effect("what is foreseen is what is done, and foreseeing changes nothing", () =>
  Effect.gen(function*() {
    const { mending, rows, steps } = rowsOf(150)
    rows.set(120, "delivered")
    const foreseen = yield* foresee(mending)
    assert.deepStrictEqual(steps, [])
    const done = yield* mend(mending, foreseen.last)
    assert.deepStrictEqual(done, foreseen)
    assert.deepStrictEqual([...done.left], [["delivered", [120]]])
  }))

it.effect("rows that came after the question are not changed", () =>
  Effect.gen(function*() {
    const { mending, rows } = rowsOf(3)
    const foreseen = yield* foresee(mending)
    rows.set(4, "waits")
    assert.deepStrictEqual([...(yield* mend(mending, foreseen.last)).changed], [1, 2, 3])
  }))

it.effect("what somebody else did between the look and the change is left, and said", () =>
  Effect.gen(function*() {
    const { mending } = rowsOf(4, (rows) => {
      rows.set(2, "sending")
      rows.delete(3)
    })
    const { changed, left } = yield* mend(mending)
    assert.deepStrictEqual([...changed], [1, 4])
    assert.deepStrictEqual([...left], [["sending", [2]], ["deleted meanwhile", [3]]])
  }))

it.effect("what would come along is foreseen, each row once", () =>
  Effect.gen(function*() {
    const { mending } = rowsOf(3)
    const along = (rows: ReadonlyArray<Row>) => Effect.succeed(rows.some(({ id }) => id === 1) ? [2, 7] : [])
    assert.deepStrictEqual([...(yield* foresee({ ...mending, along })).changed], [1, 2, 3, 7])
  }))
