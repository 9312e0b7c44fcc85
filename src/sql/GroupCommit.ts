/**
 * One writer for everything that waits: appends, claims, completions and outbox writes that come together share one
 * transaction and one sync of the disk.
 *
 * Natural batching, no timer: a batch is what arrived while the last one was committed, so a lone write pays nothing.
 * Guarantees: a write that returned is on disk; a write that fails fails alone, and its neighbours are committed
 * without it; a commit that fails fails all of them. The queue is bounded: who writes faster than the disk waits.
 * A write inside the caller's own transaction runs there at once, all of it or nothing, and is on disk when that
 * transaction commits: the writer could not have the connection before.
 *
 * Two doors. `write` takes any statements and runs them job by job, in the caller's context. `batched` is for what is
 * done for every message: all inputs of its kind that wait are handed to one function, which answers for each, and
 * does them in few statements (`preparedStatement.ts`); kinds have their places in a batch (`batch.ts`).
 *
 * Does not: run anything but statements. A job must not wait for the network or for another job, open a transaction of
 * its own, or keep anything outside of the database: it runs again, alone, when a neighbour failed beside it, and its
 * transaction may still be rolled back after it has answered.
 * On shutdown: what still waits then fails, so that nobody waits for a writer that is gone.
 */
import { Cause, Clock, Context, Deferred, Effect, Exit, Latch, Layer, Queue } from "effect"
import { SqlClient } from "effect/sql"
import { monotonicMillis } from "../monotonic.ts"
import type { StoreError } from "../StoreError.ts"
import { StoreWriter } from "../StoreWriter.ts"
import { Supervisor } from "../Supervisor.ts"
import { commitTime, timed } from "../Telemetry.ts"
import {
  type Failure,
  type Job,
  type Kind,
  makeKinds,
  oneByOne,
  type Place,
  type Run,
  Spoilt,
  together
} from "./batch.ts"
import { rememberTransaction } from "./holder.ts"
import { asStoreError, untilFree, writerTransaction } from "./transaction.ts"

/** Writes that may wait, and writes that share one transaction at most. */
const waiting = 1_024
const most = 256

/** So many writes in a row are a burst; in a row is with less than so long between them (ms). */
const many = 100
const pause = 1_000

export class GroupCommit extends Context.Service<GroupCommit, {
  /**
   * Runs the statements of `job` in a transaction that it may share; answers once they are on disk. In a transaction
   * of the caller: inside of it, and they get to disk with it.
   */
  readonly write: (operation: string) => <A>(job: Effect.Effect<A, Failure>) => Effect.Effect<A, StoreError>
  /**
   * A door for one kind of job; made once, when its store is. `run` gets the inputs of all callers that wait, in the
   * order in which they came, inside the transaction, and answers with one exit for each, in the same order.
   * An input fails alone with `TurnLost`, and only if nothing was written for it. If any other failure is among the
   * exits, or `run` fails as a whole, everything is rolled back and each job runs again alone: `run([input])`.
   * `run` has the writer's context and not the callers': no span, no log annotations. An input carries what it needs of
   * them (`traceparent`, the time). In a transaction of the caller: `run([input])`, inside of it.
   */
  readonly batched: <In, Out>(
    operation: string,
    place: Place,
    run: Run<In, Out>
  ) => (input: In) => Effect.Effect<Out, StoreError>
  /** Since when the writer has been waiting for the connection, which a transaction of the host has; null if not. */
  readonly waitingSince: () => number | null
  /** How long ago something was last committed (ms). */
  readonly idleFor: Effect.Effect<number>
  /** Answers when many writes have come in a row since it answered last, and none has come for so long (ms). */
  readonly burstIsOver: (quiet: number) => Effect.Effect<void>
}>()("slackwater/sql/GroupCommit") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const supervisor = yield* Supervisor
      const queue = yield* Queue.bounded<Job>(waiting)
      let waitingSince: number | null = null
      let committedAt = yield* monotonicMillis
      const burst = Latch.makeUnsafe()
      let inARow = 0
      const waitsNoMore = Effect.sync(() => {
        waitingSince = null
      })

      const inTransaction = writerTransaction(sql)

      // A file that somebody else holds is another matter: then BEGIN fails, and each attempt waits anew.
      const attempt = (jobs: ReadonlyArray<Job>) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          waitingSince = now
          return Effect.ensuring(inTransaction(Effect.andThen(waitsNoMore, together(jobs))), waitsNoMore)
        })

      /** Only waiting for the connection can be interrupted: a host that keeps it must not keep our end up. */
      const commit = (
        jobs: ReadonlyArray<Job>,
        restore: <A, E>(wait: Effect.Effect<A, E>) => Effect.Effect<A, E>
      ): Effect.Effect<void> =>
        Effect.matchCauseEffect(restore(untilFree(timed(commitTime)(attempt(jobs)))), {
          onSuccess: (ended) =>
            Effect.map(monotonicMillis, (now) => {
              inARow = now - committedAt < pause ? inARow + jobs.length : jobs.length
              committedAt = now
              if (inARow >= many) burst.openUnsafe()
              for (const [job, exit] of ended) Deferred.doneUnsafe(job.done, exit)
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

      /** Where there is room it waits at once. */
      const queued = (kind: Kind, input: unknown) => {
        const done = Deferred.makeUnsafe<unknown, Failure>()
        const job = { kind, input, done }
        const ended = Deferred.await(done)
        return Queue.offerUnsafe(queue, job) ? ended : Effect.andThen(Queue.offer(queue, job), ended)
      }

      /**
       * In a savepoint: a host that goes on after a failure keeps nothing of the failed job. What outlived its
       * transaction must not write into the next one: registering with the former is a defect then.
       */
      const inline = <A>(job: Effect.Effect<A, Failure>) =>
        rememberTransaction(sql)(Effect.andThen(sql.afterCommit(Effect.void), sql.withTransaction(job)))

      const isOpen = (context: Context.Context<never>) =>
        Context.getOrUndefined(context, sql.transactionService) !== undefined

      const kindOf = makeKinds()
      const others = kindOf("others", oneByOne)

      const idleFor = Effect.map(monotonicMillis, (now) => now - committedAt)

      return GroupCommit.of({
        write: (operation) => <A>(job: Effect.Effect<A, Failure>) =>
          // The writer has waited for the file already.
          asStoreError(operation)(
            // The statements belong to the caller's span and log lines, not to the writer's.
            Effect.contextWith((context: Context.Context<never>) =>
              isOpen(context)
                ? inline(job)
                : queued(others, Effect.provideContext(job, context)) as Effect.Effect<A, Failure>
            )
          ),
        batched: <In, Out>(operation: string, place: Place, run: Run<In, Out>) => {
          const kind = kindOf(place, run)
          const alone = (input: In) =>
            Effect.flatMap(run([input]), ([exit = Exit.die(new Error(`${operation} answered nothing`))]) => exit)
          return (input: In) =>
            asStoreError(operation)(
              Effect.contextWith((context: Context.Context<never>) =>
                isOpen(context) ? inline(alone(input)) : queued(kind, input) as Effect.Effect<Out, Failure>
              )
            )
        },
        waitingSince: () => waitingSince,
        idleFor,
        burstIsOver: (quiet) =>
          Effect.gen(function*() {
            yield* burst.await
            for (let idle = yield* idleFor; idle < quiet; idle = yield* idleFor) yield* Effect.sleep(quiet - idle)
            inARow = 0
            burst.closeUnsafe()
          })
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
