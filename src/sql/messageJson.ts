/**
 * A message as the database keeps it.
 *
 * Reading may answer nothing: a newer release wrote the row, or something damaged it. Whoever reads says what that
 * means for him; nobody stumbles over it.
 * Both ways are plain JSON for what they meet almost always, which is a third of the work: a message that is written was
 * checked when it came in, and one that is read is looked at field by field. The schema has the last word on all others.
 */
import { Option, Schema } from "effect"
import { InboundMessage, MessageKind } from "../Message.ts"

const MessageJson = Schema.fromJsonString(InboundMessage)
const decode = Schema.decodeUnknownOption(MessageJson)

const kinds: ReadonlySet<unknown> = new Set(MessageKind.literals)
const isText = (value: unknown) => typeof value === "string"
const required = 8

/** The fields that the schema knows, as it wants them, and no others. */
const isMessage = (value: unknown): value is InboundMessage => {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, "payload")) return false
  const message: { readonly [K in keyof InboundMessage]?: unknown } = value
  if (!kinds.has(message.kind) || typeof message.direct !== "boolean") return false
  if (!isText(message.conversation) || !isText(message.team) || !isText(message.self)) return false
  if (!isText(message.text) || !isText(message.ts)) return false
  let fields = required
  for (const field of [message.channel, message.user, message.bot, message.subtype, message.threadTs]) {
    // JSON has no undefined: the field is not there.
    if (field === undefined) continue
    if (!isText(field)) return false
    fields++
  }
  return Object.keys(value).length === fields
}

const parsed = (json: string): unknown => {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

export const encodeMessage = (message: InboundMessage): string => JSON.stringify(message)

export const decodeMessage = (json: string): Option.Option<InboundMessage> => {
  const message = parsed(json)
  return isMessage(message) ? Option.some(message) : decode(json)
}
