/**
 * `slackwater pause` and `slackwater resume`: work that waits for an operator, beside a running gateway or without one.
 *
 * Guarantees, also after `kill -9`: a pause holds until it is ended by name; repeated, the commands change nothing. A
 * gateway that runs is told at once.
 */
import { Clock, Console, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { Control } from "../Control.ts"
import { changing, commandSettings } from "./besideGateway.ts"
import { conversation, conversationOf, nameOf, type PauseChange, shown } from "./controlReports.ts"
import * as rowFlags from "./rowFlags.ts"
import { json as jsonText } from "./terminalText.ts"
import { UsageError } from "./usage.ts"

const longestWhy = 200

const asked = (command: string, given: Option.Option<string>) =>
  Option.isNone(given) ? Effect.succeed(null) : conversationOf(command, given.value)

const verb = (name: string | null, singular: string) => `${nameOf(name)} ${singular}`

const printPause = ({ changed, conversation, pauses }: PauseChange): string => {
  const found = pauses.find((pause) => pause.conversation === conversation)
  if (!changed && found !== undefined) return `paused already: ${shown(found)}`
  const end = conversation === null ? "slackwater resume" : `slackwater resume ${conversation}`
  return [
    `${verb(conversation, "is paused")}: messages are stored and acknowledged, and no turn begins`,
    `turns that run go on to their end, and replies are sent; \`${end}\` ends the pause`
  ].join("\n")
}

const printResume = ({ changed, conversation, pauses }: PauseChange): string =>
  [
    changed
      ? `${verb(conversation, "is not paused any more")}${pauses.length === 0 ? "" : " by itself"}`
      : `nothing was changed: ${verb(conversation, "was not paused")}${pauses.length === 0 ? "" : " by itself"}`,
    ...(pauses.length === 0 ? [] : ["still paused:", ...pauses.map((pause) => `  ${shown(pause)}`)])
  ].join("\n")

export const pause = Command.make(
  "pause",
  {
    conversation,
    why: Flag.String("why").pipe(
      Flag.withDescription("The reason, for those who find it paused: in the status and in the alarm"),
      Flag.optional
    ),
    json: rowFlags.json
  },
  Effect.fn("pause")(function*({ conversation: given, json, why }) {
    const reason = Option.getOrUndefined(why)?.trim()
    if (reason !== undefined && (reason === "" || reason.length > longestWhy)) {
      return yield* new UsageError({ command: "pause", detail: `--why must have 1 to ${longestWhy} characters` })
    }
    const conversation = yield* asked("pause", given)
    const { dataDir } = yield* commandSettings
    const change = yield* Effect.gen(function*() {
      const control = yield* Control
      const changed = yield* control.pause(conversation, yield* Clock.currentTimeMillis, reason)
      return { action: "pause", conversation, changed, pauses: yield* control.pauses } satisfies PauseChange
    }).pipe(changing(dataDir, { mayMake: false }))
    yield* Console.log(json ? jsonText(change) : printPause(change))
  })
).pipe(
  Command.withDescription(
    "Let no turn begin, everywhere or in one place: what comes in is stored, acknowledged, and waits for resume, also over a restart. Turns that run go on, replies are sent"
  ),
  Command.withExamples([
    { command: "slackwater pause --why \"model is down\"", description: "Everything" },
    { command: "slackwater pause C0123ABCD", description: "A channel, with all of its conversations" },
    { command: "slackwater pause C0123ABCD/1700000000.123456", description: "One conversation" }
  ])
)

export const resume = Command.make(
  "resume",
  {
    conversation,
    every: Flag.Boolean("every").pipe(
      Flag.withDescription("End all pauses, those of single channels and conversations too"),
      Flag.withDefault(false)
    ),
    json: rowFlags.json
  },
  Effect.fn("resume")(function*({ conversation: given, every, json }) {
    if (every && Option.isSome(given)) {
      return yield* new UsageError({ command: "resume", detail: "name a conversation or give --every, not both" })
    }
    const conversation = yield* asked("resume", given)
    const { dataDir } = yield* commandSettings
    const change = yield* Effect.gen(function*() {
      const control = yield* Control
      const now = yield* Clock.currentTimeMillis
      const ended = every ? (yield* control.pauses).map((pause) => pause.conversation) : [conversation]
      const changed = yield* Effect.forEach(ended, (place) => control.resume(place, now))
      return {
        action: "resume",
        conversation,
        changed: changed.includes(true),
        pauses: yield* control.pauses
      } satisfies PauseChange
    }).pipe(changing(dataDir, { mayMake: false }))
    yield* Console.log(json ? jsonText(change) : printResume(change))
  })
).pipe(
  Command.withDescription(
    "End a pause: without a name, that of everything; channels and conversations that were paused by name stay so, and are listed. What waited goes on at once"
  ),
  Command.withExamples([
    { command: "slackwater resume", description: "Ends what `slackwater pause` began" },
    { command: "slackwater resume C0123ABCD", description: "Ends what `slackwater pause C0123ABCD` began" },
    { command: "slackwater resume --every", description: "Nothing stays paused" }
  ])
)
