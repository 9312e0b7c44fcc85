/**
 * The command line as a process of its own: started, watched, signalled, and gone when the test is.
 *
 * Every run has a directory of its own to stand in, an environment that holds only what is given, and free ports, so
 * that suites can run side by side. Nothing waits by sleeping: output and endings are awaited, the rest is polled with
 * a deadline, and what fails on time shows everything the process said. A gateway started by `dev` holds the same
 * pipes, so a process has ended only when its child has, too.
 */
import { Deferred, Effect } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, relative } from "node:path"
import { fileURLToPath } from "node:url"

export const checkout = fileURLToPath(new URL("../../", import.meta.url))
export const bin = join(checkout, "src/bin.ts")
export const fixture = (name: string) => fileURLToPath(new URL(`./fixtures/${name}.ts`, import.meta.url))
export const echo = join(checkout, "examples/echo.ts")

/** What a gateway logs when it has its connection. */
export const connected = /connected to Slack/

/** No output may ever hold these. */
export const tokens = { SLACK_APP_TOKEN: "xapp-5ecret-app", SLACK_BOT_TOKEN: "xoxb-5ecret-bot" }
/** A gateway that answers without waiting, on any free port. */
export const quick = { SLACKWATER_PORT: "0", SLACKWATER_LOCAL_SLACK_PORT: "0", SLACKWATER_DEBOUNCE: "0 millis" }

/** What Node compiled once it need not compile for every process: half of a start. */
const compiled = join(checkout, "node_modules/.cache/node")

/** How long anything may take on a machine that has other things to do. */
const patience = "30 seconds"

export interface Ending {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface Options {
  readonly env?: Readonly<Record<string, string | undefined>>
  /** What it reads on standard input, up to its end; without this the input stays open. */
  readonly input?: string
  /** Where it stands; a new directory when left out. */
  readonly cwd?: string
  /** As whom it runs; only root may say so. */
  readonly uid?: number
}

export class Process {
  readonly #child: ChildProcess
  readonly #ended = Deferred.makeUnsafe<Ending>()
  readonly #changed = new Set<() => void>()
  stdout = ""
  stderr = ""

