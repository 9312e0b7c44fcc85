/**
 * The gauges of the table, set from what the gateway knows when somebody asks for them.
 *
 * Owns how often the database is asked: once in five seconds at most, however many scrape, and two seconds long. Where
 * it does not answer `scrape_failed` is 1 and its counts stay as they were; the rest is always as of now.
 * Where an exporter pushes (`GaugesEvery`), the gauges are set as often as it wants them.
 * Does not: keep a history, or format anything.
 */
import { Context, Duration, Effect, Layer, Option, Semaphore } from "effect"
import { DatabaseSize } from "./DatabaseSize.ts"
import { GatewayStatus } from "./GatewayStatus.ts"
import { messageStates } from "./InboxByHand.ts"
import { Instance } from "./Instance.ts"
import { type InboxCounts, MessageStore } from "./MessageStore.ts"
import { monotonicMillis } from "./monotonic.ts"
import { type OutboxCounts, OutboxStore, replyStates } from "./OutboxStore.ts"
import { Snapshot } from "./Snapshot.ts"
import { Supervisor } from "./Supervisor.ts"
import * as Telemetry from "./Telemetry.ts"
import { version } from "./version.ts"

const askEvery = 5_000
const askFor = Duration.seconds(2)

const socketStates = Snapshot.fields.socket.fields.state.literals
const phases = Snapshot.fields.phase.literals

/** How often an exporter that pushes wants the gauges; null where nobody pushes. */
export const GaugesEvery = Context.Reference<Duration.Duration | null>("slackwater/GaugesEvery", {
  defaultValue: () => null
})

const { gauged } = Telemetry

/** One of several is the present one. */
const oneOf = (
  metric: typeof Telemetry.phase,
  label: string,
  values: ReadonlyArray<string>,
  present: string
) => Effect.forEach(values, (value) => gauged(metric, value === present ? 1 : 0, { [label]: value }), { discard: true })

export class Gauges extends Context.Service<Gauges, {
  /** Sets all of them as of now. */
  readonly refresh: Effect.Effect<void>
}>()("slackwater/Gauges") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function*() {
      const every = yield* GaugesEvery
      const instance = yield* Instance
      const messages = yield* MessageStore
      const outbox = yield* OutboxStore
      const size = yield* DatabaseSize
      const status = yield* GatewayStatus
      const supervisor = yield* Supervisor
      const asking = yield* Semaphore.make(1)
      const everRaised = new Set<string>()
      let askedAt = -Infinity

      const ofInbox = Effect.fnUntraced(function*(counts: InboxCounts, at: number) {
        for (const state of messageStates) yield* gauged(Telemetry.inbox, counts[state], { state })
        yield* gauged(Telemetry.inboxOldest, age(counts.oldestQueuedAt, at))
        yield* gauged(Telemetry.waitingConversations, counts.waitingConversations)
      })

      const ofOutbox = Effect.fnUntraced(function*(counts: OutboxCounts, at: number) {
        for (const state of replyStates) yield* gauged(Telemetry.outbox, counts[state], { state })
        yield* gauged(Telemetry.outboxHeld, counts.held)
        yield* gauged(Telemetry.outboxOldest, age(counts.oldestQueuedAt, at))
      })

      /** Nothing of a scrape is a trace. */
      const ask = Effect.gen(function*() {
        const now = yield* monotonicMillis
        if (now < askedAt + askEvery) return
        askedAt = now
        const counted = yield* Effect.all([messages.counts, outbox.counts]).pipe(
          Effect.timeoutOption(askFor),
          Effect.orElseSucceed(() => Option.none())
        )
        yield* gauged(Telemetry.scrapeFailed, Option.isNone(counted) ? 1 : 0)
        if (Option.isNone(counted)) return
        const { at } = yield* status.present
        yield* ofInbox(counted.value[0], at)
        yield* ofOutbox(counted.value[1], at)
      }).pipe(asking.withPermit, Effect.withTracerEnabled(false))

      const refresh = Effect.gen(function*() {
        yield* ask
        const bytes = yield* size
        const { active, alarms, at, heartbeat, network, paused, phase, socket } = yield* status.present
        yield* oneOf(Telemetry.phase, "phase", phases, phase)
        yield* oneOf(Telemetry.socketState, "state", socketStates, socket.state)
        yield* gauged(Telemetry.socketGeneration, socket.generation)
        yield* gauged(Telemetry.openConnections, socket.connections)
        yield* gauged(Telemetry.networkUp, network === "up" ? 1 : 0)
        yield* gauged(Telemetry.outboxPaused, paused ? 1 : 0)
        yield* gauged(Telemetry.runningTurns, active)
        yield* gauged(Telemetry.heartbeatAge, age(heartbeat, at))
        yield* gauged(Telemetry.startTime, instance.startedAt / 1_000)
        yield* gauged(Telemetry.buildInfo, 1, { version })
        const raised = new Set(alarms.map(({ code }) => code))
        for (const code of raised) everRaised.add(code)
        for (const code of everRaised) yield* gauged(Telemetry.alarm, raised.has(code) ? 1 : 0, { code })
        if (bytes === null) return
        yield* gauged(Telemetry.databaseBytes, bytes.database, { file: "database" })
        yield* gauged(Telemetry.databaseBytes, bytes.wal, { file: "wal" })
      })

      yield* Telemetry.begin
      if (every !== null) {
        yield* supervisor.fork("gauges", Effect.forever(Effect.andThen(refresh, Effect.sleep(every))))
      }
      return Gauges.of({ refresh })
    })
  )
}

/** In seconds; 0 for nothing. */
const age = (since: number | null, now: number) => since === null ? 0 : Math.max(0, now - since) / 1_000
