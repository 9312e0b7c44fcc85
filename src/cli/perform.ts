/**
 * How every command line is run: how failures look, and the exit code of each.
 *
 * A failure is one line that says what is wrong and what to do. A stack trace appears for defects only, which are ours.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Console, Effect, Exit, Layer, Option, Predicate, Runtime } from "effect"
import { CliError, CliOutput, Command } from "effect/cli"
import { Hiding } from "../Hiding.ts"
import { version } from "../version.ts"
import { bundled } from "./bundled.ts"
import { logging } from "./logging.ts"
import { hide } from "./secrets.ts"
import { interruptedCode } from "./signals.ts"

const usage = 64
const defect = 70

/** How the process ends. */
const exitCodeOf = (exit: Exit.Exit<unknown, unknown>, args: ReadonlyArray<string>): number => {
  if (Exit.isSuccess(exit)) return 0
  if (Cause.hasInterruptsOnly(exit.cause)) return interruptedCode(args)
  const error = Cause.findErrorOption(exit.cause)
  if (Option.isNone(error)) return defect
  if (CliError.isCliError(error.value)) return Runtime.getErrorExitCode(error.value) === 0 ? 0 : usage
  return Runtime.getErrorExitCode(error.value) ?? 1
}

const mustHandOver = (exit: Exit.Exit<unknown, unknown>) =>
  Exit.isFailure(exit) && Option.exists(Cause.findErrorOption(exit.cause), Predicate.isTagged("NeedsModules"))

const report = (cause: Cause.Cause<unknown>) => {
  if (Cause.hasInterruptsOnly(cause)) return Effect.void
  const error = Cause.findErrorOption(cause)
  // The CLI has shown its own errors, and a child process its own, already.
  if (Option.isSome(error) && !Runtime.getErrorReported(error.value)) return Effect.void
  return Effect.sync(() => {
    const text = Option.match(error, {
      onNone: () => Cause.pretty(cause),
      onSome: (value) => value instanceof Error ? value.message : String(value)
    })
    process.stderr.write(`slackwater: ${hide(text)}\n`)
  })
}

/** A mistake in the command line is one line too; the help is one flag away. */
const presenter = CliOutput.layerPresenter({
  present: (event) =>
    event._tag === "InvalidInvocation"
      ? Console.error(
        `slackwater: ${event.errors.map((error) => error.message.replaceAll(/\s+/g, " ")).join("; ")}; see ${
          event.commandPath.join(" ")
        } --help`
      )
      : CliOutput.defaultPresenter.present(event)
})

export const perform = <Name extends string, Input, E>(
  root: Command.Command<Name, Input, unknown, E, NodeServices.NodeServices>
) =>
(args: ReadonlyArray<string>): void =>
  NodeRuntime.runMain(
    Command.runWith(root, { version })(args).pipe(
      Effect.tapCause(report),
      Effect.provide(Layer.mergeAll(NodeServices.layer, logging, presenter, Layer.succeed(Hiding, hide)))
    ),
    {
      disableErrorReporting: true,
      teardown: (exit, onExit) => mustHandOver(exit) ? bundled.handOver() : onExit(exitCodeOf(exit, args))
    }
  )