  constructor(child: ChildProcess) {
    this.#child = child
    child.stdout?.setEncoding("utf8").on("data", (text: string) => this.#heard(() => this.stdout += text))
    child.stderr?.setEncoding("utf8").on("data", (text: string) => this.#heard(() => this.stderr += text))
    child.stdin?.on("error", () => undefined)
    child.on("error", (error) => this.#heard(() => this.stderr += String(error)))
    child.on("close", (code, signal) => {
      Deferred.doneUnsafe(this.#ended, Effect.succeed({ code, signal }))
      this.#heard(() => undefined)
    })
  }

  get pid(): number {
    return this.#child.pid ?? -1
  }

  /** Standard output and error, one after the other. */
  get output(): string {
    return this.stdout + this.stderr
  }

  /** It and whatever it started are gone, and everything they said was read. */
  get ended(): Effect.Effect<Ending> {
    return within(Deferred.await(this.#ended), () => `still running\n${this.output}`)
  }

  get hasEnded(): boolean {
    return Deferred.isDoneUnsafe(this.#ended)
  }

  /** The first match in its output (`^` and `$` are ends of lines), now or when it comes; `times` asks for that many, and answers the last of them. */
  awaitOutput(pattern: RegExp, times = 1): Effect.Effect<RegExpExecArray> {
    const all = new RegExp(pattern, "gm")
    const found = Effect.callback<RegExpExecArray>((resume) => {
      const look = () => {
        const match = [...this.output.matchAll(all)][times - 1]
        if (match !== undefined) resume(Effect.succeed(match))
        else if (this.hasEnded) resume(Effect.die(new Error(`ended without ${String(pattern)}\n${this.output}`)))
      }
      this.#changed.add(look)
      look()
      return Effect.sync(() => this.#changed.delete(look))
    })
    return within(found, () => `no ${String(pattern)} in\n${this.output}`)
  }

  count(pattern: RegExp): number {
    return [...this.output.matchAll(new RegExp(pattern, "gm"))].length
  }

  readonly signal = (name: NodeJS.Signals): Effect.Effect<void> => Effect.sync(() => this.#child.kill(name))

  /** What a terminal does with Ctrl-C: everyone in its process group is signalled. */
  readonly signalGroup = (name: NodeJS.Signals): Effect.Effect<void> => Effect.sync(() => process.kill(-this.pid, name))

  readonly type = (text: string): Effect.Effect<void> => Effect.sync(() => this.#child.stdin?.write(text))

  /** Types the last of it. */
  readonly finish = (text = ""): Effect.Effect<void> => Effect.sync(() => this.#child.stdin?.end(text))

  /** For the end of a test: whatever is left is killed. */
  get kill(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.hasEnded) return Effect.void
      // npm does not take its children with it.
      kill(-this.pid)
      const gateway = [...this.stdout.matchAll(/^Gateway: +pid (\d+)/gm)].at(-1)
      if (gateway !== undefined) kill(Number(gateway[1]))
      return Effect.asVoid(this.ended)
    })
  }

  #heard(change: () => void): void {
    change()
    for (const look of this.#changed) look()
  }
}

const kill = (pid: number) => {
  try {
    process.kill(pid, "SIGKILL")
  } catch {
    // It is gone already.
  }
}

const within = <A, E, R>(effect: Effect.Effect<A, E, R>, why: () => string) =>
  Effect.timeoutOrElse(effect, {
    duration: patience,
    orElse: () => Effect.die(new Error(`not within ${patience}: ${why()}`))
  })

/** A directory for this test. */
export const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "slackwater-cli-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true, maxRetries: 5 }))
)

/** Any program, at the head of a process group of its own. */
export const start = Effect.fnUntraced(function*(command: string, args: ReadonlyArray<string>, options: Options = {}) {
  const cwd = options.cwd ?? (yield* directory)
  return yield* Effect.acquireRelease(
    Effect.sync(() => {
      const env = { PATH: process.env["PATH"] ?? "", HOME: cwd, NODE_COMPILE_CACHE: compiled, ...options.env }
      const as = options.uid === undefined ? {} : { uid: options.uid }
      return new Process(spawn(command, args, { cwd, detached: true, stdio: "pipe", env, ...as }))
    }),
    (running) => running.kill
  )
})

/** `slackwater …` of this checkout. */
export const slackwater = (args: ReadonlyArray<string>, options: Options = {}) =>
  start(process.execPath, [bin, ...args], { ...options, env: { ...quick, ...options.env } })

/** Runs it to its end. */
export const outcome = Effect.fnUntraced(function*(args: ReadonlyArray<string>, options: Options = {}) {
  const running = yield* slackwater(args, options)
  if (options.input !== undefined) yield* running.finish(options.input)
  const { code, signal } = yield* running.ended
  return { code, signal, stdout: running.stdout, stderr: running.stderr }
})

/** Polls until the answer is right, and answers it. */
export const eventually = <A, E, R>(
  what: string,
  ask: Effect.Effect<A, E, R>,
  isRight: (answer: A) => boolean,
  from?: Process
): Effect.Effect<A, E, R> => {
  let last: A | undefined
  const poll: Effect.Effect<A, E, R> = Effect.gen(function*() {
    while (true) {
      last = yield* ask
      if (isRight(last)) return last
      yield* Effect.sleep("20 millis")
    }
  })
  return within(poll, () => `${what}; last answer ${JSON.stringify(last)}\n${from?.output ?? ""}`)
}

/**
 * Linux tells which signals a process catches. Node itself catches SIGTERM, only to die of it; SIGHUP (bit 0) is ours,
 * and the last one. Before that no program can do anything.
 */
export const hearsSignals = (pid: number) =>
  Effect.sync(() => {
    const caught = /^SigCgt:\s*(\w+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "0"
    return (BigInt(`0x${caught}`) & 1n) !== 0n
  })

/** Every file below a directory with what is in it: two that are equal mean that nothing was written. */
export const contents = (root: string): Readonly<Record<string, string>> => {
  if (!existsSync(root)) return {}
  const entries = readdirSync(root, { recursive: true, withFileTypes: true })
  return Object.fromEntries(entries.map((entry) => {
    const path = join(entry.parentPath, entry.name)
    return [relative(root, path), entry.isFile() ? readFileSync(path).toString("base64") : "(directory)"]
  }))
}

/** Whether this machine has the command. */
export const has = (command: string) =>
  (process.env["PATH"] ?? "").split(":").some((folder) => existsSync(join(folder, command)))
