/** `slackwater outbox show <id>`: everything that is known about one reply. */
import { Console, Effect, Runtime, Schema } from "effect"
import { Argument, Command } from "effect/cli"
import { refusalOf } from "../OutboxByHand.ts"
import { type OutboxRow, rowOf } from "../OutboxRow.ts"
import { OutboxStore } from "../OutboxStore.ts"
import { momentOrNull } from "./ages.ts"
import { commandSettings, looking } from "./besideGateway.ts"
import { stateOf } from "./outboxList.ts"
import * as rowFlags from "./rowFlags.ts"
import { json as jsonText, lines, oneLine } from "./terminalText.ts"

export class NoSuchReply extends Schema.TaggedError<NoSuchReply>()("NoSuchReply", { id: Schema.Int }) {
  override readonly [Runtime.errorExitCode] = 1
  override get message(): string {
    return `there is no reply ${this.id}: it never was, or it was deleted by age; see slackwater outbox list`
  }
}

const times = (count: number) => count === 1 ? "once" : `${count} times`

/** In the order in which they are read; what says nothing is left out. */
const facts = (row: OutboxRow): ReadonlyArray<readonly [name: string, fact: string | null]> => [
  ["kind", row.interim ? `${row.kind}, progress` : row.kind],
  ["channel", row.channel],
  ["thread", row.thread],
  ["ts", row.ts === "" ? null : row.ts],
  ["conversation", row.conversation],
  ["turn", row.turn],
  ["key", row.key],
  ["changes", row.target === null ? null : `row ${row.target}`],
  ["part of", row.partOf === null ? null : `row ${row.partOf}`],
  ["sent", row.tries === 0 ? "never" : `${times(row.tries)}, ${row.attempts} of which count as attempts`],
  ["looked for", row.looks === 0 ? null : times(row.looks)],
  ["error", row.error],
  ["reason", row.reason],
  ["blocks", row.degraded ? "left out, since Slack refused them" : null],
  ["enqueued at", momentOrNull(row.enqueuedAt)],
  ["due at", row.finishedAt === null ? momentOrNull(row.dueAt) : null],
  ["last sent at", momentOrNull(row.sentAt)],
  ["unknown since", momentOrNull(row.unknownSince)],
  ["failed at", momentOrNull(row.failedAt)],
  ["retried at", momentOrNull(row.retriedAt)],
  ["ended at", momentOrNull(row.finishedAt)]
]

const remedies = (row: OutboxRow): ReadonlyArray<string> => [
  ...(refusalOf.retry(row) === undefined
    ? [
      `slackwater outbox retry ${row.id}    sends it again${
        row.state === "unknown" ? "; it may be in Slack already" : ""
      }`
    ]
    : []),
  ...(refusalOf.discard(row) === undefined ? [`slackwater outbox discard ${row.id}  never sends it`] : [])
]

const print = (row: OutboxRow): string =>
  [
    `Reply ${row.id}: ${stateOf(row)}`,
    ...facts(row).filter(([, fact]) => fact !== null).map(([name, fact]) =>
      `  ${name.padEnd(14)}${oneLine(fact ?? "")}`
    ),
    ...(row.text === "" ? [] : ["  text", ...lines(row.text).map((line) => `  | ${line}`)]),
    ...remedies(row)
  ].join("\n")

export const show = Command.make(
  "show",
  {
    id: Argument.String("id").pipe(Argument.withDescription("The number of a row, as the list shows it")),
    json: rowFlags.json
  },
  Effect.fn("outbox show")(function*({ id: given, json }) {
    const id = yield* rowFlags.idOf("outbox show", given)
    const { dataDir } = yield* commandSettings
    const [found] = yield* OutboxStore.use((store) => store.list({ ids: [id] }, { limit: 1 })).pipe(looking(dataDir))
    if (found === undefined) return yield* new NoSuchReply({ id })
    const row = rowOf(found)
    yield* Console.log(json ? jsonText(row) : print(row))
  })
).pipe(
  Command.withDescription("Show everything that is known about one reply: state, failures, times, place, text"),
  Command.withExamples([{ command: "slackwater outbox show 7", description: "One row, and how to settle it" }])
)
