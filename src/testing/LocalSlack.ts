/**
 * LocalSlack: a Slack on this machine that real clients can talk to.
 *
 * Owns a port on 127.0.0.1 with the Web API under `/api/`, the Socket Mode WebSocket that `apps.connections.open`
 * points to, `/_local/*` for people and tests, and a chat page. Everything Slack knows and decides is in SlackWorld;
 * here are only sockets, time and waiting. Time is Effect's Clock, so a TestClock moves redeliveries and pings.
 * Guarantees that several LocalSlacks in one process share nothing, and that `awaitJournal` misses no entry.
 * Does not persist anything. On shutdown its fibers end, then every socket is destroyed, within a second.
 */
import { Cause, Clock, Context, Deferred, type Duration, Effect, FiberSet, Latch, Layer, Runtime, Schema } from "effect"
import type { Command } from "./Commands.ts"
import type { FaultPatch, Faults } from "./Faults.ts"
import { type Gesture, performGesture } from "./Gestures.ts"
import { ListenFailed, open, PortInUse } from "./HttpDoor.ts"
import type { JournalEntry } from "./Journal.ts"
import { LocalRoutes } from "./LocalRoutes.ts"
import type { PageOptions } from "./PageRoutes.ts"
import type { LocalMessage } from "./SlackShapes.ts"
import { type Said, SlackWorld, type WorldOptions } from "./SlackWorld.ts"
import { SocketDoor } from "./SocketDoor.ts"
import type { Status } from "./Statuses.ts"
import type { GatewayEvent } from "./WatchedGateway.ts"

/** Slack would not do that: `code` is its error code. */
export class Refused extends Schema.TaggedError<Refused>()("Refused", { code: Schema.String }) {
  override get message(): string {
    return `refused: ${this.code}`
  }
}

export class LocalSlackError extends Schema.TaggedError<LocalSlackError>()("LocalSlackError", {
  reason: Schema.Union([PortInUse, ListenFailed, Refused])
}) {
  /** A port that cannot be had is a configuration mistake. */
  override readonly [Runtime.errorExitCode] = 78
  override get message(): string {
    return `LocalSlack: ${this.reason.message}`
  }
}

export interface LocalSlackOptions extends Omit<WorldOptions, "startedAt">, PageOptions {
  /** The port on 127.0.0.1; 0, the default, takes a free one. */
  readonly port?: number
  /** How often the server pings its clients (default 10 seconds). */
  readonly pingInterval?: Duration.Input
}

export interface AwaitOptions {
  /** Only entries with a number above this; 0, the default, looks at everything so far. */
  readonly after?: number
}

export class LocalSlack extends Context.Service<LocalSlack, {
  /** `http://127.0.0.1:<port>`, also the address of the chat page. */
  readonly url: string
  /** The Web API's base address, for `slackApiUrl`. */
  readonly apiUrl: string
  readonly port: number
  /** A person writes something; answers its `ts`. */
  readonly say: (said: Said) => Effect.Effect<string, LocalSlackError>
  /** A person uses a slash command; answers its envelope id. */
  readonly command: (command: Command) => Effect.Effect<string, LocalSlackError>
  /** A person does something else; answers the envelope id of what the app may answer in its ack. */
  readonly gesture: (gesture: Gesture) => Effect.Effect<string | undefined, LocalSlackError>
  /** All messages of a conversation, replies included, oldest first. */
  readonly messages: (channel: string) => Effect.Effect<ReadonlyArray<LocalMessage>>
  /** What the bot says it is doing, in threads where that is shown. */
  readonly statuses: Effect.Effect<ReadonlyArray<Status>>
  /** Changes the faults that the patch names and leaves the others; `null` switches one off. */
  readonly faults: (patch: FaultPatch) => Effect.Effect<Faults>
  readonly clearFaults: Effect.Effect<void>
  /** Sends a disconnect frame to one connection, or to all; answers how many were told. */
  readonly disconnect: (reason: string, connection?: string) => Effect.Effect<number>
  /** Resets all WebSockets; answers how many there were. */
  readonly dropConnections: Effect.Effect<number>
  /** Sends an event again, acked or not: by envelope id the same frame, by event id as a retry. */
  readonly redeliver: (id: string) => Effect.Effect<boolean>
  /** Sends any text to one live connection; false when there is none. */
  readonly sendRaw: (frame: string) => Effect.Effect<boolean>
  /** Sends an event of the Events API (the inner event); answers its event id. */
  readonly sendEvent: (event: Record<string, unknown>) => Effect.Effect<string>
  /** Sends a `slash_commands` or `interactive` envelope; answers its envelope id. */
  readonly sendEnvelope: (type: string, payload: Record<string, unknown>) => Effect.Effect<string>
  /** What happened so far, in order. */
  readonly journal: Effect.Effect<ReadonlyArray<JournalEntry>>
  /** The first entry that matches, now or when it happens. */
  readonly awaitJournal: {
    <E extends JournalEntry>(is: (entry: JournalEntry) => entry is E, options?: AwaitOptions): Effect.Effect<E>
    (matches: (entry: JournalEntry) => boolean, options?: AwaitOptions): Effect.Effect<JournalEntry>
  }
  /** Whoever runs the gateway tells what became of it, for the chat page. */
  readonly gatewayEvent: (event: GatewayEvent) => Effect.Effect<void>
  /** How many connections are live. */
  readonly connections: Effect.Effect<number>
  /** Ids of events that were not acked yet. */
  readonly unacked: Effect.Effect<ReadonlyArray<string>>
}>()("slackwater/testing/LocalSlack") {
  static readonly layer = (options: LocalSlackOptions = {}): Layer.Layer<LocalSlack, LocalSlackError> =>
    Layer.effect(LocalSlack, make(options))
}

