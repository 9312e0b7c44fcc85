/**
 * What the gateway knows about itself: the one source for readiness, `/api/status`, dashboard and heartbeat.
 *
 * Owns the published socket state, the list of alarms and the snapshot. It sits below the rooms, which publish into
 * it, so that readiness answers 503 during a drain instead of vanishing.
 * Does not: judge or act; the Watchdog does.
 */
import { Clock, Context, Effect, Layer, SubscriptionRef } from "effect"
import { Control } from "./Control.ts"
import { Instance, type PreviousStop } from "./Instance.ts"
import { MessageStore } from "./MessageStore.ts"
import { OutboxStore, type ReplyState } from "./OutboxStore.ts"
import { type Phase, Shutdown } from "./Shutdown.ts"
import type { StoreError } from "./StoreError.ts"
import { version } from "./version.ts"

export interface SocketState {
  /**
   * `connected` while at least one connection lives that nobody means to replace; `rotating` while those that live are
   * being replaced and still deliver; `fatal` when none lives because Slack refuses the app or a token.
   */
  readonly state: "starting" | "connected" | "rotating" | "disconnected" | "fatal"
  /** Of the newest connection. */
  readonly generation: number
  /** Epoch ms since when there was a live connection at every moment; null without one. */
  readonly connectedSince: number | null
  /** Epoch ms since when there is none; null with one. */
  readonly disconnectedSince: number | null
  /**
   * Epoch ms: the last time a connection counted as live and was not heard for a while before its end. What Slack sent
   * into it came to nobody, also when another one lived.
   */
  readonly silence: { readonly since: number; readonly until: number } | null
  /** Connections that took the place of another. */
  readonly reconnects: number
  /** Our own live connections, those included that are being replaced. */
  readonly connections: number
}

/** Whether Slack can be reached at all. While it cannot, nothing that we could do would help. */
export type Network = "up" | "down"

export interface Alarm {
  readonly code: string
  readonly since: number
  readonly text: string
}

export interface Snapshot {
  readonly instance: string
  readonly version: string
  readonly phase: Phase
  readonly uptimeMs: number
  readonly socket: SocketState
  readonly inbox: {
    readonly queued: number
    readonly processing: number
    readonly done: number
    readonly failed: number
    readonly ignored: number
    readonly oldestQueuedAgeMs: number | null
  }
  readonly outbox: Readonly<Record<ReplyState, number>> & {
    /** Of the unknown ones, those that only a person can settle. */
    readonly held: number
    readonly paused: boolean
    readonly oldestQueuedAgeMs: number | null
  }
  readonly conversations: { readonly active: number }
  /** What an operator holds back: everything, and how many channels and conversations by name. */
  readonly paused: {
    readonly everything: boolean
    /** Epoch ms since when everything is, and the reason that was given. */
    readonly since: number | null
    readonly why: string | null
    readonly named: number
  }
  readonly previousStop: PreviousStop
  readonly heartbeat: number | null
  readonly network: Network
  /** How late the event loop was at worst, in the last seconds. */
  readonly eventLoopDelayMs: number
  readonly alarms: ReadonlyArray<Alarm>
}

