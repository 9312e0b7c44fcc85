/**
 * `/api/events`: what the gateway is doing, as it changes, to whoever keeps the connection open (server-sent events).
 *
 * Owns the listeners and the one fiber that asks for all of them: it sleeps while nobody listens, and asks no more often
 * than once a second, and so seldom that asking takes no more than a twentieth of the time. A listener that does not
 * read keeps the newest events and loses the others.
 * Guarantees: listeners are bounded; each is let go after an hour, and when there is another admin token, so that its
 * browser comes again and is checked again.
 * On shutdown: `end` lets all of them go at once; it runs before the server waits for open connections.
 */
import { Context, Effect, Latch, Layer, Option, Queue, Semaphore, Stream } from "effect"
import type { Cause, Scope } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { Activity, Hour } from "../Activity.ts"
import { Admission } from "../Admission.ts"
import { GatewayStatus, type Snapshot } from "../GatewayStatus.ts"
import { monotonicMillis } from "../monotonic.ts"
import { Supervisor } from "../Supervisor.ts"
import { answering, Refusal, refusal } from "./answers.ts"

const mostListeners = 32
/** Events that wait for a listener who does not read. */
const mostWaiting = 8
const listenFor = "1 hour"
/** Between two looks at the status (ms), and how many times as long as the last one took. */
const lookEvery = 1_000
const longer = 20
const activityEvery = 10_000
/** Proxies end what is silent for long. */
const keepAlive = "15 seconds"
/** A browser that lost us comes again after this (ms). */
const comeAgain = 2_000

const encoder = new TextEncoder()
const event = (name: string, data: unknown) => encoder.encode(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`)
const comment = encoder.encode(": still here\n\n")

/** Without what changes by itself: how old things are, and how late the process was. */
const essenceOf = (snapshot: Snapshot) =>
  JSON.stringify({
    ...snapshot,
    uptimeMs: 0,
    heartbeat: null,
    eventLoopDelayMs: 0,
    inbox: { ...snapshot.inbox, oldestQueuedAgeMs: null },
    outbox: { ...snapshot.outbox, oldestQueuedAgeMs: null }
  })

interface Look {
  readonly essence: string
  readonly bytes: Uint8Array
  /** Nobody looks again before (monotonic ms). */
  readonly until: number
}

type Listener = Queue.Queue<Uint8Array, Cause.Done>

export class Events extends Context.Service<Events, {
  /** Adds a listener for the scope. None when there are too many. */
  readonly listen: Effect.Effect<Listener | undefined, never, Scope.Scope>
  /** Lets everybody go, and nobody come. */
  readonly end: Effect.Effect<void>
}>()("slackwater/http/Events") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function*() {
      const activity = yield* Activity
      const status = yield* GatewayStatus
      const supervisor = yield* Supervisor
      const listeners = new Set<Listener>()
      const someone = yield* Latch.make()
      const looking = yield* Semaphore.make(1)
      let hasEnded = false
      let last: Look | undefined
      let told = ""
      let activityAt = -Infinity

      const tell = (bytes: Uint8Array) =>
        Effect.sync(() => {
          for (const listener of listeners) Queue.offerUnsafe(listener, bytes)
        })

      /** The status as of now, or as of a moment ago. */
      const look = Effect.gen(function*() {
        const began = yield* monotonicMillis
        if (last !== undefined && began < last.until) return last
        const snapshot = yield* status.snapshot
        const took = (yield* monotonicMillis) - began
        const until = began + Math.max(lookEvery, took * longer)
        last = { essence: essenceOf(snapshot), bytes: event("status", snapshot), until }
        return last
      }).pipe(looking.withPermit)

      const watch = Effect.gen(function*() {
        yield* someone.await
        const { bytes, essence, until } = yield* look
        if (essence !== told) yield* tell(bytes)
        told = essence
        const now = yield* monotonicMillis
        if (now - activityAt >= activityEvery) {
          activityAt = now
          yield* tell(event("activity", yield* activity.hour))
        }
        yield* Effect.sleep(Math.max(1, until - now))
      })
      // A database that is away has alarms of its own; who listens keeps the last status that there was.
      const patient = Effect.catch(watch, () => Effect.sleep(lookEvery))
      yield* supervisor.fork("events", Effect.forever(patient))

      const enter = Effect.gen(function*() {
        if (hasEnded || listeners.size >= mostListeners) return undefined
        const listener = yield* Queue.sliding<Uint8Array, Cause.Done>(mostWaiting)
        Queue.offerUnsafe(listener, encoder.encode(`retry: ${comeAgain}\n\n`))
        listeners.add(listener)
        yield* someone.open
        return listener
      })

      const leave = (listener: Listener | undefined) =>
        Effect.suspend(() => {
          if (listener === undefined) return Effect.void
          listeners.delete(listener)
          return Effect.andThen(Queue.shutdown(listener), listeners.size === 0 ? someone.close : Effect.void)
        })

      /** What is known already, so that nobody waits for something to change. */
      const greet = Effect.fnUntraced(function*(listener: Listener) {
        const known = yield* Effect.option(look)
        if (Option.isSome(known)) Queue.offerUnsafe(listener, known.value.bytes)
        Queue.offerUnsafe(listener, event("activity", yield* activity.hour))
      })

      return Events.of({
        listen: Effect.acquireRelease(enter, leave).pipe(
          Effect.tap((listener) => listener === undefined ? Effect.void : greet(listener))
        ),
        end: Effect.suspend(() => {
          hasEnded = true
          return Effect.forEach([...listeners], (listener) => Queue.end(listener), { discard: true })
        })
      })
    })
  )

  /** Its finalizer comes before that of whatever it is built above. */
  static readonly endFirst = Layer.effectDiscard(
    Effect.flatMap(Events, ({ end }) => Effect.addFinalizer(() => end))
  )
}

/** Until the listener is let go: its events, and signs of life in between. */
const streamOf = (listener: Listener, revoked: Effect.Effect<void>) =>
  Stream.fromQueue(listener).pipe(
    Stream.merge(Stream.map(Stream.tick(keepAlive), () => comment), { haltStrategy: "left" }),
    Stream.interruptWhen(Effect.raceFirst(Effect.sleep(listenFor), revoked))
  )

const routes = Effect.gen(function*() {
  const activity = yield* Activity
  const events = yield* Events
  const { revoked } = yield* Admission

  const subscribe = Effect.gen(function*() {
    const listener = yield* events.listen
    if (listener === undefined) {
      return refusal(
        new Refusal({ status: 503, error: "too many listen already", headers: { "retry-after": "10" } })
      )
    }
    return HttpServerResponse.stream(streamOf(listener, revoked), {
      contentType: "text/event-stream",
      // Its socket ends with it, and nobody in between keeps the events for later.
      headers: { connection: "close", "x-accel-buffering": "no" }
    })
  })

  return [
    HttpRouter.route("GET", "/api/activity", answering(Hour)(activity.hour)),
    HttpRouter.route("GET", "/api/events", subscribe)
  ] as const
})

export const layer = HttpRouter.use((router) => Effect.flatMap(routes, (all) => router.addAll(all)))