/** How often the gateway is asked what it does, while somebody looks at the page. */
const lookEvery = "200 millis"

interface Waiter {
  readonly matches: (entry: JournalEntry) => boolean
  readonly found: Deferred.Deferred<JournalEntry>
}

/** A predicate that throws fails whoever waits for it, not the callback in which an entry was written. */
const answerWaiter = ({ found, matches }: Waiter, entries: ReadonlyArray<JournalEntry>): void => {
  try {
    const entry = entries.find(matches)
    if (entry !== undefined) Deferred.doneUnsafe(found, Effect.succeed(entry))
  } catch (cause) {
    Deferred.doneUnsafe(found, Effect.die(cause))
  }
}

const make = Effect.fn("LocalSlack.make")(function*(options: LocalSlackOptions) {
  const clock = yield* Clock.Clock
  const now = () => clock.currentTimeMillisUnsafe()
  const world = new SlackWorld({ ...options, startedAt: now() })
  const runFork = yield* FiberSet.makeRuntime()
  const waiters = new Set<Waiter>()
  const wake = Latch.makeUnsafe()
  let sleepsUntil = Infinity
  let origin = ""

  /** Sends what the world left to send, tells who waits, and wakes the clock when something is due earlier. */
  const changed = () => {
    socketDoor.faultsChanged()
    const { entries, output } = world.drain()
    for (const one of output) socketDoor.perform(one)
    routes.publish(entries)
    for (const waiter of waiters) answerWaiter(waiter, entries)
    if ((world.nextDue ?? Infinity) < sleepsUntil) wake.openUnsafe()
  }
  const socketDoor = new SocketDoor({ world, now, changed })
  const routes = new LocalRoutes({
    world,
    now,
    changed,
    after: (ms, run) => {
      runFork(Effect.andThen(Effect.sleep(ms), Effect.sync(run)))
    },
    drop: () => socketDoor.drop(),
    origin: () => origin,
    page: options
  })
  const port = yield* open({
    port: options.port ?? 0,
    slam: (path) => path.startsWith("/api/") && world.faults.current.apiDown === true,
    onRequest: (request) => routes.handle(request),
    onUpgrade: (message, url, socket, head) => socketDoor.upgrade(message, url, socket, head),
    onDefect: (cause) => {
      runFork(Effect.logError("a callback of LocalSlack failed", Cause.die(cause)))
    }
  }).pipe(Effect.mapError((reason) => new LocalSlackError({ reason })))
  origin = `http://127.0.0.1:${port}`

  /** Sleeps until something is due, or until something is due earlier. */
  const clockwork = Effect.gen(function*() {
    wake.closeUnsafe()
    sleepsUntil = world.nextDue ?? Infinity
    if (sleepsUntil === Infinity) yield* wake.await
    else yield* Effect.race(Effect.sleep(Math.max(0, sleepsUntil - now())), wake.await)
    world.tick(now())
    changed()
  })
  const pings = Effect.sync(() => {
    socketDoor.ping()
    routes.heartbeat()
  }).pipe(Effect.delay(options.pingInterval ?? "10 seconds"))
  yield* supervised(clockwork)
  yield* supervised(pings)

  if (options.gateway !== undefined) {
    const { look } = options.gateway
    let last = ""
    yield* supervised(Effect.gen(function*() {
      yield* Effect.sleep(lookEvery)
      if (!routes.isWatched) return
      const after = world.journal.at(-1)?.n ?? 0
      const news = world.journal.findLast(({ _tag }) => _tag === "AckReceived" || _tag === "ConnectionOpened")?.n
      const seen = yield* look
      // The same again is news to a message that was acked since, and after a restart.
      const told = `${JSON.stringify(seen)} ${news}`
      if (seen === undefined || told === last) return
      last = told
      world.record({ _tag: "GatewaySeen", after, ...seen }, now())
      changed()
    }))
  }

  const change = <A>(run: () => A): Effect.Effect<A> =>
    Effect.sync(() => {
      const result = run()
      changed()
      return result
    })

  return LocalSlack.of({
    url: origin,
    apiUrl: `${origin}/api/`,
    port,
    say: Effect.fn("LocalSlack.say")(function*(said: Said) {
      const posted = yield* change(() => world.say(said, now()))
      if (!posted.ok) return yield* new LocalSlackError({ reason: new Refused({ code: posted.error }) })
      return posted.ts
    }),
    command: Effect.fn("LocalSlack.command")(function*(command: Command) {
      const sent = yield* change(() => world.command(command, origin, now()))
      if (!sent.ok) return yield* new LocalSlackError({ reason: new Refused({ code: sent.error }) })
      return sent.envelope_id
    }),
    gesture: Effect.fn("LocalSlack.gesture")(function*(gesture: Gesture) {
      const done = yield* change(() => performGesture(world, gesture, origin, now()))
      if (!done.ok) return yield* new LocalSlackError({ reason: new Refused({ code: done.error }) })
      return done.envelope_id
    }),
    messages: Effect.fn("LocalSlack.messages")((channel: string) => Effect.sync(() => world.messages(channel, now()))),
    statuses: Effect.sync(() => world.statuses(now())),
    faults: Effect.fn("LocalSlack.faults")((patch: FaultPatch) => change(() => world.faults.patch(patch))),
    clearFaults: change(() => world.faults.clear()),
    disconnect: Effect.fn("LocalSlack.disconnect")((reason: string, connection?: string) =>
      change(() => world.disconnect(reason, now(), connection))
    ),
    dropConnections: change(() => socketDoor.drop()),
    redeliver: Effect.fn("LocalSlack.redeliver")((id: string) => change(() => world.redeliver(id, now()))),
    sendRaw: Effect.fn("LocalSlack.sendRaw")((frame: string) => change(() => world.raw(frame))),
    sendEvent: Effect.fn("LocalSlack.sendEvent")((event: Record<string, unknown>) =>
      change(() => world.event(event, now()))
    ),
    sendEnvelope: Effect.fn("LocalSlack.sendEnvelope")((type: string, payload: Record<string, unknown>) =>
      change(() => world.envelope(type, payload, now()))
    ),
    journal: Effect.sync(() => [...world.journal]),
    awaitJournal: Effect.fn("LocalSlack.awaitJournal")((
      matches: (entry: JournalEntry) => boolean,
      { after = 0 }: AwaitOptions = {}
    ) =>
      Effect.suspend(() => {
        const past = world.journalAfter(after).find(matches)
        if (past !== undefined) return Effect.succeed(past)
        const waiter: Waiter = { matches: (entry) => entry.n > after && matches(entry), found: Deferred.makeUnsafe() }
        waiters.add(waiter)
        return Effect.ensuring(Deferred.await(waiter.found), Effect.sync(() => waiters.delete(waiter)))
      })
    ),
    gatewayEvent: Effect.fn("LocalSlack.gatewayEvent")((event: GatewayEvent) =>
      change(() => world.record(event, now()))
    ),
    connections: Effect.sync(() => world.live.length),
    unacked: Effect.sync(() => world.unacked)
  })
})

/** Runs something over and over in the caller's scope; a defect is logged, and the next round starts a second later. */
const supervised = (round: Effect.Effect<void>) =>
  round.pipe(
    Effect.catchCause((cause) =>
      Cause.hasInterruptsOnly(cause)
        ? Effect.failCause(cause)
        : Effect.andThen(Effect.logError("LocalSlack failed", cause), Effect.sleep("1 second"))
    ),
    Effect.forever,
    Effect.forkScoped
  )
