/**
 * What waits together, and how it is done: job after job of one kind, kind after kind.
 *
 * Guarantees: jobs of one kind keep the order in which they came. Kinds run in the order of their places, and within a
 * place as they were made known: what frees a lane comes first and what asks for work last, so that work that is freed
 * can be had in the same commit. A job that failed before it wrote anything (a lost turn) fails alone; any other
 * failure spoils the transaction, since nobody knows which half of the work is done.
 * Does not: open a transaction, or wait for one (`GroupCommit.ts`).
 */
import { Cause, type Deferred, Effect, Exit } from "effect"
import type { SqlError } from "effect/sql"
import type { TurnLost } from "../StoreError.ts"

export type Failure = SqlError.SqlError | TurnLost

/** When a kind of job has its turn in a batch, from the first to the last. */
const places = ["ends", "appends", "others", "claims"] as const
export type Place = typeof places[number]

/** Does all jobs of one kind that are in a batch; answers how each ended, in their order. */
export type Run<In, Out> = (
  inputs: ReadonlyArray<In>
) => Effect.Effect<ReadonlyArray<Exit.Exit<Out, Failure>>, Failure>

/** Jobs that are done together. */
export interface Kind {
  /** The lowest has its turn first. */
  readonly rank: number
  readonly run: Run<unknown, unknown>
}

/** Makes kinds known: of those in one place, the first one runs first. */
export const makeKinds = () => {
  let known = 0
  return <In, Out>(place: Place, run: Run<In, Out>): Kind => {
    known += 1
    return { rank: places.indexOf(place) * 1_000 + known, run: run as Run<unknown, unknown> }
  }
}

export interface Job {
  readonly kind: Kind
  readonly input: unknown
  readonly done: Deferred.Deferred<unknown, Failure>
}

/** A job went wrong half-way: what the transaction holds cannot be kept. */
export class Spoilt {
  readonly _tag = "Spoilt"
}

/** A lost turn is found before anything is written; every other failure may have left half a job behind. */
const isHarmless = (exit: Exit.Exit<unknown, Failure>) =>
  Exit.isSuccess(exit) ||
  exit.cause.reasons.every((reason) => Cause.isFailReason(reason) && reason.error._tag === "TurnLost")

/** Kinds in the order in which they have their turn, each with its jobs. */
const inPlaces = (jobs: ReadonlyArray<Job>): ReadonlyArray<readonly [Kind, ReadonlyArray<Job>]> => {
  const kinds = new Map<Kind, Array<Job>>()
  for (const job of jobs) {
    const same = kinds.get(job.kind)
    if (same === undefined) kinds.set(job.kind, [job])
    else same.push(job)
  }
  if (kinds.size === 1) return [...kinds]
  return [...kinds].toSorted(([a], [b]) => a.rank - b.rank)
}

/** Runs in an open transaction. Answers how each job ended; fails if nothing of the transaction may be kept. */
export const together = Effect.fnUntraced(function*(jobs: ReadonlyArray<Job>) {
  const ended: Array<readonly [Job, Exit.Exit<unknown, Failure>]> = []
  const spoilt = (cause: Cause.Cause<Failure>) => jobs.length > 1 ? Effect.fail(new Spoilt()) : Effect.failCause(cause)
  for (const [kind, same] of inPlaces(jobs)) {
    const exits = yield* Effect.exit(kind.run(same.map(({ input }) => input)))
    if (Exit.isFailure(exits)) return yield* spoilt(exits.cause)
    for (const [index, job] of same.entries()) {
      const exit = exits.value[index] ?? Exit.die(new Error("a batch did not say how each of its jobs ended"))
      if (Exit.isFailure(exit) && !isHarmless(exit)) return yield* spoilt(exit.cause)
      ended.push([job, exit])
    }
  }
  return ended
})

/** Jobs that have nothing in common: one after the other, up to the first that spoils the transaction. */
export const oneByOne: Run<Effect.Effect<unknown, Failure>, unknown> = Effect.fnUntraced(function*(jobs) {
  const exits: Array<Exit.Exit<unknown, Failure>> = []
  for (const job of jobs) {
    const exit = yield* Effect.exit(job)
    exits.push(exit)
    if (Exit.isFailure(exit) && !isHarmless(exit)) return yield* Effect.failCause(exit.cause)
  }
  return exits
})
