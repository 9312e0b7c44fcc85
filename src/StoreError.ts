/**
 * The one error of both stores: the database did not take it, the row is no longer ours, or what was asked for makes no
 * sense. In every case nothing was changed.
 */
import { Runtime, Schema } from "effect"

/** The database did not take it now: busy, full, unreachable. Nothing was changed. */
export class StoreUnavailable extends Schema.TaggedError<StoreUnavailable>()("StoreUnavailable", {
  cause: Schema.Defect()
}) {}

/** The turn is no longer ours: requeued, taken over, or finished. Nothing was changed. */
export class TurnLost extends Schema.TaggedError<TurnLost>()("TurnLost", { turn: Schema.String }) {}

/** A deletion by a moment that is none. */
export class InvalidCutoff extends Schema.TaggedError<InvalidCutoff>()("InvalidCutoff", { detail: Schema.String }) {}

export class StoreError extends Schema.TaggedError<StoreError>()("StoreError", {
  operation: Schema.String,
  reason: Schema.Union([StoreUnavailable, TurnLost, InvalidCutoff])
}) {
  /** Of a command, or a start, that ends with it. */
  override readonly [Runtime.errorExitCode] = this.reason._tag === "StoreUnavailable" ? 74 : 1
  override get message(): string {
    switch (this.reason._tag) {
      case "TurnLost":
        return `${this.operation}: turn ${this.reason.turn} is no longer held by this gateway`
      case "InvalidCutoff":
        return `${this.operation}: ${this.reason.detail}`
      case "StoreUnavailable":
        return `${this.operation}: the database is not available (${String(this.reason.cause).slice(0, 300)})`
    }
  }
}
