/**
 * Judges the transport.
 *
 * Idle is not dead and connected is not alive: it looks at frames, pings and the published connection state, never
 * at how recent the last business event is. Continuously down beyond the threshold, or deaf (no frame, ping or pong
 * within a bound), forces a new generation through SocketLayer, the one door. Where the client shows no such signs, it
 * says so and goes by the connection state alone. Enough forced reconnects in a row that failed while Slack's Web API
 * answers end the process with 75, so that its supervisor starts it again. While that does not answer, it is an outage:
 * nothing is gained by ending, so the count starts anew and the attempts go on.
 * Bounds are measured on the monotonic clock, from what was seen here: a wall clock that is set, or a process that
 * stood still for a while, makes nothing look dead.
 * Does not: connect, or judge whether the process itself is alive (Heartbeat).
 */
import { Context, Duration, Effect, Layer, SubscriptionRef } from "effect"
import { GatewayConfig } from "./GatewayConfig.ts"
import { GatewayStatus, type SocketState } from "./GatewayStatus.ts"
import { monotonicMillis } from "./monotonic.ts"
import { Shutdown } from "./Shutdown.ts"
import { SlackApi } from "./SlackApi.ts"
import { SocketLayer } from "./SocketLayer.ts"
import { GaveUp, Supervisor } from "./Supervisor.ts"
import { counted, forcedReconnects } from "./Telemetry.ts"

/** Slack's pings are never further apart (the client's own bound); ours go out every few seconds (ms). */
const pingWithin = 30_000
/** Two pings missed. */
const deafAfter = 2 * pingWithin
/** Looks are this far apart at most (ms). */
const longestPause = 5_000
/** A look that comes this much late finds what waited meanwhile unread: nothing may be concluded from silence (ms). */
const stoodStill = 5_000
/** More new connections than this per connection and window are churn; Slack's own refreshes are fewer. */
const churn = { within: 600_000, reconnects: 10 }

export class Watchdog extends Context.Service<Watchdog, {
  /** Forced reconnects since a connection last held. */
  readonly forced: Effect.Effect<number>
}>()("slackwater/Watchdog") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function*() {
      const config = yield* GatewayConfig
      const api = yield* SlackApi
      const shutdown = yield* Shutdown
      const socket = yield* SocketLayer
      const status = yield* GatewayStatus
      const supervisor = yield* Supervisor
      const threshold = Duration.toMillis(config.watchdogThreshold)
      const every = Math.max(10, Math.min(threshold / 4, longestPause))
      let forced = 0
      let forcedAt = -Infinity
      /** What was found, and since when it has been so without a break. */
      let finding = ""
      let since = yield* monotonicMillis
      /** The same of the time when the connection was there. */
      let upOf: number | null = null
      let upFrom = since
      let saidBlind = false
      let window = { from: since, reconnects: 0 }

      const force = Effect.fnUntraced(function*(reason: string) {
        const spent = forced >= config.watchdogMaxAttempts
        if (!spent) {
          forced += 1
          yield* counted(forcedReconnects)
          yield* Effect.logWarning("forcing a new connection").pipe(Effect.annotateLogs({ reason, forced }))
          yield* socket.reconnect(reason)
        }
        if (yield* api.answers) {
          yield* status.setNetwork("up")
          if (!spent) return
          yield* supervisor.giveUp(
            new GaveUp({
              fiber: "watchdog",
              exitCode: 75,
              detail: `Slack's API answers, but ${forced} forced reconnects in a row brought no connection`
            })
          )
          return
        }
        forced = 0
        if ((yield* status.network) === "down") return
        yield* status.setNetwork("down")
        yield* Effect.logWarning("Slack's API does not answer either: an outage, which no restart would end")
      })

      /** What is to be said of the connection, and for how long it may be so. */
      const look = ({ disconnectedSince, generation, state }: SocketState, heard: number | null) =>
        state === "fatal"
          // A person must act; SocketLayer has said so.
          ? { finding: "refused", bound: undefined, reason: "" }
          : disconnectedSince !== null
          ? { finding: `down ${disconnectedSince}`, bound: threshold, reason: "down for too long" }
          : heard !== null
          ? { finding: `heard ${heard}`, bound: deafAfter, reason: "nothing heard" }
          : { finding: `blind ${generation}`, bound: undefined, reason: "" }

      /** The connection is there, as far as anybody can see; `heard` is null where nobody can, from its beginning on. */
      const isUp = Effect.fnUntraced(function*(heard: number | null, held: number) {
        yield* status.setNetwork("up")
        if (held >= threshold) forced = 0
        if (heard !== null || saidBlind) return
        saidBlind = true
        yield* Effect.logWarning(
          "this Slack client shows neither pings nor frames: the connection is judged by its state alone"
        )
      })

      const watchChurn = Effect.fnUntraced(function*({ connections, reconnects }: SocketState, now: number) {
        const most = churn.reconnects * Math.max(1, connections)
        const count = reconnects - window.reconnects
        if (count > most) {
          yield* status.raise(
            "connection-churn",
            `${count} new connections to Slack within ${churn.within / 60_000} minutes: they open and do not hold`
          )
        }
        if (now - window.from < churn.within) return
        window = { from: now, reconnects }
        if (count <= most) yield* status.clear("connection-churn")
      })

      const check = Effect.fnUntraced(function*(late: number) {
        const state = yield* SubscriptionRef.get(status.socket)
        const heard = yield* socket.lastHeardAt
        const now = yield* monotonicMillis
        yield* watchChurn(state, now)
        const { bound, finding: found, reason } = look(state, heard)
        if (found !== finding || late >= stoodStill) {
          finding = found
          since = now
        }
        if (state.connectedSince !== upOf) {
          upOf = state.connectedSince
          upFrom = now
        }
        if (bound !== undefined && now - Math.max(since, forcedAt) >= bound) {
          forcedAt = now
          return yield* force(reason)
        }
        const recently = heard === null || now - since < pingWithin
        if (upOf !== null && state.state !== "fatal" && recently) yield* isUp(heard, now - upFrom)
      })

      const tick = Effect.gen(function*() {
        const before = yield* monotonicMillis
        yield* Effect.sleep(every)
        yield* check((yield* monotonicMillis) - before - every)
      })

      yield* supervisor.fork("watchdog", Effect.forever(tick))
      // The topmost room: its end is the first, so the drain begins here.
      yield* Effect.addFinalizer(() => shutdown.begin)
      return Watchdog.of({ forced: Effect.sync(() => forced) })
    })
  )
}
