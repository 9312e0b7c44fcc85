/**
 * WebApiChat: the methods with which a bot writes: post, update, delete, react, stream, upload, answer a command.
 *
 * Owns the checks and the bodies of `chat.*`, `reactions.*`, `files.*External`, `assistant.threads.setStatus` and of
 * the two addresses that Slack hands out beside the API, as the methods `upload` and `response_url`, so that faults
 * can name them. Where Slack's behaviour is not documented the choice is explained on the spot. Pure.
 */
import { fileShape, type Json, messageShape } from "./SlackShapes.ts"
import type { SlackWorld } from "./SlackWorld.ts"
import {
  content,
  fail,
  flag,
  inChannel,
  isFailure,
  type Method,
  nested,
  onMessage,
  type Params,
  text
} from "./WebApiParams.ts"
import { bot, type Conversation, type Message } from "./Workspace.ts"

/** Slack ends a stream by itself after about this time, unless a fault says otherwise; it does not say when. */
const streamLifetimeMs = 300_000

interface Thread {
  readonly threadTs?: string
}

/** The thread to write to, checked. Reported by people whose thread was deleted; the channel instead would be worse. */
const threadOf = (
  world: SlackWorld,
  conversation: Conversation,
  params: Params
): Thread | Json => {
  const threadTs = text(params, "thread_ts")
  if (threadTs === undefined || threadTs === "") return {}
  if (!/^\d+\.\d+$/.test(threadTs)) return fail("invalid_thread_ts")
  return world.workspace.root(conversation.id, threadTs) === undefined ? fail("thread_not_found") : { threadTs }
}

const written = (world: SlackWorld, message: Message): Json => ({
  ok: true,
  channel: message.channel,
  ts: message.ts,
  message: messageShape(world.workspace, message, { metadata: true })
})

export const postMessage = inChannel((world, conversation, params, now) => {
  const thread = threadOf(world, conversation, params)
  if (isFailure(thread)) return thread
  const what = content(params)
  if (isFailure(what)) return what
  const broadcast = "threadTs" in thread && flag(params, "reply_broadcast") ? { broadcast: true } : {}
  // Slack cuts longer texts off.
  const draft = { ...what, ...thread, ...broadcast, user: bot.userId, text: what.text.slice(0, 40_000) }
  return written(world, world.post(conversation, draft, now))
})

export const postEphemeral = inChannel((world, conversation, params, now) => {
  const user = world.workspace.person(text(params, "user") ?? "")
  if (user === undefined || !world.workspace.isMember(conversation, user.id)) return fail("user_not_in_channel")
  const what = content(params)
  if (isFailure(what)) return what
  return { ok: true, message_ts: world.whisper(conversation.id, user.id, what.text, now) }
})

export const update = onMessage((world, conversation, message, params, now) => {
  if (!message.fromBot) return fail("cant_update_message")
  if ((message.streamingUntil ?? 0) > now) return fail("streaming_state_conflict")
  const what = content(params)
  if (isFailure(what)) return what
  if (text(params, "markdown_text") === undefined && what.text.length > 4_000) return fail("msg_too_long")
  const after = world.edit(conversation, message, what, bot.userId, now)
  return { ...written(world, after), text: after.text }
})

export const remove = onMessage((world, conversation, message, _params, now) => {
  if (!message.fromBot) return fail("cant_delete_message")
  world.remove(conversation, message, bot.userId, now)
  return { ok: true, channel: conversation.id, ts: message.ts }
})

