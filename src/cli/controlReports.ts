/**
 * What `pause`, `resume` and `cancel` print: as JSON, whose schema other programs may rely on (fields may be added, never
 * changed), and in words.
 */
import { Effect, Schema } from "effect"
import { Argument } from "effect/cli"
import type { Pause } from "../Control.ts"
import { ConversationKey } from "../Message.ts"
import { isConversation, noConversation } from "../slackIds.ts"
import { momentOf } from "./ages.ts"
import { oneLine } from "./terminalText.ts"
import { UsageError } from "./usage.ts"

/** What `pause --json` and `resume --json` print. */
export const PauseChange = Schema.Struct({
  action: Schema.Literals(["pause", "resume"]),
  /** What was asked for; null is everything. */
  conversation: Schema.NullOr(Schema.String),
  /** False where it was so already. */
  changed: Schema.Boolean,
  /** What is paused now; null is everything. */
  pauses: Schema.Array(Schema.Struct({
    conversation: Schema.NullOr(Schema.String),
    /** Epoch milliseconds. */
    since: Schema.Int,
    why: Schema.NullOr(Schema.String)
  }))
})
export type PauseChange = typeof PauseChange.Type

/** What `cancel --json` prints. */
export const CancelReport = Schema.Struct({
  turn: Schema.String,
  /** It was cancelled by this command, or by one before it. */
  cancelled: Schema.Boolean,
  /** Its handler was running, or had been left running by a gateway that died. */
  wasRunning: Schema.Boolean,
  /** How the turn has ended. */
  state: Schema.Literals(["failed", "done", "superseded"])
})
export type CancelReport = typeof CancelReport.Type

/** One of a channel's conversations, all of them, or everything: how people name them. */
export const nameOf = (conversation: string | null): string => conversation ?? "everything"

/** One line about a pause. */
export const shown = ({ conversation, since, why }: Pick<Pause, "since" | "why"> & {
  readonly conversation: string | null
}): string => `${nameOf(conversation)}, since ${momentOf(since)}${why === null ? "" : `: ${oneLine(why)}`}`

export const conversation = Argument.String("conversation").pipe(
  Argument.withDescription(
    "As logs and lists name it: a channel with all of its conversations (C0123ABCD), or one of them (C0123ABCD/1700000000.123456). Without it, everything"
  ),
  Argument.optional
)

export const conversationOf = (command: string, given: string) =>
  isConversation(given) ? Effect.succeed(ConversationKey.make(given)) : Effect.fail(
    new UsageError({
      command,
      detail: `"${oneLine(given)}" ${noConversation}, as logs and slackwater outbox list --json show them`
    })
  )
