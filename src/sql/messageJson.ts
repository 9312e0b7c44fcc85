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
const isFlag = (value: unknown) => typeof value === "boolean"

/** How each field is seen to be what the schema says. */
const fields: Readonly<Record<keyof InboundMessage, (value: unknown) => boolean>> = {
  kind: (value) => kinds.has(value),
  conversation: isText,
  team: isText,
  channel: isText,
  self: isText,
  direct: isFlag,
  user: isText,
  bot: isText,
  subtype: isText,
  text: isText,
  ts: isText,
  threadTs: isText,
  payload: () => true
}
const known: ReadonlyMap<string, (value: unknown) => boolean> = new Map(Object.entries(fields))
const required = [
  "kind",
  "conversation",
  "team",
  "self",
  "direct",
  "text",
  "ts",
  "payload"
] as const satisfies ReadonlyArray<keyof InboundMessage>

const isMessage = (value: unknown): value is InboundMessage => {
  if (typeof value !== "object" || value === null) return false
  for (const name of required) if (!Object.hasOwn(value, name)) return false
  for (const [name, field] of Object.entries(value)) if (known.get(name)?.(field) !== true) return false
  return true
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
