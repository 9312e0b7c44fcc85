/**
 * Owns the connection to Slack: generations, rotation, reconnect, and the published socket state.
 *
 * Every connection is a generation with a fresh client in a Scope of its own; when the Scope is closed nothing of it
 * is heard again, so a superseded generation can neither change shared state nor deliver twice. There is one owner of
 * reconnecting: the loop below. It replaces a connection before it closes it (planned rotation, Slack's `disconnect`
 * frame, a forced reconnect) and waits with growing, jittered pauses when Slack is not there.
 * Guarantees: envelopes of a generation reach Intake in order, each with the ack of its own connection.
 * Does not: ack (Intake), judge whether the transport is alive (Watchdog), or keep envelopes in memory beyond a
 * bounded queue: what is not stored is not acked, and Slack delivers it again.
 * On shutdown: takes no further envelope, finishes the one in hand, disconnects.
 */
import {
  Clock,
  Context,
  Deferred,
  Duration,
  Effect,
  Exit,
  Latch,
  Layer,
  Queue,
  Random,
  Scope,
  SubscriptionRef
} from "effect"
import { GatewayStatus, type SocketState } from "./GatewayStatus.ts"
import { Intake } from "./Intake.ts"
import { Shutdown } from "./Shutdown.ts"
import { describe, type Identity, SlackApi, type SlackApiError } from "./SlackApi.ts"
import {
  type Connection,
  Refused,
  SlackConnection,
  SlackConnectionError,
  TooManyRequests,
  Unreachable
} from "./SlackConnection.ts"
import { GaveUp, Supervisor } from "./Supervisor.ts"
import { connections, counted } from "./Telemetry.ts"

const firstPause = 200
const maxPause = 30_000
/** Slack refuses this app or token while we run: a person must act, so asking often helps nobody. */
const refusedPause = 60_000
/** A connection that lived this long proves that connecting works; its end starts the pauses anew. */
const healthyAfter = 10_000
/** A replaced connection may finish what it has already brought. */
const lingerFor = Duration.seconds(2)
/** Replace a connection this long before Slack would end it. */
const rotateBefore = 60_000

interface Ended {
  readonly reason: string
  /** It still delivers, so its successor is opened first. */
  readonly alive: boolean
}

interface Generation {
  readonly number: number
  readonly scope: Scope.Closeable
  readonly connection: Connection
  readonly connectedAt: number
  /** Completes with the reason why this connection should be replaced, or is gone. */
  readonly ended: Deferred.Deferred<Ended>
  /** Open once its last signal was handled. */
  readonly quiet: Latch.Latch
}

