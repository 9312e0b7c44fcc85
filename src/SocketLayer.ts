/**
 * Owns the connections to Slack: generations, rotation, reconnect, and the published socket state.
 *
 * It keeps as many places (slots) as `connections` says, each with a loop that fills it. Every connection is a
 * generation with a fresh client in a Scope of its own; when the Scope is closed nothing of it is heard again, so a
 * superseded generation can neither change shared state nor deliver twice. All loops open in one queue (Opening): one
 * attempt at a time, one growing, jittered pause. A connection is replaced before it is closed (planned rotation,
 * Slack's `disconnect` frame, a forced reconnect), and places never change at one moment, so there are at most
 * `connections` + 1 at once. What several connections bring twice is one event (Intake).
 * Does not: handle what a connection brings (Generation), ack (Intake), judge whether the transport is alive
 * (Watchdog), know what Slack's codes mean (Endings), or keep envelopes in memory beyond a bounded queue: what is not
 * stored is not acked, and Slack delivers it again.
 * On shutdown: takes no further envelope, finishes those in hand, disconnects.
 */
import { Clock, Context, Deferred, Duration, Effect, Exit, Latch, Layer, Scope, SubscriptionRef } from "effect"
import { type Meaning, ofDisconnect, ofFailure, sentenceOf } from "./Endings.ts"
import { GatewayConfig } from "./GatewayConfig.ts"
import { GatewayStatus } from "./GatewayStatus.ts"
import { consume, type Ending, type Generation } from "./Generation.ts"
import { Intake } from "./Intake.ts"
import * as Opening from "./Opening.ts"
import { Shutdown } from "./Shutdown.ts"
import { type Identity, SlackApi, type SlackApiError } from "./SlackApi.ts"
import { SlackConnection, type SlackConnectionError } from "./SlackConnection.ts"
import { lifeOf, quietest, type Slot, slots as emptySlots, stateOf } from "./Slots.ts"
import { GaveUp, Supervisor } from "./Supervisor.ts"
import { connections, counted, foreignConnections } from "./Telemetry.ts"

