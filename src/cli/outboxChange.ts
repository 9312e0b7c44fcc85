/** `slackwater outbox retry` and `outbox discard`: replies settled by hand, by number or by state. */
import { Effect } from "effect"
import { Command } from "effect/cli"
import { statesFor } from "../OutboxByHand.ts"
import { narrowed, narrowing } from "./outboxList.ts"
import { mendingOf } from "./outboxMending.ts"
import { type Action, changeRows, selectionOf, type Words } from "./rowChange.ts"
import * as rowFlags from "./rowFlags.ts"

const replies = { of: "outbox", one: "reply", many: "replies" }
const words: Readonly<Record<Action, Words>> = {
  retry: {
    ...replies,
    done: "to be sent again",
    would: "would be sent again",
    ask: "Unknown ones may be in Slack already. Send them again?"
  },
  discard: { ...replies, done: "discarded", would: "would be discarded", ask: "Never send them?" }
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
      const which = yield* selectionOf(command, statesFor[action], given, narrowed(given))
      const ids = "ids" in which ? which.ids : undefined
      yield* changeRows(action, words[action], ids, mendingOf(action, which), { dryRun, json, yes })
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
