/** Producers that are fibers, as in the gateway: no promise where none is needed. */
import { Effect } from "effect"
import type { Way } from "../Way.ts"

export const producingEffects = (
  run: (effect: Effect.Effect<void, unknown>) => Promise<void>,
  enqueue: (n: number) => Effect.Effect<unknown, unknown>
): Way["produce"] =>
(concurrency, next, acked) => {
  const produce = Effect.gen(function*() {
    for (let n = next(); n !== undefined; n = next()) {
      yield* enqueue(n)
      const handled = acked(n)
      if (handled !== undefined) yield* Effect.promise(() => handled)
    }
  })
  return run(
    Effect.asVoid(Effect.all(Array.from({ length: concurrency }, () => produce), { concurrency: "unbounded" }))
  )
}
