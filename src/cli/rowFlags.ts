/** What commands about rows take in common: their numbers or their states, and what becomes of the answer. */
import { Effect } from "effect"
import { Argument, Flag } from "effect/cli"
import { UsageError } from "./usage.ts"

/** More are asked for by their state. */
const mostIds = 1_000

export const ids = Argument.String("id").pipe(
  Argument.withDescription("Numbers of rows, as the list shows them"),
  Argument.variadic({ min: 0 })
)

export const states = (allowed: ReadonlyArray<string>) =>
  Flag.String("state").pipe(
    Flag.withDescription(`Rows in this state; may be repeated, or several with commas: ${allowed.join(", ")}`),
    Flag.atLeast(0)
  )

export const json = Flag.Boolean("json").pipe(
  Flag.withDescription("Print the answer as JSON"),
  Flag.withDefault(false)
)
export const dryRun = Flag.Boolean("dry-run").pipe(
  Flag.withDescription("Change nothing, and print what would be changed"),
  Flag.withDefault(false)
)
export const yes = Flag.Boolean("yes").pipe(
  Flag.withAlias("y"),
  Flag.withDescription("Do not ask; needed for more than one row where there is no terminal"),
  Flag.withDefault(false)
)

export const idOf = (command: string, given: string) => {
  const id = /^[1-9]\d*$/.test(given) ? Number(given) : NaN
  return Number.isSafeInteger(id)
    ? Effect.succeed(id)
    : Effect.fail(new UsageError({ command, detail: `"${given}" is no number of a row` }))
}

export const idsOf = Effect.fnUntraced(function*(command: string, given: ReadonlyArray<string>) {
  if (given.length > mostIds) {
    return yield* new UsageError({ command, detail: `${given.length} rows, and ${mostIds} are the most; use --state` })
  }
  return [...new Set(yield* Effect.forEach(given, (id) => idOf(command, id)))]
})

/** Undefined when none is given. */
export const statesOf = Effect.fnUntraced(function*<State extends string>(
  command: string,
  allowed: ReadonlyArray<State>,
  given: ReadonlyArray<string>
) {
  const found: Array<State> = []
  for (const name of given.flatMap((part) => part.split(","))) {
    const state = allowed.find((one) => one === name.trim())
    if (state === undefined) {
      return yield* new UsageError({ command, detail: `--state is "${name}", and must be of ${allowed.join(", ")}` })
    }
    found.push(state)
  }
  return given.length === 0 ? undefined : found
})
