/**
 * What the gateway knows about itself: the one source for readiness, `/api/status`, dashboard and heartbeat.
 *
 * Owns the published socket state, the list of alarms and the snapshot. It sits below the rooms, which publish into
 * it, so that readiness answers 503 during a drain instead of vanishing.
 * Does not: judge or act; the Watchdog does.
 */
import { Clock, Context, Effect, Layer, SubscriptionRef } from "effect"
import { Control } from "./Control.ts"
import { Instance } from "./Instance.ts"
import { MessageStore } from "./MessageStore.ts"
import { OutboxStore } from "./OutboxStore.ts"
import { Shutdown } from "./Shutdown.ts"
import type { Alarm, Network, Snapshot, SocketState } from "./Snapshot.ts"
import type { StoreError } from "./StoreError.ts"
import { version } from "./version.ts"

export type { Alarm, Network, Snapshot, SocketState }

/** The part of it that is in memory. */
export interface Present extends Pick<Snapshot, "phase" | "socket" | "heartbeat" | "network" | "alarms"> {
  /** When this was (epoch ms). */
  readonly at: number
  readonly active: number
  readonly paused: boolean
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
  /** What is known without asking the database. */
  readonly present: Effect.Effect<Present>
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

      /** Said with each message that goes well, so it costs nothing where no alarm is on. */
      const clear = (code: string, cause = "") =>
        Effect.suspend(() => {
          const raised = alarms.get(code)
          if (raised?.causes.delete(cause) !== true || raised.causes.size > 0) return Effect.void
          alarms.delete(code)
          return Effect.logInfo("alarm is over").pipe(Effect.annotateLogs({ alarm: code }))
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

      const present = Effect.gen(function*() {
        return {
          at: yield* Clock.currentTimeMillis,
          phase: yield* SubscriptionRef.get(shutdown.phase),
          socket: yield* SubscriptionRef.get(socket),
          active: [...active.values()].reduce((sum, turns) => sum + turns, 0),
          paused: paused.size > 0,
          heartbeat,
          network,
          alarms: [...alarms.values()].map(({ code, since, text }) => ({ code, since, text }))
        }
      })

      const snapshot = Effect.gen(function*() {
        const { oldestQueuedAt, waitingConversations: waiting, ...inbox } = yield* messages.counts
        const { oldestQueuedAt: oldestReplyAt, ...replies } = yield* outbox.counts
        const pauses = yield* control.pauses
        const all = pauses.find(({ conversation }) => conversation === null)
        const named = pauses.filter(({ conversation }) => conversation !== null).length
        const { active, at: now, paused, ...rest } = yield* present
        const age = (since: number | null) => since === null ? null : Math.max(0, now - since)
        return {
          instance: instance.id,
          version,
          uptimeMs: now - instance.startedAt,
          inbox: { ...inbox, oldestQueuedAgeMs: age(oldestQueuedAt) },
          outbox: { ...replies, paused, oldestQueuedAgeMs: age(oldestReplyAt) },
          conversations: { active, waiting },
          paused: { everything: all !== undefined, since: all?.since ?? null, why: all?.why ?? null, named },
          previousStop: instance.previousStop,
          eventLoopDelayMs,
          ...rest
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
        present,
        snapshot
      })
    })
  )
}
