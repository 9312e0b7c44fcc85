/** `slackwater inbox list`: what is in the inbox, page by page. */
import { Clock, Console, Duration, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { type MessageSelection, messageStates } from "../InboxByHand.ts"
import { type InboxPage, type InboxRow, rowOf } from "../InboxRow.ts"
import { ConversationKey } from "../Message.ts"
import { MessageStore } from "../MessageStore.ts"
import { ageOf } from "./ages.ts"
import { commandSettings, looking } from "./besideGateway.ts"
import * as rowFlags from "./rowFlags.ts"
import { json as jsonText, table } from "./terminalText.ts"
import { UsageError } from "./usage.ts"

const mostRows = 1_000

/** What narrows a selection, of `list` and of the commands that change messages. */
export const narrowing = {
  channel: Flag.String("channel").pipe(
    Flag.withDescription("Messages of this channel, direct message or person, by its id"),
    Flag.optional
  ),
  conversation: Flag.String("conversation").pipe(
    Flag.withDescription("Messages of this conversation, as `show` names it: a channel, or channel/thread"),
    Flag.optional
  ),
  reason: Flag.String("reason").pipe(
    Flag.withDescription("Messages whose reason (why ignored, how it failed) has this in it"),
    Flag.optional
  ),
  olderThan: Flag.String("older-than").pipe(
    Flag.withDescription("Messages received longer ago than this, like \"2 hours\""),
    Flag.optional
  ),
  newerThan: Flag.String("newer-than").pipe(
    Flag.withDescription("Messages received within this time, like \"30 minutes\""),
    Flag.optional
  )
}

type Given = { readonly [Name in keyof typeof narrowing]: Option.Option<string> }

/** The moment so long ago. */
const ago = Effect.fnUntraced(function*(command: string, flag: string, given: string) {
  const time = Option.filter(Duration.fromInput(given as Duration.Input), Duration.isFinite)
  if (Option.isNone(time) || Duration.isNegative(time.value)) {
    return yield* new UsageError({ command, detail: `${flag} is "${given}", and must be a time like "2 hours"` })
  }
  return Math.round((yield* Clock.currentTimeMillis) - Duration.toMillis(time.value))
})

export const narrowed = Effect.fnUntraced(function*(command: string, given: Given) {
  const which: { -readonly [Name in keyof MessageSelection]: MessageSelection[Name] } = {}
  if (Option.isSome(given.channel)) which.channel = given.channel.value
  if (Option.isSome(given.conversation)) which.conversation = ConversationKey.make(given.conversation.value)
  if (Option.isSome(given.reason)) which.reason = given.reason.value
  if (Option.isSome(given.olderThan)) which.receivedBefore = yield* ago(command, "--older-than", given.olderThan.value)
  if (Option.isSome(given.newerThan)) which.receivedFrom = yield* ago(command, "--newer-than", given.newerThan.value)
  return which satisfies MessageSelection
})

const head = ["ID", "STATE", "AGE", "CONVERSATION", "RUNS", "REASON", "TEXT"]

const cells = (row: InboxRow, now: number) => [
  String(row.id),
  row.state,
  ageOf(now - row.receivedAt),
  row.conversation,
  String(row.attempts),
  row.reason ?? "",
  row.kind === null ? "(cannot be read)" : row.text
]

const print = ({ next, rows }: InboxPage, now: number, hidesEnded: boolean): string =>
  rows.length === 0
    ? `no such messages${hidesEnded ? "; those that are settled: --state done,ignored" : ""}`
    : [
      table(head, rows.map((row) => cells(row, now))),
      ...(next === null ? [] : [`more: the same with --before ${next}`])
    ].join("\n")

export const list = Command.make(
  "list",
  {
    state: rowFlags.states(messageStates),
    ...narrowing,
    before: Flag.Int("before").pipe(Flag.withDescription("Messages before this one"), Flag.optional),
    limit: Flag.Int("limit").pipe(Flag.withDescription(`Messages at most, up to ${mostRows}`), Flag.withDefault(50)),
    json: rowFlags.json
  },
  Effect.fn("inbox list")(function*({ before, json, limit, state, ...given }) {
    const command = "inbox list"
    const asked = yield* rowFlags.statesOf(command, messageStates, state)
    const states = asked ?? messageStates.filter((one) => one !== "done" && one !== "ignored")
    if (limit < 1 || limit > mostRows) {
      return yield* new UsageError({ command, detail: `--limit is ${limit}, and must be from 1 to ${mostRows}` })
    }
    const which = { ...(yield* narrowed(command, given)), states }
    const { dataDir } = yield* commandSettings
    const page = Option.match(before, { onNone: () => ({}), onSome: (before) => ({ before }) })
    const found = yield* MessageStore.use((store) => store.list(which, { ...page, limit: limit + 1 })).pipe(
      looking(dataDir)
    )
    const rows = found.slice(0, limit).map(rowOf)
    const shown: InboxPage = { rows, next: found.length > limit ? rows.at(-1)?.id ?? null : null }
    yield* Console.log(json ? jsonText(shown) : print(shown, yield* Clock.currentTimeMillis, asked === undefined))
  })
).pipe(
  Command.withDescription("List messages, newest first; without --state, all that wait, run, or are dead letters"),
  Command.withExamples([
    { command: "slackwater inbox list", description: "What waits, what runs, and the dead letters" },
    { command: "slackwater inbox list --state failed --newer-than '1 day'", description: "Dead letters of today" },
    { command: "slackwater inbox list --state ignored --reason 'not addressed' --json", description: "For a program" }
  ])
)
