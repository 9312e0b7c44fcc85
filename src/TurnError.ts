/** What can go wrong in a handler, and with what it, or the host, asks of a turn and its replies. */
import { Schema } from "effect"

/** The turn is over (finished, timed out, taken back): nothing it does counts any more. */
export class TurnOver extends Schema.TaggedError<TurnOver>()("TurnOver", {}) {}
/** The reply could not be stored or will never be delivered. */
export class ReplyFailed extends Schema.TaggedError<ReplyFailed>()("ReplyFailed", { detail: Schema.String }) {}

/** The file is too large, or its bytes cannot be had. */
export class FileRefused extends Schema.TaggedError<FileRefused>()("FileRefused", { detail: Schema.String }) {}

/** It may have arrived, and nobody can find out: it waits for a person. Saying it again may say it twice. */
export class ReplyUnknown extends Schema.TaggedError<ReplyUnknown>()("ReplyUnknown", { detail: Schema.String }) {}

/** A step was named twice in one run, or its stored result cannot be read any more. */
export class StepFailed extends Schema.TaggedError<StepFailed>()("StepFailed", {
  step: Schema.String,
  detail: Schema.String
}) {}

export class TurnError extends Schema.TaggedError<TurnError>()("TurnError", {
  reason: Schema.Union([TurnOver, ReplyFailed, FileRefused, ReplyUnknown, StepFailed])
}) {
  override get message(): string {
    switch (this.reason._tag) {
      case "TurnOver":
        return "this turn is over"
      case "ReplyFailed":
      case "FileRefused":
      case "ReplyUnknown":
        return this.reason.detail
      case "StepFailed":
        return `step "${this.reason.step}": ${this.reason.detail}`
    }
  }
}

/** The handler failed; whatever it failed with is the cause. */
export class HandlerError extends Schema.TaggedError<HandlerError>()("HandlerError", { cause: Schema.Defect() }) {
  override get message(): string {
    return this.cause instanceof Error
      ? this.cause.message
      : typeof this.cause === "string"
      ? this.cause
      : "the handler failed"
  }
}
