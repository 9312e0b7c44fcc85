/**
 * What happened in Slack, by kind: the typed view of an `InboundMessage` that handlers, responders and the activation
 * see.
 *
 * Owns the kinds, the schema of each kind's body, and the two pure, total steps from a message to its kind (by what
 * Slack calls it) and to its event (checked). A body is Slack's own JSON, checked and not copied: its fields have
 * Slack's names, and those that the schema does not know are still there. A body of a known kind that has another
 * shape than expected is an event of kind `unknown`; nothing is thrown away.
 */
import { Schema } from "effect"
import type { InboundMessage } from "./Message.ts"

/** Slack leaves fields out or sends null, as it likes. */
const maybe = <S extends Schema.Constraint>(schema: S) => Schema.optionalKey(Schema.NullOr(schema))
const text = maybe(Schema.String)
const list = maybe(Schema.Array(Schema.Unknown))
const Id = Schema.Struct({ id: Schema.String })

const File = Schema.Struct({
  id: Schema.String,
  name: text,
  title: text,
  mimetype: text,
  filetype: text,
  size: maybe(Schema.Finite),
  url_private: text,
  permalink: text
})

const said = {
  subtype: text,
  user: text,
  bot_id: text,
  text,
  ts: Schema.String,
  thread_ts: text,
  client_msg_id: text,
  files: maybe(Schema.Array(File)),
  blocks: list,
  attachments: list,
  edited: maybe(Schema.Struct({ user: text, ts: text }))
}
/** A message inside another event. */
const Said = Schema.Struct(said)

/** `message` and `app_mention`; a broadcast reply has the subtype `thread_broadcast`. */
const Message = Schema.Struct({ ...said, channel: Schema.String, channel_type: text, event_ts: text })

const MessageChanged = Schema.Struct({
  channel: Schema.String,
  channel_type: text,
  /** Of the change, not of the message. */
  ts: Schema.String,
  message: Said,
  previous_message: maybe(Said)
})

const MessageDeleted = Schema.Struct({
  channel: Schema.String,
  channel_type: text,
  /** Of the deletion, not of the message. */
  ts: Schema.String,
  deleted_ts: Schema.String,
  previous_message: maybe(Said)
})

const Reaction = Schema.Struct({
  user: Schema.String,
  reaction: Schema.String,
  item: Schema.Struct({ type: Schema.String, channel: text, ts: text }),
  item_user: text,
  event_ts: text
})

const AppHomeOpened = Schema.Struct({ user: Schema.String, channel: text, tab: text, event_ts: text })

const Member = Schema.Struct({ user: Schema.String, channel: Schema.String, inviter: text, event_ts: text })

const SlashCommand = Schema.Struct({
  command: Schema.String,
  text: Schema.String,
  user_id: Schema.String,
  user_name: text,
  channel_id: Schema.String,
  channel_name: text,
  team_id: text,
  trigger_id: text,
  response_url: text
})

const Option = Schema.Struct({ value: text })
/** What a person chose or typed in an element of Block Kit. */
const chosen = {
  type: Schema.String,
  value: text,
  selected_option: maybe(Option),
  selected_options: maybe(Schema.Array(Option)),
  selected_user: text,
  selected_users: maybe(Schema.Array(Schema.String)),
  selected_channel: text,
  selected_conversation: text,
  selected_date: text,
  selected_time: text
}

/** Values by block id and action id. */
const State = Schema.Struct({
  values: Schema.Record(Schema.String, Schema.Record(Schema.String, Schema.Struct(chosen)))
})

const view = {
  id: Schema.String,
  callback_id: text,
  private_metadata: text,
  hash: text,
  external_id: text,
  root_view_id: text
}
const View = Schema.Struct({ ...view, state: maybe(State) })

const interactive = { user: Id, team: maybe(Id), trigger_id: text, response_url: text }

const BlockAction = Schema.Struct({
  ...interactive,
  actions: Schema.NonEmptyArray(
    Schema.Struct({ ...chosen, action_id: Schema.String, block_id: text, action_ts: text })
  ),
  channel: maybe(Id),
  message: maybe(Said),
  view: maybe(View),
  state: maybe(State)
})

const ViewSubmission = Schema.Struct({ ...interactive, view: Schema.Struct({ ...view, state: State }) })

const ViewClosed = Schema.Struct({ ...interactive, view: View, is_cleared: maybe(Schema.Boolean) })

const Shortcut = Schema.Struct({ ...interactive, callback_id: Schema.String })

const MessageShortcut = Schema.Struct({
  ...interactive,
  callback_id: Schema.String,
  channel: Id,
  message: Said,
  message_ts: text
})

