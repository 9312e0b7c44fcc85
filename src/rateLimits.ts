/**
 * How often Slack takes a method, per workspace and app (docs.slack.dev/apis/web-api/rate-limits and the page of each
 * method). The tiers are what Slack promises at least. Posting is a tier of its own: one a second and channel with
 * short bursts, and "several hundred messages per minute" in all, of which the least is taken here.
 */
import type { Kind } from "./Dispatch.ts"
import type { Destination } from "./Message.ts"

export interface RateLimit {
  readonly perMinute: number
  /** Slack limits each channel too, and a 429 may mean the channel only. */
  readonly perChannel?: boolean
}

const tier2 = { perMinute: 20 }
const tier3 = { perMinute: 50 }
const tier4 = { perMinute: 100 }

/** The method that answers go out by. */
export const posting = "chat.postMessage"

/** The method that a row of this kind is sent by. Taking a reaction away is rarer, and counted as adding one. */
export const methodOf: Readonly<Record<Kind, string>> = {
  Post: posting,
  Update: "chat.update",
  Delete: "chat.delete",
  React: "reactions.add",
  Ephemeral: "chat.postEphemeral",
  Respond: "response_url",
  StreamStart: "chat.startStream",
  StreamAppend: "chat.appendStream",
  StreamStop: "chat.stopStream",
  StreamEnd: "chat.stopStream",
  Upload: "files.getUploadURLExternal"
}

/** The method that looks for a message there. */
export const lookingFor = ({ threadTs }: Destination): string =>
  threadTs === undefined ? "conversations.history" : "conversations.replies"

/** Methods that are not named here have no limit that is known. */
export const rateLimits: ReadonlyMap<string, RateLimit> = new Map(Object.entries({
  [posting]: { perMinute: 300, perChannel: true },
  "apps.connections.open": tier3,
  "chat.appendStream": tier4,
  "chat.delete": tier3,
  "chat.postEphemeral": tier4,
  "chat.startStream": tier2,
  "chat.stopStream": tier2,
  "chat.update": tier3,
  "conversations.history": tier3,
  "conversations.info": tier3,
  "conversations.list": tier2,
  "conversations.open": tier3,
  "conversations.replies": tier3,
  "files.completeUploadExternal": tier4,
  "files.getUploadURLExternal": tier4,
  "reactions.add": tier3,
  "reactions.remove": tier2,
  "users.conversations": tier3,
  "users.info": tier4,
  "users.list": tier2
}))

/** Slack's limit on one channel. */
export const channelLimit = { intervalMs: 1_000, burst: 5 }
