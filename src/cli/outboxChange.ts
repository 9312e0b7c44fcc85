/**
 * `slackwater outbox retry` and `outbox discard`: replies settled by hand, by number or by state, never all by accident.
 *
 * Guarantees, also after `kill -9`: a row is changed whole or not at all, and only from a state that the store lets go;
 * repeated, the command changes nothing that it changed before. A gateway that runs is woken, however it ends.
 */
import { Console, Effect, Runtime, Schema } from "effect"
import { Command } from "effect/cli"
import { type Action, statesFor } from "../OutboxByHand.ts"
import type { Selection } from "../OutboxStore.ts"
import { changing, commandSettings, looking } from "./besideGateway.ts"
import { confirm, hasTerminal } from "./confirm.ts"
import { foresee, mend, type Mended } from "./massChange.ts"
import { narrowed, narrowing } from "./outboxList.ts"
import { mendingOf } from "./outboxMending.ts"
import type { OutboxChange } from "./outboxRows.ts"
import * as rowFlags from "./rowFlags.ts"
import { json as jsonText } from "./terminalText.ts"
import { UsageError } from "./usage.ts"

export class NotConfirmed extends Schema.TaggedError<NotConfirmed>()("NotConfirmed", {}) {
  override readonly [Runtime.errorExitCode] = 1
  override get message(): string {
    return "nothing was changed"
  }
}

export class NoSuchReplies extends Schema.TaggedError<NoSuchReplies>()("NoSuchReplies", {
  ids: Schema.Array(Schema.Int)
}) {
  override readonly [Runtime.errorExitCode] = 1
  override get message(): string {
    return `there are no replies ${
      shortly(this.ids)
    }: they never were, or were deleted by age; see slackwater outbox list`
  }
}

const words: Readonly<Record<Action, { readonly done: string; readonly would: string; readonly ask: string }>> = {
  retry: { done: "to be sent again", would: "would be sent again", ask: "Send them again?" },
  discard: { done: "discarded", would: "would be discarded", ask: "Never send them?" }
}

const shown = 10
const shortly = (ids: ReadonlyArray<number>) =>
  ids.length > shown ? `${ids.slice(0, shown).join(", ")} and ${ids.length - shown} more` : ids.join(", ")
const replies = (count: number) => count === 1 ? "1 reply" : `${count} replies`

const print = ({ action, changed, dryRun, left }: OutboxChange): string => {
  const { done, would } = words[action]
  return [
    `${replies(changed.length)} ${dryRun ? would : done}${changed.length === 0 ? "" : `: ${shortly(changed)}`}`,
    ...left.map(({ ids, why }) => `left ${shortly(ids)}: ${why}`)
  ].join("\n")
}

/** By number or by state: the rest of the command line must agree with one of them. */
const selectionOf = Effect.fnUntraced(function*(
  action: Action,
  command: string,
  given: Parameters<typeof narrowed>[0] & { readonly ids: ReadonlyArray<string>; readonly state: ReadonlyArray<string> }
) {
  const ids = yield* rowFlags.idsOf(command, given.ids)
  const states = yield* rowFlags.statesOf(command, statesFor[action], given.state)
  const narrow = narrowed(given)
  const mistake = (detail: string) => new UsageError({ command, detail })
  if (ids.length > 0) {
    const isNarrowed = states !== undefined || Object.keys(narrow).length > 0
    return isNarrowed ? yield* mistake("give numbers of rows or --state, not both") : { ids } satisfies Selection
  }
  if (states === undefined) return yield* mistake("which rows? Give their numbers, or --state")
  return { ...narrow, states } satisfies Selection
})

/** On a terminal more than one row needs a yes. */
const ask = Effect.fnUntraced(function*(action: Action, { changed }: Mended) {
  if (changed.size <= 1) return
  const doubt = action === "retry" ? " Unknown ones may be in Slack already." : ""
  const isSure = yield* confirm(`${replies(changed.size)}: ${shortly([...changed])}.${doubt} ${words[action].ask}`)
  if (!isSure) return yield* new NotConfirmed()
})

const settle = Effect.fnUntraced(function*(action: Action, which: Selection, mayAsk: boolean) {
  const mending = yield* mendingOf(action, which)
  if (!mayAsk) return yield* mend(mending)
  const foreseen = yield* foresee(mending)
  yield* ask(action, foreseen)
  return yield* mend(mending, foreseen.last)
})

const reportOf = (action: Action, dryRun: boolean, which: Selection, { changed, left }: Mended) => {
  const known = new Set([...changed, ...[...left.values()].flat()])
  const missing = (which.ids ?? []).filter((id) => !known.has(id))
  const reasons = [...left].map(([why, ids]) => ({ why, ids }))
  const report: OutboxChange = {
    action,
    dryRun,
    changed: [...changed].toSorted((a, b) => a - b),
    left: missing.length === 0 ? reasons : [...reasons, { why: "there is no such row", ids: missing }]
  }
  return { report, missing }
}

const flags = (action: Action) => ({
  ids: rowFlags.ids,
  state: rowFlags.states(statesFor[action]),
  ...narrowing,
  dryRun: rowFlags.dryRun,
  yes: rowFlags.yes,
  json: rowFlags.json
})

const change = (action: Action) => {
  const command = `outbox ${action}`
  return Command.make(
    action,
    flags(action),
    Effect.fn(command)(function*({ dryRun, json, yes, ...given }) {
      const which = yield* selectionOf(action, command, given)
      const isMass = which.ids === undefined || which.ids.length > 1
      const mustAsk = isMass && !yes && !dryRun
      if (mustAsk && !hasTerminal()) {
        const detail = "this is no terminal, so nobody can be asked: look with --dry-run, then add --yes"
        return yield* new UsageError({ command, detail })
      }
      const { dataDir } = yield* commandSettings
      const done = dryRun
        ? yield* Effect.flatMap(mendingOf(action, which), foresee).pipe(looking(dataDir))
        : yield* settle(action, which, mustAsk).pipe(changing(dataDir, { mayMake: false }))
      const { missing, report } = reportOf(action, dryRun, which, done)
      yield* Console.log(json ? jsonText(report) : print(report))
      if (missing.length > 0) return yield* new NoSuchReplies({ ids: missing })
    })
  )
}

export const retry = change("retry").pipe(
  Command.withDescription(
    "Send replies again: those that are expired, dead letters, or unknown (these may be in Slack already)"
  ),
  Command.withExamples([
    { command: "slackwater outbox retry 7 9", description: "These" },
    { command: "slackwater outbox retry --state expired", description: "All that grew too old" },
    {
      command: "slackwater outbox retry --state failed_terminal --error Permanent --channel C0123ABCD --dry-run",
      description: "See what would be sent again"
    }
  ])
)

export const discard = change("discard").pipe(
  Command.withDescription("Never send replies that wait, are expired, dead letters, or unknown"),
  Command.withExamples([
    { command: "slackwater outbox discard 7", description: "This one" },
    { command: "slackwater outbox discard --state unknown --yes", description: "All of them, from a script" }
  ])
)
