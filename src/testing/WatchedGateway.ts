/**
 * WatchedGateway: the gateway that a chat page shows and may kill, as whoever started it hands it to LocalSlack.
 *
 * It names no process: the page asks for a signal, and the starter knows whom it has started.
 */
import { type Effect, Schema } from "effect"
import type { JournalEvent } from "./Journal.ts"

export const KillSignal = Schema.Literals(["SIGTERM", "SIGKILL"])
export type KillSignal = typeof KillSignal.Type

export type GatewayEvent = Extract<
  JournalEvent,
  { readonly _tag: "GatewayStarted" | "GatewaySignalled" | "GatewayEnded" | "GatewaySeen" }
>
/** What a gateway says about itself. */
export type GatewayCounts = Omit<Extract<GatewayEvent, { readonly _tag: "GatewaySeen" }>, "_tag" | "after">

export interface WatchedGateway {
  /** False when it does not run at this moment. */
  readonly signal: (name: KillSignal) => boolean
  /** Asked several times a second while somebody looks at the page; undefined while it does not answer. */
  readonly look: Effect.Effect<GatewayCounts | undefined>
}
