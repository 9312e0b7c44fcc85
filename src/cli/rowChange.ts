/**
 * What commands that change rows by hand have in common: which rows are meant, never all by accident; the question
 * before many; what is said of it.
 *
 * Guarantees, also after `kill -9`: a row is changed whole or not at all, and only from a state that the store lets go;
 * repeated, the command changes nothing that it changed before. A gateway that runs is woken, however it ends.
 */
import { Console, Effect, Runtime, Schema } from "effect"
import type { MessageStore } from "../MessageStore.ts"
import type { Action } from "../OutboxByHand.ts"
import type { OutboxStore } from "../OutboxStore.ts"
import { changing, commandSettings, looking } from "./besideGateway.ts"
import { confirm, NotConfirmed, somebodyToAsk } from "./confirm.ts"
import { foresee, mend, type Mended, type Mending } from "./massChange.ts"
import * as rowFlags from "./rowFlags.ts"
import { json as jsonText } from "./terminalText.ts"
import { UsageError } from "./usage.ts"

/** What `retry --json` and `discard --json` print. */
export const RowChange = Schema.Struct({
  action: Schema.Literals(["retry", "discard"]),
  dryRun: Schema.Boolean,
  changed: Schema.Array(Schema.Int),
  /** Rows that were left, by reason. */
  left: Schema.Array(Schema.Struct({ why: Schema.String, ids: Schema.Array(Schema.Int) }))
})
export type RowChange = typeof RowChange.Type

const shown = 10
const shortly = (ids: ReadonlyArray<number>) =>
  ids.length > shown ? `${ids.slice(0, shown).join(", ")} and ${ids.length - shown} more` : ids.join(", ")

export class NoSuchRows extends Schema.TaggedError<NoSuchRows>()("NoSuchRows", {
  /** The command that has the list, and what is in it. */
  of: Schema.String,
  what: Schema.String,
  ids: Schema.Array(Schema.Int)
}) {
  override readonly [Runtime.errorExitCode] = 1
  override get message(): string {
    return `there are no ${this.what} ${
      shortly(this.ids)
    }: they never were, or were deleted by age; see slackwater ${this.of} list`
  }
}

/** What is changed, and how that is said. */
export interface Words {
  /** `outbox` or `inbox`. */
  readonly of: string
  readonly one: string
  readonly many: string
  readonly done: string
  readonly would: string
  readonly ask: string
}

const counted = ({ many, one }: Words, count: number) => count === 1 ? `1 ${one}` : `${count} ${many}`

const print = (words: Words, { changed, dryRun, left }: RowChange): string =>
  [
    `${counted(words, changed.length)} ${dryRun ? words.would : words.done}${
      changed.length === 0 ? "" : `: ${shortly(changed)}`
    }`,
    ...left.map(({ ids, why }) => `left ${shortly(ids)}: ${why}`)
  ].join("\n")

/** By number or by state: the rest of the command line must agree with one of them. */
export const selectionOf = Effect.fnUntraced(function*<State extends string, Narrow extends object>(
  command: string,
  allowed: ReadonlyArray<State>,
  given: { readonly ids: ReadonlyArray<string>; readonly state: ReadonlyArray<string> },
  narrow: Narrow
) {
  const ids = yield* rowFlags.idsOf(command, given.ids)
  const states = yield* rowFlags.statesOf(command, allowed, given.state)
  const mistake = (detail: string) => new UsageError({ command, detail })
  if (ids.length > 0) {
    const isNarrowed = states !== undefined || Object.keys(narrow).length > 0
    return isNarrowed ? yield* mistake("give numbers of rows or --state, not both") : { ids }
  }
  if (states === undefined) return yield* mistake("which rows? Give their numbers, or --state")
  return { ...narrow, states }
})

/** On a terminal more than one row needs a yes. */
const ask = Effect.fnUntraced(function*(words: Words, { changed }: Mended) {
  if (changed.size <= 1) return
  const isSure = yield* confirm(`${counted(words, changed.size)}: ${shortly([...changed])}. ${words.ask}`)
  if (!isSure) return yield* new NotConfirmed()
})

const settle = Effect.fnUntraced(function*<Row extends { readonly id: number }, E>(
  words: Words,
  mending: Mending<Row, E>,
  mayAsk: boolean
) {
  if (!mayAsk) return yield* mend(mending)
  const foreseen = yield* foresee(mending)
  yield* ask(words, foreseen)
  return yield* mend(mending, foreseen.last)
})

const reportOf = (action: Action, dryRun: boolean, ids: ReadonlyArray<number>, { changed, left }: Mended) => {
  const known = new Set([...changed, ...[...left.values()].flat()])
  const missing = ids.filter((id) => !known.has(id))
  const reasons = [...left].map(([why, ids]) => ({ why, ids }))
  const report: RowChange = {
    action,
    dryRun,
    changed: [...changed].toSorted((a, b) => a - b),
    left: missing.length === 0 ? reasons : [...reasons, { why: "there is no such row", ids: missing }]
  }
  return { report, missing }
}

/** Changes the rows, or says what would be changed. */
export const changeRows = Effect.fnUntraced(function*<Row extends { readonly id: number }, E>(
  action: Action,
  words: Words,
  ids: ReadonlyArray<number> | undefined,
  mendingOf: Effect.Effect<Mending<Row, E>, never, MessageStore | OutboxStore>,
  { dryRun, json, yes }: { readonly dryRun: boolean; readonly json: boolean; readonly yes: boolean }
) {
  const isMass = ids === undefined || ids.length > 1
  const mustAsk = isMass && !yes && !dryRun
  if (mustAsk) yield* somebodyToAsk(`${words.of} ${action}`)
  const { dataDir } = yield* commandSettings
  const done = dryRun
    ? yield* Effect.flatMap(mendingOf, foresee).pipe(looking(dataDir))
    : yield* Effect.flatMap(mendingOf, (mending) => settle(words, mending, mustAsk)).pipe(
      changing(dataDir, { mayMake: false })
    )
  const { missing, report } = reportOf(action, dryRun, ids ?? [], done)
  yield* Console.log(json ? jsonText(report) : print(words, report))
  if (missing.length > 0) return yield* new NoSuchRows({ of: words.of, what: words.many, ids: missing })
})
