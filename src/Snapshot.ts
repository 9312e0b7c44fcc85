/**
 * What the gateway says about itself, as one schema: `/api/status` is encoded by it, and `slackwater status --json`
 * prints it. Fields may be added, never changed.
 */
import { Schema } from "effect"

const count = Schema.Int
/** Epoch milliseconds. */
const moment = Schema.NullOr(Schema.Finite)
/** Milliseconds. */
const age = Schema.NullOr(Schema.Finite)

export const SocketState = Schema.Struct({
  /**
   * `connected` while at least one connection lives that nobody means to replace; `rotating` while those that live are
   * being replaced and still deliver; `fatal` when none lives because Slack refuses the app or a token.
   */
  state: Schema.Literals(["starting", "connected", "rotating", "disconnected", "fatal"]),
  /** Of the newest connection. */
  generation: count,
  /** Since when there was a live connection at every moment; null without one. */
  connectedSince: moment,
  /** Since when there is none; null with one. */
  disconnectedSince: moment,
  /**
   * The last time a connection counted as live and was not heard for a while before its end. What Slack sent into it
   * came to nobody, also when another one lived.
   */
  silence: Schema.NullOr(Schema.Struct({ since: Schema.Finite, until: Schema.Finite })),
  /** Connections that took the place of another. */
  reconnects: count,
  /** Our own live connections, those included that are being replaced. */
  connections: count
})
export type SocketState = typeof SocketState.Type

/** Whether Slack can be reached at all. While it cannot, nothing that we could do would help. */
export const Network = Schema.Literals(["up", "down"])
export type Network = typeof Network.Type

export const Alarm = Schema.Struct({ code: Schema.String, since: Schema.Finite, text: Schema.String })
export type Alarm = typeof Alarm.Type

/** Messages by state. */
export const Inbox = Schema.Struct({
  queued: count,
  processing: count,
  done: count,
  failed: count,
  ignored: count,
  oldestQueuedAgeMs: age
})

const replies = {
  queued: count,
  sending: count,
  unknown: count,
  failed_retryable: count,
  delivered: count,
  failed_terminal: count,
  expired: count,
  /** Of the unknown ones, those that only a person can settle. */
  held: count,
  oldestQueuedAgeMs: age
}

/** Replies by state. */
export const Replies = Schema.Struct(replies)

export const Snapshot = Schema.Struct({
  instance: Schema.String,
  version: Schema.String,
  phase: Schema.Literals(["starting", "running", "draining", "stopped"]),
  uptimeMs: Schema.Finite,
  socket: SocketState,
  inbox: Inbox,
  outbox: Schema.Struct({ ...replies, paused: Schema.Boolean }),
  /** With turns that run, and with messages that no turn has taken. */
  conversations: Schema.Struct({ active: count, waiting: count }),
  /** What an operator holds back: everything, and how many channels and conversations by name. */
  paused: Schema.Struct({
    everything: Schema.Boolean,
    /** Since when everything is, and the reason that was given. */
    since: moment,
    why: Schema.NullOr(Schema.String),
    named: count
  }),
  previousStop: Schema.Literals(["clean", "crash", "none"]),
  /** The time of the last one. */
  heartbeat: moment,
  network: Network,
  /** How late the event loop was at worst, in the last seconds. */
  eventLoopDelayMs: Schema.Finite,
  alarms: Schema.Array(Alarm)
})
export type Snapshot = typeof Snapshot.Type
