/**
 * One turn at a time per conversation; at most `concurrency` turns at once; the longest waiting first.
 *
 * The database is the mailbox. A dispatcher asks it for conversations with due work as slots free up and starts one
 * fiber per turn; the fiber ends with its turn. So an idle conversation costs nothing, and there is no moment between
 * "is more waiting?" and the end of an actor in which a message could be stranded: whoever appended it wakes the
 * dispatcher, which asks again. A rare sweep is the backstop.
 *
 * Guarantees: a turn's final replies and its completion are one commit; a failing or hanging handler delays only its
 * own conversation; after `kill -9` the turn runs again with the same messages.
 * Does not: time quiet windows (Debouncer), send (Outbox), or claim backlog while draining.
 * On shutdown: runs what was flushed and what was running until its share of the deadline is used up, interrupts the
 * rest, and gives the interrupted turns back without spending an attempt.
 */
import {
  Cause,
  Clock,
  Context,
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  FiberSet,
  Latch,
  Layer,
  Option,
  Random,
  Schedule,
  SubscriptionRef
} from "effect"
import { GatewayConfig, type Mode } from "./GatewayConfig.ts"
import { GatewayStatus } from "./GatewayStatus.ts"
import { Handler, HandlerError } from "./Handler.ts"
import { Instance } from "./Instance.ts"
import type { ConversationKey } from "./Message.ts"
import { type ClaimedTurn, MessageStore } from "./MessageStore.ts"
import { Outbox } from "./Outbox.ts"
import { Shutdown } from "./Shutdown.ts"
import type { StoreError } from "./StoreError.ts"
import { Supervisor } from "./Supervisor.ts"
import { counted, turns } from "./Telemetry.ts"
import { answersOf, makeRun, messageOf, type Run, stackOf } from "./Turn.ts"

/** A lost wake-up is found after this long. */
const sweepEvery = Duration.minutes(1)
/** A handler that was interrupted may clean up for this long; then its turn is over whatever it does. */
const interruptGrace = Duration.seconds(1)
const maxRetryDelay = 5 * 60_000
const notice = "Sorry, I could not answer this. Please try again, or ask whoever runs me."

/** A turn in progress. */
interface Running {
  readonly run: Run
  readonly mode: Mode
  /** Completes when newer messages make this run pointless. */
  readonly superseded: Deferred.Deferred<void>
}

