/** A command that has said everything already, and ends with this exit code. */
import { Runtime, Schema } from "effect"

export class Told extends Schema.TaggedError<Told>()("Told", { exitCode: Schema.Int }) {
  override readonly [Runtime.errorExitCode] = this.exitCode
  override readonly [Runtime.errorReported] = false
}
