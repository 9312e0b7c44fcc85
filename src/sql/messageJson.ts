/**
 * A message as the database keeps it.
 *
 * Reading may answer nothing: a newer release wrote the row, or something damaged it. Whoever reads says what that
 * means for him; nobody stumbles over it.
 */
import { Schema } from "effect"
import { InboundMessage } from "../Message.ts"

const MessageJson = Schema.fromJsonString(InboundMessage)

export const encodeMessage = Schema.encodeSync(MessageJson)
export const decodeMessage = Schema.decodeUnknownOption(MessageJson)
