/**
 * Which messages start a turn: one pure function, replaceable by the user.
 *
 * Default: direct messages, mentions, commands and buttons, and replies in threads the bot takes part in. What happens
 * besides (reactions, edits, deletions, joins, other bots' messages, events we do not know) starts a turn only where
 * the handler is a route that names it; and nothing that the bot itself did starts one. What does not start a turn is
 * stored as `ignored` with the reason.
 */
import { type EventKind, kindOf } from "./Event.ts"
import type { InboundMessage } from "./Message.ts"

export type Activation = { readonly _tag: "Turn" } | { readonly _tag: "Ignore"; readonly reason: string }

/** What the decision may depend on besides the message. */
export interface ActivationContext {
  /** The bot's user id (`U…`) and bot id (`B…`), from `auth.test`. */
  readonly botUser: string
  readonly botId: string
  /** The bot has been spoken to, or has spoken, in this thread. */
  readonly participates: boolean
  /** The kinds the handler has entries for; undefined for a handler that is one function. */
  readonly handles?: ReadonlySet<EventKind> | undefined
}

export type Activate = (message: InboundMessage, context: ActivationContext) => Activation

const turn: Activation = { _tag: "Turn" }
const ignore = (reason: string): Activation => ({ _tag: "Ignore", reason })

export const defaultActivation: Activate = (message, context) => {
  const kind = kindOf(message)
  const named = context.handles?.has(kind) === true
  // To be taken into a channel, or out of it, is not the bot's own doing.
  const isMembership = kind === "memberJoinedChannel" || kind === "memberLeftChannel"
  const isOwn = message.user === context.botUser || message.bot === context.botId
  if (isOwn && !isMembership) return ignore("own message")
  switch (message.kind) {
    case "undecodable":
      return ignore("undecodable")
    case "slash_command":
    case "interactive":
      return named || context.handles === undefined ? turn : ignore(`no entry for ${kind}`)
    case "event":
      return named ? turn : ignore(`event ${message.subtype ?? "unknown"}`)
    case "app_mention":
    case "message": {
      if (kind !== "message" && kind !== "appMention") {
        return named ? turn : ignore(kind === "botMessage" ? "bot message" : message.subtype ?? kind)
      }
      if (context.handles !== undefined && !named) return ignore(`no entry for ${kind}`)
      if (message.direct || kind === "appMention") return turn
      return message.threadTs !== undefined && context.participates ? turn : ignore("not addressed")
    }
  }
}
