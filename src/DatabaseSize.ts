/**
 * How much disk the database takes (port). Adapter: `sql/size.ts`.
 *
 * A reference and no service: what is in memory has no file.
 */
import { Context, Effect } from "effect"

export interface Bytes {
  readonly database: number
  readonly wal: number
}

/** Null where there is no file, or it cannot be looked at. */
export const DatabaseSize = Context.Reference<Effect.Effect<Bytes | null>>("slackwater/DatabaseSize", {
  defaultValue: () => Effect.succeed(null)
})
