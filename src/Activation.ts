/**
 * Which messages start a turn: one pure function, replaceable by the user.
 *
 * Default: direct messages, mentions, commands and buttons, and replies in threads the bot takes part in; never the
 * bot's own messages, edits, deletions or echoes. What does not start a turn is stored as `ignored` with the reason.
 */
import type { InboundMessage } from "./Message.ts"

export type Activation = { readonly _tag: "Turn" } | { readonly _tag: "Ignore"; readonly reason: string }

/** What the decision may depend on besides the message. */
export interface ActivationContext {
  /** The bot's user id (`U…`) and bot id (`B…`), from `auth.test`. */
  readonly botUser: string
  readonly botId: string
  /** The bot has been spoken to, or has spoken, in this thread. */
  readonly participates: boolean
}

export type Activate = (message: InboundMessage, context: ActivationContext) => Activation

const turn: Activation = { _tag: "Turn" }
const ignore = (reason: string): Activation => ({ _tag: "Ignore", reason })

/** Subtypes of `message` that carry something a person said. */
const spoken = new Set(["file_share", "thread_broadcast", "me_message"])

export const defaultActivation: Activate = (message, context) => {
  if (message.user === context.botUser || message.bot === context.botId) return ignore("own message")
  switch (message.kind) {
    case "slash_command":
    case "interactive":
      return turn
    case "undecodable":
      return ignore("undecodable")
    case "event":
      return ignore(`event ${message.subtype ?? "unknown"}`)
    case "app_mention":
      return message.bot === undefined ? turn : ignore("bot message")
    case "message": {
      if (message.subtype !== undefined && !spoken.has(message.subtype)) return ignore(message.subtype)
      if (message.bot !== undefined) return ignore("bot message")
      if (message.direct || message.text.includes(`<@${context.botUser}>`)) return turn
      if (message.threadTs !== undefined && context.participates) return turn
      return ignore("not addressed")
    }
  }
}
