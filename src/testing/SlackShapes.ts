/**
 * SlackShapes: the JSON that Slack sends, as pure functions of a workspace.
 *
 * Owns the wire shape of messages, events, envelopes and frames, taken from recorded traffic. Leaves out nothing that
 * clients are known to read; keeps the oddities (no `channel_type` on `app_mention`, `blocks` on a person's message,
 * an outer `ts` on edits that differs from the message's).
 */
import type { Conversation, File, Message, Person, Workspace } from "./Workspace.ts"
import { bot, team } from "./Workspace.ts"

export type Json = Record<string, unknown>

const botProfile = {
  id: bot.botId,
  app_id: bot.appId,
  user_id: bot.userId,
  name: bot.name,
  icons: {},
  deleted: false,
  updated: 0,
  team_id: team.id
}

/** Slack sends what a person typed as rich text too. */
const richText = (text: string) => [{
  type: "rich_text",
  block_id: "b1",
  elements: [{
    type: "rich_text_section",
    elements: text.split(/(<@[A-Z0-9]+>)/).filter((part) => part !== "").map((part) => {
      const mention = /^<@([A-Z0-9]+)>$/.exec(part)
      return mention === null ? { type: "text", text: part } : { type: "user", user_id: mention[1] }
    })
  }]
}]

export const fileShape = (file: File): Json => ({
  id: file.id,
  name: file.name,
  title: file.title,
  size: file.size,
  mimetype: "application/octet-stream",
  mode: "hosted",
  is_external: false
})

/** A message as events and the Web API show it, without what only a listing adds. */
export const messageShape = (workspace: Workspace, message: Message, options: { metadata: boolean }): Json => {
  const root = message.threadTs === undefined ? undefined : workspace.find(message.channel, message.threadTs)
  return {
    type: "message",
    ...(message.tombstone === true ? { subtype: "tombstone", hidden: true } : {}),
    ...(message.broadcast === true ? { subtype: "thread_broadcast" } : {}),
    user: message.user,
    text: message.text,
    ts: message.ts,
    team: team.id,
    ...(message.clientMsgId === undefined ? {} : { client_msg_id: message.clientMsgId }),
    ...(message.fromBot && message.tombstone !== true
      ? { bot_id: bot.botId, app_id: bot.appId, bot_profile: botProfile }
      : {}),
    ...(message.blocks === undefined
      ? message.fromBot ? {} : { blocks: richText(message.text) }
      : { blocks: message.blocks }),
    ...(message.files === undefined ? {} : { files: message.files.map(fileShape), upload: false }),
    ...(message.attachments === undefined ? {} : { attachments: message.attachments }),
    ...(message.threadTs === undefined
      ? {}
      : { thread_ts: message.threadTs, ...(root === undefined ? {} : { parent_user_id: root.user }) }),
    ...(message.edited === undefined ? {} : { edited: message.edited }),
    ...(options.metadata && message.metadata !== undefined ? { metadata: message.metadata } : {})
  }
}

/** A message as `conversations.history` and `.replies` list it: with its thread's summary and its reactions. */
export const listedShape = (workspace: Workspace, message: Message, options: { metadata: boolean }): Json => {
  const replies = message.threadTs === undefined ? workspace.replies(message.channel, message.ts) : []
  const users = [...new Set(replies.map((reply) => reply.user))]
  return {
    ...messageShape(workspace, message, options),
    ...(replies.length === 0 ? {} : {
      thread_ts: message.ts,
      reply_count: replies.length,
      reply_users_count: users.length,
      reply_users: users.slice(0, 5),
      latest_reply: replies.at(-1)?.ts,
      is_locked: false,
      subscribed: false
    }),
    ...(message.reactions.length === 0 ? {} : {
      reactions: message.reactions.map((r) => ({ name: r.name, users: r.users, count: r.users.length }))
    })
  }
}

const place = (conversation: Conversation, ts: string) => ({
  channel: conversation.id,
  event_ts: ts,
  channel_type: conversation.kind
})

export const messageEvent = (workspace: Workspace, conversation: Conversation, message: Message): Json => ({
  ...(message.files === undefined ? {} : { subtype: "file_share" }),
  ...messageShape(workspace, message, { metadata: true }),
  ...place(conversation, message.ts)
})

/** Sent beside the `message` event, with the same `ts` and without `channel_type`. */
export const mentionEvent = (workspace: Workspace, conversation: Conversation, message: Message): Json => ({
  ...messageShape(workspace, message, { metadata: false }),
  type: "app_mention",
  channel: conversation.id,
  event_ts: message.ts
})