export class Conversations extends Context.Service<Conversations, {
  /** There may be due work in this conversation. */
  readonly wake: (conversation: ConversationKey) => Effect.Effect<void>
  /** These still run although a drain has begun. */
  readonly flush: (conversations: ReadonlyArray<ConversationKey>) => Effect.Effect<void>
}>()("slackwater/Conversations") {
  /** `mode` decides per conversation; without it the configured mode counts for all. */
  static readonly layerWith = (mode?: (conversation: ConversationKey) => Mode) =>
    Layer.effect(
      Conversations,
      Effect.gen(function*() {
        const config = yield* GatewayConfig
        const modeOf = mode ?? (() => config.mode)
        const handler = yield* Handler
        const { id: owner } = yield* Instance
        const outbox = yield* Outbox
        const shutdown = yield* Shutdown
        const status = yield* GatewayStatus
        const store = yield* MessageStore
        const supervisor = yield* Supervisor
        const flushed = new Set<ConversationKey>()
        const signal = yield* Latch.make()
        const idle = yield* Latch.make(true)

        // Added first, so it runs last: when neither dispatcher nor turn is left, what we still hold goes back.
        yield* Effect.addFinalizer(() =>
          shutdown.within(
            "requeue",
            Effect.flatMap(Clock.currentTimeMillis, (now) => store.releaseAll(owner, now)).pipe(
              Effect.flatMap((requeued) => shutdown.count("requeued", requeued))
            )
          )
        )
        const fibers = yield* FiberSet.make()
        const active = new Map<ConversationKey, Running>()

        /** The database may be away for a while; the result of a run is worth waiting for. */
        const holding = <A>(effect: Effect.Effect<A, StoreError>) =>
          Effect.retry(Effect.tapError(effect, (error) => status.raise("database:turns", error.message)), {
            while: (error) => error.reason._tag === "StoreUnavailable",
            schedule: Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("10 seconds")]).pipe(
              Schedule.jittered
            )
          }).pipe(Effect.ensuring(status.clear("database:turns")))

        const failed = Effect.fnUntraced(function*(claimed: ClaimedTurn, run: Run, failure: unknown) {
          const error = messageOf(failure)
          const where = { error, stack: stackOf(failure) }
          const now = yield* Clock.currentTimeMillis
          const failures = claimed.failures + 1
          if (failures >= config.maxAttempts) {
            yield* Effect.logError("the turn failed for good").pipe(Effect.annotateLogs(where))
            yield* holding(store.fail(claimed.id, owner, error, yield* run.rows("notice", [{ text: notice }]), now))
            yield* outbox.wake
            yield* shutdown.count("drained", 1)
            return yield* counted(turns, "failed")
          }
          const exponential = Duration.toMillis(config.retryDelay) * 2 ** claimed.failures
          const delay = Math.min(maxRetryDelay, exponential) * (yield* Random.nextBetween(0.5, 1))
          yield* Effect.logWarning("the turn failed and will run again").pipe(
            Effect.annotateLogs({ ...where, failures, delayMs: Math.round(delay) })
          )
          yield* holding(store.retry(claimed.id, owner, error, now + delay))
          yield* counted(turns, "retried")
        })

        /** Runs the handler apart, so that one that cannot be interrupted holds up neither its slot nor the shutdown. */
        const runHandler = Effect.fnUntraced(function*(run: Run) {
          const fiber = yield* Effect.forkDetach(Effect.suspend(() => handler.run(run.turn)), {
            startImmediately: true
          })
          const stop = Effect.suspend(() => {
            run.close()
            return Effect.timeoutOption(Fiber.interrupt(fiber), interruptGrace)
          })
          const exit = yield* Fiber.await(fiber).pipe(
            Effect.timeoutOption(config.handlerTimeout),
            Effect.onInterrupt(() => stop)
          )
          if (Option.isSome(exit)) return exit.value
          yield* stop
          return Exit.fail(
            new HandlerError({ cause: new Error(`no answer within ${Duration.format(config.handlerTimeout)}`) })
          )
        })

        /** What the handler returned is the user's: it may be anything, and must not take the turn down with it. */
        const answering = Effect.fnUntraced(function*(run: Run, value: unknown) {
          const replies = answersOf(value)
          if (typeof replies === "string") return yield* new HandlerError({ cause: new Error(replies) })
          return yield* run.rows("final", replies)
        })

        const execute = Effect.fn("Conversations.turn")(function*(claimed: ClaimedTurn, { run, superseded }: Running) {
          const ended = yield* Effect.raceFirst(
            Effect.map(runHandler(run), Option.some),
            Effect.as(Deferred.await(superseded), Option.none())
          )
          if (Option.isNone(ended)) {
            yield* holding(Effect.flatMap(Clock.currentTimeMillis, (now) => store.supersede(claimed.id, owner, now)))
            yield* outbox.wake
            return yield* counted(turns, "superseded")
          }
          const exit = ended.value
          // Calls that nobody awaited belong to the run too.
          if (Exit.isSuccess(exit)) yield* Effect.timeoutOption(run.settled, interruptGrace)
          run.close()
          const answer = Exit.isFailure(exit) ? exit : yield* Effect.exit(answering(run, exit.value))
          if (Exit.isFailure(answer)) {
            const squashed = Cause.squash(answer.cause)
            return yield* failed(claimed, run, squashed instanceof HandlerError ? squashed.cause : squashed)
          }
          const rows = answer.value
          yield* holding(
            Effect.flatMap(
              Clock.currentTimeMillis,
              (now) => store.complete(claimed.id, owner, rows, now, run.newState())
            )
          )
          yield* outbox.wake
          yield* shutdown.count("drained", 1)
          yield* counted(turns, "done")
        })

        const track = Effect.suspend(() =>
          Effect.andThen(
            status.setActive(active.size),
            active.size === 0 && flushed.size === 0 ? idle.open : idle.close
          )
        )

        const actor = (claimed: ClaimedTurn, running: Running) =>
          execute(claimed, running).pipe(
            Effect.catch((error) =>
              Effect.andThen(
                counted(turns, "lost"),
                Effect.logError("the result of the turn does not count: it is no longer ours", error)
              )
            ),
            Effect.catchDefect((defect) =>
              Effect.logError("the turn ended in a defect and stays with this instance", defect)
            ),
            Effect.onInterrupt(() => counted(turns, "interrupted")),
            Effect.ensuring(Effect.suspend(() => {
              active.delete(claimed.conversation)
              return Effect.andThen(track, signal.open)
            })),
            Effect.annotateLogs({ turn: claimed.id, conversation: claimed.conversation, attempt: claimed.attempt })
          )

        /** Starts turns while there are slots and due work; answers when to look again. */
        const dispatch = Effect.gen(function*() {
          yield* signal.close
          const draining = (yield* SubscriptionRef.get(shutdown.phase)) === "draining"
          const now = yield* Clock.currentTimeMillis
          const free = config.concurrency - active.size
          const ready = free <= 0
            ? []
            : draining
            ? [...flushed].filter((key) => !active.has(key)).slice(0, free)
            : yield* store.ready(now, free)
          for (const key of ready) {
            if (active.has(key)) continue
            const mode = modeOf(key)
            const claimed = yield* store.claim(key, owner, now, mode === "followup" ? 1 : undefined)
            if (Option.isSome(claimed)) {
              const run = makeRun({
                claimed: claimed.value,
                owner,
                outbox,
                slackApiUrl: config.slackApiUrl,
                store,
                steer: mode === "steer"
              })
              const running: Running = { run, mode, superseded: yield* Deferred.make<void>() }
              active.set(key, running)
              yield* FiberSet.run(fibers, actor(claimed.value, running))
            }
            flushed.delete(key)
          }
          yield* track
          yield* status.clear("database:conversations")
          // With every slot taken the end of a turn wakes us.
          return active.size >= config.concurrency || draining ? null : yield* store.nextDueAt(now)
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

        /** Something is due in a conversation whose turn runs: offered to it, or reason to start again. */
        const nudge = Effect.fnUntraced(
          function*(key: ConversationKey, running: Running) {
            if (running.mode === "steer") return running.run.arrived()
            if (running.mode !== "interrupt") return
            const waiting = yield* store.waiting(key, yield* Clock.currentTimeMillis)
            if (waiting.length > 0) yield* Deferred.succeed(running.superseded, undefined)
          },
          Effect.catch((error) =>
            Effect.logWarning("could not look for newer messages; they wait for the next turn", error)
          )
        )

        yield* supervisor.fork("conversations", Effect.forever(Effect.flatMap(dispatch, wait)))
        yield* Effect.addFinalizer(() =>
          shutdown.within("conversations", Effect.andThen(Effect.andThen(wake, track), idle.await))
        )

        return Conversations.of({
          wake: (key) =>
            Effect.suspend(() => {
              const running = active.get(key)
              return Effect.andThen(running === undefined ? Effect.void : nudge(key, running), Effect.asVoid(wake))
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