export class SocketLayer extends Context.Service<SocketLayer, {
  /** Replaces the present connection; a second call while one is under way does nothing more. */
  readonly reconnect: (reason: string) => Effect.Effect<void>
  /** Epoch ms of the last sign of life; null without a connection, or when the client lets nobody see them. */
  readonly lastHeardAt: Effect.Effect<number | null>
}>()("slackwater/SocketLayer") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function*() {
      const api = yield* SlackApi
      const door = yield* SlackConnection
      const intake = yield* Intake
      const shutdown = yield* Shutdown
      const status = yield* GatewayStatus
      const supervisor = yield* Supervisor
      const live = new Set<Generation>()
      const hurry = yield* Latch.make()
      let current: Generation | undefined
      let identity: Identity | undefined
      let number = 0
      let failures = 0
      let everConnected = false
      let closing = false

      const layerScope = yield* Effect.scope

      const publish = (change: (now: number, before: SocketState) => Partial<SocketState>) =>
        Effect.flatMap(
          Clock.currentTimeMillis,
          (now) =>
            SubscriptionRef.update(
              status.socket,
              (before) => ({ ...before, ...change(now, before), connections: live.size })
            )
        )

      const down = (now: number): Partial<SocketState> => ({
        state: "disconnected",
        connectedSince: null,
        disconnectedSince: now
      })

      const closeGeneration = (generation: Generation) =>
        Effect.suspend(() => {
          live.delete(generation)
          return Scope.close(generation.scope, Exit.void)
        })

      /** Takes the signals of one connection in order. Ends with its Scope. */
      const consume = Effect.fnUntraced(function*(generation: Generation, self: Identity) {
        while (true) {
          if (Queue.sizeUnsafe(generation.connection.signals) === 0) yield* generation.quiet.open
          const signal = yield* Queue.take(generation.connection.signals)
          yield* generation.quiet.close
          switch (signal._tag) {
            case "Envelope":
              yield* intake.accept(signal.envelope, signal.ack, self)
              break
            case "Disconnecting":
              yield* Deferred.succeed(generation.ended, { reason: signal.reason, alive: true })
              break
            case "Closed":
              // A replacement may be under way already; until it is there we are without a connection.
              if (current === generation) {
                current = undefined
                live.delete(generation)
                yield* publish(down)
              }
              yield* Deferred.succeed(generation.ended, { reason: "closed", alive: false })
              yield* generation.quiet.open
              return
          }
        }
      })

      /** Opens the next generation and makes it the present one. */
      const open = Effect.gen(function*() {
        const self = identity ??= yield* api.identity
        const scope = yield* Scope.fork(layerScope)
        const connection = yield* door.open.pipe(
          Scope.provide(scope),
          Effect.onError(() => Scope.close(scope, Exit.void))
        )
        const generation: Generation = {
          number: ++number,
          scope,
          connection,
          connectedAt: yield* Clock.currentTimeMillis,
          ended: yield* Deferred.make<Ended>(),
          quiet: yield* Latch.make(true)
        }
        live.add(generation)
        yield* Effect.forkIn(
          consume(generation, self).pipe(
            Effect.catchCause((cause) =>
              Effect.andThen(
                Effect.logError("handling a signal failed; replacing the connection", cause),
                Deferred.succeed(generation.ended, { reason: "failed", alive: false })
              )
            )
          ),
          scope,
          { startImmediately: true }
        )
        return generation
      })

      /** The first successor closes what it replaces. */
      const adopt = Effect.fnUntraced(function*(generation: Generation) {
        const previous = current
        current = generation
        everConnected = true
        yield* hurry.close
        yield* counted(connections, "connected")
        yield* publish((now, before) => ({
          state: "connected",
          generation: generation.number,
          connectedSince: now,
          disconnectedSince: null,
          reconnects: before.reconnects + (generation.number > 1 ? 1 : 0)
        }))
        yield* status.clear("slack-connection")
        yield* Effect.logInfo("connected to Slack").pipe(
          Effect.annotateLogs({ generation: generation.number, connections: generation.connection.connections })
        )
        if (previous !== undefined && live.has(previous)) {
          yield* Effect.timeoutOption(previous.quiet.await, lingerFor)
          yield* closeGeneration(previous)
          yield* publish(() => ({}))
        }
      })

      const refused = Effect.fnUntraced(function*(detail: string) {
        const remedy = `${detail}; check the app's tokens, scopes and Socket Mode at api.slack.com/apps`
        if (!everConnected) {
          yield* publish(() => ({ state: "fatal" }))
          return yield* supervisor.giveUp(new GaveUp({ fiber: "socket", exitCode: 78, detail: remedy }))
        }
        yield* publish(() => ({ state: "fatal" }))
        yield* status.raise("slack-connection", remedy)
      })

      /** How long to wait after a failed attempt to connect. */
      const pauseAfter = Effect.fnUntraced(function*(error: SlackConnectionError) {
        if (error.reason._tag === "Refused") {
          yield* refused(error.message)
          return refusedPause
        }
        const exponential = Math.min(maxPause, firstPause * 2 ** Math.min(failures, 12))
        const jittered = (yield* Random.nextBetween(0, exponential)) + firstPause / 2
        yield* Effect.logWarning(error.message).pipe(Effect.annotateLogs({ failures, againInMs: Math.round(jittered) }))
        return error.reason._tag === "TooManyRequests" ? Math.max(error.reason.retryAfterMs, jittered) : jittered
      })

      /** Waits until the present connection must be replaced. Answers why. */
      const watch = Effect.fnUntraced(function*(generation: Generation) {
        const lifetime = generation.connection.approximateConnectionMs
        const rotation = lifetime === null
          ? Effect.never
          : Effect.as(Effect.sleep(Math.max(lifetime / 2, lifetime - rotateBefore)), {
            reason: "rotation",
            alive: true
          })
        return yield* Effect.raceFirst(Deferred.await(generation.ended), rotation)
      })

      const cycle = Effect.gen(function*() {
        if (closing) return yield* Effect.never
        const generation = yield* Effect.result(open)
        if (generation._tag === "Failure") {
          yield* counted(connections, "failed")
          const pause = yield* pauseAfter(asConnectionError(generation.failure))
          failures += 1
          return yield* Effect.timeoutOption(hurry.await, pause)
        }
        yield* adopt(generation.success)
        const { alive, reason } = yield* watch(generation.success)
        const lived = (yield* Clock.currentTimeMillis) - generation.success.connectedAt
        if (lived >= healthyAfter) failures = 0
        yield* Effect.logInfo("replacing the connection to Slack").pipe(Effect.annotateLogs({ reason, lived }))
        if (alive) {
          yield* publish(() => ({ state: "rotating" }))
        } else {
          current = undefined
          yield* closeGeneration(generation.success)
          yield* publish(down)
        }
        if (lived < healthyAfter) {
          const exponential = Math.min(maxPause, firstPause * 2 ** Math.min(failures++, 12))
          yield* Effect.timeoutOption(hurry.await, yield* Random.nextBetween(0, exponential))
        }
      })

      yield* supervisor.fork("socket", Effect.forever(cycle))
      yield* Effect.addFinalizer(() =>
        Effect.suspend(() => {
          closing = true
          return shutdown.within("socket", Effect.forEach([...live], closeGeneration, { concurrency: "unbounded" }))
        })
      )

      return SocketLayer.of({
        reconnect: Effect.fn("SocketLayer.reconnect")(function*(reason: string) {
          yield* hurry.open
          if (current !== undefined) yield* Deferred.succeed(current.ended, { reason, alive: true })
        }),
        lastHeardAt: Effect.suspend(() => current === undefined ? Effect.succeed(null) : current.connection.lastHeardAt)
      })
    })
  )
}

/** Who we are is asked before the first connection; its failures mean the same as those of connecting. */
const asConnectionError = (error: SlackApiError | SlackConnectionError): SlackConnectionError => {
  if (error._tag === "SlackConnectionError") return error
  const { reason } = error
  switch (reason._tag) {
    case "RateLimited":
      return new SlackConnectionError({ reason: new TooManyRequests({ retryAfterMs: reason.retryAfterMs }) })
    case "NotSent":
    case "Ambiguous":
      return new SlackConnectionError({ reason: new Unreachable({ detail: describe(reason) }) })
    default:
      return new SlackConnectionError({ reason: new Refused({ code: reason.code }) })
  }
}
