/**
 * One writer for everything that waits: appends, claims, completions and outbox writes that come together share one
 * transaction and one sync of the disk.
 *
 * Natural batching, no timer: a batch is what arrived while the last one was committed, so a lone write pays nothing.
 * Guarantees: a write that returned is on disk; a write that fails fails alone, and its neighbours are committed
 * without it; a commit that fails fails all of them. The queue is bounded: who writes faster than the disk waits.
 * A write inside the caller's own transaction runs there at once, all of it or nothing, and is on disk when that
 * transaction commits: the writer could not have the connection before.
 * Does not: run anything but statements. A job must not wait for the network or for another job, and may run twice
 * when a neighbour failed beside it.
 * On shutdown: what still waits then fails, so that nobody waits for a writer that is gone.
 */
import { Cause, Clock, Context, Deferred, Effect, Exit, Layer, Option, Queue } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { monotonicMillis } from "../monotonic.ts"
import type { StoreError, TurnLost } from "../StoreError.ts"
import { StoreWriter } from "../StoreWriter.ts"
import { Supervisor } from "../Supervisor.ts"
import { commitTime, timed } from "../Telemetry.ts"
import { rememberTransaction } from "./holder.ts"
import { asStoreError, untilFree } from "./transaction.ts"

/** Writes that may wait, and writes that share one transaction at most. */
const waiting = 1_024
const most = 256

type Failure = SqlError.SqlError | TurnLost

interface Job {
  readonly run: Effect.Effect<unknown, Failure>
  readonly done: Deferred.Deferred<unknown, Failure>
}

/** A job went wrong half-way: what the transaction holds cannot be kept. */
class Spoilt {
  readonly _tag = "Spoilt"
}

export class GroupCommit extends Context.Service<GroupCommit, {
  /**
   * Runs the statements of `job` in a transaction that it may share; answers once they are on disk. In a transaction
   * of the caller: inside of it, and they get to disk with it.
   */
  readonly write: (operation: string) => <A>(job: Effect.Effect<A, Failure>) => Effect.Effect<A, StoreError>
  /** Since when the writer has been waiting for the connection, which a transaction of the host has; null if not. */
  readonly waitingSince: () => number | null
  /** How long ago something was last committed (ms). */
  readonly idleFor: Effect.Effect<number>
}>()("slackwater/sql/GroupCommit") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const supervisor = yield* Supervisor
      const queue = yield* Queue.bounded<Job>(waiting)
      let waitingSince: number | null = null
      let committedAt = yield* monotonicMillis
      const waits = (since: number | null) =>
        Effect.sync(() => {
          waitingSince = since
        })

      /** A lost turn is found before anything is written; every other failure may have left half a job behind. */
      const isHarmless = (exit: Exit.Exit<unknown, Failure>) =>
        Exit.isSuccess(exit) ||
        exit.cause.reasons.every((reason) => Cause.isFailReason(reason) && reason.error._tag === "TurnLost")

      const together = Effect.fnUntraced(
        function*(jobs: ReadonlyArray<Job>) {
          yield* waits(null)
          const exits: Array<Exit.Exit<unknown, Failure>> = []
          for (const job of jobs) {
            const exit = yield* Effect.exit(job.run)
            if (Exit.isFailure(exit) && !isHarmless(exit)) {
              return yield* jobs.length > 1 ? Effect.fail(new Spoilt()) : Effect.failCause(exit.cause)
            }
            exits.push(exit)
          }
          return exits
        },
        Effect.uninterruptible,
        sql.withTransaction
      )

      // A file that somebody else holds is another matter: then BEGIN fails, and each attempt waits anew.
      const attempt = (jobs: ReadonlyArray<Job>) =>
        Effect.flatMap(Clock.currentTimeMillis, waits).pipe(
          Effect.andThen(together(jobs)),
          Effect.ensuring(waits(null))
        )

      /** Only waiting for the connection can be interrupted: a host that keeps it must not keep our end up. */
      const commit = (
        jobs: ReadonlyArray<Job>,
        restore: <A, E>(wait: Effect.Effect<A, E>) => Effect.Effect<A, E>
      ): Effect.Effect<void> =>
        Effect.matchCauseEffect(restore(untilFree(timed(commitTime)(attempt(jobs)))), {
          onSuccess: (exits) =>
            Effect.map(monotonicMillis, (now) => {
              committedAt = now
              for (const [index, job] of jobs.entries()) Deferred.doneUnsafe(job.done, exits[index] ?? Exit.void)
            }),
          onFailure: (cause) => {
            const spoilt = cause.reasons.some((reason) => Cause.isFailReason(reason) && reason.error instanceof Spoilt)
            // Rolled back. One by one, so that only the culprit fails.
            if (spoilt) return Effect.forEach(jobs, (job) => commit([job], restore), { discard: true })
            return Effect.sync(() => {
              const exit = Exit.failCause(cause as Cause.Cause<Failure>)
              for (const job of jobs) Deferred.doneUnsafe(job.done, exit)
            })
          }
        })

      yield* supervisor.fork(
        "writer",
        Effect.forever(
          Effect.uninterruptibleMask((restore) =>
            Effect.flatMap(restore(Queue.takeBetween(queue, 1, most)), (jobs) => commit(jobs, restore))
          )
        )
      )

      yield* Effect.addFinalizer(() =>
        Effect.map(Queue.clear(queue), (jobs) => {
          for (const job of jobs) Deferred.doneUnsafe(job.done, Effect.interrupt)
        })
      )

      const queued = <A>(job: Effect.Effect<A, Failure>) =>
        Effect.gen(function*() {
          const done = yield* Deferred.make<unknown, Failure>()
          // The statements belong to the caller's span and log lines, not to the writer's.
          const context = yield* Effect.context()
          yield* Queue.offer(queue, { run: Effect.provideContext(job, context), done })
          return (yield* Deferred.await(done)) as A
        })

      /**
       * In a savepoint: a host that goes on after a failure keeps nothing of the failed job. What outlived its
       * transaction must not write into the next one: registering with the former is a defect then.
       */
      const inline = <A>(job: Effect.Effect<A, Failure>) =>
        rememberTransaction(sql)(Effect.andThen(sql.afterCommit(Effect.void), sql.withTransaction(job)))

      return GroupCommit.of({
        write: (operation) => (job) =>
          Effect.flatMap(
            Effect.serviceOption(sql.transactionService),
            // The writer has waited for the file already.
            (open) => asStoreError(operation)(Option.isSome(open) ? inline(job) : queued(job))
          ),
        waitingSince: () => waitingSince,
        idleFor: Effect.map(monotonicMillis, (now) => now - committedAt)
      })
    })
  )
}

/**
 * The writer as the heartbeat sees it. A probe is a job without statements: it waits for its turn behind the others and
 * behind a transaction of the host, and a transaction in which nothing was written costs no sync.
 */
export const storeWriter = Layer.effect(
  StoreWriter,
  Effect.map(GroupCommit, ({ idleFor, write }) => ({ idleFor, probe: write("probe")(Effect.void) }))
)
