/**
 * What a room must know of a transaction that the caller has open: nobody may be woken for rows that are not
 * committed, and nobody may wait inside of it for what can only happen after it.
 *
 * A reference and no service: without a database there is no transaction, and everything happens at once.
 */
import { Context, Effect } from "effect"

export const HostTransaction = Context.Reference<{
  /** Runs `effect` once the caller's outermost transaction has committed, never if it does not; at once without one. */
  readonly afterCommit: (effect: Effect.Effect<void>) => Effect.Effect<void>
  readonly isOpen: Effect.Effect<boolean>
}>("slackwater/HostTransaction", {
  defaultValue: () => ({ afterCommit: (effect) => effect, isOpen: Effect.succeed(false) })
})
