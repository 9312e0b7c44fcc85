/**
 * Judges the transport, and writes the heartbeat.
 *
 * Idle is not dead and connected is not alive: it looks at frames, pings and the published connection state, never
 * at how recent the last business event is. Continuously down beyond the threshold, or deaf (no frame, ping or pong
 * within a bound), forces a new generation. Too many forced reconnects in a row while Slack's API answers end the
 * process with 75, so that its supervisor starts it again; while the API does not answer it is an outage, and nothing
 * is gained by ending.
 * The heartbeat file says "alive" to an outside watcher; an outage is not a wedge and keeps it fresh.
 */
import { Clock, Context, Duration, Effect, FileSystem, Layer, Path, SubscriptionRef } from "effect"
import { GatewayConfig } from "./GatewayConfig.ts"
import { GatewayStatus } from "./GatewayStatus.ts"
import { Instance } from "./Instance.ts"
import { Shutdown } from "./Shutdown.ts"
import { SlackApi } from "./SlackApi.ts"
import { SocketLayer } from "./SocketLayer.ts"
import { GaveUp, Supervisor } from "./Supervisor.ts"
import { counted, forcedReconnects } from "./Telemetry.ts"

/** Our client pings every few seconds and Slack does too, so a minute without any sign means deaf. */
const deafAfter = 60_000
const maxForced = 10
const beatEvery = Duration.seconds(5)

export class Watchdog extends Context.Service<Watchdog, {
  /** Forced reconnects since the last healthy moment. */
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
      let forced = 0
      let forcedAt = 0

      const force = Effect.fnUntraced(function*(reason: string, now: number) {
        forced += 1
        forcedAt = now
        yield* counted(forcedReconnects)
        yield* Effect.logWarning("forcing a new connection").pipe(Effect.annotateLogs({ reason, forced }))
        yield* socket.reconnect(reason)
        if (forced < maxForced) return
        if ((yield* Effect.result(api.identity))._tag === "Success") {
          return yield* supervisor.giveUp(
            new GaveUp({
              fiber: "watchdog",
              exitCode: 75,
              detail: `Slack's API answers, but ${forced} forced reconnects in a row brought no connection`
            })
          )
        }
        yield* Effect.logWarning("Slack's API does not answer either: an outage, not a wedge")
        forced = 0
      })

      const check = Effect.gen(function*() {
        const { disconnectedSince, state } = yield* SubscriptionRef.get(status.socket)
        const now = yield* Clock.currentTimeMillis
        if (state === "fatal") return
        if (disconnectedSince !== null) {
          if (now - Math.max(disconnectedSince, forcedAt) >= threshold) yield* force("down for too long", now)
          return
        }
        const heard = yield* socket.lastHeardAt
        if (heard !== null && now - Math.max(heard, forcedAt) >= deafAfter) yield* force("nothing heard", now)
        else if (now - forcedAt >= threshold) forced = 0
      })

      const every = Math.max(10, Math.min(threshold / 4, 5_000))
      yield* supervisor.fork("watchdog", Effect.forever(Effect.andThen(Effect.sleep(every), check)))
      // The topmost room: its end is the first, so the drain begins here.
      yield* Effect.addFinalizer(() => shutdown.begin)
      return Watchdog.of({ forced: Effect.sync(() => forced) })
    })
  )

  /** Writes `heartbeat.json`; sits below the rooms, so that a drain does not look like a wedge. */
  static readonly heartbeat = Layer.effectDiscard(Effect.gen(function*() {
    const config = yield* GatewayConfig
    const fs = yield* FileSystem.FileSystem
    const instance = yield* Instance
    const path = yield* Path.Path
    const shutdown = yield* Shutdown
    const status = yield* GatewayStatus
    const supervisor = yield* Supervisor
    const file = path.join(config.dataDir, "heartbeat.json")

    const beat = Effect.gen(function*() {
      // A gateway that cannot reach its database is not alive, whatever its process does.
      if ((yield* status.notReady).includes("database")) return
      const at = yield* Clock.currentTimeMillis
      const socket = yield* SubscriptionRef.get(status.socket)
      const text = JSON.stringify({
        at,
        instance: instance.id,
        phase: yield* SubscriptionRef.get(shutdown.phase),
        generation: socket.generation,
        socket: socket.state
      })
      yield* fs.writeFileString(`${file}.tmp`, text, { mode: 0o600 })
      yield* fs.rename(`${file}.tmp`, file)
      yield* status.beat(at)
      yield* status.clear("heartbeat")
    }).pipe(Effect.catch((error) => status.raise("heartbeat", `cannot write ${file}: ${error.message}`)))

    yield* supervisor.fork("heartbeat", Effect.forever(Effect.andThen(beat, Effect.sleep(beatEvery))))
  }))
}