export const react = (change: "add" | "remove"): Method =>
  onMessage((world, _conversation, message, params, now) => {
    const name = (text(params, "name") ?? "").replace(/^:|:$/g, "")
    if (!/^[a-z0-9_+'-]+(::skin-tone-\d)?$/.test(name)) return fail("invalid_name")
    if (world.react(message, name, bot.userId, change, now)) return { ok: true }
    return fail(change === "add" ? "already_reacted" : "no_reaction")
  }, "timestamp")

// --- streams

/** The text that a call adds to a stream: `markdown_text`, and the text chunks among `chunks`. */
const added = (params: Params): string => {
  const chunks = nested(params, "chunks", Array.isArray, "invalid_chunks")
  const texts = Array.isArray(chunks)
    ? chunks.map((chunk: Json) => typeof chunk["text"] === "string" ? chunk["text"] : "")
    : []
  return [text(params, "markdown_text") ?? "", ...texts].join("")
}

export const startStream = inChannel((world, conversation, params, now) => {
  const thread = threadOf(world, conversation, params)
  if (isFailure(thread)) return thread
  if (!("threadTs" in thread)) return fail("invalid_thread_ts")
  const needsRecipient = conversation.kind === "channel" && text(params, "recipient_user_id") === undefined
  if (needsRecipient) return fail("missing_recipient_user_id")
  const streamingUntil = now + (world.faults.current.streamLifetimeMs ?? streamLifetimeMs)
  const draft = { ...thread, user: bot.userId, text: added(params), streamingUntil }
  const message = world.post(conversation, draft, now)
  return { ok: true, channel: conversation.id, ts: message.ts }
})

const onStream = (end: boolean) =>
  onMessage((world, conversation, message, params, now) => {
    if ((message.streamingUntil ?? 0) <= now) return fail("message_not_in_streaming_state")
    const more = added(params)
    if (more.length > 12_000) return fail("msg_too_long")
    const what = end
      ? content({ ...params, markdown_text: undefined, text: message.text + more })
      : { text: message.text + more }
    if (isFailure(what)) return what
    const patch = end ? { ...what, streamingUntil: undefined } : what
    return written(world, world.edit(conversation, message, patch, bot.userId, now, { marked: false }))
  })
export const appendStream = onStream(false)
export const stopStream = onStream(true)

export const setStatus = inChannel((world, conversation, params, now) => {
  const threadTs = text(params, "thread_ts") ?? ""
  if (world.workspace.root(conversation.id, threadTs) === undefined) return fail("thread_not_found")
  world.setStatus(conversation.id, threadTs, text(params, "status") ?? "", now)
  return { ok: true }
}, "channel_id")

// --- uploads: ask for an address, send the bytes there, then share

export const getUploadUrl: Method = {
  token: "bot",
  run: (world, { origin, params }) => {
    const [name, size] = [text(params, "filename"), Number(text(params, "length"))]
    if (name === undefined || !Number.isInteger(size) || size <= 0) return fail("invalid_arguments")
    const id = world.workspace.reserveFile(name, size)
    return { ok: true, upload_url: `${origin}/upload/v1/${id}`, file_id: id }
  }
}

export const upload: Method = {
  token: "none",
  run: (world, { params }) =>
    world.workspace.receiveFile(
        text(params, "id") ?? "",
        params["bytes"] instanceof Uint8Array ? params["bytes"] : undefined
      )
      ? { ok: true }
      : fail("file_not_found")
}

/** A file, and where it was shared: in channels by the name `public`, elsewhere `private`. */
export const filesInfo: Method = {
  token: "bot",
  run: (world, { params }) => {
    const file = world.workspace.receivedFile(text(params, "file") ?? "", undefined)
    if (file === undefined) return fail("file_not_found")
    const shares: Record<string, Record<string, Array<Json>>> = {}
    for (const { channel, threadTs, ts } of world.workspace.sharesOf(file.id)) {
      const kind = world.workspace.conversation(channel)?.kind === "im" ? "private" : "public"
      const there = (shares[kind] ??= {})[channel] ??= []
      there.push({ ts, ...(threadTs === undefined ? {} : { thread_ts: threadTs }) })
    }
    return { ok: true, file: { ...fileShape(file), shares } }
  }
}

export const completeUpload: Method = {
  token: "bot",
  run: (world, { params }, now) => {
    const listed = nested(params, "files", Array.isArray, "invalid_arguments")
    if (!Array.isArray(listed) || listed.length === 0) return fail("invalid_arguments")
    const files = listed.flatMap((file: Json) => world.workspace.receivedFile(String(file["id"]), file["title"]) ?? [])
    if (files.length < listed.length) return fail("file_not_found")
    const reference = text(params, "channel_id")
    if (reference === undefined) return { ok: true, files: files.map(fileShape) }
    const conversation = world.workspace.conversation(reference)
    if (conversation === undefined) return fail("channel_not_found")
    const thread = threadOf(world, conversation, params)
    if (isFailure(thread)) return thread
    const comment = text(params, "initial_comment") ?? ""
    world.post(conversation, { ...thread, user: bot.userId, text: comment, files }, now)
    return { ok: true, files: files.map(fileShape) }
  }
}

// --- the address that a command or a button can be answered at

export const respond: Method = {
  token: "none",
  run: (world, { params }, now) => {
    const answered = world.commands.use(text(params, "id") ?? "", now)
    if (answered === undefined) return fail("used_url")
    const conversation = world.workspace.conversation(answered.channel)
    if (conversation === undefined) return fail("channel_not_found")
    const earlier = answered.posted === undefined ? undefined : world.workspace.find(conversation.id, answered.posted)
    if (flag(params, "delete_original")) {
      if (earlier !== undefined) world.remove(conversation, earlier, bot.userId, now)
      return { ok: true }
    }
    const what = content(params)
    if (isFailure(what)) return what
    if (flag(params, "replace_original") && earlier !== undefined) {
      world.edit(conversation, earlier, what, bot.userId, now)
    } else if (text(params, "response_type") === "in_channel") {
      const thread = threadOf(world, conversation, params)
      if (isFailure(thread)) return thread
      answered.posted = world.post(conversation, { ...what, ...thread, user: bot.userId }, now).ts
    } else world.whisper(conversation.id, answered.user, what.text, now)
    return { ok: true }
  }
}
