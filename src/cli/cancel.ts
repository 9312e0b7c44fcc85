/**
 * `slackwater cancel <turn>`: a turn that is not to go on, whether it runs, waits to run again, or was left by a gateway
 * that died.
 *
 * Guarantees, also after `kill -9`: what the command says has happened; the turn does not run again by itself. It cannot
 * race the turn's own end: what is committed first stands, and the command says which it was.
 */
import { Clock, Console, Effect, Runtime, Schema } from "effect"
import { Argument, Command } from "effect/cli"
import { Control, type RunningTurn } from "../Control.ts"
import { TurnId } from "../Message.ts"
import { ageOf } from "./ages.ts"
import { changing, commandSettings } from "./besideGateway.ts"
import type { CancelReport } from "./controlReports.ts"
import * as rowFlags from "./rowFlags.ts"
import { json as jsonText, oneLine } from "./terminalText.ts"

export class HasEnded extends Schema.TaggedError<HasEnded>()("HasEnded", {
  turn: Schema.String,
  state: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 1
  override get message(): string {
    return `turn ${this.turn} had ended before (${this.state}); nothing was changed`
  }
}

export class NoSuchTurn extends Schema.TaggedError<NoSuchTurn>()("NoSuchTurn", {
  turn: Schema.String,
  running: Schema.Array(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = 1
  override get message(): string {
    const found = this.running.length === 0 ? " no turn runs now" : [" what runs now:", ...this.running].join("\n  ")
    return `there is no turn "${oneLine(this.turn)}": give its id as the log shows it (turn=…);${found}`
  }
}

/** Most that are shown to somebody who named none of them. */
const mostShown = 10

const shown = ({ conversation, id, startedAt, status, text }: RunningTurn, now: number) =>
  `${id}  ${oneLine(conversation)}  for ${ageOf(now - startedAt)}  ${oneLine(status ?? text).slice(0, 60)}`.trimEnd()

const print = ({ turn, wasRunning }: CancelReport): string =>
  [
    `turn ${turn} is cancelled${wasRunning ? ": its handler is stopped" : " and does not run again"}`,
    "its messages are dead letters (cancelled by hand); what it has said stands, and nobody was told"
  ].join("\n")

export const cancel = Command.make(
  "cancel",
  {
    turn: Argument.String("turn").pipe(Argument.withDescription("The id of a turn, as the log shows it")),
    json: rowFlags.json
  },
  Effect.fn("cancel")(function*({ json, turn }) {
    const { dataDir } = yield* commandSettings
    const now = yield* Clock.currentTimeMillis
    const { answer, running } = yield* Effect.gen(function*() {
      const control = yield* Control
      const answer = yield* control.cancel(TurnId.make(turn), now)
      return { answer, running: answer._tag === "Unknown" ? yield* control.running : [] }
    }).pipe(changing(dataDir, { mayMake: false }))
    if (answer._tag === "Unknown") {
      return yield* new NoSuchTurn({ turn, running: running.slice(0, mostShown).map((found) => shown(found, now)) })
    }
    const report: CancelReport = answer._tag === "Cancelled"
      ? { turn, cancelled: true, wasRunning: answer.wasRunning, state: "failed" }
      : { turn, cancelled: answer.byHand, wasRunning: false, state: answer.state }
    if (json) yield* Console.log(jsonText(report))
    if (!report.cancelled) return yield* new HasEnded({ turn, state: report.state })
    if (!json) yield* Console.log(print(report))
  })
).pipe(
  Command.withDescription(
    "Stop a turn for good: its handler is interrupted, its messages become dead letters that can be retried by hand, its committed replies stand. Beside a running gateway or without one"
  ),
  Command.withExamples([{
    command: "slackwater cancel turn_mgx2k4zt_17",
    description: "One turn, by the id in the log"
  }])
)
