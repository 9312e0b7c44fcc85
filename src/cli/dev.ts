/**
 * `slackwater dev [handler]`: LocalSlack in this process, the gateway as a child. Killing the gateway is a real kill,
 * and "Slack" lives on.
 *
 * The child has a process group of its own, so that Ctrl-C in a terminal reaches only this process. It holds an IPC
 * channel to us and stops when that closes: that is how we stop it, so whoever else signals it, it is one stop and not
 * two, and it does not outlive a parent that was killed. It is started again when it dies, but not when it says that
 * starting again cannot help.
 */
import { Config, ConfigProvider, Console, Deferred, Duration, Effect, Option, Redacted, Runtime, Schema } from "effect"
import { Argument, Command } from "effect/cli"
import { type ChildProcess, spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { randomToken } from "../Admission.ts"
import { GatewayConfig, GatewayConfigError, setting } from "../GatewayConfig.ts"
import { isLoopback } from "../loopback.ts"
import { LocalSlack } from "../testing/index.ts"
import { handlerFile } from "./handlerModule.ts"
import { settings } from "./settings.ts"
import { patience } from "./signals.ts"

/** Exit codes of a gateway that would end the same way again: owned elsewhere, no database, configuration. */
const pointless = new Set([73, 74, 78])
const restartAfter = "500 millis"
/** The child keeps its own deadline; one that cannot even do that is killed this much later. */
const killAfter = Duration.seconds(3)
const tokens = { appToken: "xapp-local", botToken: "xoxb-local" }

/** The child has said why. */
export class GatewayEnded extends Schema.TaggedError<GatewayEnded>()("GatewayEnded", { code: Schema.Int }) {
  override readonly [Runtime.errorExitCode] = this.code
  override readonly [Runtime.errorReported] = false
}

interface Ending {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

interface Child {
  readonly process: ChildProcess
  readonly ended: Deferred.Deferred<Ending>
}

const echo = fileURLToPath(new URL(import.meta.url.endsWith(".ts") ? "./echo.ts" : "./echo.js", import.meta.url))

const start = (handler: string, environment: Record<string, string>) =>
  Effect.sync((): Child => {
    const ended = Deferred.makeUnsafe<Ending>()
    const entry = process.argv[1] ?? ""
    const child = spawn(process.execPath, [...process.execArgv, entry, "run", handler], {
      detached: true,
      stdio: ["ignore", "inherit", "inherit", "ipc"],
      env: { ...process.env, ...environment, SLACKWATER_PARENT: String(process.pid) }
    })
    // Whoever leaves in a hurry leaves nobody behind.
    const leaving = () => child.kill("SIGKILL")
    process.on("exit", leaving)
    child.on("exit", (code, signal) => {
      process.off("exit", leaving)
      Deferred.doneUnsafe(ended, Effect.succeed({ code, signal }))
    })
    child.on("error", () => Deferred.doneUnsafe(ended, Effect.succeed({ code: 70, signal: null })))
    return { process: child, ended }
  })

const stop = ({ ended, process: child }: Child, within: Duration.Duration) =>
  Effect.suspend(() => {
    if (Deferred.isDoneUnsafe(ended)) return Effect.void
    if (child.connected) child.disconnect()
    return Effect.flatMap(Effect.timeoutOption(Deferred.await(ended), within), (ending) => {
      if (Option.isSome(ending)) return Effect.void
      child.kill("SIGKILL")
      return Console.log("Gateway:  did not stop in time and was killed")
    })
  })

/** Runs the gateway once. Interrupted, it ends the child in order and waits for it. */
const once = Effect.fnUntraced(
  function*(handler: string, environment: Record<string, string>, within: Duration.Duration) {
    const child = yield* Effect.acquireRelease(start(handler, environment), (running) => stop(running, within))
    const pid = child.process.pid ?? "unknown"
    yield* Console.log(`Gateway:  pid ${pid} (try: kill -9 ${pid}, in the middle of an answer)`)
    return yield* Deferred.await(child.ended)
  },
  Effect.scoped
)

/**
 * Where the chat page finds the dashboard, and what opens it there. The part behind `#` stays in the browser. Of a port
 * that is taken as it comes nobody knows the number.
 */
const dashboard = (host: string, port: number, token: Redacted.Redacted) => {
  if (port === 0) return {}
  const name = isLoopback(host) && host.includes(":") ? `[${host.replace(/^\[(.*)\]$/, "$1")}]` : "127.0.0.1"
  return { dashboardUrl: `http://${name}:${port}/#token=${encodeURIComponent(Redacted.value(token))}` }
}

/** What the gateway will read too, so that a mistake is found before anything is started. */
const read = Effect.gen(function*() {
  const mistaken = (detail: string) => new GatewayConfigError({ setting: "SLACKWATER_LOCAL_SLACK_PORT", detail })
  // By default LocalSlack's replies and a real workspace's do not meet in one outbox.
  const dataDir = yield* Config.String("SLACKWATER_DATA_DIR").pipe(Config.withDefault("./slackwater-data/dev"))
  const given = yield* setting("adminToken")
  const adminToken = given ?? Redacted.make(yield* randomToken)
  const { host, port: gatewayPort, shutdownTimeout } = yield* GatewayConfig.read({
    dataDir,
    adminToken,
    appToken: Redacted.make(tokens.appToken),
    botToken: Redacted.make(tokens.botToken),
    slackApiUrl: "http://127.0.0.1/"
  })
  const port = yield* Config.Int("SLACKWATER_LOCAL_SLACK_PORT").pipe(
    Config.withDefault(8788),
    Effect.filterOrFail((port) => port >= 0 && port <= 65_535),
    Effect.mapError(() => mistaken("must be a port from 0 to 65535"))
  )
  const slack = LocalSlack.layer({ port, ...dashboard(host, gatewayPort, adminToken) })
  // One that was set reaches the gateway by itself, and can change there in a reload.
  const access = given === null ? { SLACKWATER_ADMIN_TOKEN: Redacted.value(adminToken) } : {}
  return { dataDir, slack, mistaken, access, stopWithin: Duration.sum(shutdownTimeout, killAfter) }
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
    const { access, dataDir, mistaken, slack, stopWithin } = yield* Effect.provideService(
      read,
      ConfigProvider.ConfigProvider,
      yield* settings
    )
    patience.ms = Duration.toMillis(stopWithin)
    // Only the gateway loads it: what it does there must not reach Slack.
    yield* handlerFile(path)
    return yield* Effect.gen(function*() {
      const { apiUrl, url } = yield* LocalSlack
      yield* Console.log(`Chat:     ${url}/`)
      const environment = {
        SLACKWATER_DATA_DIR: dataDir,
        SLACK_API_URL: apiUrl,
        SLACK_APP_TOKEN: tokens.appToken,
        SLACK_BOT_TOKEN: tokens.botToken,
        ...access
      }
      while (true) {
        const { code, signal } = yield* once(path, environment, stopWithin)
        if (code !== null && pointless.has(code)) return yield* new GatewayEnded({ code })
        yield* Console.log(`Gateway:  ended (${signal ?? code}); starting it again`)
        yield* Effect.sleep(restartAfter)
      }
    }).pipe(
      Effect.provide(slack, { local: true }),
      Effect.catchTag(
        "LocalSlackError",
        (error) => mistaken(`must be free: ${error.reason.message}; stop what uses it, or set another port`)
      )
    )
  })
).pipe(Command.withDescription("Gateway, a local Slack and a page to chat in; no account needed"))
