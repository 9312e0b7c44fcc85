/**
 * Who answers: a module, or a command in any language. The argument and the flags that `run` and `dev` share.
 *
 * Where both are given, or neither, or a flag of the other one, that is one sentence (64).
 */
import { Effect, Option } from "effect"
import { Argument, Flag } from "effect/cli"
import type { ExecOptions } from "../exec/ExecHandler.ts"
import { handlerFile, loadHandler } from "./handlerModule.ts"
import { UsageError } from "./usage.ts"

export const handlerFlags = {
  handler: Argument.String("handler").pipe(
    Argument.withDescription("A .ts or .js module; its default export answers"),
    Argument.optional
  ),
  exec: Flag.String("exec").pipe(
    Flag.withDescription("Instead of a module: a command that speaks JSON lines (docs/exec.md), one process per turn"),
    Flag.optional
  ),
  workers: Flag.Int("exec-workers").pipe(
    Flag.withDescription("Keep up to so many processes of the command, each for one turn at a time"),
    Flag.optional
  )
}

interface Given {
  readonly handler: Option.Option<string>
  readonly exec: Option.Option<string>
  readonly workers: Option.Option<number>
}

/** What answers, as it was named. */
export type Answering = { readonly _tag: "Module"; readonly path: string } | ({ readonly _tag: "Exec" } & ExecOptions)

const mostWorkers = 256

/** Without either it is `fallback`, a module. */
export const answering = Effect.fnUntraced(
  function*(command: string, { exec, handler, workers }: Given, fallback?: string) {
    const mistake = (detail: string) => new UsageError({ command, detail })
    if (Option.isSome(exec)) {
      if (Option.isSome(handler)) return yield* mistake("a handler and --exec: give one of them")
      const kept = Option.getOrElse(workers, () => 0)
      if (Option.isSome(workers) && (kept < 1 || kept > mostWorkers)) {
        return yield* mistake(`--exec-workers is ${kept}, and must be a whole number from 1 to ${mostWorkers}`)
      }
      return { _tag: "Exec", command: exec.value, workers: kept, env: process.env } satisfies Answering
    }
    if (Option.isSome(workers)) return yield* mistake("--exec-workers is for --exec")
    const path = Option.getOrElse(handler, () => fallback)
    if (path === undefined) return yield* mistake("Missing required argument: handler, or --exec \"<command>\"")
    return { _tag: "Module", path } satisfies Answering
  }
)

/** Loaded by whom a command answers. */
const exec = Effect.promise(() => import("../exec/ExecHandler.ts"))

/** The handler; a command's processes end with the scope. */
export const load = Effect.fnUntraced(function*(answering: Answering) {
  return answering._tag === "Module"
    ? yield* loadHandler(answering.path)
    : { handler: yield* (yield* exec).makeExecHandler(answering) }
})

/** Fails where it cannot be loaded, as far as that can be told without running any of it. */
export const check = (answering: Answering) =>
  answering._tag === "Module"
    ? Effect.asVoid(handlerFile(answering.path))
    : Effect.flatMap(exec, ({ checkCommand }) => checkCommand(answering))

/** The same as arguments of `slackwater run`. */
export const argumentsOf = (answering: Answering): ReadonlyArray<string> =>
  answering._tag === "Module" ? [answering.path] : [
    "--exec",
    answering.command,
    ...(answering.workers === 0 ? [] : ["--exec-workers", String(answering.workers)])
  ]
