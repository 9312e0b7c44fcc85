/**
 * A handler in any language: a command that speaks NDJSON on its standard input and output (`slackwater run --exec`).
 *
 * Owns the choice between a process for each run of a turn and kept ones, and the environment they get: this process's
 * own, without anything of Slack's or ours, tokens above all, nor what we show to a collector.
 * Guarantees: a command that cannot be found is known at the start (78); what the command does wrong fails the run of its
 * turn, with a sentence; no process of it outlives the scope.
 */
import { Effect, Runtime, Schema } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { Handler, type HandlerOf, type Turn } from "../Handler.ts"
import { type Child, startChild } from "./Child.ts"
import { converse } from "./Dialogue.ts"
import { makeWorkers } from "./Workers.ts"

export interface ExecOptions {
  /** As one would type it into a shell. */
  readonly command: string
  /** How many processes are kept; 0 starts one for each run of a turn. */
  readonly workers: number
  /** This process's. */
  readonly env: Readonly<Record<string, string | undefined>>
}

export class ExecCommandError extends Schema.TaggedError<ExecCommandError>()("ExecCommandError", {
  command: Schema.String,
  detail: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 78
  override get message(): string {
    return `--exec ${JSON.stringify(this.command)}: ${this.detail}`
  }
}

/** Tokens, the address of a database, what opens the collector, and whatever else is between Slack, us and whoever runs us. */
const ours = /^(SLACK|SLACKWATER)_|^OTEL_EXPORTER_OTLP_(\w+_)?HEADERS$/

const environmentFor = (env: ExecOptions["env"]) =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !ours.test(name)))

/** The program that a command begins with, behind variables that are set for it; none where it takes a shell to know. */
const programIn = (command: string): string | undefined =>
  /^\s*(?:[A-Za-z_]\w*=[\w./:@,+-]*\s+)*([\w./:@+-]+)(?=\s|$)/.exec(command)?.[1]

/** Some shells call a file a command that nobody may execute. */
const isRunnable = `case "$1" in */*) [ -f "$1" ] && [ -x "$1" ];; *) command -v "$1";; esac`

/** Without a shell's own signs it is one program, and the shell makes room for it: one process less to start and to end. */
const inShell = (command: string) => /^\s*[A-Za-z_]\w*=|[;&|<>()$`#\n]/.test(command) ? command : `exec ${command}`

/** Fails where the command cannot be run; runs nothing of it. */
export const checkCommand = Effect.fn("checkCommand")(function*({ command, env }: ExecOptions) {
  const fail = (detail: string) => new ExecCommandError({ command, detail })
  if (command.trim() === "") return yield* fail("it is empty; give the command that answers")
  const program = programIn(command)
  if (program === undefined) return
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const code = yield* spawner.exitCode(ChildProcess.make("/bin/sh", ["-c", isRunnable, "sh", program], {
    env: environmentFor(env)
  })).pipe(Effect.mapError((error) => fail(`no shell can be started (${error.message})`)))
  if (code !== 0) return yield* fail(`there is no ${program}, or it is not executable; check the path, or chmod +x it`)
})

/** The handler; what it starts ends with the scope. */
export const makeExecHandler = Effect.fn("makeExecHandler")(function*(options: ExecOptions) {
  yield* checkCommand(options)
  const env = environmentFor(options.env)
  const start = startChild(inShell(options.command), env)
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner

  const over = (turn: Turn, child: Child) =>
    Effect.scoped(converse(turn, child)).pipe(Effect.onInterrupt(() => child.interrupt))

  const once = (turn: Turn) =>
    Effect.scoped(Effect.gen(function*() {
      const child: Child = yield* start
      const answer = yield* over(turn, child)
      yield* child.leave
      return answer
    }))

  if (options.workers === 0) return handlerOf(once, spawner)
  const withWorker = yield* makeWorkers(options.workers, start)
  return handlerOf((turn) => withWorker((child) => over(turn, child)), spawner)
})

const handlerOf = <E>(
  run: (turn: Turn) => Effect.Effect<unknown, E, ChildProcessSpawner.ChildProcessSpawner>,
  spawner: ChildProcessSpawner.ChildProcessSpawner["Service"]
): HandlerOf =>
  // What the command answers is JSON that was checked already; its type is the answer's.
  Handler.make((turn) =>
    Effect.provideService(run(turn), ChildProcessSpawner.ChildProcessSpawner, spawner) as Effect.Effect<string, E>
  )