export class GatewayStatus extends Context.Service<GatewayStatus, {
  readonly socket: SubscriptionRef.SubscriptionRef<SocketState>
  /** Whether there ever was a connection. Then no refusal of Slack's ends what is stored and handled here. */
  readonly wasConnected: Effect.Effect<boolean>
  readonly network: Effect.Effect<Network>
  readonly setNetwork: (network: Network) => Effect.Effect<void>
  /**
   * Raises an alarm, or renews its text. Logged when it is new. One that several things may cause names which of them
   * it is (`cause`), and is over when it is cleared for the last of them.
   */
  readonly raise: (code: string, text: string, cause?: string) => Effect.Effect<void>
  readonly clear: (code: string, cause?: string) => Effect.Effect<void>
  /** Turns of these rooms that run. */
  readonly setActive: (turns: number, rooms?: string) => Effect.Effect<void>
  readonly setPaused: (paused: boolean, rooms?: string) => Effect.Effect<void>
  readonly beat: (at: number) => Effect.Effect<void>
  /** Epoch ms of the last heartbeat. */
  readonly heartbeat: Effect.Effect<number | null>
  readonly setEventLoopDelay: (ms: number) => Effect.Effect<void>
  /** Empty when ready. */
  readonly notReady: Effect.Effect<ReadonlyArray<string>>
  readonly snapshot: Effect.Effect<Snapshot, StoreError>
}>()("slackwater/GatewayStatus") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function*() {
      const control = yield* Control
      const instance = yield* Instance
      const messages = yield* MessageStore
      const outbox = yield* OutboxStore
      const shutdown = yield* Shutdown
      const alarms = new Map<string, Alarm & { readonly causes: Set<string> }>()
      const active = new Map<string, number>()
      const paused = new Set<string>()
      let heartbeat: number | null = null
      let eventLoopDelayMs = 0
      let network: Network = "up"
      const socket = yield* SubscriptionRef.make<SocketState>({
        state: "starting",
        generation: 0,
        connectedSince: null,
        disconnectedSince: instance.startedAt,
        silence: null,
        reconnects: 0,
        connections: 0
      })

      const raise = Effect.fnUntraced(function*(code: string, text: string, cause = "") {
        const now = yield* Clock.currentTimeMillis
        const raised = alarms.get(code)
        const causes = (raised?.causes ?? new Set<string>()).add(cause)
        alarms.set(code, { code, text, since: raised?.since ?? now, causes })
        if (raised === undefined) yield* Effect.logError(text).pipe(Effect.annotateLogs({ alarm: code }))
      })

      const clear = Effect.fnUntraced(function*(code: string, cause = "") {
        const raised = alarms.get(code)
        if (raised?.causes.delete(cause) !== true || raised.causes.size > 0) return
        alarms.delete(code)
        yield* Effect.logInfo("alarm is over").pipe(Effect.annotateLogs({ alarm: code }))
      })

      const notReady = Effect.gen(function*() {
        const phase = yield* SubscriptionRef.get(shutdown.phase)
        const { state } = yield* SubscriptionRef.get(socket)
        return [
          ...(phase === "running" ? [] : [phase]),
          ...(state === "connected" || state === "rotating" ? [] : [`socket ${state}`]),
          ...([...alarms.keys()].some((code) => code.startsWith("database")) ? ["database"] : [])
        ]
      })

      const snapshot = Effect.gen(function*() {
        const now = yield* Clock.currentTimeMillis
        const { oldestQueuedAt, ...inbox } = yield* messages.counts
        const { oldestQueuedAt: oldestReplyAt, ...replies } = yield* outbox.counts
        const pauses = yield* control.pauses
        const all = pauses.find(({ conversation }) => conversation === null)
        const named = pauses.filter(({ conversation }) => conversation !== null).length
        const age = (since: number | null) => since === null ? null : Math.max(0, now - since)
        return {
          instance: instance.id,
          version,
          phase: yield* SubscriptionRef.get(shutdown.phase),
          uptimeMs: now - instance.startedAt,
          socket: yield* SubscriptionRef.get(socket),
          inbox: { ...inbox, oldestQueuedAgeMs: age(oldestQueuedAt) },
          outbox: { ...replies, paused: paused.size > 0, oldestQueuedAgeMs: age(oldestReplyAt) },
          conversations: { active: [...active.values()].reduce((sum, turns) => sum + turns, 0) },
          paused: { everything: all !== undefined, since: all?.since ?? null, why: all?.why ?? null, named },
          previousStop: instance.previousStop,
          heartbeat,
          network,
          eventLoopDelayMs,
          alarms: [...alarms.values()].map(({ code, since, text }) => ({ code, since, text }))
        }
      })

      return GatewayStatus.of({
        socket,
        wasConnected: Effect.map(SubscriptionRef.get(socket), ({ generation }) => generation > 0),
        network: Effect.sync(() => network),
        setNetwork: (now) =>
          Effect.sync(() => {
            network = now
          }),
        raise,
        clear,
        setActive: (turns, rooms = "") =>
          Effect.sync(() => {
            if (turns === 0) active.delete(rooms)
            else active.set(rooms, turns)
          }),
        setPaused: (isPaused, rooms = "") =>
          Effect.sync(() => {
            if (isPaused) paused.add(rooms)
            else paused.delete(rooms)
          }),
        beat: (at) =>
          Effect.sync(() => {
            heartbeat = at
          }),
        heartbeat: Effect.sync(() => heartbeat),
        setEventLoopDelay: (ms) =>
          Effect.sync(() => {
            eventLoopDelayMs = ms
          }),
        notReady,
        snapshot
      })
    })
  )
}
