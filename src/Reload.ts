/**
 * Runs a gateway whose settings and tokens can be read again while it works.
 *
 * Owns the rooms, one set of them at a time but for the moment of a reload: the new set is built above the same ground
 * (database, owner lock, status, health, heartbeat), and once its socket is connected the old set closes, door first, under
 * its own deadline. So at every moment somebody stores and acks, and the turns that still run end as they do at a stop.
 * Guarantees: settings that are invalid, tokens that Slack refuses and a new set that does not connect where the old one
 * is connected change nothing; the log says why. Each set holds rows under its own owner's name and gives back its own
 * alone; what it could not give back goes back as soon as the database takes it.
 * Does not: load changed code (a restart does), or move to another data directory, host or port (kept as they were,
 * with a warning). Requests that come during a reload are one more reload after it.
 * On shutdown: every set that is there closes, beside each other, then the ground.
 */
import { Clock, Context, Duration, Effect, Exit, Fiber, Latch, Layer, Option, Schedule, Scope } from "effect"
import { Stream, SubscriptionRef } from "effect"
import { Admission } from "./Admission.ts"
import * as Gateway from "./Gateway.ts"
import { GatewayConfig, knobs, type Settings } from "./GatewayConfig.ts"
import { GatewayStatus } from "./GatewayStatus.ts"
import { Handler } from "./Handler.ts"
import { Instance, type Named } from "./Instance.ts"
import type { OwnerId } from "./Message.ts"
import { MessageStore } from "./MessageStore.ts"
import { OutboxStore } from "./OutboxStore.ts"
import { Responder } from "./Responder.ts"
import * as RoomsStatus from "./RoomsStatus.ts"
import { Shutdown } from "./Shutdown.ts"
import { GaveUp, Supervisor } from "./Supervisor.ts"
import * as WakeFile from "./WakeFile.ts"

/** The ground keeps these; a change of them waits for a restart. */
const fixed = ["dataDir", "host", "port", "blankPayloads"] as const
/** The new socket is connected by then, or the old rooms stay. */
const connectWithin = "20 seconds"
const giveBackEvery = Schedule.spaced("1 second")

export interface ReloadOptions<E> extends Omit<Gateway.Options, "config" | "database"> {
  readonly settings: Settings
  /** Reads the settings again. Its failure is logged, and nothing changes. */
  readonly read: Effect.Effect<Settings, E>
  /** Waits for the next request to reload. */
  readonly requested: Effect.Effect<void>
  /** Waits for a reason to trust this process no longer: then everything ends in order, with 70. */
  readonly doomed: Effect.Effect<void>
  /** Told, before it may be so, how long an end may take. */
  readonly mayTake: (timeout: Duration.Duration) => Effect.Effect<void>
  /** Other doors and another ground than the gateway's own: a simulation's. */
  readonly gateway?: Pick<typeof Gateway, "ground" | "rooms">
  /** Runs when the first rooms are up; what it adds to the scope ends first. */
  readonly whenUp?: Effect.Effect<void, never, GatewayStatus | Scope.Scope>
}

/** One set of rooms. */
interface Rooms {
  readonly scope: Scope.Closeable
  readonly role: RoomsStatus.Role
  readonly instance: Named
  readonly status: GatewayStatus["Service"]
  readonly supervisor: Supervisor["Service"]
  /** Runs while they close. */
  closing?: Fiber.Fiber<void>
}

const isConnected = (status: GatewayStatus["Service"]) =>
  Effect.map(SubscriptionRef.get(status.socket), ({ state }) => state === "connected" || state === "rotating")

