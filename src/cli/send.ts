/**
 * `slackwater send`: a message from a script or a cron job, on disk when the command ends. A gateway on the same data
 * directory sends it, at once or when it is started.
 */
import { Console, DateTime, Effect, Option, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { text as readAll } from "node:stream/consumers"
import { problemOf } from "../Dispatch.ts"
import type { Reply } from "../Message.ts"
import { OutboxStore, replyStates } from "../OutboxStore.ts"
import { hostSpot, rowsOfReply } from "../replyRows.ts"
import { isPlace, isTs } from "../slackIds.ts"
import { changing, commandSettings } from "./besideGateway.ts"
import { UsageError } from "./usage.ts"

/** What `send --json` prints. */
export const Sent = Schema.Struct({ id: Schema.Int, state: Schema.Literals(replyStates) })

/** Beyond this it is no message but a file. */
const longest = 12_000
const mostBlocks = 50

const mistake = (detail: string) => new UsageError({ command: "send", detail })

const readStdin = Effect.suspend(() =>
  process.stdin.isTTY
    ? Effect.fail(mistake("there is no text: give --text or --blocks, or pipe the text in"))
    : Effect.tryPromise({
      try: () => readAll(process.stdin),
      catch: (error) => mistake(`standard input cannot be read (${String(error)})`)
    })
).pipe(Effect.map((text) => text.replace(/\r?\n$/, "")))

const readBlocks = Effect.fnUntraced(function*(path: string) {
  const json = yield* Effect.try({
    try: (): unknown => JSON.parse(readFileSync(path, "utf8")),
    catch: (error) => mistake(`--blocks: ${path} cannot be read (${error instanceof Error ? error.message : ""})`)
  })
  const blocks: unknown = typeof json === "object" && json !== null && "blocks" in json ? json.blocks : json
  const isRight = Array.isArray(blocks) && blocks.length > 0 && blocks.length <= mostBlocks &&
    blocks.every((block) => typeof block === "object" && block !== null && "type" in block)
  if (!isRight) {
    return yield* mistake(`--blocks: ${path} must hold a JSON array of 1 to ${mostBlocks} blocks, each with a type`)
  }
  return blocks as ReadonlyArray<unknown>
})

const contentOf = Effect.fnUntraced(function*(given: {
  readonly text: Option.Option<string>
  readonly blocks: Option.Option<string>
}) {
  const blocks = Option.isSome(given.blocks) ? yield* readBlocks(given.blocks.value) : undefined
  const text = Option.isSome(given.text) ? given.text.value : blocks === undefined ? yield* readStdin : undefined
  const reply: Reply = { ...(text === undefined ? {} : { text }), ...(blocks === undefined ? {} : { blocks }) }
  if (problemOf(reply) !== undefined) return yield* mistake("the message is empty: give it some text")
  if (text !== undefined && text.length > longest) {
    return yield* mistake(`the text has ${text.length} characters, and ${longest} are the most; send it in several`)
  }
  return reply
})

const momentOf = Effect.fnUntraced(function*(iso: string) {
  // Without its zone it would be another moment on another machine.
  const isWhole = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/.test(iso)
  const moment = isWhole ? DateTime.make(iso) : Option.none()
  if (Option.isNone(moment)) {
    return yield* mistake(`--not-before is "${iso}", and must be a moment with its zone, like 2026-12-01T09:00:00Z`)
  }
  return DateTime.toEpochMillis(moment.value)
})

export const send = Command.make(
  "send",
  {
    channel: Flag.String("channel").pipe(
      Flag.withDescription("Where it goes: the id of a channel (C…), a direct message (D…) or a person (U…)")
    ),
    thread: Flag.String("thread").pipe(
      Flag.withDescription("The ts of the message that it answers"),
      Flag.optional
    ),
    text: Flag.String("text").pipe(
      Flag.withDescription("What it says; beside blocks, what a notification says. Without it, standard input"),
      Flag.optional
    ),
    blocks: Flag.String("blocks").pipe(
      Flag.withDescription("A JSON file with an array of blocks"),
      Flag.optional
    ),
    key: Flag.String("key").pipe(
      Flag.withDescription("Names the message: sent once, however often the command is repeated"),
      Flag.optional
    ),
    notBefore: Flag.String("not-before").pipe(
      Flag.withDescription("The moment before which it is not sent, like 2026-12-01T09:00:00Z"),
      Flag.optional
    ),
    json: Flag.Boolean("json").pipe(Flag.withDescription("Print { id, state } as JSON"), Flag.withDefault(false))
  },
  Effect.fn("send")(function*({ channel, json, key, thread, ...given }) {
    if (!isPlace(channel)) {
      return yield* mistake(
        `--channel is "${channel}", and must be an id of Slack like C0123ABCD, D0123ABCD or U0123ABCD`
      )
    }
    if (Option.isSome(thread) && !isTs(thread.value)) {
      return yield* mistake(`--thread is "${thread.value}", and must be the ts of a message like 1700000000.123456`)
    }
    if (Option.isSome(key) && key.value.trim() === "") return yield* mistake("--key is empty")
    const notBefore = Option.isSome(given.notBefore) ? yield* momentOf(given.notBefore.value) : undefined
    const { dataDir } = yield* commandSettings
    const content = yield* contentOf(given)
    const destination = Option.isSome(thread) ? { channel, threadTs: thread.value } : { channel }
    const spot = yield* hostSpot(destination)
    const rows = yield* rowsOfReply(spot, Option.isSome(key) ? { ...content, key: key.value } : content, notBefore)

    const wasThere = yield* Effect.sync(() => existsSync(join(dataDir, "slackwater.db")))
    const { known, row } = yield* Effect.gen(function*() {
      const store = yield* OutboxStore
      const name = rows[0]?.key ?? ""
      const known = (yield* store.keysAt(name)).includes(name)
      const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
      // Of what was there before only the first row is asked for: a longer text must not add its end to it.
      const [row] = yield* store.enqueue(known ? rows.slice(0, 1) : rows, null, now)
      return { known, row }
    }).pipe(changing(dataDir))
    if (row === undefined) return yield* Effect.die("no row for a message")
    if (known) {
      yield* Console.error(
        `slackwater: the key "${
          Option.getOrElse(key, () => "")
        }" was used before: row ${row.id} (${row.state}); nothing new was made`
      )
    }
    // A gateway with another data directory never looks there, and nobody would hear of it.
    if (!wasThere) {
      yield* Console.error(
        `slackwater: there was no database in ${dataDir}, so one was made; only a gateway with this data directory ` +
          "sends what is in it, see SLACKWATER_DATA_DIR"
      )
    }
    const sent: typeof Sent.Type = { id: row.id, state: row.state }
    yield* Console.log(json ? JSON.stringify(sent) : String(row.id))
  })
).pipe(
  Command.withDescription(
    "Enqueue a message durably, from a script or cron, whether a gateway runs or not (it is on disk when the command ends)"
  ),
  Command.withExamples([
    { command: "slackwater send --channel C0123ABCD --text \"Deployed.\"", description: "Say something in a channel" },
    {
      command: "report | slackwater send --channel C0123ABCD --key \"report-$(date +%F)\"",
      description: "Once a day, however often the job is repeated"
    },
    {
      command: "slackwater send --channel D0123ABCD --text Standup! --not-before 2026-12-01T09:00:00Z",
      description: "Later"
    }
  ])
)
