/**
 * Whether what writes to the stores is alive (port). Adapter: `sql/GroupCommit.ts`.
 *
 * A reference and no service: a store in memory has no writer that could hang, and is always alive.
 */
import { Context, Effect } from "effect"
import type { StoreError } from "./StoreError.ts"

export const StoreWriter = Context.Reference<{
  /** How long ago it last committed something (ms). */
  readonly idleFor: Effect.Effect<number>
  /** Takes the write lock as any write does, changes nothing, and lets it go. Waits for its turn without bound. */
  readonly probe: Effect.Effect<void, StoreError>
}>("slackwater/StoreWriter", { defaultValue: () => ({ idleFor: Effect.succeed(0), probe: Effect.void }) })
