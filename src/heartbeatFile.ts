/** The heartbeat file as its readers know it: where it is, what it holds, and when it is no sign of life any more. */
import { Duration, Schema } from "effect"

export const heartbeatFile = "heartbeat.json"

/** Older than this it is no sign of life: it is written every five seconds. */
export const freshFor = Duration.seconds(30)

/** Fields may be added, never changed. */
export const Heartbeat = Schema.Struct({
  /** Epoch ms. */
  at: Schema.Finite,
  instance: Schema.String,
  pid: Schema.Int,
  version: Schema.String,
  phase: Schema.Literals(["starting", "running", "draining", "stopped"]),
  /** Of the connection to Slack. */
  generation: Schema.Int,
  socket: Schema.Literals(["starting", "connected", "rotating", "disconnected", "fatal"]),
  /** Down: Slack cannot be reached at all, which is no fault of this process. */
  network: Schema.Literals(["up", "down"])
})
export type Heartbeat = typeof Heartbeat.Type
