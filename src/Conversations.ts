/**
 * One turn at a time per conversation; at most `concurrency` turns at once; the longest waiting first.
 *
 * The database is the mailbox. A dispatcher claims what is due as slots free up, all of it in one commit, and starts one
 * fiber per turn; the fiber ends with its turn. So an idle conversation costs nothing, and there is no moment between
 * "is more waiting?" and the end of an actor in which a message could be stranded: whoever appended it wakes the
 * conversation, and who is woken while its turn runs is claimed behind it. What is due is known from who was woken
 * (`DueWork`); the database is asked where others may have changed it, at the moments it named, and in a rare sweep. What
 * a dead instance left running is taken first, as many turns as there are free slots, until none is left.
 * Where a slot is free and nothing else is due, it is promised to a message before that is stored: then the message is
 * stored as a running turn, which is begun from memory (docs/adr/006-insert-as-claimed.md).
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
  Exit,
  FiberSet,
  Latch,
  Layer,
  Option,
  SubscriptionRef
} from "effect"
import { Control, type Pause } from "./Control.ts"
import { guarded } from "./ConversationMode.ts"
import { DueWork, nextOf } from "./DueWork.ts"
import { GatewayConfig, longestWindow, type Mode } from "./GatewayConfig.ts"
import { GatewayStatus } from "./GatewayStatus.ts"
import { Instance } from "./Instance.ts"
import type { ConversationKey, OwnerId } from "./Message.ts"
import { type ClaimedTurn, MessageStore } from "./MessageStore.ts"
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

/** A slot that is promised to a message which is about to be stored. It must be settled, whatever becomes of that. */
export interface Slot {
  /** Who may begin it. */
  readonly owner: OwnerId
  /** The message is stored, or not: its turn begins behind whoever says so, and where there is none the slot is free. */
  readonly settle: (turn: ClaimedTurn | undefined) => Effect.Effect<void>
}

export class Conversations extends Context.Service<Conversations, {
  /** Promises a slot, unless something else is due that came before, or we drain. */
  readonly promise: (conversation: ConversationKey) => Slot | undefined
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
        const due = new DueWork()
        /** The database is being asked what is due. */
        let isLooking = false
        /** The next moment at which something falls due of which nobody tells us; undefined where it must be asked for. */
        let nextDueAt: number | null | undefined
        /** A dead instance may have left turns that nobody has recovered yet. */
        let mayHaveOrphans = true
        let lastWasRecovered = false
        /** When the dispatcher looked last. What was before us may have set the clock back as well. */
        let lookedAt = Infinity
        /** When we asked last what an operator wants. */
        let heededAt = -Infinity