/** A person must act, or room must be made: asking often helps nobody. */
const slowPause = 60_000
/** A connection that lives this long proves that connecting works. */
const healthyAfter = Duration.seconds(10)
/** Something is heard every few seconds; one that was quiet for so long before its end was dead already (ms). */
const silentAfter = 10_000
/** A replaced connection may finish what it has already brought. */
const lingerFor = Duration.seconds(2)
export class SocketLayer extends Context.Service<SocketLayer, {
  /**
   * One forced reconnect, in the one queue of everybody who opens a connection: cuts the pause of what is down short,
   * and replaces the live connection that was quiet longest, if there is one. Asking again before that is done asks for
   * nothing more. Returns at once; what comes of it is published in `GatewayStatus.socket`.
   */
  readonly reconnect: (reason: string) => Effect.Effect<void>
  /**
   * Epoch ms of the last sign of life (frame, ping or pong) of the live connection that was quiet longest, so that one
   * deaf connection of two is noticed; it is the one that `reconnect` replaces. It stays in the count until its
   * replacement is there. Null without a live connection, or when the client lets nobody see such signs.
   */
  readonly lastHeardAt: Effect.Effect<number | null>
}>()("slackwater/SocketLayer") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function*() {
      const api = yield* SlackApi
      const config = yield* GatewayConfig
      const door = yield* SlackConnection
      const intake = yield* Intake
      const shutdown = yield* Shutdown
      const status = yield* GatewayStatus
      const supervisor = yield* Supervisor
      const opening = yield* Opening.make
      const slots = emptySlots(config.connections)
      /** Every scope that was opened and not yet closed, whatever has become of its connection. */
      const scopes = new Set<Scope.Closeable>()
      /** Connections that have not ended. */
      const live = new Set<Generation>()
      const before = yield* SubscriptionRef.get(status.socket)
      let identity: Identity | undefined
      let number = before.generation
      let reconnects = before.reconnects
      let silence = before.silence
      let refused = false
      let closing = false

      const publish = Effect.suspend(() => {
        if (closing) return Effect.void
        const state = stateOf(slots, refused)
        const isUp = state === "connected" || state === "rotating"
        return Effect.flatMap(Clock.currentTimeMillis, (now) =>
          SubscriptionRef.update(status.socket, (before) => ({
            state,
            generation: number,
            connectedSince: isUp ? before.connectedSince ?? now : null,
            disconnectedSince: isUp ? null : before.disconnectedSince ?? now,
            silence,
            reconnects,
            connections: live.size
          })))
      })

      const closeScope = (scope: Scope.Closeable) =>
        Effect.suspend(() => scopes.delete(scope) ? Scope.close(scope, Exit.void) : Effect.void)

      const close = (generation: Generation) =>
        Effect.suspend(() => {
          live.delete(generation)
          return closeScope(generation.scope)
        })

      /** At its end: whether anybody was there to hear what Slack sent last. */
      const judge = Effect.fnUntraced(function*({ connection }: Generation) {
        const until = yield* Clock.currentTimeMillis
        const since = yield* connection.lastHeardAt
        if (since !== null && until - since >= silentAfter) silence = { since, until }
      })

      /** It delivers nothing any more. A replacement may be under way; until it is there its slot is empty. */
      const lost = (slot: Slot, generation: Generation) =>
        Effect.gen(function*() {
          if (live.delete(generation)) yield* judge(generation)
          if (slot.held === generation) slot.held = undefined
          yield* publish
        })

      /** Opens the next generation; what fails half-way leaves nothing open. */
      const open = Effect.fnUntraced(function*(slot: Slot) {
        const self = identity ??= yield* api.identity
        const scope = yield* Scope.make()
        scopes.add(scope)
        return yield* Effect.gen(function*() {
          const connection = yield* Scope.provide(door.open, scope)
          const generation: Generation = {
            number: ++number,
            scope,
            connection,
            connectedAt: yield* Clock.currentTimeMillis,
            replace: yield* Deferred.make<Ending>(),
            quiet: yield* Latch.make(true)
          }
          live.add(generation)
          for (
            const attendant of [
              consume(generation, self, intake),
              Effect.andThen(connection.closed, lost(slot, generation)),
              Effect.delay(opening.healthy, healthyAfter)
            ]
          ) yield* Effect.forkIn(attendant, scope, { startImmediately: true })
          return generation
        }).pipe(Effect.onError(() => closeScope(scope)))
      })

      /** A hello may count more connections than we have. */
      const compare = Effect.fnUntraced(function*({ connection, number }: Generation) {
        if (connection.connections === null) return
        // When this room takes over from another one of this process, that one's are still there.
        const ours = live.size + (number <= before.generation + slots.length ? before.connections : 0)
        if (connection.connections <= ours) return yield* status.clear("slack-foreign-connections")
        yield* counted(foreignConnections)
        yield* status.raise(
          "slack-foreign-connections",
          `Slack counted ${connection.connections} connections of this app when we had ${ours}: another process ` +
            "uses the same app token and takes some of the events, or Slack still counts one that has ended"
        )
      })

      /** Puts a fresh generation into its slot, and closes what it replaces once that is quiet. */
      const adopt = Effect.fnUntraced(function*(slot: Slot, generation: Generation) {
        const predecessor = slot.leaving
        // What Slack has closed meanwhile holds no slot.
        if (live.has(generation)) slot.held = generation
        slot.leaving = undefined
        if (slot.wasFilled) reconnects += 1
        slot.wasFilled = true
        refused = false
        yield* counted(connections, "connected")
        if (predecessor !== undefined && live.has(predecessor)) yield* judge(predecessor)
        yield* publish
        yield* status.clear("slack-connection")
        yield* compare(generation)
        yield* Effect.logInfo("connected to Slack").pipe(
          Effect.annotateLogs({ generation: generation.number, connections: generation.connection.connections })
        )
        if (predecessor === undefined) return
        yield* Effect.timeoutOption(predecessor.quiet.await, lingerFor)
        yield* close(predecessor)
        yield* publish
      })

      /** Only a person, or the end of other connections, can help. At the start a refusal is the end. */
      const hindered = Effect.fnUntraced(function*(meaning: Exclude<Meaning, { readonly _tag: "Again" }>) {
        yield* opening.postpone(slowPause)
        if (meaning._tag === "Refused") {
          refused = true
          yield* publish
          if (number === 0 && !(yield* status.wasConnected)) {
            return yield* supervisor.giveUp(new GaveUp({ fiber: "socket", exitCode: 78, detail: meaning.remedy }))
          }
        }
        yield* status.raise("slack-connection", meaning.remedy)
      })

      const failed = Effect.fnUntraced(function*(error: SlackApiError | SlackConnectionError) {
        yield* counted(connections, "failed")
        const meaning = ofFailure(error)
        if (meaning._tag !== "Again") return yield* hindered(meaning)
        const againInMs = yield* opening.backOff(meaning.afterMs)
        yield* Effect.logWarning(sentenceOf(error)).pipe(Effect.annotateLogs({ againInMs }))
      })

      const renew = Effect.fnUntraced(function*(slot: Slot) {
        const opened = yield* Effect.result(open(slot))
        if (opened._tag === "Failure") return yield* Effect.as(failed(opened.failure), undefined)
        yield* adopt(slot, opened.success)
        return opened.success
      })

      /** Waits until this connection must be replaced. Answers why. */
      const watch = (slot: Slot, generation: Generation) => {
        const { closed, disconnecting } = generation.connection
        const life = lifeOf(slot, slots, generation)
        return Effect.raceAllFirst([
          Effect.as(closed, { reason: "closed", alive: false }),
          Effect.map(disconnecting, (reason) => ({ reason, alive: true })),
          Deferred.await(generation.replace),
          life === Infinity ? Effect.never : Effect.as(Effect.sleep(life), { reason: "rotation", alive: true })
        ])
      }

      /** One generation of a slot, from its opening to the moment when its successor is wanted. */
      const cycle = Effect.fnUntraced(function*(slot: Slot) {
        if (closing) return yield* Effect.never
        const generation = yield* opening.inTurn(renew(slot))
        if (generation === undefined) return
        const { alive, reason } = yield* watch(slot, generation)
        const livedMs = (yield* Clock.currentTimeMillis) - generation.connectedAt
        yield* Effect.logInfo("replacing the connection to Slack").pipe(
          Effect.annotateLogs({ generation: generation.number, reason, livedMs })
        )
        const meaning = ofDisconnect(reason)
        if (alive && meaning._tag === "Again") {
          slot.leaving = generation
          yield* publish
        } else {
          yield* lost(slot, generation)
          yield* close(generation)
        }
        if (meaning._tag !== "Again") yield* hindered(meaning)
        else if (livedMs < Duration.toMillis(healthyAfter)) yield* opening.backOff()
      })

      yield* Effect.forEach(slots, (slot) => supervisor.fork("socket", Effect.forever(cycle(slot))))
      yield* Effect.addFinalizer(() =>
        Effect.suspend(() => {
          closing = true
          return shutdown.within("socket", Effect.forEach([...scopes], closeScope, { concurrency: "unbounded" }))
        })
      )

      return SocketLayer.of({
        reconnect: Effect.fn("SocketLayer.reconnect")(function*(reason: string) {
          yield* opening.hurry
          const found = yield* quietest(slots)
          if (found !== undefined) yield* Deferred.succeed(found.generation.replace, { reason, alive: true })
        }),
        lastHeardAt: Effect.map(Effect.suspend(() => quietest(slots)), (found) => found?.heardAt ?? null)
      })
    })
  )
}
