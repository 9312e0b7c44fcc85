/** Asks a person, on a terminal; where there is none, nobody is asked. */
import { Effect, Runtime, Schema } from "effect"
import { createInterface } from "node:readline"
import { UsageError } from "./usage.ts"

export class NotConfirmed extends Schema.TaggedError<NotConfirmed>()("NotConfirmed", {}) {
  override readonly [Runtime.errorExitCode] = 1
  override get message(): string {
    return "nothing was changed"
  }
}

/** Fails where nobody can be asked. */
export const somebodyToAsk = (command: string): Effect.Effect<void, UsageError> =>
  Effect.suspend(() => {
    if (process.stdin.isTTY && process.stderr.isTTY) return Effect.void
    const detail = "this is no terminal, so nobody can be asked: look with --dry-run, then add --yes"
    return Effect.fail(new UsageError({ command, detail }))
  })

/** Only a yes is one. On stderr: what a command prints stays for whoever reads it. */
export const confirm = (question: string): Effect.Effect<boolean> =>
  Effect.callback<boolean>((resume) => {
    const lines = createInterface({ input: process.stdin, output: process.stderr, terminal: false })
    lines.once("line", (line) => {
      resume(Effect.succeed(/^\s*y(es)?\s*$/i.test(line)))
      // Otherwise the open input keeps the process.
      lines.close()
    })
    lines.once("close", () => resume(Effect.succeed(false)))
    process.stderr.write(`${question} [y/N] `)
    return Effect.sync(() => lines.close())
  })