export const changedEvent = (
  workspace: Workspace,
  conversation: Conversation,
  change: { readonly before: Message; readonly after: Message; readonly ts: string }
): Json => ({
  type: "message",
  subtype: "message_changed",
  hidden: true,
  ts: change.ts,
  ...place(conversation, change.ts),
  message: messageShape(workspace, change.after, { metadata: true }),
  previous_message: messageShape(workspace, change.before, { metadata: true })
})

export const deletedEvent = (
  workspace: Workspace,
  conversation: Conversation,
  deleted: { readonly before: Message; readonly ts: string }
): Json => ({
  type: "message",
  subtype: "message_deleted",
  hidden: true,
  deleted_ts: deleted.before.ts,
  ts: deleted.ts,
  ...place(conversation, deleted.ts),
  previous_message: messageShape(workspace, deleted.before, { metadata: true })
})

export const reactionEvent = (
  type: "reaction_added" | "reaction_removed",
  message: Message,
  reaction: { readonly name: string; readonly user: string; readonly ts: string }
): Json => ({
  type,
  user: reaction.user,
  reaction: reaction.name,
  item: { type: "message", channel: message.channel, ts: message.ts },
  item_user: message.user,
  event_ts: reaction.ts
})

/** The payload of an `events_api` envelope. */
export const eventPayload = (event: Json, eventId: string, now: number): Json => ({
  token: "local-verification-token",
  team_id: team.id,
  context_team_id: team.id,
  context_enterprise_id: null,
  api_app_id: bot.appId,
  event,
  type: "event_callback",
  event_id: eventId,
  event_time: Math.floor(now / 1000),
  authorizations: [
    { enterprise_id: null, team_id: team.id, user_id: bot.userId, is_bot: true, is_enterprise_install: false }
  ],
  is_ext_shared_channel: false,
  event_context: `4-local-${eventId}`
})

export const helloFrame = (connections: number, lifetimeSeconds: number): string =>
  JSON.stringify({
    type: "hello",
    num_connections: connections,
    debug_info: {
      host: "applink-local",
      started: "2026-01-01 00:00:00.000",
      build_number: 1,
      approximate_connection_time: lifetimeSeconds
    },
    connection_info: { app_id: bot.appId }
  })

export const disconnectFrame = (reason: string): string =>
  JSON.stringify({ type: "disconnect", reason, debug_info: { host: "applink-local" } })

export const conversationShape = (conversation: Conversation): Json =>
  conversation.kind === "im"
    ? {
      id: conversation.id,
      is_im: true,
      is_channel: false,
      is_archived: false,
      user: conversation.user,
      context_team_id: team.id
    }
    : {
      id: conversation.id,
      name: conversation.name,
      name_normalized: conversation.name,
      is_channel: true,
      is_im: false,
      is_group: false,
      is_mpim: false,
      is_private: false,
      is_general: conversation.id === "C0GENERAL",
      is_member: true,
      is_archived: false,
      context_team_id: team.id
    }

export const userShape = (person: Person): Json => ({
  id: person.id,
  team_id: team.id,
  name: person.name,
  real_name: person.realName,
  deleted: false,
  is_bot: person.isBot,
  is_app_user: false,
  tz: "Europe/London",
  tz_label: "Greenwich Mean Time",
  tz_offset: 0,
  profile: {
    real_name: person.realName,
    display_name: person.name,
    email: `${person.name}@local.example`,
    ...(person.isBot ? { bot_id: bot.botId, api_app_id: bot.appId } : {})
  }
})

/** A message as tests and the chat page see it. */
export interface LocalMessage {
  readonly ts: string
  readonly thread_ts?: string
  readonly user?: string
  readonly bot_id?: string
  readonly text: string
  readonly metadata?: unknown
  readonly blocks?: unknown
  /** It grows still. */
  readonly streaming?: true
  readonly files?: ReadonlyArray<{ readonly id: string; readonly title: string }>
  readonly edited?: { readonly user: string; readonly ts: string }
  readonly reactions?: ReadonlyArray<{ readonly name: string; readonly users: ReadonlyArray<string> }>
}

export const localMessage = (message: Message, now = Infinity): LocalMessage => ({
  ts: message.ts,
  ...(message.threadTs === undefined ? {} : { thread_ts: message.threadTs }),
  user: message.user,
  ...(message.fromBot ? { bot_id: bot.botId } : {}),
  text: message.text,
  ...(message.metadata === undefined ? {} : { metadata: message.metadata }),
  ...(message.blocks === undefined ? {} : { blocks: message.blocks }),
  ...((message.streamingUntil ?? 0) > now ? { streaming: true } : {}),
  ...(message.files === undefined ? {} : { files: message.files.map(({ id, title }) => ({ id, title })) }),
  ...(message.edited === undefined ? {} : { edited: message.edited }),
  ...(message.reactions.length === 0 ? {} : { reactions: message.reactions })
})
