/**
 * One turn at a time per conversation; at most `concurrency` turns at once; the longest waiting first.
 *
 * The database is the mailbox. A dispatcher asks it for conversations with due work as slots free up and starts one
 * fiber per turn; the fiber ends with its turn. So an idle conversation costs nothing, and there is no moment between
 * "is more waiting?" and the end of an actor in which a message could be stranded: whoever appended it wakes the
 * dispatcher, which asks again. A rare sweep is the backstop. What a dead instance left running is taken first, as many
 * turns as there are free slots, until none is left.
 *
 * Guarantees: a failing or hanging handler delays only its own conversation; turns that a crash or a shutdown cut off
 * run again with the same messages, and take at most half of the slots while others wait. What is paused waits in the
 * database, and a handler whose turn an operator cancelled is stopped as soon as we are told. A clock that is set back
 * holds nothing up for more than a few minutes.
 * Does not: run a turn (TurnRunner), time quiet windows (Debouncer), send (Outbox), or claim backlog while draining.
 * On shutdown: runs what was flushed and what was running until its share of the deadline is used up, interrupts the
 * rest, and gives the interrupted turns back without spending an attempt.
 */
import {
  Clock,
  Context,
  DateTime,
  Deferred,
  Duration,
  Effect,
  FiberSet,
  Latch,
  Layer,
  Option,
  SubscriptionRef
} from "effect"
import { Control, type Pause } from "./Control.ts"
import { GatewayConfig, longestWindow, type Mode, modes } from "./GatewayConfig.ts"
import { GatewayStatus } from "./GatewayStatus.ts"
import { Instance } from "./Instance.ts"
import type { ConversationKey } from "./Message.ts"
import { MessageStore } from "./MessageStore.ts"
import { Shutdown } from "./Shutdown.ts"
import { Supervisor } from "./Supervisor.ts"
import { makeTurnRunner, maxRetryDelay, type Running } from "./TurnRunner.ts"

/** For whoever forgot it. */
const pausedText = ({ since, why }: Pause) =>
  `everything is paused since ${DateTime.formatIso(DateTime.makeUnsafe(since))}${
    why === null ? "" : ` (${why})`
  }: what comes in is stored and acknowledged, and no turn begins; slackwater resume ends that`

/** A lost wake-up is found after this long. */
const sweepEvery = Duration.minutes(1)
/** While we drain nobody tells us any more: whatever could has ended before us. */
const heedEvery = Duration.seconds(1)

