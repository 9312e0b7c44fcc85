/**
 * The words of the house: what came in, where it belongs, what goes out. Schemas, types and what can be read off them;
 * no services.
 *
 * Owns the shapes that travel between rooms and into the database. Text in them is Slack's, hostile until proven
 * otherwise: it is bound in SQL and escaped on pages, never interpreted here.
 */
import { Schema } from "effect"

/**
 * One serial line of work: `channel/thread_ts` in channels, `channel[/thread_ts]` in direct messages, `user` for
 * events without a channel. The team is not part of it, since Slack Connect delivers one message under two teams.
 */
export const ConversationKey = Schema.String.pipe(Schema.brand("ConversationKey"))
export type ConversationKey = typeof ConversationKey.Type

/** Stable id of a turn, over all its runs: the same before and after a crash. */
export const TurnId = Schema.String.pipe(Schema.brand("TurnId"))
export type TurnId = typeof TurnId.Type

/** Who holds a row: one gateway instance and generation. Every write to a held row names it. */
export const OwnerId = Schema.String.pipe(Schema.brand("OwnerId"))
export type OwnerId = typeof OwnerId.Type

export const MessageKind = Schema.Literals([
  "message",
  "app_mention",
  "slash_command",
  "interactive",
  "event",
  "undecodable"
])
export type MessageKind = typeof MessageKind.Type

/** One thing that happened in Slack, as the handler sees it. `payload` is Slack's JSON, unknown fields kept. */
export const InboundMessage = Schema.Struct({
  kind: MessageKind,
  conversation: ConversationKey,
  team: Schema.String,
  channel: Schema.optionalKey(Schema.String),
  /** The bot's user id it was delivered to; a leading mention of it is left out of `turn.text`. */
  self: Schema.String,
  /** A one-to-one conversation with the bot. */
  direct: Schema.Boolean,
  user: Schema.optionalKey(Schema.String),
  /** Set when a bot wrote it, ours included. */
  bot: Schema.optionalKey(Schema.String),
  subtype: Schema.optionalKey(Schema.String),
  text: Schema.String,
  /** Slack's message id and the order within a channel; for events without one, the event's own time. */
  ts: Schema.String,
  threadTs: Schema.optionalKey(Schema.String),
  payload: Schema.Unknown
})
export type InboundMessage = typeof InboundMessage.Type

/** The messages' texts, one per line, as Slack sent them but for a leading mention of this bot. */
export const textOf = (messages: ReadonlyArray<InboundMessage>): string =>
  messages.map((message) => {
    const mention = `<@${message.self}>`
    const text = message.text.trimStart()
    return text.startsWith(mention) ? text.slice(mention.length).trimStart() : message.text
  }).join("\n")

/** Where a reply goes. `threadTs` is kept on the row, so that a restart cannot send it to the channel instead. */
export const Destination = Schema.Struct({
  channel: Schema.String,
  threadTs: Schema.optionalKey(Schema.String)
})
export type Destination = typeof Destination.Type

/**
 * What a handler answers: text, blocks (then `text` is their fallback), or `markdown`, which goes alone. `key` names the
 * reply, so that a re-run recognises it whatever its place or content. An `interim` one (progress, partial text) is sent
 * live or not at all. With `ephemeral` only that person sees it.
 */
export const Reply = Schema.Struct({
  text: Schema.optionalKey(Schema.String),
  blocks: Schema.optionalKey(Schema.Array(Schema.Unknown)),
  markdown: Schema.optionalKey(Schema.String),
  key: Schema.optionalKey(Schema.String),
  interim: Schema.optionalKey(Schema.Boolean),
  ephemeral: Schema.optionalKey(Schema.String)
})
export type Reply = typeof Reply.Type
