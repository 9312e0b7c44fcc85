/**
 * A real gateway process between a LocalSlack in this process and a data directory that outlives it.
 *
 * Every run has a bot token of its own, so that a request tells which run sent it (`wire.ts`), also when it is read
 * after that run is dead. A process that is still there when its scope closes is killed. Waiting is polling with a
 * deadline, or LocalSlack's journal; a deadline that passes fails with what was waited for and the end of the log.
 */
import { Deferred, Effect } from "effect"
import type { Scope } from "effect"
import { spawn } from "node:child_process"
import { join } from "node:path"
import { DatabaseSync, type SQLInputValue, type SQLOutputValue } from "node:sqlite"
import { fileURLToPath } from "node:url"
import { LocalSlack } from "slackwater/testing"
import { traced } from "./trace.ts"
import type { Order } from "./traps.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
export const program = (name: string) => fileURLToPath(new URL(`./programs/${name}.ts`, import.meta.url))

/** Compiled modules, so that a start is quick; written only when a process ends in order. */
const compileCache = join(root, "node_modules", ".cache", "crash-tests")
const deadlineMs = 30_000
/** Characters of stderr kept per process. */
const logLimit = 200_000

export interface Ending {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface Child {
  readonly pid: number
  readonly signal: (name: NodeJS.Signals) => void
  /** Tells `programs/inside.ts` in a process that was started with it; done when it was carried out, or it is dead. */
  readonly order: (order: Order) => Effect.Effect<void>
  readonly ended: Effect.Effect<Ending>
  readonly isAlive: () => boolean
  readonly stdout: () => string
  readonly stderr: () => string
}

export interface How {
  /** With `programs/inside.ts` in it, which takes orders. */
  readonly inside?: boolean
  /** Under strace, which writes to this file. */
  readonly traceTo?: string
}

/** A Node program of this checkout as a child; killed with the scope. */
export const start = Effect.fnUntraced(function*(
  args: ReadonlyArray<string>,
  environment: Readonly<Record<string, string>> = {},
  { inside = false, traceTo }: How = {}
): Effect.fn.Return<Child, never, Scope.Scope> {
  const whole = [
    ...(traceTo === undefined ? [] : traced(traceTo)),
    process.execPath,
    ...(inside ? ["--import", program("inside")] : []),
    ...args
  ]
  const ended = yield* Deferred.make<Ending>()
  const output = { stdout: "", stderr: "" }
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(whole[0] ?? "", whole.slice(1), {
        cwd: root,
        stdio: ["ignore", "pipe", "pipe", ...(inside ? ["ipc" as const] : [])],
        env: { PATH: process.env["PATH"], NODE_COMPILE_CACHE: compileCache, ...environment }
      })
    ),
    (running) =>
      Effect.suspend(() => {
        running.kill("SIGKILL")
        return Deferred.await(ended)
      })
  )
  for (const name of ["stdout", "stderr"] as const) {
    child[name]?.setEncoding("utf8").on("data", (text: string) => {
      output[name] = (output[name] + text).slice(-logLimit)
    })
  }
  child.once("error", () => Deferred.doneUnsafe(ended, Effect.succeed({ code: -1, signal: null })))
  // `close` comes after the last byte of its output, `exit` may not.
  child.once("close", (code, signal) => Deferred.doneUnsafe(ended, Effect.succeed({ code, signal })))
  return {
    pid: child.pid ?? -1,
    signal: (name) => child.kill(name),
    order: (order) =>
      Effect.callback<void>((resume) => {
        const done = () => resume(Effect.void)
        child.once("message", done)
        if (child.connected) child.send(order, (error) => error === null ? undefined : done())
        else done()
        return Effect.sync(() => child.off("message", done))
      }).pipe(Effect.raceFirst(Effect.asVoid(Deferred.await(ended)))),
    ended: Deferred.await(ended),
    isAlive: () => child.exitCode === null && child.signalCode === null,
    stdout: () => output.stdout,
    stderr: () => output.stderr
  }
})

let runs = 0

export interface Gateway extends Child {
  /** Number of this run; grows with every start. Its bot token ends with it. */
  readonly run: number
  readonly dataDir: string
}

