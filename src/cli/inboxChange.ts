/** `slackwater inbox retry` and `inbox discard`: messages settled by hand, by number or by state. */
import { Effect } from "effect"
import { Command } from "effect/cli"
import { statesFor } from "../InboxByHand.ts"
import { narrowed, narrowing } from "./inboxList.ts"
import { mendingOf } from "./inboxMending.ts"
import { type Action, changeRows, selectionOf, type Words } from "./rowChange.ts"
import * as rowFlags from "./rowFlags.ts"

const messages = { of: "inbox", one: "message", many: "messages" }
const words: Readonly<Record<Action, Words>> = {
  retry: {
    ...messages,
    done: "to be handled again",
    would: "would be handled again",
    ask: "Have them handled again?"
  },
  discard: { ...messages, done: "discarded", would: "would be discarded", ask: "Never handle them?" }
}

const change = (action: Action) => {
  const command = `inbox ${action}`
  return Command.make(
    action,
    {
      ids: rowFlags.ids,
      state: rowFlags.states(statesFor[action]),
      ...narrowing,
      dryRun: rowFlags.dryRun,
      yes: rowFlags.yes,
      json: rowFlags.json
    },
    Effect.fn(command)(function*({ dryRun, json, yes, ...given }) {
      const which = yield* selectionOf(command, statesFor[action], given, yield* narrowed(command, given))
      const ids = "ids" in which ? which.ids : undefined
      yield* changeRows(action, words[action], ids, mendingOf(action, which), { dryRun, json, yes })
    })
  )
}

export const retry = change("retry").pipe(
  Command.withDescription(
    "Have dead letters handled again, each with all that failed in its turn, and ignored messages after all"
  ),
  Command.withExamples([
    { command: "slackwater inbox retry 7 9", description: "These" },
    { command: "slackwater inbox retry --state failed --newer-than '2 hours'", description: "What failed just now" },
    {
      command: "slackwater inbox retry --state failed --reason timeout --channel C0123ABCD --dry-run",
      description: "See what would be handled again"
    }
  ])
)

export const discard = change("discard").pipe(
  Command.withDescription("Never handle messages that wait or are dead letters; no turn may run with them"),
  Command.withExamples([
    { command: "slackwater inbox discard 7", description: "This one" },
    { command: "slackwater inbox discard --state failed --older-than '7 days' --yes", description: "From a script" }
  ])
)
