/**
 * This gateway instance in the database (port). Adapters: `sql/Instance.ts`, `memory/Instance.ts`.
 *
 * Building it means: the owner lock is held, the start is recorded, replies that dead instances were sending are
 * `unknown` (what may be repeated is due again, what was only progress has ended), and quiet windows have ended. The
 * turns they left running are taken later (`MessageStore.recover`).
 * Rows are held under an owner's name. A reload gives each new set of rooms a name of its own, so that nobody gives back
 * what another set still works on; who died in this process is known, who died in another one is everybody else.
 * On shutdown nothing happens by itself: `markClean` is called once the rooms above are closed.
 */
import { Context, Effect, Layer } from "effect"
import type { Scope } from "effect"
import { OwnerId } from "./Message.ts"
import { Shutdown } from "./Shutdown.ts"
import type { StoreError } from "./StoreError.ts"

export type PreviousStop = "clean" | "crash" | "none"

export interface Started {
  readonly id: OwnerId
  /** Epoch ms. */
  readonly startedAt: number
  readonly previousStop: PreviousStop
  readonly markClean: Effect.Effect<void, StoreError>
  /**
   * Epoch ms up to which nothing that was said in Slack needs to be looked for, as it was marked last, by whichever
   * instance; null when nobody ever did.
   */
  readonly heardUntil: Effect.Effect<number | null>
  readonly markHeard: (until: number) => Effect.Effect<void, StoreError>
}

/** One start, under one of its owners' names. */
export interface Named extends Started {
  /** Every owner in this process that may hold rows. */
  readonly living: Effect.Effect<ReadonlyArray<OwnerId>>
  /** The same start under a new owner's name, which lives from now on. Nothing is left to be done at its start. */
  readonly another: Effect.Effect<Named>
  /** This owner holds nothing any more. */
  readonly gone: (owner: OwnerId) => Effect.Effect<void>
  /** As `heardUntil`, but as it is now and not when it was marked, where somebody in this process knows. */
  readonly heardSoFar: Effect.Effect<number | null>
  /** Until the scope closes this answers `heardSoFar`, unless another one that came later does. */
  readonly hears: (until: Effect.Effect<number>) => Effect.Effect<void, never, Scope.Scope>
}

export class Instance extends Context.Service<Instance, Named>()("slackwater/Instance") {
  /** The start under its first owner's name. */
  static readonly named = (start: Started): Named => {
    const living = new Set([start.id])
    const hearing: Array<Effect.Effect<number | null>> = [start.heardUntil]
    let names = 1
    const under = (id: OwnerId, previousStop: PreviousStop): Named => ({
      ...start,
      id,
      previousStop,
      living: Effect.sync(() => [...living]),
      another: Effect.sync(() => {
        const next = OwnerId.make(`${start.id}.${++names}`)
        living.add(next)
        return under(next, "clean")
      }),
      gone: (owner) => Effect.sync(() => void living.delete(owner)),
      heardSoFar: Effect.suspend(() => hearing.at(-1) ?? start.heardUntil),
      hears: (until) =>
        Effect.asVoid(Effect.acquireRelease(
          Effect.sync(() => hearing.push(until)),
          () => Effect.sync(() => hearing.splice(hearing.indexOf(until), 1))
        ))
    })
    return under(start.id, start.previousStop)
  }

  /** Marks the clean stop when everything that is built upon it has closed. */
  static readonly cleanStop = Layer.effectDiscard(Effect.gen(function*() {
    const instance = yield* Instance
    const shutdown = yield* Shutdown
    yield* Effect.addFinalizer(() => shutdown.isBlamed() ? Effect.void : shutdown.within("clean", instance.markClean))
  }))
}
