/**
 * The door out (port): the Web API calls we make, and what can become of one. Adapter: `slack/WebApi.ts`.
 *
 * Guarantees: every failure has exactly one class, and "may have reached Slack" is never called anything else. An
 * error nobody knows is ambiguous.
 * Does not: retry, pace, or store.
 */
import { Context, Effect, Schema } from "effect"
import type { Dispatch, Kind, SlackMessage } from "./Dispatch.ts"
import type { Destination } from "./Message.ts"
import type { SpoolError } from "./Spool.ts"

/**
 * The request did not reach Slack, or Slack said that it did nothing: refused, DNS, a workspace that is being moved.
 * `onlyThis` when that says nothing about other calls.
 */
export class NotSent extends Schema.TaggedError<NotSent>()("NotSent", {
  detail: Schema.String,
  onlyThis: Schema.optionalKey(Schema.Literal(true))
}) {}
/** Slack refused it for now and did nothing. `workspace` when Slack says that it means all of the workspace. */
export class RateLimited extends Schema.TaggedError<RateLimited>()("RateLimited", {
  retryAfterMs: Schema.Finite,
  workspace: Schema.optionalKey(Schema.Literal(true))
}) {}
/**
 * It may have happened: timeout, reset, 5xx, a body that makes no sense, an unknown error code. `late`: nobody heard the
 * end of the request, so it may still happen (a timeout); otherwise it is over. `unavailable`: Slack says that it is not
 * there at present, which is nothing that this call could help.
 */
export class Ambiguous extends Schema.TaggedError<Ambiguous>()("Ambiguous", {
  detail: Schema.String,
  late: Schema.Boolean.pipe(Schema.withConstructorDefault(Effect.succeed(false))),
  unavailable: Schema.optionalKey(Schema.Literal(true))
}) {}
/** Slack refused it because it is done already: a reaction that is there, a message that is gone. */
export class AlreadyDone extends Schema.TaggedError<AlreadyDone>()("AlreadyDone", { code: Schema.String }) {}
/** It will never work: target gone, bad content, our own mistake. */
export class Permanent extends Schema.TaggedError<Permanent>()("Permanent", { code: Schema.String }) {}
/** The token is not accepted: nothing can be sent until it is replaced. */
export class Credentials extends Schema.TaggedError<Credentials>()("Credentials", { code: Schema.String }) {}
/** An administrator must change something (scope, policy); other conversations may work. */
export class Configuration extends Schema.TaggedError<Configuration>()("Configuration", {
  code: Schema.String,
  needed: Schema.optionalKey(Schema.String)
}) {}

export const SlackApiReason = Schema.Union([
  NotSent,
  RateLimited,
  Ambiguous,
  AlreadyDone,
  Permanent,
  Credentials,
  Configuration
])
export type SlackApiReason = typeof SlackApiReason.Type

export class SlackApiError extends Schema.TaggedError<SlackApiError>()("SlackApiError", {
  method: Schema.String,
  reason: SlackApiReason
}) {
  override get message(): string {
    return `${this.method}: ${describe(this.reason)}`
  }
}

/** One line for logs and rows; never holds a token or message text. */
export const describe = (reason: SlackApiReason): string => {
  switch (reason._tag) {
    case "NotSent":
      return `not sent: ${reason.detail}`
    case "RateLimited":
      return `rate limited for ${reason.retryAfterMs} ms`
    case "Ambiguous":
      return `may have arrived: ${reason.detail}`
    case "AlreadyDone":
      return `done already: ${reason.code}`
    case "Permanent":
      return reason.code
    case "Credentials":
      return `token refused: ${reason.code}`
    case "Configuration":
      return reason.needed === undefined ? reason.code : `${reason.code} (needs ${reason.needed})`
  }
}

/** Who we are in this workspace. */
export interface Identity {
  readonly team: string
  readonly user: string
  readonly bot: string
}

export interface Found {
  readonly channel: string
  readonly ts: string | null
  readonly newest: string | null
}

/** What it takes to send a file. */
export interface FileHand {
  readonly content: Effect.Effect<Blob, SpoolError>
  /** Slack's id for it, where an earlier try came so far. */
  readonly id: string | null
  /** Writes that down, before the file is shared. */
  readonly remember: (id: string) => Effect.Effect<void>
}

/** What to look for: a row of this kind, and Slack's id of its file. */
export interface Sought {
  readonly kind: Kind
  readonly remote: string | null
}

/** The kinds of channels, as `users.conversations` names them; those that always mean the bot come first. */
export const channelKinds = ["im", "mpim", "private_channel", "public_channel"] as const
export type ChannelKind = typeof channelKinds[number]

/** One page of a listing. Without a cursor there are no more. */
export interface Page<A> {
  readonly items: ReadonlyArray<A>
  readonly cursor: string | undefined
}

export class SlackApi extends Context.Service<SlackApi, {
  readonly identity: Effect.Effect<Identity, SlackApiError>
  /** Whether Slack's Web API says anything sensible (`api.test`) within five seconds. Says nothing about the token. */
  readonly answers: Effect.Effect<boolean>
  /**
   * Makes the call; answers the message it made or changed (`ts` empty where Slack names none). `key` travels as opaque
   * metadata of a post.
   */
  readonly send: (
    destination: Destination,
    dispatch: Dispatch,
    key: string,
    file?: FileHand
  ) => Effect.Effect<SlackMessage, SlackApiError>
  /** Says under a thread what the bot is doing, for two minutes or until it posts; an empty text takes it away. */
  readonly setStatus: (
    destination: Required<Destination>,
    text: string
  ) => Effect.Effect<void, SlackApiError>
  /**
   * Looks for a post of ours with this key at or after `since` (epoch ms); for a stream, which carries no key, for a
   * message of ours that says nothing yet; for a file, one that has it. Absence is evidence, not proof; `newest` is the newest message seen, ours or
   * not.
   */
  readonly find: (
    destination: Destination,
    key: string,
    since: number,
    sought?: Sought
  ) => Effect.Effect<Found, SlackApiError>
  /** Ids of the channels of this kind that the bot is in and that are not archived. */
  readonly conversations: (kind: ChannelKind, cursor?: string) => Effect.Effect<Page<string>, SlackApiError>
  /** What was said in a channel at or after `since` (epoch ms), the newest first, as Slack's JSON. Without replies. */
  readonly history: (channel: string, since: number, cursor?: string) => Effect.Effect<Page<unknown>, SlackApiError>
  /** What was said in a thread at or after `since` (epoch ms), as Slack's JSON; its root may be among it. */
  readonly replies: (
    thread: Required<Destination>,
    since: number,
    cursor?: string
  ) => Effect.Effect<Page<unknown>, SlackApiError>
}>()("slackwater/SlackApi") {}
