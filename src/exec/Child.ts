/**
 * One process of an `--exec` command, at the head of a process group of its own.
 *
 * Owns its pipes: what is written to it, its output by lines, its standard error, which goes to the log. All of it is
 * bounded: the length of a line, how many lines wait, how much of standard error is logged for a turn.
 * Guarantees: with its scope the whole group is gone, grandchildren included: SIGTERM, then SIGKILL. So it is when this
 * process ends in a hurry (`process.exit`). After `kill -9` of the gateway nobody can do that: the child finds the end of
 * its standard input, and nobody reads what it says.
 * Does not: know what the lines mean (Protocol, Dialogue).
 * On interrupt: says so, closes standard input, and leaves it a moment to end by itself. All in all it takes less than
 * the second that every handler has, so a run never goes on beside the one after it.
 */
import { Cause, Duration, Effect, Fiber, Option, Queue, References, Stream } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import process from "node:process"
import { makeLineCutter } from "./Lines.ts"
import { broken, excerpt, type ExecFailed, type Line, type ToChild } from "./Protocol.ts"

/** Characters of one line. A file goes by its path. */
const longestLine = 1_000_000
/** Lines in either direction that wait to be read. */
const waiting = 16
/** From the word `interrupt` to SIGTERM, and from there to SIGKILL: less than a second together. */
const beforeTerm = Duration.millis(300)
const beforeKill = Duration.millis(400)
/** Between the end of the process and the end of its output, which a grandchild may hold open. */
const afterExit = Duration.millis(500)
/** After `done`: time to end by itself. */
const farewell = Duration.seconds(1)
const logged = { lines: 500, characters: 2_000, tail: 1_000 }

export interface Child {
  readonly pid: number
  /** Never fails: a child that reads no more is found out by what it says, or does not say. */
  readonly send: (message: ToChild) => Effect.Effect<void>
  /** Its next line; fails with how it ended where there is none. */
  readonly next: Effect.Effect<Line, ExecFailed>
  /** From now on its standard error is logged as this fiber's. */
  readonly attach: Effect.Effect<void>
  /** Says that all is in vain, and waits a moment for the end. */
  readonly interrupt: Effect.Effect<void>
  /** Nothing more is expected of it: waits a moment for the end. Fails when it still says something. */
  readonly leave: Effect.Effect<void, ExecFailed>
}

const groups = new Set<number>()
const killAll = () => {
  for (const pid of groups) {
    try {
      process.kill(-pid, "SIGKILL")
    } catch {
      // It is gone already.
    }
  }
}

/** Is counted while its scope is open, so that no way out of this process leaves it behind. */
const guarded = (pid: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      if (groups.size === 0) process.on("exit", killAll)
      groups.add(pid)
    }),
    () =>
      Effect.sync(() => {
        groups.delete(pid)
        if (groups.size === 0) process.off("exit", killAll)
      })
  )

// A child may repeat what strangers wrote.
// oxlint-disable-next-line no-control-regex
const control = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g

/** Logs standard error line by line, and remembers the end of it. */
const makeErrorLog = () => {
  let tail = ""
  let lines = 0
  let annotations: Readonly<Record<string, unknown>> = {}
  const say = (line: string) =>
    Effect.suspend(() => {
      tail = `${tail}${line}\n`.slice(-logged.tail)
      lines += 1
      if (lines > logged.lines + 1) return Effect.void
      return (lines > logged.lines
        ? Effect.logWarning(`the command says more on standard error than the ${logged.lines} lines that are logged`)
        : Effect.logInfo(line.replaceAll(control, "").slice(0, logged.characters))).pipe(
          Effect.annotateLogs({ from: "stderr" }),
          Effect.provideService(References.CurrentLogAnnotations, annotations)
        )
    })
  return {
    attach: Effect.map(References.CurrentLogAnnotations, (present) => {
      annotations = present
      lines = 0
      tail = ""
    }),
    run: <E>(bytes: Stream.Stream<Uint8Array, E>) => {
      const cutter = makeLineCutter(logged.characters)
      return Stream.runForEach(bytes, (chunk) => {
        const whole = cutter.push(chunk)
        return Effect.forEach(cutter.isTooLong() ? [...whole, cutter.drop()] : whole, say, { discard: true })
      }).pipe(
        Effect.andThen(Effect.suspend(() => {
          const rest = cutter.rest()
          return rest === "" ? Effect.void : say(rest)
        })),
        Effect.ignore
      )
    },
    tail: () => tail.trim()
  }
}

