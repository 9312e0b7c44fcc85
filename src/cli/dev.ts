/**
 * `slackwater dev [handler]`: LocalSlack in this process, the gateway as a child. Killing the gateway is a real kill,
 * and "Slack" lives on.
 *
 * The child has a process group of its own, so that Ctrl-C in a terminal reaches only this process, which passes on
 * one SIGTERM: one stop and not two. It holds an IPC channel to us and stops when that closes, so it does not outlive
 * a parent that was killed. It is started again when it dies, but not when it says that starting again cannot help.
 */
import { Config, Console, Deferred, Effect, Option, Runtime, Schema } from "effect"
import { Argument, Command } from "effect/cli"
import { type ChildProcess, spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { LocalSlack } from "../testing/index.ts"
import { loadHandler } from "./handlerModule.ts"

/** Exit codes of a gateway that would end the same way again: owned elsewhere, no database, configuration. */
const pointless = new Set([73, 74, 78])
const restartAfter = "500 millis"
/** The child has its own deadline; this is for one that cannot even keep that. */
const stopTimeout = "40 seconds"

class GatewayEnded extends Schema.TaggedError<GatewayEnded>()("GatewayEnded", { code: Schema.Int }) {
  override readonly [Runtime.errorExitCode] = this.code
  override get message(): string {
    return `the gateway ended with ${this.code}; starting it again would not help (its reason is above)`
  }
}

interface Ending {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

const echo = fileURLToPath(new URL(import.meta.url.endsWith(".ts") ? "./echo.ts" : "./echo.js", import.meta.url))

const start = (handler: string, environment: Record<string, string>) =>
  Effect.sync(() => {
    const entry = process.argv[1] ?? ""
    return spawn(process.execPath, [...process.execArgv, entry, "run", handler], {
      detached: true,
      stdio: ["ignore", "inherit", "inherit", "ipc"],
      env: { ...process.env, ...environment, SLACKWATER_PARENT: String(process.pid) }
    })
  })

/** Runs the gateway once. Interrupted, it ends the child in order and waits for it. */
const once = Effect.fnUntraced(function*(handler: string, environment: Record<string, string>) {
  const ended = yield* Deferred.make<Ending>()
  const child = yield* Effect.acquireRelease(start(handler, environment), (running) => stop(running, ended))
  child.once("exit", (code, signal) => Deferred.doneUnsafe(ended, Effect.succeed({ code, signal })))
  child.once("error", () => Deferred.doneUnsafe(ended, Effect.succeed({ code: 70, signal: null })))
  yield* Console.log(
    `Gateway:  pid ${child.pid ?? "unknown"} (try: kill -9 ${child.pid ?? "pid"}, in the middle of an answer)`
  )
  return yield* Deferred.await(ended)
}, Effect.scoped)

const stop = (child: ChildProcess, ended: Deferred.Deferred<Ending>) =>
  Effect.suspend(() => {
    if (child.exitCode !== null || child.signalCode !== null) return Effect.void
    child.kill("SIGTERM")
    return Effect.flatMap(Effect.timeoutOption(Deferred.await(ended), stopTimeout), (ending) =>
      Effect.sync(() => {
        if (Option.isNone(ending)) child.kill("SIGKILL")
      }))
  })

export const dev = Command.make(
  "dev",
  {
    handler: Argument.String("handler").pipe(
      Argument.withDescription("A .ts or .js module; without it messages are echoed"),
      Argument.optional
    )
  },
  Effect.fn("dev")(function*({ handler }) {
    const path = Option.getOrElse(handler, () => echo)
    yield* loadHandler(path)
    const port = yield* Config.Port("SLACKWATER_LOCAL_SLACK_PORT").pipe(Config.withDefault(8788))
    return yield* Effect.gen(function*() {
      const slack = yield* LocalSlack
      yield* Console.log(`Chat:     ${slack.url}/`)
      const environment = {
        SLACK_API_URL: slack.apiUrl,
        SLACK_APP_TOKEN: "xapp-local",
        SLACK_BOT_TOKEN: "xoxb-local"
      }
      while (true) {
        const { code, signal } = yield* once(path, environment)
        if (code !== null && pointless.has(code)) return yield* new GatewayEnded({ code })
        yield* Console.log(`Gateway:  ended (${signal ?? code}); starting it again`)
        yield* Effect.sleep(restartAfter)
      }
    }).pipe(Effect.provide(LocalSlack.layer({ port }), { local: true }))
  })
).pipe(Command.withDescription("Gateway, a local Slack and a page to chat in; no account needed"))
