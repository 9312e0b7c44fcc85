/**
 * WebApiParams: how Web API methods read their parameters, and what a method is.
 *
 * Owns the ways in which Slack takes a value (text, or JSON as text), the checks that many methods share (does the
 * conversation exist, does the message, is the content valid) and the error codes for them. Pure.
 */
import type { Json } from "./SlackShapes.ts"
import type { SlackWorld } from "./SlackWorld.ts"
import type { Conversation, Message } from "./Workspace.ts"

export interface ApiRequest {
  readonly method: string
  /** Parameters as they came: text from a form, anything from JSON. Nested values may be JSON text. */
  readonly params: Readonly<Record<string, unknown>>
  readonly token: string | undefined
  /** Where this Slack can be reached, for the addresses that answers contain. */
  readonly origin: string
}

export interface Method {
  readonly token: "bot" | "app" | "none"
  readonly run: (world: SlackWorld, request: ApiRequest, now: number) => Json
}

export type Params = ApiRequest["params"]

export const fail = (error: string): Json => ({ ok: false, error })
export const isFailure = (value: unknown): value is Json => (value as Json | undefined)?.["ok"] === false

/** What scopes call each kind of conversation. */
export const scopeNames = { channel: "channels", im: "im" } as const

/** What Slack says when the token lacks this scope; nothing when it has it. */
export const lacking = (world: SlackWorld, scope: string): Json | undefined =>
  world.faults.current.missingScopes?.includes(scope) === true
    ? { ok: false, error: "missing_scope", needed: scope, provided: "chat:write" }
    : undefined

export const text = (params: Params, name: string): string | undefined => {
  const value = params[name]
  return typeof value === "string" ? value : typeof value === "number" ? String(value) : undefined
}
export const flag = (params: Params, name: string) =>
  params[name] === true || params[name] === "true" || params[name] === "1"

/** A nested parameter: an object as it is, text parsed as JSON. `error` when it is no JSON of the right shape. */
export const nested = (params: Params, name: string, ok: (value: unknown) => boolean, error: string): unknown => {
  const value = params[name]
  if (value === undefined || value === "") return undefined
  try {
    const parsed: unknown = typeof value === "string" ? JSON.parse(value) : value
    return ok(parsed) ? parsed : fail(error)
  } catch {
    return fail(error)
  }
}
const isMetadata = (value: unknown) => {
  const candidate = value as Json | null
  return typeof candidate === "object" && candidate !== null && typeof candidate["event_type"] === "string" &&
    typeof candidate["event_payload"] === "object"
}

export interface Content {
  readonly text: string
  readonly blocks?: unknown
  readonly attachments?: unknown
  readonly metadata?: unknown
}

/** The content of a post or an edit, or the error that Slack gives for it. */
export const content = (params: Params): Content | Json => {
  const blocks = nested(params, "blocks", Array.isArray, "invalid_blocks_format")
  if (isFailure(blocks)) return blocks
  const attachments = nested(params, "attachments", Array.isArray, "invalid_attachments")
  if (isFailure(attachments)) return attachments
  const metadata = nested(params, "metadata", isMetadata, "invalid_metadata_format")
  if (isFailure(metadata)) return metadata
  const markdown = text(params, "markdown_text")
  if (markdown !== undefined && ((text(params, "text") ?? "") !== "" || blocks !== undefined)) {
    return fail("markdown_text_conflict")
  }
  if ((markdown?.length ?? 0) > 12_000) return fail("msg_too_long")
  const written = markdown ?? text(params, "text") ?? ""
  if (written === "" && blocks === undefined && attachments === undefined) return fail("no_text")
  return {
    text: written,
    ...(blocks === undefined ? {} : { blocks }),
    ...(attachments === undefined ? {} : { attachments }),
    ...(metadata === undefined ? {} : { metadata })
  }
}

/** A method of a bot on one conversation. */
export const inChannel = (
  run: (world: SlackWorld, conversation: Conversation, params: Params, now: number) => Json,
  name = "channel"
): Method => ({
  token: "bot",
  run: (world, { params }, now) => {
    const conversation = world.workspace.conversation(text(params, name) ?? "")
    return conversation === undefined ? fail("channel_not_found") : run(world, conversation, params, now)
  }
})

/** A method of a bot on one message. */
export const onMessage = (
  run: (world: SlackWorld, conversation: Conversation, message: Message, params: Params, now: number) => Json,
  name = "ts"
): Method =>
  inChannel((world, conversation, params, now) => {
    const message = world.workspace.find(conversation.id, text(params, name) ?? "")
    return message === undefined || message.tombstone === true
      ? fail("message_not_found")
      : run(world, conversation, message, params, now)
  })