const signalOf = (error: unknown) => /signal: '(\w+)'/.exec(Cause.pretty(Cause.fail(error)))?.[1] ?? "a signal"

/** Starts the command in a shell, in the present scope. */
export const startChild = Effect.fnUntraced(
  function*(command: string, env: Readonly<Record<string, string | undefined>>) {
    const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
    const handle = yield* spawner.spawn(ChildProcess.make(command, {
      shell: "/bin/sh",
      env,
      detached: true,
      killSignal: "SIGTERM",
      forceKillAfter: beforeKill
    })).pipe(Effect.mapError((error) => broken(`the command could not be started (${error.message})`)))
    yield* guarded(handle.pid)

    const errors = makeErrorLog()
    yield* errors.attach
    const lines = yield* Queue.bounded<Line, ExecFailed | Cause.Done>(waiting)
    const input = yield* Queue.bounded<Uint8Array, Cause.Done>(waiting)
    const encoder = new TextEncoder()
    let number = 0

    const heard = (texts: ReadonlyArray<string>) =>
      Effect.forEach(texts, (text) => Queue.offer(lines, { number: ++number, text }), { discard: true })

    const cutter = makeLineCutter(longestLine)
    const hear = Effect.gen(function*() {
      yield* Stream.runForEach(handle.stdout, (chunk) =>
        Effect.andThen(
          heard(cutter.push(chunk)),
          Effect.suspend(() =>
            cutter.isTooLong()
              ? Effect.fail(broken(
                `line ${number + 1} of the command's output is longer than ${longestLine} characters: ${
                  excerpt(cutter.drop())
                }`
              ))
              : Effect.void
          )
        ))
      const rest = cutter.rest()
      if (rest !== "") yield* heard([rest])
    }).pipe(
      Effect.catch((error) =>
        Queue.fail(lines, error._tag === "ExecFailed" ? error : broken(`its output cannot be read (${error.message})`))
      ),
      Effect.andThen(Queue.end(lines))
    )
    yield* Effect.forkScoped(hear, { startImmediately: true })
    const errorLog = yield* Effect.forkScoped(errors.run(handle.stderr), { startImmediately: true })
    const exit = Effect.match(handle.exitCode, {
      onSuccess: (code) => `with code ${code}`,
      onFailure: (error) => `by ${signalOf(error)}`
    })
    yield* Effect.forkScoped(Effect.andThen(exit, Effect.andThen(Effect.sleep(afterExit), Queue.end(lines))))
    // A pipe that nobody reads breaks; then nobody must wait for room in it either.
    const pump = yield* Stream.fromQueue(input).pipe(
      Stream.run(handle.stdin),
      Effect.ensuring(Queue.shutdown(input)),
      Effect.ignore,
      Effect.forkScoped
    )

    const send = (message: ToChild) => Effect.asVoid(Queue.offer(input, encoder.encode(`${JSON.stringify(message)}\n`)))

    /** Why there is no next line. */
    const ended = Effect.gen(function*() {
      const how = yield* Effect.timeoutOption(exit, farewell)
      yield* Effect.timeoutOption(Fiber.await(errorLog), afterExit)
      const tail = errors.tail()
      return broken(
        `the command ${
          Option.match(how, { onNone: () => "closed its output", onSome: (how) => `ended ${how}` })
        } before it said done${tail === "" ? "" : `; at last it said on standard error: ${tail}`}`
      )
    })

    const child: Child = {
      pid: handle.pid,
      send,
      next: Effect.catch(Queue.take(lines), (error) => Cause.isDone(error) ? Effect.flip(ended) : Effect.fail(error)),
      attach: errors.attach,
      interrupt: Effect.gen(function*() {
        yield* Effect.timeoutOption(send({ type: "interrupt" }), "50 millis")
        yield* Queue.end(input)
        yield* Effect.timeoutOption(exit, beforeTerm)
      }),
      leave: Effect.gen(function*() {
        yield* Queue.end(input)
        const more = Queue.take(lines).pipe(
          Effect.map((line) => line.text.trim() === "" ? undefined : line),
          Effect.repeat({ until: (line) => line !== undefined })
        )
        const late = yield* Effect.timeoutOption(Effect.option(more), farewell)
        const line = Option.flatten(late)
        yield* Effect.timeoutOption(Fiber.await(pump), "10 millis")
        if (Option.isSome(line) && line.value !== undefined) {
          return yield* broken(
            `line ${line.value.number} of the command's output comes after done: ${excerpt(line.value.text)}`
          )
        }
      })
    }
    return child
  }
)
