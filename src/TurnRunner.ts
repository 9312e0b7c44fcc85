/**
 * Runs one claimed turn to its end: the handler, what its answer means, and what becomes of a turn that fails.
 *
 * Guarantees: a turn's final replies and its completion are one commit, which waits for a database that is away; a
 * handler that hangs or cannot be interrupted gives up its slot when its time is over; a turn in whose middle the
 * process ended again and again is not run any more but becomes a dead letter, and the person is told.
 * Does not: decide which turn runs when (Conversations), or send (Outbox).
 */
import { Cause, Clock, Deferred, Duration, Effect, Exit, Fiber, Option, Random, Schedule } from "effect"
import { Activity } from "./Activity.ts"
import { Control } from "./Control.ts"
import { GatewayConfig, type Mode, secretsOf } from "./GatewayConfig.ts"
import { GatewayStatus } from "./GatewayStatus.ts"
import { Handler } from "./Handler.ts"
import { Hiding } from "./Hiding.ts"
import { Instance } from "./Instance.ts"
import type { OwnerId, TurnId } from "./Message.ts"
import { type ClaimedTurn, MessageStore, suspectAfter } from "./MessageStore.ts"
import { Outbox } from "./Outbox.ts"
import { hiding } from "./redaction.ts"
import { Shutdown } from "./Shutdown.ts"
import { spanned } from "./spanned.ts"
import type { StoreError } from "./StoreError.ts"
import { claimWait, counted, observed, timed, turns, turnTime } from "./Telemetry.ts"
import { parentAndLinks } from "./traceContext.ts"
import { answersOf, makeRun, messageOf, type Run, stackOf } from "./Turn.ts"
import { HandlerError } from "./TurnError.ts"

/** A handler that was interrupted may clean up for this long; then its turn is over whatever it does. */
const interruptGrace = Duration.seconds(1)
/** Between two runs of a turn that fails, in ms. */
export const maxRetryDelay = 5 * 60_000
const crashed = "the process ended in the middle of this turn, again and again"

/** A turn in progress. */
export interface Running {
  readonly claimed: ClaimedTurn
  readonly run: Run
  readonly mode: Mode
  /** Its turn is over, and left nothing that waits. */
  isDone: boolean
  /** Completes when newer messages make this run pointless, or an operator has ended its turn. */
  readonly cut: Deferred.Deferred<"superseded" | "cancelled">
}