        let isClosed = false
        /** What we held has gone back, or is about to. */
        let isOver = false
        const releaseAll = Effect.suspend(() => {
          isOver = true
          if (shutdown.isBlamed()) return Effect.succeed(0)
          return Effect.flatMap(Clock.currentTimeMillis, (now) => store.releaseAll(owner, now))
        })
        // Added first, so it runs last: when neither dispatcher nor turn is left, what we still hold goes back.
        yield* Effect.addFinalizer(() =>
          shutdown.within(
            "requeue",
            Effect.flatMap(releaseAll, (requeued) => shutdown.count("requeued", requeued))
          )
        )
        const fibers = yield* FiberSet.make()
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => {
            isClosed = true
          })
        )
        const fork = yield* FiberSet.runtime(fibers)()
        const active = new Map<ConversationKey, Running>()
        /** Conversations to which something came since their turn began. */
        const again = new Set<ConversationKey>()
        const free = () => config.concurrency - active.size - due.taken

        const modeOf = guarded(mode, config.mode)
        const isDraining = () => {
          const phase = SubscriptionRef.getUnsafe(shutdown.phase)
          return phase === "draining" || phase === "stopped"
        }

        const track = Effect.suspend(() =>
          Effect.andThen(
            status.setActive(active.size),
            active.size + flushed.size + due.taken === 0 ? idle.open : idle.close
          )
        )

        /** There may be something to do for the dispatcher. */
        const wakeIfDue = Effect.suspend(() =>
          due.mustAsk || due.size > 0 || isDraining() ? Effect.asVoid(signal.open) : Effect.void
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

        /** Starts its turn, behind the fiber that asks for it. */
        const begin = Effect.fnUntraced(function*(claimed: ClaimedTurn, mode: Mode) {
          const key = claimed.conversation
          const running = runner.begin(claimed, mode)
          const isAgain = claimed.attempt > 1 || claimed.interrupted
          active.set(key, running)
          const came = due.letGo(key)
          flushed.delete(key)
          lastWasRecovered = claimed.interrupted
          const end = Effect.suspend(() => {
            active.delete(key)
            // It waits again, or nobody knows how it ended.
            if (!running.isDone) due.ask()
            else if (again.has(key) || claimed.hasOthers) due.add(key)
            again.delete(key)
            return status.clear("conversation-full", key).pipe(Effect.andThen(track), Effect.andThen(wakeIfDue))
          })
          fork(Effect.yieldNow.pipe(Effect.andThen(runner.run(running)), Effect.ensuring(end)))
          // It runs again, and nobody was there to be interrupted when newer ones came.
          if (came) again.add(key)
          if (isAgain || came) yield* nudge(key, running)
          // A new turn took messages of those that wait: their conversation is not full any more.
          else yield* status.clear("conversation-full", key)
        })

        /** Something came to a conversation while its turn was claimed or stored. */
        const cameMeanwhile = (key: ConversationKey) => {
          const running = active.get(key)
          if (running === undefined) return Effect.andThen(Effect.sync(() => due.add(key)), wakeIfDue)
          again.add(key)
          return nudge(key, running)
        }

        /** Claims what is due in these conversations, in one commit, and starts it. */
        const start = Effect.fnUntraced(function*(keys: ReadonlyArray<ConversationKey>, now: number) {
          const wanted = keys.filter((key) => !active.has(key) && !due.isInHand(key))
          for (const key of wanted) due.take(key)
          const claims = yield* Effect.forEach(wanted, (key) =>
            Effect.flatMap(modeOf(key), (mode) =>
              Effect.map(
                Effect.exit(store.claim(key, owner, now, mode === "followup" ? 1 : undefined)),
                (exit) => ({ key, mode, exit })
              )), { concurrency: "unbounded" }).pipe(
              Effect.onInterrupt(() => Effect.sync(() => wanted.forEach((key) => due.letGo(key))))
            )
          // Each is in hand until it runs: what comes to it meanwhile is not due, and its slot is taken once.
          for (const { exit, key, mode } of claims) {
            if (Exit.isSuccess(exit) && Option.isSome(exit.value)) yield* begin(exit.value.value, mode)
            else nextDueAt = undefined
            if (Exit.isSuccess(exit)) flushed.delete(key)
            if (due.letGo(key)) yield* cameMeanwhile(key)
          }
          yield* Effect.forEach(claims, ({ exit }) => exit, { discard: true })
        })

        /** What is due further ahead than anything can be was meant for a clock that was set back since. */
        const noticeClock = Effect.fnUntraced(function*(now: number) {
          if (now < lookedAt) {
            yield* store.nearer(now, furthest)
            due.ask()
          }
          lookedAt = now
        })

        /** Stops the handlers whose turns somebody cancelled, and offers what was held back to those that run. */
        const heed = Effect.fnUntraced(function*(now: number, draining: boolean) {
          const every = Duration.toMillis(draining ? heedEvery : sweepEvery)
          if (now >= heededAt && now < heededAt + every) return
          const [first] = yield* control.pauses
          yield* first?.conversation === null ? status.raise("paused", pausedText(first)) : status.clear("paused")
          heededAt = now
          // Where there is always something to do nobody ever waits as long as a sweep.
          if (!draining) due.ask()
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
          const slots = free()
          if (!mayHaveOrphans || slots <= 0) return
          mayHaveOrphans = (yield* store.recover(yield* living, now, slots)) === slots
          due.ask()
        })

        /** Asks the database what is due and fills the slots, the longest waiting first. */
        const fill = Effect.fnUntraced(
          function*(now: number) {
            const slots = free()
            if (slots <= 0) return
            isLooking = true
            due.asked()
            nextDueAt = undefined
            const ready = yield* store.ready(now, slots)
            const of = (kind: boolean) =>
              ready.filter(({ recovered }) => recovered === kind).map(({ conversation }) => conversation)
            const [recovered, others] = [of(true), of(false)]
            const isAll = recovered.length < slots && others.length < slots
            const next = () =>
              nextOf(recovered, others, {
                free: free(),
                concurrency: config.concurrency,
                running: [...active.values()].filter(({ claimed }) => claimed.interrupted).length,
                lastWasRecovered
              })
            for (let keys = next(); keys.length > 0; keys = next()) yield* start(keys, now)
            if (!isAll || recovered.length + others.length > 0) due.ask()
          },
          Effect.onError(() => Effect.sync(() => due.ask())),
          Effect.ensuring(Effect.sync(() => {
            isLooking = false
          }))
        )

        /** When to look again; null when somebody will tell us. */
        const nextLook = Effect.fnUntraced(function*(now: number) {
          if (free() <= 0) {
            // With every slot taken the end of a turn wakes us, if there is something to look for.
            if (nextDueAt === undefined || (nextDueAt !== null && nextDueAt <= now)) due.ask()
            return due.mustAsk ? null : nextDueAt ?? null
          }
          if (mayHaveOrphans || due.mustAsk) return now
          if (nextDueAt === undefined || (nextDueAt !== null && nextDueAt <= now)) nextDueAt = yield* store.nextDueAt
          return nextDueAt
        })

        /** Starts turns while there are slots and due work; answers when to look again. */
        const dispatch = Effect.gen(function*() {
          yield* signal.close
          const now = yield* Clock.currentTimeMillis
          const draining = isDraining()
          yield* heed(now, draining)
          if (draining) {
            yield* start([...flushed].filter((key) => !active.has(key)).slice(0, Math.max(0, free())), now)
          } else {
            yield* noticeClock(now)
            yield* recover(now)
            if (due.mustAsk) yield* fill(now)
            else yield* start(due.first(free()), now)
          }
          yield* track
          yield* status.clear("database:conversations")
          if (draining) return active.size === 0 ? null : now + Duration.toMillis(heedEvery)
          return yield* nextLook(now)
        }).pipe(
          Effect.catch((error) =>
            status.raise("database:conversations", error.message).pipe(
              Effect.andThen(Effect.sync(() => due.ask())),
              Effect.andThen(Clock.currentTimeMillis),
              Effect.map((now) => now + 1_000)
            )
          )
        )

        const wait = Effect.fnUntraced(function*(next: number | null) {
          const sweep = Duration.toMillis(sweepEvery)
          const now = yield* Clock.currentTimeMillis
          const ms = next === null ? sweep : Math.min(sweep, Math.max(1, next - now))
          // Nobody told us: what is due then only the database knows.
          if (Option.isNone(yield* Effect.timeoutOption(signal.await, ms))) due.ask()
        })

        const promise = (key: ConversationKey): Slot | undefined => {
          if (isClosed || isDraining() || isLooking || mayHaveOrphans || due.mustAsk) return undefined
          // What is due already goes first; and each conversation has one at a time.
          if (free() <= due.size || active.has(key) || due.isInHand(key)) return undefined
          due.take(key)
          const settle = Effect.fnUntraced(function*(turn: ClaimedTurn | undefined) {
            if (turn !== undefined && isOver) yield* Effect.ignore(releaseAll)
            else if (turn !== undefined && !isClosed) yield* begin(turn, yield* modeOf(key))
            if (due.letGo(key)) yield* cameMeanwhile(key)
            yield* track
            yield* wakeIfDue
          })
          return { owner, settle }
        }

        yield* supervisor.fork("conversations", Effect.forever(Effect.flatMap(dispatch, wait)))
        const left = () => active.size + flushed.size
        const drain = Effect.gen(function*() {
          yield* shutdown.begin
          const before = left()
          yield* shutdown.within(
            "conversations",
            Effect.andThen(Effect.andThen(signal.open, track), idle.await),
            Effect.suspend(() => Effect.logWarning(`out of time: ${left()} turns are cut off and run again later`))
          )
          return { drained: before - left(), remaining: left() }
        })
        yield* Effect.addFinalizer(() => drain)

        return Conversations.of({
          promise,
          wake: (key) =>
            Effect.suspend(() => {
              const running = active.get(key)
              if (running === undefined) {
                due.add(key)
                return wakeIfDue
              }
              // Claimed behind its turn, unless that takes what came.
              again.add(key)
              return nudge(key, running)
            }),
          drain,
          lookAround: Effect.suspend(() => {
            heededAt = -Infinity
            for (const key of active.keys()) again.add(key)
            due.ask()
            return Effect.asVoid(signal.open)
          }),
          flush: (keys) =>
            Effect.suspend(() => {
              for (const key of keys) flushed.add(key)
              due.ask()
              return Effect.andThen(track, signal.open)
            })
        })
      })
    )

  static readonly layer = Conversations.layerWith()
}
