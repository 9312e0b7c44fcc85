/** `slackwater outbox list`: what is in the outbox, page by page. */
import { Clock, Console, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { ConversationKey } from "../Message.ts"
import { type OutboxPage, type OutboxRow, rowOf } from "../OutboxRow.ts"
import { OutboxStore, replyStates, type Selection } from "../OutboxStore.ts"
import { ageOf } from "./ages.ts"
import { commandSettings, looking } from "./besideGateway.ts"
import * as rowFlags from "./rowFlags.ts"
import { json as jsonText, table } from "./terminalText.ts"
import { UsageError } from "./usage.ts"

const mostRows = 1_000

/** What narrows a selection, of `list` and of the commands that change rows. */
export const narrowing = {
  channel: Flag.String("channel").pipe(
    Flag.withDescription("Rows for this channel, direct message or person, by its id"),
    Flag.optional
  ),
  conversation: Flag.String("conversation").pipe(
    Flag.withDescription("Rows of this conversation, as `show` names it: a channel, or channel/thread"),
    Flag.optional
  ),
  error: Flag.String("error").pipe(
    Flag.withDescription("Rows whose last failure is of this class, like Credentials"),
    Flag.optional
  )
}

export const narrowed = (given: {
  readonly channel: Option.Option<string>
  readonly conversation: Option.Option<string>
  readonly error: Option.Option<string>
}): Selection => ({
  ...Option.match(given.channel, { onNone: () => ({}), onSome: (channel) => ({ channel }) }),
  ...Option.match(given.conversation, { onNone: () => ({}), onSome: (key) => ({ lane: ConversationKey.make(key) }) }),
  ...Option.match(given.error, { onNone: () => ({}), onSome: (error) => ({ error }) })
})

/** In a word or two. */
export const stateOf = ({ held, state }: Pick<OutboxRow, "held" | "state">): string =>
  state === "unknown" && held ? "unknown (held)" : state

const head = ["ID", "STATE", "AGE", "CHANNEL", "TRIES", "ERROR", "TEXT"]

const cells = (row: OutboxRow, now: number) => [
  String(row.id),
  stateOf(row),
  ageOf(now - row.enqueuedAt),
  row.channel,
  String(row.tries),
  row.state === "delivered" ? "" : row.error ?? "",
  row.text
]

const print = ({ next, rows }: OutboxPage, now: number, hidesDelivered: boolean): string =>
  rows.length === 0
    ? `no such rows${hidesDelivered ? "; those that were delivered: --state delivered" : ""}`
    : [
      table(head, rows.map((row) => cells(row, now))),
      ...(next === null ? [] : [`more: the same with --after ${next}`])
    ].join("\n")

export const list = Command.make(
  "list",
  {
    state: rowFlags.states(replyStates),
    ...narrowing,
    after: Flag.Int("after").pipe(Flag.withDescription("Rows behind this one"), Flag.withDefault(0)),
    limit: Flag.Int("limit").pipe(Flag.withDescription(`Rows at most, up to ${mostRows}`), Flag.withDefault(50)),
    json: rowFlags.json
  },
  Effect.fn("outbox list")(function*({ after, json, limit, state, ...given }) {
    const command = "outbox list"
    const asked = yield* rowFlags.statesOf(command, replyStates, state)
    const states = asked ?? replyStates.filter((one) => one !== "delivered")
    if (limit < 1 || limit > mostRows) {
      return yield* new UsageError({ command, detail: `--limit is ${limit}, and must be from 1 to ${mostRows}` })
    }
    const { dataDir } = yield* commandSettings
    const found = yield* OutboxStore.use((store) =>
      store.list({ ...narrowed(given), states }, { after, limit: limit + 1 })
    ).pipe(looking(dataDir))
    const rows = found.slice(0, limit).map(rowOf)
    const page: OutboxPage = { rows, next: found.length > limit ? rows.at(-1)?.id ?? null : null }
    yield* Console.log(json ? jsonText(page) : print(page, yield* Clock.currentTimeMillis, asked === undefined))
  })
).pipe(
  Command.withDescription("List replies, oldest first; without --state, all that are not delivered"),
  Command.withExamples([
    { command: "slackwater outbox list", description: "What waits, and what went wrong" },
    { command: "slackwater outbox list --state expired,failed_terminal --channel C0123ABCD", description: "Narrowed" },
    { command: "slackwater outbox list --state delivered --limit 1000 --json", description: "For another program" }
  ])
)