export const makeTurnRunner = Effect.gen(function*() {
  const activity = yield* Activity
  const config = yield* GatewayConfig
  const control = yield* Control
  const handler = yield* Handler
  const { id: owner } = yield* Instance
  const outbox = yield* Outbox
  const shutdown = yield* Shutdown
  const status = yield* GatewayStatus
  const store = yield* MessageStore
  /** What a handler failed with may quote whatever it was given. */
  const ofSettings = hiding(secretsOf(config))
  const ofProcess = yield* Hiding
  const hide = (text: string) => ofProcess(ofSettings(text))

  /** The database may be away for a while; the result of a run is worth waiting for. */
  const holding = (turn: TurnId) => <A>(effect: Effect.Effect<A, StoreError>) =>
    Effect.retry(Effect.tapError(effect, (error) => status.raise("database:turns", error.message, turn)), {
      while: (error) => error.reason._tag === "StoreUnavailable",
      schedule: Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("10 seconds")]).pipe(
        Schedule.jittered
      )
    }).pipe(Effect.ensuring(status.clear("database:turns", turn)))

  /** The end of a turn that will not run again. */
  const failedForGood = Effect.fnUntraced(function*({ claimed, run }: Running, error: string) {
    const notice = config.failureNotice === null ? [] : [{ text: config.failureNotice }]
    const rows = yield* run.rows("notice", notice)
    const now = yield* Clock.currentTimeMillis
    yield* holding(claimed.id)(store.fail(claimed.id, owner, error, rows, now))
    yield* run.line.end(rows.length > 0)
    yield* outbox.wake
    yield* shutdown.count("drained", 1)
    yield* counted(turns, "failed")
    yield* activity.count("turnsFailed")
  })

  const failed = Effect.fnUntraced(function*(running: Running, failure: unknown) {
    const { claimed } = running
    const error = hide(messageOf(failure))
    const stack = stackOf(failure)
    const where = { error, stack: stack === undefined ? undefined : hide(stack) }
    const failures = claimed.failures + 1
    if (failures >= config.maxAttempts) {
      yield* Effect.logError("the turn failed for good").pipe(Effect.annotateLogs(where))
      return yield* failedForGood(running, error)
    }
    const exponential = Duration.toMillis(config.retryDelay) * 2 ** claimed.failures
    const delay = Math.min(maxRetryDelay, exponential) * (yield* Random.nextBetween(0.5, 1))
    yield* Effect.logWarning("the turn failed and will run again").pipe(
      Effect.annotateLogs({ ...where, failures, delayMs: Math.round(delay) })
    )
    const now = yield* Clock.currentTimeMillis
    yield* holding(claimed.id)(store.retryLater(claimed.id, owner, error, now + delay))
    yield* counted(turns, "retried")
    yield* activity.count("turnsFailed")
  })

  /** Runs the handler apart, so that one that cannot be interrupted holds up neither its slot nor the shutdown. */
  const runHandler = (run: Run) =>
    Effect.uninterruptibleMask(Effect.fnUntraced(function*(restore) {
      // From here on nobody can end this run without stopping its handler.
      const fiber = yield* Effect.forkDetach(
        Effect.ensuring(Effect.suspend(() => handler.run(run.turn)), Effect.sync(run.ended)),
        { startImmediately: true }
      )
      const stop = Effect.suspend(() => {
        run.close()
        return Effect.timeoutOption(Fiber.interrupt(fiber), interruptGrace)
      })
      const exit = yield* restore(Effect.timeoutOption(Fiber.await(fiber), config.handlerTimeout)).pipe(
        Effect.onInterrupt(() => stop)
      )
      if (Option.isSome(exit)) return exit.value
      yield* restore(stop)
      return Exit.fail(
        new HandlerError({ cause: new Error(`no answer within ${Duration.format(config.handlerTimeout)}`) })
      )
    }))

  /** What the handler returned is the user's: it may be anything, and must not take the turn down with it. */
  const answering = Effect.fnUntraced(function*(run: Run, value: unknown) {
    const replies = answersOf(value)
    if (typeof replies === "string") return yield* new HandlerError({ cause: new Error(replies) })
    return yield* run.rows("final", replies)
  })

  /** Tells the thread, where that is wanted, that a restart had cut the turn off; once for each attempt. */
  const noteResume = Effect.fnUntraced(function*({ claimed, run }: Running) {
    if (!claimed.interrupted || config.resumeNote === null) return
    const rows = yield* run.rows(`resume:${claimed.attempt}`, [{ text: config.resumeNote }])
    const [note] = yield* outbox.commit(rows, { turn: claimed.id, owner, attempt: claimed.attempt })
    // Slack takes the status away with every post.
    if (note !== undefined) yield* Effect.forkScoped(Effect.andThen(outbox.delivered([note.id]), run.line.again))
  }, Effect.catch((error) => Effect.logWarning("the thread could not be told that its turn goes on", error)))

  /** Its end is on disk already; what it has said stands. */
  const cancelled = Effect.fnUntraced(function*({ run }: Running) {
    run.close()
    yield* Effect.logInfo("the turn was cancelled by hand")
    yield* run.line.end(false)
    yield* outbox.wake
    yield* shutdown.count("drained", 1)
    yield* counted(turns, "cancelled")
  })

  /** Its result came too late, most likely since an operator ended it before anybody could tell its handler. */
  const lost = Effect.fnUntraced(function*(running: Running, error: StoreError) {
    const byHand = yield* Effect.orElseSucceed(control.wasCancelled(running.claimed.id), () => false)
    if (byHand) return yield* cancelled(running)
    yield* counted(turns, "lost")
    yield* Effect.logError("the result of the turn does not count: it is no longer ours", error)
  })

  const execute = Effect.fnUntraced(function*(running: Running) {
    const { claimed, cut, run } = running
    const ended = yield* Effect.scoped(Effect.gen(function*() {
      yield* Effect.forkScoped(run.line.keep, { startImmediately: true })
      yield* noteResume(running)
      return yield* Effect.raceFirst(
        runHandler(run),
        Deferred.await(cut)
      )
    }))
    if (ended === "cancelled") return yield* cancelled(running)
    if (ended === "superseded") {
      yield* holding(claimed.id)(
        Effect.flatMap(Clock.currentTimeMillis, (now) => store.supersede(claimed.id, owner, now))
      )
      yield* run.line.end(false)
      yield* outbox.wake
      return yield* counted(turns, "superseded")
    }
    const exit = ended
    // Calls that nobody awaited belong to the run too.
    if (Exit.isSuccess(exit)) yield* Effect.timeoutOption(run.settled, interruptGrace)
    run.close()
    const answer = Exit.isFailure(exit) ? exit : yield* Effect.exit(answering(run, exit.value))
    if (Exit.isFailure(answer)) {
      const squashed = Cause.squash(answer.cause)
      return yield* failed(running, squashed instanceof HandlerError ? squashed.cause : squashed)
    }
    const rows = answer.value
    const complete = (sender: OwnerId | undefined) =>
      Effect.flatMap(
        Clock.currentTimeMillis,
        (now) => store.complete(claimed.id, owner, rows, now, { state: run.newState(), unseen: run.unseen(), sender })
      )
    yield* holding(claimed.id)(outbox.complete(rows, complete))
    running.isDone = run.unseen().length === 0
    yield* run.line.end(rows.length > 0)
    yield* shutdown.count("drained", 1)
    yield* counted(turns, "done")
    yield* activity.count("turnsDone")
  })

  /** Why this turn must not run at all. */
  const hopeless = ({ crashes, unreadable }: ClaimedTurn): string | null => {
    if (unreadable !== null) return unreadable
    // A suspect ran with nobody beside it who was in doubt too, so the last crashes were its own.
    return config.maxCrashes > 0 && crashes >= suspectAfter + config.maxCrashes ? crashed : null
  }

  return {
    begin: (claimed: ClaimedTurn, mode: Mode): Running => ({
      claimed,
      run: makeRun({ claimed, owner, outbox, slackApiUrl: config.slackApiUrl, store, steer: mode === "steer" }),
      mode,
      isDone: false,
      cut: Deferred.makeUnsafe<"superseded" | "cancelled">()
    }),

    /** Runs it to whatever end; never fails. */
    run: (running: Running) => {
      const { attempt, conversation, id, ids, receivedAt, traces } = running.claimed
      const about = { turn: id, conversation, attempt, messages: ids.slice(0, 10).join(" ") }
      const waited = attempt > 1 || running.claimed.interrupted
        ? Effect.void
        : Effect.flatMap(Clock.currentTimeMillis, (now) => observed(claimWait, now - receivedAt))
      const reason = hopeless(running.claimed)
      return (reason === null ? execute(running) : Effect.andThen(
        Effect.logError("the turn failed for good").pipe(Effect.annotateLogs({ error: reason })),
        failedForGood(running, reason)
      )).pipe(
        Effect.catch((error) => lost(running, error)),
        Effect.catchDefect((defect) =>
          Effect.logError("the turn ended in a defect and stays with this instance", defect)
        ),
        Effect.onInterrupt(() => counted(turns, "interrupted")),
        timed(turnTime, (ms) => activity.took("turn", ms)),
        (run) => Effect.andThen(waited, run),
        Effect.annotateLogs(about),
        spanned("TurnRunner.run", () => ({ kind: "consumer", attributes: about, ...parentAndLinks(traces) }))
      )
    }
  }
})
