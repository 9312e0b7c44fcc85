/** A mistake in what a command was given: one sentence, and where its help is (exit 64). */
import { Runtime, Schema } from "effect"

export class UsageError extends Schema.TaggedError<UsageError>()("UsageError", {
  command: Schema.String,
  detail: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 64
  override get message(): string {
    return `${this.detail}; see slackwater ${this.command} --help`
  }
}