export class Conversations extends Context.Service<Conversations, {
  /** There may be due work in this conversation. */
  readonly wake: (conversation: ConversationKey) => Effect.Effect<void>
  /** Others (a command, another process) changed rows: there may be due work anywhere, or a turn that is not to go on. */
  readonly lookAround: Effect.Effect<void>
  /**
   * Runs what was flushed and what was running to its end, or until its share of the deadline is used up; at once where
   * there is nothing. Answers how many of them ended, and how many did not: they are given back.
   */
  readonly drain: Effect.Effect<{ readonly drained: number; readonly remaining: number }>
  /** These still run although a drain has begun. */
  readonly flush: (conversations: ReadonlyArray<ConversationKey>) => Effect.Effect<void>
}>()("slackwater/Conversations") {
  /** `mode` decides per conversation; without it the configured mode counts for all. */
  static readonly layerWith = (mode?: (conversation: ConversationKey) => Mode) =>
    Layer.effect(
      Conversations,
      Effect.gen(function*() {
        const config = yield* GatewayConfig
        const control = yield* Control
        const { id: owner, living } = yield* Instance
        const shutdown = yield* Shutdown
        const status = yield* GatewayStatus
        const store = yield* MessageStore
        const supervisor = yield* Supervisor
        const runner = yield* makeTurnRunner
        const furthest = { messages: longestWindow(config) + 1_000, turns: maxRetryDelay + 1_000 }
        const flushed = new Set<ConversationKey>()
        const signal = yield* Latch.make()
        const idle = yield* Latch.make(true)
        /** A dead instance may have left turns that nobody has recovered yet. */
        let mayHaveOrphans = true
        let lastWasRecovered = false
        /** When the dispatcher looked last. What was before us may have set the clock back as well. */
        let lookedAt = Infinity
        /** When we asked last what an operator wants. */
        let heededAt = -Infinity

        const releaseAll = Effect.flatMap(Clock.currentTimeMillis, (now) => store.releaseAll(owner, now))
        // Added first, so it runs last: when neither dispatcher nor turn is left, what we still hold goes back.
        yield* Effect.addFinalizer(() =>
          shutdown.within(
            "requeue",
            Effect.suspend(() => shutdown.isBlamed() ? Effect.succeed(0) : releaseAll).pipe(
              Effect.flatMap((requeued) => shutdown.count("requeued", requeued))
            )
          )
        )
        const fibers = yield* FiberSet.make()
        const active = new Map<ConversationKey, Running>()

        const modeOf = guarded(mode, config.mode)

        const track = Effect.suspend(() =>
          Effect.andThen(
            status.setActive(active.size),
            active.size === 0 && flushed.size === 0 ? idle.open : idle.close
          )
        )

        /** Something is due in a conversation whose turn runs: offered to it, or reason to start again. */
        const nudge = Effect.fnUntraced(
          function*(key: ConversationKey, running: Running) {
            if (running.mode === "steer") return running.run.arrived()
            if (running.mode !== "interrupt") return
            const waiting = yield* store.waiting(key, yield* Clock.currentTimeMillis)
            if (waiting.length > 0) yield* Deferred.succeed(running.cut, "superseded")
          },
          Effect.catch((error) =>
            Effect.logWarning("could not look for newer messages; they wait for the next turn", error)
          )
        )

        const start = Effect.fnUntraced(function*(key: ConversationKey, now: number) {
          if (active.has(key)) return
          const mode = yield* modeOf(key)
          const claimed = yield* store.claim(key, owner, now, mode === "followup" ? 1 : undefined)
          if (Option.isSome(claimed)) {
            const running = runner.begin(claimed.value, mode)
            active.set(key, running)
            const end = Effect.suspend(() => {
              active.delete(key)
              // In mode steer it may have taken what waited.
              return Effect.andThen(status.clear("conversation-full", key), Effect.andThen(track, signal.open))
            })
            yield* FiberSet.run(fibers, Effect.ensuring(runner.run(running), end))
            lastWasRecovered = claimed.value.interrupted
            // It runs again, and nobody was there to be interrupted when newer ones came.
            if (claimed.value.attempt > 1 || lastWasRecovered) yield* nudge(key, running)
            // A new turn took messages of those that wait: their conversation is not full any more.
            if (claimed.value.attempt === 1 && !lastWasRecovered) yield* status.clear("conversation-full", key)
          }
          flushed.delete(key)
        })

        /** What is due further ahead than anything can be was meant for a clock that was set back since. */
        const noticeClock = Effect.fnUntraced(function*(now: number) {
          if (now < lookedAt) yield* store.nearer(now, furthest)
          lookedAt = now
        })

        /** Stops the handlers whose turns somebody cancelled, and offers what was held back to those that run. */
        const heed = Effect.fnUntraced(function*(now: number, draining: boolean) {
          const every = Duration.toMillis(draining ? heedEvery : sweepEvery)
          if (now >= heededAt && now < heededAt + every) return
          const [first] = yield* control.pauses
          yield* first?.conversation === null ? status.raise("paused", pausedText(first)) : status.clear("paused")
          heededAt = now
          if (active.size === 0) return
          const held = yield* control.running
          for (const [key, running] of active) {
            const { attempt, id } = running.claimed
            const isHeld = held.some((turn) => turn.id === id && turn.attempt === attempt && turn.owner === owner)
            // One that has just ended by itself does not hear this any more.
            if (!isHeld) yield* Deferred.succeed(running.cut, "cancelled")
            else if (!draining) yield* nudge(key, running)
          }
        })

        /** Takes what a dead instance left running, as many as there are slots for. */
        const recover = Effect.fnUntraced(function*(now: number) {
          const free = config.concurrency - active.size
          if (mayHaveOrphans && free > 0) mayHaveOrphans = (yield* store.recover(yield* living, now, free)) === free
        })

        /** Fills the slots, the longest waiting first; turns that were cut off and others share them. */
        const fill = Effect.fnUntraced(function*(now: number) {
          const free = config.concurrency - active.size
          const ready = free <= 0 ? [] : yield* store.ready(now, free)
          const recovered = ready.filter((entry) => entry.recovered)
          const others = ready.filter((entry) => !entry.recovered)
          while (active.size < config.concurrency) {
            const running = [...active.values()].filter(({ claimed }) => claimed.interrupted).length
            const share = Math.floor(config.concurrency / 2)
            const mayRecover = share === 0 ? !lastWasRecovered : running < share
            const next = (others.length === 0 || (mayRecover && recovered.length > 0) ? recovered : others).shift()
            if (next === undefined) return
            yield* start(next.conversation, now)
          }
        })

        /** Starts turns while there are slots and due work; answers when to look again. */
        const dispatch = Effect.gen(function*() {
          yield* signal.close
          const now = yield* Clock.currentTimeMillis
          const draining = (yield* SubscriptionRef.get(shutdown.phase)) === "draining"
          yield* heed(now, draining)
          if (draining) {
            for (const key of flushed) if (active.size < config.concurrency) yield* start(key, now)
          } else {
            yield* noticeClock(now)
            yield* recover(now)
            yield* fill(now)
          }
          yield* track
          yield* status.clear("database:conversations")
          if (draining) return active.size === 0 ? null : now + Duration.toMillis(heedEvery)
          // With every slot taken the end of a turn wakes us.
          if (active.size >= config.concurrency) return null
          return mayHaveOrphans ? now : yield* store.nextDueAt
        }).pipe(
          Effect.catch((error) =>
            status.raise("database:conversations", error.message).pipe(
              Effect.andThen(Clock.currentTimeMillis),
              Effect.map((now) => now + 1_000)
            )
          )
        )

        const wait = Effect.fnUntraced(function*(next: number | null) {
          const sweep = Duration.toMillis(sweepEvery)
          const now = yield* Clock.currentTimeMillis
          yield* Effect.timeoutOption(signal.await, next === null ? sweep : Math.min(sweep, Math.max(1, next - now)))
        })

        const wake = signal.open

        yield* supervisor.fork("conversations", Effect.forever(Effect.flatMap(dispatch, wait)))
        const left = () => active.size + flushed.size
        const drain = Effect.gen(function*() {
          yield* shutdown.begin
          const before = left()
          yield* shutdown.within(
            "conversations",
            Effect.andThen(Effect.andThen(wake, track), idle.await),
            Effect.suspend(() => Effect.logWarning(`out of time: ${left()} turns are cut off and run again later`))
          )
          return { drained: before - left(), remaining: left() }
        })
        yield* Effect.addFinalizer(() => drain)

        return Conversations.of({
          wake: (key) =>
            Effect.suspend(() => {
              const running = active.get(key)
              return Effect.andThen(running === undefined ? Effect.void : nudge(key, running), Effect.asVoid(wake))
            }),
          drain,
          lookAround: Effect.suspend(() => {
            heededAt = -Infinity
            return Effect.asVoid(wake)
          }),
          flush: (keys) =>
            Effect.suspend(() => {
              for (const key of keys) flushed.add(key)
              return Effect.andThen(track, wake)
            })
        })
      })
    )

  static readonly layer = Conversations.layerWith()
}

/** The user's function decides; its bug must not stop the conversations. */
const guarded = (mode: ((conversation: ConversationKey) => Mode) | undefined, configured: Mode) => {
  let isKnown = false
  const fallBack = Effect.fnUntraced(function*(defect: unknown) {
    if (!isKnown) yield* Effect.logError("the mode function failed; the configured mode counts", defect)
    isKnown = true
    return configured
  })
  return (conversation: ConversationKey): Effect.Effect<Mode> =>
    mode === undefined ? Effect.succeed(configured) : Effect.sync(() => {
      const decided = mode(conversation)
      if (!modes.includes(decided)) throw new TypeError(`neither of ${modes.join(", ")}`)
      return decided
    }).pipe(Effect.catchDefect(fallBack))
}