export const run = Effect.fnUntraced(function*<E extends { readonly message: string }>(options: ReloadOptions<E>) {
  /** Of the present rooms. */
  let timeout = options.settings.shutdownTimeout
  yield* options.mayTake(timeout)
  const gateway = options.gateway ?? Gateway
  const ground = yield* Layer.build(
    Layer.fresh(gateway.ground.pipe(Layer.provideMerge(GatewayConfig.layer(options.settings))))
  )
  const shutdown = Context.get(ground, Shutdown)
  const groundStatus = Context.get(ground, GatewayStatus)
  const doomed = options.doomed.pipe(
    Effect.andThen(shutdown.blame),
    Effect.andThen(new GaveUp({ fiber: "process", exitCode: 70, detail: "an error that nobody caught; see above" }))
  )
  const fatal = Effect.raceFirst(Context.get(ground, Supervisor).fatal, doomed)
  const all = new Set<Rooms>()

  /** Closes them apart from whoever waits for it: a stop in the middle must not wait before the others close too. */
  const close = (rooms: Rooms) =>
    Effect.gen(function*() {
      rooms.closing ??= yield* Effect.forkDetach(Scope.close(rooms.scope, Exit.void), { startImmediately: true })
      yield* Fiber.await(rooms.closing)
      all.delete(rooms)
    })
  yield* Effect.addFinalizer(() => Effect.forEach([...all], close, { concurrency: "unbounded", discard: true }))

  /** Builds a set of rooms; what fails half-way leaves nothing. */
  const build = Effect.fnUntraced(function*(settings: Settings, instance: Named) {
    const scope = yield* Scope.make()
    const role: RoomsStatus.Role = { shown: yield* Latch.make(), areReplaced: false }
    const above = gateway.rooms(options).pipe(
      Layer.provideMerge(RoomsStatus.layer(role)),
      Layer.provideMerge(Supervisor.layer),
      Layer.provideMerge(Shutdown.layerOfRooms(() => role.areReplaced)),
      Layer.provideMerge(Layer.succeed(Instance, instance)),
      Layer.provideMerge(GatewayConfig.layer(settings)),
      Layer.provide([Handler.layer(options.handler), Responder.layer(options.respond)])
    )
    const half: { closing?: Fiber.Fiber<void> } = {}
    const rooms: Rooms = Object.assign(half, {
      scope,
      role,
      instance,
      status: groundStatus,
      supervisor: Context.get(ground, Supervisor)
    })
    all.add(rooms)
    const built = yield* Layer.buildWithScope(Layer.fresh(above), scope).pipe(
      Effect.provideContext(ground),
      Effect.onError(() => close(rooms))
    )
    return Object.assign(rooms, {
      status: Context.get(built, GatewayStatus),
      supervisor: Context.get(built, Supervisor)
    })
  })

  /** Rows that its own end did not reach, as when the database was full. */
  const giveBack = (owner: OwnerId) =>
    Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      yield* Context.get(ground, MessageStore).releaseAll(owner, now)
      yield* Context.get(ground, OutboxStore).releaseAll(owner, now)
      yield* Context.get(ground, Instance).gone(owner)
      // What the old rooms held up may go on.
      yield* Effect.provideContext(WakeFile.touch(options.settings.dataDir), ground)
    }).pipe(Effect.retry(giveBackEvery))

  const kept = (why: string) => Effect.logError(`reload refused, everything goes on as before: ${why}`)

  /** What the ground keeps stays; says so where it was to change. */
  const reachable = Effect.fnUntraced(function*(wanted: Settings) {
    const left = fixed.filter((field) => wanted[field] !== options.settings[field])
    if (left.length > 0) {
      const names = left.map((field) => knobs[field].env).join(", ")
      yield* Effect.logWarning(`${names} cannot change in a reload; restart for that, all other settings are read`)
    }
    return { ...wanted, ...Object.fromEntries(fixed.map((field) => [field, options.settings[field]])) }
  })

  /** Waits until the new rooms can take over; answers why they cannot. */
  const verdict = (next: Rooms, present: Rooms) => {
    const connected = SubscriptionRef.changes(next.status.socket).pipe(
      Stream.filter(({ state }) => state === "connected"),
      Stream.runHead
    )
    return Effect.raceFirst(
      Effect.timeoutOption(connected, connectWithin),
      Effect.map(Effect.flip(next.supervisor.fatal), ({ message }) => message)
    ).pipe(Effect.flatMap((outcome) => {
      if (typeof outcome === "string") return Effect.succeed(outcome)
      if (Option.isSome(outcome)) return Effect.succeed(undefined)
      // Nobody reaches Slack: then the new settings are worth as much as the old ones, or more.
      return Effect.map(
        isConnected(present.status),
        (isUp) => isUp ? `with the new settings there was no connection to Slack within ${connectWithin}` : undefined
      )
    }))
  }

  let present = yield* build(options.settings, Context.get(ground, Instance))

  /** Answers nothing: a span keeps what it ends with, and whoever remembers one would keep all rooms that came later. */
  const reload = Effect.fn("Reload.reload")(function*() {
    const read = yield* Effect.result(options.read)
    if (read._tag === "Failure") {
      return yield* kept(read.failure.message)
    }
    const settings = yield* reachable(read.success)
    // Both sets may have to end beside each other, each in its own time.
    yield* options.mayTake(Duration.max(timeout, settings.shutdownTimeout))
    const instance = yield* present.instance.another
    const built = yield* Effect.result(build(settings, instance))
    if (built._tag === "Failure") {
      yield* kept(built.failure.message)
      yield* present.instance.gone(instance.id)
      return yield* options.mayTake(timeout)
    }
    const next = built.success
    const problem = yield* verdict(next, present)
    const [stays, goes] = problem === undefined ? [next, present] : [present, next]
    if (problem !== undefined) yield* kept(problem)
    goes.role.areReplaced = true
    if (problem === undefined) {
      yield* next.role.shown.open
      yield* Context.get(ground, Admission).renew(settings)
      timeout = settings.shutdownTimeout
      yield* shutdown.allow(timeout)
      yield* Effect.logInfo("reloaded; the rooms of before end").pipe(Effect.annotateLogs({ owner: instance.id }))
    }
    present = stays
    yield* close(goes)
    yield* options.mayTake(timeout)
    yield* Effect.forkIn(giveBack(goes.instance.id), yield* Effect.scope)
    if (problem === undefined) yield* Effect.logInfo("the rooms of before have ended")
  })

  yield* present.role.shown.open
  if (options.whenUp !== undefined) yield* Effect.provideService(options.whenUp, GatewayStatus, groundStatus)
  while (true) {
    yield* Effect.raceAllFirst([fatal, present.supervisor.fatal, options.requested])
    yield* Effect.raceFirst(reload(), fatal)
  }
}, Effect.scoped)
