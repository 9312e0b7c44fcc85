/** What the lists of the inbox and of the outbox have in common: which rows, which page of them, and what was changed. */
import { Clock, Effect, Option, Schema } from "effect"
import { HttpRouter } from "effect/http"
import type { StoreError } from "../StoreError.ts"
import { answering, bodyOf, Refusal } from "./answers.ts"

/** Rows of a page where nothing is said, and at most. */
const usual = 50
const most = 200
/** Rows that one request may change. */
const mostIds = 1_000
/** A list shows the beginning of a text; the row alone shows all of it. */
const shownOfText = 1_000

const Id = Schema.Int.check(Schema.isGreaterThan(0))
const numeric = <S extends Schema.Codec<number, number>>(to: S) => Schema.NumberFromString.pipe(Schema.decodeTo(to))

/** States come in one parameter with commas, or in several. */
export const listQuery = <State extends string>(states: ReadonlyArray<State>) => {
  const Query = Schema.Struct({
    state: Schema.optional(Schema.Union([Schema.String, Schema.Array(Schema.String)])),
    conversation: Schema.optional(Schema.NonEmptyString),
    limit: Schema.optional(numeric(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: most })))),
    before: Schema.optional(numeric(Id))
  })
  const page = Effect.fnUntraced(function*({ before, conversation, limit = usual, state }: typeof Query.Type) {
    const names = [state ?? []].flat().flatMap((part) => part.split(",")).filter((name) => name !== "")
    const known = states.filter((one) => names.includes(one))
    const stranger = names.find((name) => !known.some((one) => one === name))
    if (stranger !== undefined) {
      return yield* new Refusal({ status: 400, error: `there is no such state; the states are ${states.join(", ")}` })
    }
    return { before, conversation, limit, states: names.length === 0 ? undefined : known }
  })
  return { Query, page }
}

/** One more row than the page has says whether there is another page. */
export const pageOf = <Row extends { readonly id: number; readonly text: string }>(
  rows: ReadonlyArray<Row>,
  limit: number
) => {
  const shown = rows.slice(0, limit).map((row) => ({ ...row, text: beginningOf(row.text) }))
  return { rows: shown, next: rows.length > limit ? shown.at(-1)?.id ?? null : null }
}

const beginningOf = (text: string) => text.length <= shownOfText ? text : `${text.slice(0, shownOfText)}…`

const Ids = Schema.Struct({
  ids: Schema.Array(Id).check(Schema.isMinLength(1), Schema.isMaxLength(mostIds))
})

/** What a change answers: rows that were changed, which may be more than were named, and why the others were not. */
const Changed = Schema.Struct({
  changed: Schema.Array(Schema.Int),
  unchanged: Schema.Array(Schema.Struct({ id: Schema.Int, why: Schema.String }))
})

/** A request that changes rows: it says why some were left, and wakes whoever works on them. */
export const change = <Row extends { readonly id: number }>(
  ways: {
    readonly act: (ids: ReadonlyArray<number>, now: number) => Effect.Effect<ReadonlyArray<number>, StoreError>
    /** Is asked after the change. */
    readonly look: (ids: ReadonlyArray<number>) => Effect.Effect<ReadonlyArray<Row>, StoreError>
    readonly refusalOf: (row: NoInfer<Row>) => string | undefined
    readonly wake: Effect.Effect<void>
  }
) => {
  const changeNamed = Effect.fnUntraced(function*(named: ReadonlyArray<number>) {
    const changed = yield* ways.act(named, yield* Clock.currentTimeMillis)
    if (changed.length > 0) yield* ways.wake
    const done = new Set(changed)
    const left = named.filter((id) => !done.has(id))
    const rows = new Map((left.length === 0 ? [] : yield* ways.look(left)).map((row) => [row.id, row]))
    const unchanged = left.map((id) => {
      const row = rows.get(id)
      if (row === undefined) return { id, why: "there is no such row" }
      return { id, why: ways.refusalOf(row) ?? "it changed at this moment; look again" }
    })
    return { changed, unchanged } satisfies typeof Changed.Type
  }, Effect.uninterruptible)
  return answering(Changed)(Effect.flatMap(bodyOf(Ids), ({ ids }) => changeNamed([...new Set(ids)])))
}

const decodeId = Schema.decodeUnknownOption(numeric(Id))

/** The number in the address. */
export const idInPath = Effect.flatMap(HttpRouter.params, ({ id }) =>
  Option.match(decodeId(id), {
    onNone: () => Effect.fail(new Refusal({ status: 404, error: "there is no such row" })),
    onSome: Effect.succeed
  }))
