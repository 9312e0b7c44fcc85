/** `slackwater inbox show <id>`: everything that is known about one message, its turn, and what people did with it. */
import { Console, Effect, Runtime, Schema } from "effect"
import { Argument, Command } from "effect/cli"
import { refusalOf, shownOfTurn } from "../InboxByHand.ts"
import { detailOf, type InboxDetail } from "../InboxRow.ts"
import { MessageStore } from "../MessageStore.ts"
import { momentOrNull } from "./ages.ts"
import { commandSettings, looking } from "./besideGateway.ts"
import * as rowFlags from "./rowFlags.ts"
import { cut, json as jsonText, lines, oneLine } from "./terminalText.ts"

export class NoSuchMessage extends Schema.TaggedError<NoSuchMessage>()("NoSuchMessage", { id: Schema.Int }) {
  override readonly [Runtime.errorExitCode] = 1
  override get message(): string {
    return `there is no message ${this.id}: it never was, or it was deleted by age; see slackwater inbox list`
  }
}

const short = 60

type Turn = NonNullable<InboxDetail["turnRecord"]>

/** A turn that failed and has no end is asked for again. */
const stateOf = ({ finishedAt, state }: Turn) =>
  state === "failed" && finishedAt === null ? "failed, asked for again" : state

const some = (items: ReadonlyArray<string>) =>
  `${items.join(", ")}${items.length === shownOfTurn ? ", and maybe more" : ""}`

const ofTurn = (turn: Turn, self: number): ReadonlyArray<readonly [name: string, fact: string | null]> => {
  const others = turn.messages.filter(({ id }) => id !== self)
  return [
    ["turn's state", stateOf(turn)],
    ["turn's error", turn.error],
    ["it said", turn.status],
    ["begun at", momentOrNull(turn.createdAt)],
    ["with messages", others.length === 0 ? null : some(others.map(({ id, state }) => `${id} (${state})`))],
    ["steps done", turn.steps.length === 0 ? null : some(turn.steps)],
    ...turn.replies.map(({ id, kind, state, text }) =>
      ["reply", `${id} ${state} ${kind}: ${cut(oneLine(text), short)}`] as const
    )
  ]
}

/** In the order in which they are read; what says nothing is left out. */
const facts = (row: InboxDetail): ReadonlyArray<readonly [name: string, fact: string | null]> => [
  ["kind", row.kind ?? "cannot be read: a newer release wrote it, or it is damaged"],
  ["conversation", row.conversation],
  ["channel", row.channel],
  ["user", row.user],
  ["ts", row.ts],
  ["thread", row.thread],
  ["reason", row.reason],
  ...row.keys.map((key) => ["key", key] as const),
  ["received at", momentOrNull(row.receivedAt)],
  ["due at", row.state === "queued" ? momentOrNull(row.dueAt) : null],
  ["ended at", momentOrNull(row.finishedAt)],
  ...row.byHand.map(({ action, at, reason }) =>
    ["by hand", `${action} at ${momentOrNull(at) ?? ""}${reason === null ? "" : `, after: ${reason}`}`] as const
  ),
  ["turn", row.turn],
  ["runs", row.attempts === 0 ? null : `${row.attempts}; ${row.failures} failed, ${row.crashes} crashed in a row`],
  ...(row.turnRecord === null ? [] : ofTurn(row.turnRecord, row.id))
]

const remedies = (row: InboxDetail): ReadonlyArray<string> => {
  const others = row.state !== "failed"
    ? 0
    : row.turnRecord?.messages.filter(({ id, state }) => id !== row.id && state === "failed").length ?? 0
  const along = others === 0 ? "" : `, with ${others === 1 ? "the other" : `the ${others} others`} of its turn`
  return [
    ...(refusalOf.retry(row) === undefined ? [`slackwater inbox retry ${row.id}    handles it again${along}`] : []),
    ...(refusalOf.discard(row) === undefined ? [`slackwater inbox discard ${row.id}  never handles it`] : [])
  ]
}

const quoted = (name: string, text: string) => [`  ${name}`, ...lines(text).map((line) => `  | ${line}`)]

const print = (row: InboxDetail): string =>
  [
    `Message ${row.id}: ${row.state}`,
    ...facts(row).filter(([, fact]) => fact !== null).map(([name, fact]) =>
      `  ${name.padEnd(15)}${oneLine(fact ?? "")}`
    ),
    ...(row.text === "" ? [] : quoted("text", row.text)),
    ...(row.payload === null ? [] : quoted("payload", JSON.stringify(row.payload, null, 2))),
    ...remedies(row)
  ].join("\n")

export const show = Command.make(
  "show",
  {
    id: Argument.String("id").pipe(Argument.withDescription("The number of a message, as the list shows it")),
    json: rowFlags.json
  },
  Effect.fn("inbox show")(function*({ id: given, json }) {
    const id = yield* rowFlags.idOf("inbox show", given)
    const { dataDir } = yield* commandSettings
    const found = yield* MessageStore.use((store) => store.show(id)).pipe(looking(dataDir))
    if (found === null) return yield* new NoSuchMessage({ id })
    const row = detailOf(found)
    yield* Console.log(json ? jsonText(row) : print(row))
  })
).pipe(
  Command.withDescription(
    "Show everything that is known about one message: state, reason, payload, its turn, what people did with it"
  ),
  Command.withExamples([{ command: "slackwater inbox show 7", description: "One message, and how to settle it" }])
)
