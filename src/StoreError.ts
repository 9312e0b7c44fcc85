/**
 * The one error of both stores: either the database did not take it, or the row is no longer ours. In both cases
 * nothing was changed.
 */
import { Schema } from "effect"

/** The database did not take it now: busy, full, unreachable. Nothing was changed. */
export class StoreUnavailable extends Schema.TaggedError<StoreUnavailable>()("StoreUnavailable", {
  cause: Schema.Defect()
}) {}

/** The turn is no longer ours: requeued, taken over, or finished. Nothing was changed. */
export class TurnLost extends Schema.TaggedError<TurnLost>()("TurnLost", { turn: Schema.String }) {}

export class StoreError extends Schema.TaggedError<StoreError>()("StoreError", {
  operation: Schema.String,
  reason: Schema.Union([StoreUnavailable, TurnLost])
}) {
  override get message(): string {
    return this.reason._tag === "TurnLost"
      ? `${this.operation}: turn ${this.reason.turn} is no longer held by this gateway`
      : `${this.operation}: the database is not available (${String(this.reason.cause).slice(0, 300)})`
  }
}