/** Somebody types into a select menu whose options come from us. */
const BlockSuggestion = Schema.Struct({
  ...interactive,
  action_id: Schema.String,
  block_id: text,
  /** What was typed so far. */
  value: Schema.String,
  channel: maybe(Id),
  message: maybe(Said),
  view: maybe(View)
})

const bodies = {
  /** What a person said, with files or without, to everybody or in a thread. */
  message: Message,
  /** A message that mentions the bot in a channel, whichever of Slack's two events for it came first. */
  appMention: Message,
  /** A message of another bot. */
  botMessage: Message,
  messageChanged: MessageChanged,
  messageDeleted: MessageDeleted,
  reactionAdded: Reaction,
  reactionRemoved: Reaction,
  slashCommand: SlashCommand,
  /** A button or another element of a message, of a modal or of the app's home. */
  blockAction: BlockAction,
  viewSubmission: ViewSubmission,
  viewClosed: ViewClosed,
  shortcut: Shortcut,
  messageShortcut: MessageShortcut,
  blockSuggestion: BlockSuggestion,
  appHomeOpened: AppHomeOpened,
  memberJoinedChannel: Member,
  memberLeftChannel: Member,
  /** Everything else, and what does not look as it should. */
  unknown: Schema.Unknown
}

type Bodies = typeof bodies
export type EventKind = keyof Bodies
/** The JSON that Slack sent, as far as it is known by type. */
export type EventBody<K extends EventKind> = Bodies[K]["Type"]
export type Event = { readonly [K in EventKind]: { readonly kind: K; readonly body: EventBody<K> } }[EventKind]

export const eventKinds = Object.keys(bodies) as ReadonlyArray<EventKind>

/** Subtypes of `message` that carry something a person said. */
const spoken = new Set(["file_share", "thread_broadcast", "me_message"])

const changes: Readonly<Record<string, EventKind>> = {
  message_changed: "messageChanged",
  message_deleted: "messageDeleted",
  bot_message: "botMessage"
}
const events: Readonly<Record<string, EventKind>> = {
  reaction_added: "reactionAdded",
  reaction_removed: "reactionRemoved",
  app_home_opened: "appHomeOpened",
  member_joined_channel: "memberJoinedChannel",
  member_left_channel: "memberLeftChannel"
}
const interactions: Readonly<Record<string, EventKind>> = {
  block_actions: "blockAction",
  view_submission: "viewSubmission",
  view_closed: "viewClosed",
  shortcut: "shortcut",
  message_action: "messageShortcut",
  block_suggestion: "blockSuggestion"
}

/** A name from the wire may be that of an inherited property. */
const named = (table: Readonly<Record<string, EventKind>>, name: string | undefined): EventKind =>
  name !== undefined && Object.hasOwn(table, name) ? table[name] ?? "unknown" : "unknown"

/** The kind of an `interactive` payload of this type. */
export const interactionKind = (type: unknown): EventKind =>
  named(interactions, typeof type === "string" ? type : undefined)

/** What Slack calls it, whatever its body looks like. */
export const kindOf = (message: InboundMessage): EventKind => {
  const { subtype } = message
  switch (message.kind) {
    case "message":
    case "app_mention": {
      if (subtype !== undefined && !spoken.has(subtype)) return named(changes, subtype)
      if (message.bot !== undefined) return "botMessage"
      // Slack sends two events for a mention, in no order; what it is must not depend on which was first.
      return !message.direct && (message.kind === "app_mention" || message.text.includes(`<@${message.self}>`))
        ? "appMention"
        : "message"
    }
    case "event":
      return named(events, subtype)
    case "slash_command":
      return "slashCommand"
    case "interactive":
      return interactionKind(subtype)
    case "undecodable":
      return "unknown"
  }
}

/** The part of an envelope that is about the kind: an event of the Events API lies inside a wrapper. */
const bodyOf = (message: InboundMessage): unknown => {
  const { kind, payload } = message
  const wrapped = kind === "message" || kind === "app_mention" || kind === "event"
  return wrapped && typeof payload === "object" && payload !== null ? Reflect.get(payload, "event") : payload
}

const checks = Object.fromEntries(eventKinds.map((kind) => [kind, Schema.is(bodies[kind])])) as {
  readonly [K in EventKind]: (body: unknown) => body is EventBody<K>
}

/** The message as a typed event. */
export const eventOf = (message: InboundMessage): Event => {
  const kind = kindOf(message)
  const body = bodyOf(message)
  return checks[kind](body) ? { kind, body } as Event : { kind: "unknown", body }
}
