/**
 * The door in (port): one connection to Slack, with a client of its own. Adapter: `slack/SocketMode.ts`.
 *
 * Guarantees: everything that belongs to a connection lives in the Scope it was opened in; once that Scope is closed
 * nothing of it is heard again.
 * Does not: reconnect, decide, or acknowledge by itself.
 */
import { Context, Effect, Schema } from "effect"
import type { Queue, Scope } from "effect"
import type { Envelope } from "./Envelope.ts"

/** No connection this time; trying again may help: network, timeout, no hello, Slack's own trouble. */
export class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", { detail: Schema.String }) {}
/** Slack asks for a pause. */
export class TooManyRequests extends Schema.TaggedError<TooManyRequests>()("TooManyRequests", {
  retryAfterMs: Schema.Finite
}) {}
/** Slack's `disconnect` frame came instead of its hello. */
export class TurnedAway extends Schema.TaggedError<TurnedAway>()("TurnedAway", { reason: Schema.String }) {}

const Token = Schema.Literals(["app", "bot"])
export type Token = typeof Token.Type

/** Slack refuses this app or one of its tokens; only a person can change that. */
export class Refused extends Schema.TaggedError<Refused>()("Refused", {
  code: Schema.String,
  token: Token.pipe(Schema.withConstructorDefault(Effect.succeed("app" as const)))
}) {}

export class SlackConnectionError extends Schema.TaggedError<SlackConnectionError>()("SlackConnectionError", {
  reason: Schema.Union([Unreachable, TooManyRequests, TurnedAway, Refused])
}) {
  override get message(): string {
    switch (this.reason._tag) {
      case "Unreachable":
        return `no connection to Slack: ${this.reason.detail}`
      case "TooManyRequests":
        return `Slack asks to wait ${this.reason.retryAfterMs} ms before connecting again`
      case "TurnedAway":
        return `Slack sent the connection away: ${this.reason.reason}`
      case "Refused":
        return `Slack refused the connection: ${this.reason.code}`
    }
  }
}

/** What an ack may carry: the answer to a command, a modal or a select menu. */
export type AckPayload = Readonly<Record<string, unknown>>

export interface Incoming {
  readonly envelope: Envelope
  /** Epoch ms at which its frame came; Slack's three seconds count from here. */
  readonly arrivedAt: number
  /** Hands the acknowledgement to this very connection. Succeeding is no proof that Slack got it. */
  readonly ack: (payload?: AckPayload) => Effect.Effect<void, SlackConnectionError>
}

export interface Connection {
  /** In the order of the frames. Bounded: what does not fit is dropped unacked, and Slack delivers it again. */
  readonly incoming: Queue.Dequeue<Incoming>
  /** Waits for Slack's word that it is about to close this connection; answers the reason. */
  readonly disconnecting: Effect.Effect<string>
  /** Waits for the end of this connection. Never behind envelopes that are still waiting. */
  readonly closed: Effect.Effect<void>
  /** How many connections of the app Slack counts, as its hello said, this one included; null where it said nothing. */
  readonly connections: number | null
  /** How long Slack means to keep this one, as its hello said. */
  readonly approximateConnectionMs: number | null
  /** Epoch ms of the last frame, ping or pong. Null from the start: this client lets nobody see them. */
  readonly lastHeardAt: Effect.Effect<number | null>
}

export class SlackConnection extends Context.Service<SlackConnection, {
  /** Connects with a fresh client. Bounded in time; succeeds only after Slack's hello. */
  readonly open: Effect.Effect<Connection, SlackConnectionError, Scope.Scope>
}>()("slackwater/SlackConnection") {}
