/**
 * Owns the connection to Slack: generations, rotation, reconnect, and the published socket state.
 *
 * Every connection is a generation with a fresh client in a Scope of its own; when the Scope is closed nothing of it
 * is heard again, so a superseded generation can neither change shared state nor deliver twice. There is one owner of
 * reconnecting: the loop below. It replaces a connection before it closes it (planned rotation, Slack's `disconnect`
 * frame, a forced reconnect) and waits with growing, jittered pauses when Slack is not there.
 * Does not: handle what a connection brings (Generation), ack (Intake), judge whether the transport is alive
 * (Watchdog), or keep envelopes in memory beyond a bounded queue: what is not stored is not acked, and Slack delivers
 * it again.
 * On shutdown: takes no further envelope, finishes the one in hand, disconnects.
 */
import { Clock, Context, Deferred, Duration, Effect, Exit, Latch, Layer, Random, Scope, SubscriptionRef } from "effect"
import { GatewayStatus, type SocketState } from "./GatewayStatus.ts"
import { consume, type Ending, type Generation } from "./Generation.ts"
import { Intake } from "./Intake.ts"
import { Shutdown } from "./Shutdown.ts"
import { describe, type Identity, SlackApi, type SlackApiError } from "./SlackApi.ts"
import { Refused, SlackConnection, SlackConnectionError, TooManyRequests, Unreachable } from "./SlackConnection.ts"
import { GaveUp, Supervisor } from "./Supervisor.ts"
import { connections, counted } from "./Telemetry.ts"

const firstPause = 200
const maxPause = 30_000
/** Slack refuses this app or token while we run: a person must act, so asking often helps nobody. */
const refusedPause = 60_000
/** Slack does not want this connection, and another one at once would be no better. */
const unwanted: Readonly<Record<string, string>> = {
  too_many_websockets:
    "Slack says that this app has too many connections; look for other processes with the same app token",
  link_disabled: "Socket Mode was switched off for this app; switch it on at api.slack.com/apps"
}
/** A connection that lived this long proves that connecting works; its end starts the pauses anew. */
const healthyAfter = 10_000
/** A replaced connection may finish what it has already brought. */
const lingerFor = Duration.seconds(2)
/** Replace a connection this long before Slack would end it. */
const rotateBefore = 60_000

export class SocketLayer extends Context.Service<SocketLayer, {
  /** Replaces the present connection, or cuts the pause before the next attempt short. */
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
      /** Every scope that was opened and not yet closed, whatever has become of its connection. */
      const scopes = new Set<Scope.Closeable>()
      const live = new Set<Generation>()
      const hurry = yield* Latch.make()
      let current: Generation | undefined
      /** Still delivering while its successor is being opened. */
      let previous: Generation | undefined
      let identity: Identity | undefined
      let number = 0
      let failures = 0
      let closing = false

      const publish = (change: (now: number, before: SocketState) => Partial<SocketState>) =>
        Effect.flatMap(
          Clock.currentTimeMillis,
          (now) =>
            SubscriptionRef.update(status.socket, (before) => ({
              ...before,
              ...change(now, before),
              connections: live.size
            }))
        )

      const closeScope = (scope: Scope.Closeable) =>
        Effect.suspend(() => scopes.delete(scope) ? Scope.close(scope, Exit.void) : Effect.void)

      const closeGeneration = (generation: Generation) =>
        Effect.suspend(() => {
          live.delete(generation)
          return closeScope(generation.scope)
        })

      /** It delivers nothing any more. A replacement may be under way; until it is there we have no connection. */
      const lost = (generation: Generation) =>
        Effect.suspend(() => {
          live.delete(generation)
          if (current !== generation) return publish(() => ({}))
          current = undefined
          return publish((now) => ({ state: "disconnected", connectedSince: null, disconnectedSince: now }))
        })

