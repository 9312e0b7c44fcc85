/**
 * This gateway instance in the database (port). Adapters: `sql/Instance.ts`, `memory/Instance.ts`.
 *
 * Building it means: the owner lock is held, the start is recorded, replies that dead instances were sending are
 * `unknown` (what may be repeated is due again, what was only progress has ended), and quiet windows have ended. The turns they left running are taken later (`MessageStore.recover`).
 * On shutdown nothing happens by itself: `markClean` is called once the rooms above are closed.
 */
import { Context, Effect, Layer } from "effect"
import type { OwnerId } from "./Message.ts"
import { Shutdown } from "./Shutdown.ts"
import type { StoreError } from "./StoreError.ts"

export type PreviousStop = "clean" | "crash" | "none"

export class Instance extends Context.Service<Instance, {
  readonly id: OwnerId
  /** Epoch ms. */
  readonly startedAt: number
  readonly previousStop: PreviousStop
  readonly markClean: Effect.Effect<void, StoreError>
}>()("slackwater/Instance") {
  /** Marks the clean stop when everything that is built upon it has closed. */
  static readonly cleanStop = Layer.effectDiscard(Effect.gen(function*() {
    const instance = yield* Instance
    const shutdown = yield* Shutdown
    yield* Effect.addFinalizer(() => shutdown.within("clean", instance.markClean))
  }))
}