/** Starts `slackwater run` on the directory, with a program or with flags, and does not wait for anything. */
export const startGateway = Effect.fnUntraced(function*(
  dataDir: string,
  settings: Readonly<Record<string, string>> = {},
  handler: string | ReadonlyArray<string> = "scripted",
  how: How = {}
): Effect.fn.Return<Gateway, never, LocalSlack | Scope.Scope> {
  const slack = yield* LocalSlack
  const run = ++runs
  const child = yield* start(["src/bin.ts", "run", ...(typeof handler === "string" ? [program(handler)] : handler)], {
    SLACK_API_URL: slack.apiUrl,
    SLACK_APP_TOKEN: "xapp-test",
    SLACK_BOT_TOKEN: `xoxb-test-${run}`,
    SLACKWATER_DATA_DIR: dataDir,
    SLACKWATER_PORT: "0",
    SLACKWATER_DEBOUNCE: "20 millis",
    SLACKWATER_PACE_INTERVAL: "0 millis",
    SLACKWATER_REQUEST_TIMEOUT: "2 seconds",
    SLACKWATER_HISTORY_LAG: "0 millis",
    SLACKWATER_RECONCILE_WINDOW: "2100 millis",
    SLACKWATER_SHUTDOWN_TIMEOUT: "10 seconds",
    // It reads the same histories as a look for a reply, and the tests count those.
    SLACKWATER_CATCH_UP: "off",
    ...settings
  }, how)
  return { ...child, run, dataDir }
})

/** The same, connected to Slack. */
export const connectGateway = Effect.fnUntraced(function*(...options: Parameters<typeof startGateway>) {
  const gateway = yield* startGateway(...options)
  yield* connected(gateway)
  return gateway
})

/** Waits until this run has its connection. A process that ends before is a failure. */
export const connected = (gateway: Gateway) =>
  until(
    "the gateway is connected",
    () => gateway.stderr().includes("connected to Slack") || !gateway.isAlive(),
    gateway
  ).pipe(Effect.andThen(Effect.suspend(() =>
    gateway.isAlive()
      ? Effect.void
      : Effect.die(new Error(`the gateway ended early\n${gateway.stderr().slice(-2_000)}`))
  )))

/** Fails when it takes too long, with the end of the log. */
export const within = <A, E, R>(
  what: string,
  effect: Effect.Effect<A, E, R>,
  child?: Child,
  ms = deadlineMs
): Effect.Effect<A, E, R> =>
  Effect.timeoutOrElse(effect, {
    duration: ms,
    orElse: () => Effect.die(new Error(`not within ${ms} ms: ${what}\n${child?.stderr().slice(-4_000) ?? ""}`))
  })

/** Polls until `found` answers something true, and answers that. */
export const until = <A>(what: string, found: () => A, child?: Child): Effect.Effect<NonNullable<A>> =>
  within(
    what,
    Effect.gen(function*() {
      while (true) {
        const answer = found()
        if (answer) return answer
        yield* Effect.sleep("2 millis")
      }
    }),
    child
  )

/** Waits for the end of a process. */
export const ending = (child: Child) => within("the process ends", child.ended, child)

/** Ends a process in order and answers how it ended. */
export const stop = (child: Child, signal: NodeJS.Signals = "SIGTERM") =>
  Effect.suspend(() => {
    child.signal(signal)
    return ending(child)
  })

export const databaseOf = (dataDir: string) => join(dataDir, "slackwater.db")

/** Reads from the file, whether a gateway runs on it or not. Read-only: nothing in it is changed. */
export const query = (
  dataDir: string,
  sql: string,
  ...values: ReadonlyArray<SQLInputValue>
): ReadonlyArray<Record<string, SQLOutputValue>> => {
  const database = new DatabaseSync(databaseOf(dataDir), { readOnly: true, timeout: 1_000 })
  try {
    return database.prepare(sql).all(...values)
  } finally {
    database.close()
  }
}

/** The one number that a query answers. */
export const count = (dataDir: string, sql: string, ...values: ReadonlyArray<SQLInputValue>): number =>
  Number(Object.values(query(dataDir, sql, ...values)[0] ?? {})[0] ?? 0)

/** Lines of the JSON log with this message. */
export const logged = (child: Child, message: string): ReadonlyArray<Record<string, unknown>> =>
  child.stderr().split("\n").flatMap((line) => {
    if (!line.startsWith("{")) return []
    const entry: { readonly message?: unknown } & Record<string, unknown> = JSON.parse(line)
    return JSON.stringify(entry.message).includes(JSON.stringify(message)) ? [entry] : []
  })

/** A seeded generator (mulberry32): the same seed, the same schedule. */
export const random = (seed: number) => {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  const below = (limit: number) => Math.floor(next() * limit)
  return {
    below,
    pick: <A>(list: ReadonlyArray<A>): A => {
      const found = list[below(list.length)]
      if (found === undefined) throw new Error("nothing to pick from")
      return found
    },
    shuffle: <A>(list: ReadonlyArray<A>): Array<A> =>
      list.map((value) => ({ value, at: next() })).toSorted((a, b) => a.at - b.at).map(({ value }) => value)
  }
}