      /** Opens the next generation; what fails half-way leaves nothing open. */
      const open = Effect.gen(function*() {
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
          yield* Effect.forkIn(consume(generation, self, intake), scope, {
            startImmediately: true
          })
          yield* Effect.forkIn(Effect.andThen(connection.closed, lost(generation)), scope, { startImmediately: true })
          return generation
        }).pipe(Effect.onError(() => closeScope(scope)))
      })

      /** Makes a fresh generation the present one, and closes what it replaces once that is quiet. */
      const adopt = Effect.fnUntraced(function*(generation: Generation) {
        current = generation
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
        if (previous !== undefined) {
          yield* Effect.timeoutOption(previous.quiet.await, lingerFor)
          yield* closeGeneration(previous)
          previous = undefined
          yield* publish(() => ({}))
        }
      })

      /** Slack refuses the app or its token. At the start that is the end; later we go on with what is stored. */
      const refused = Effect.fnUntraced(function*(detail: string) {
        const remedy = `${detail}; check the app's tokens, scopes and Socket Mode at api.slack.com/apps`
        // While the connection to be replaced still delivers, nothing is fatal yet.
        if (live.size === 0) yield* publish(() => ({ state: "fatal" }))
        if (number > 0) return yield* status.raise("slack-connection", remedy)
        yield* supervisor.giveUp(new GaveUp({ fiber: "socket", exitCode: 78, detail: remedy }))
      })

      /** Full jitter over a wait that doubles with each failure in a row, in ms. */
      const backoff = Effect.suspend(() =>
        Random.nextBetween(0, Math.min(maxPause, firstPause * 2 ** Math.min(failures, 12)))
      )

      /** Somebody who cannot wait cuts this short. */
      const pause = (ms: number) => Effect.timeoutOption(hurry.await, ms)

      const afterFailure = Effect.fnUntraced(function*(error: SlackConnectionError) {
        yield* counted(connections, "failed")
        if (error.reason._tag === "Refused") {
          yield* refused(error.message)
          return refusedPause
        }
        const wait = firstPause / 2 + (yield* backoff)
        failures += 1
        yield* Effect.logWarning(error.message).pipe(Effect.annotateLogs({ failures, againInMs: Math.round(wait) }))
        return error.reason._tag === "TooManyRequests" ? Math.max(error.reason.retryAfterMs, wait) : wait
      })

      /** Waits until this connection must be replaced. Answers why. */
      const watch = (generation: Generation) => {
        const { approximateConnectionMs: lifetime, closed, disconnecting } = generation.connection
        return Effect.raceAllFirst([
          Effect.as(closed, { reason: "closed", alive: false }),
          Effect.map(disconnecting, (reason) => ({ reason, alive: true })),
          Deferred.await(generation.replace),
          lifetime === null
            ? Effect.never
            : Effect.as(Effect.sleep(Math.max(lifetime / 2, lifetime - rotateBefore)), {
              reason: "rotation",
              alive: true
            })
        ])
      }

      /** One generation from its opening to the moment when its successor is wanted. */
      const cycle = Effect.gen(function*() {
        if (closing) return yield* Effect.never
        const generation = yield* Effect.result(open)
        if (generation._tag === "Failure") {
          yield* pause(yield* afterFailure(asConnectionError(generation.failure)))
          return
        }
        yield* adopt(generation.success)
        const { alive, reason } = yield* watch(generation.success)
        const lived = (yield* Clock.currentTimeMillis) - generation.success.connectedAt
        if (lived >= healthyAfter) failures = 0
        yield* Effect.logInfo("replacing the connection to Slack").pipe(Effect.annotateLogs({ reason, lived }))
        const remedy = unwanted[reason]
        if (alive && remedy === undefined) {
          previous = generation.success
          yield* publish((_, before) => before.state === "connected" ? { state: "rotating" } : {})
        } else {
          yield* lost(generation.success)
          yield* closeGeneration(generation.success)
        }
        if (remedy !== undefined) {
          yield* status.raise("slack-connection", remedy)
          yield* pause(refusedPause)
        } else if (lived < healthyAfter) {
          yield* pause(yield* backoff)
          failures += 1
        }
      })

      yield* supervisor.fork("socket", Effect.forever(cycle))
      yield* Effect.addFinalizer(() =>
        Effect.suspend(() => {
          closing = true
          return shutdown.within("socket", Effect.forEach([...scopes], closeScope, { concurrency: "unbounded" }))
        })
      )

      return SocketLayer.of({
        reconnect: Effect.fn("SocketLayer.reconnect")(function*(reason: string) {
          yield* hurry.release
          if (current !== undefined) yield* Deferred.succeed(current.replace, { reason, alive: true })
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
