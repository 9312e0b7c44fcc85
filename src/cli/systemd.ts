/**
 * Tells systemd how `slackwater run` is, where it asked to be told (`NOTIFY_SOCKET`): that it is up, that it lives, what
 * it does, that it stops.
 *
 * Through `systemd-notify`, since Node has no unix datagram socket; its unit needs `NotifyAccess=all`. A sign of life
 * (WATCHDOG=1, at half of `WATCHDOG_USEC`) goes out only while the heartbeat is fresh, so a wedge ends in a restart.
 * Without privileges systemd may lose a message of a process that is gone already (systemd-notify(1), `--no-block`), so
 * each message says everything again, READY=1 included.
 * Never blocks the gateway or makes it fail; where the program is missing, that is said once. Not for embedding: a host
 * speaks for itself.
 */
import { Clock, Duration, Effect, SubscriptionRef } from "effect"
import type { Scope } from "effect"
import { spawn } from "node:child_process"
import { GatewayStatus } from "../GatewayStatus.ts"
import { freshFor } from "../heartbeatFile.ts"

export type Told = "told" | "missing"
type Notify = (...messages: ReadonlyArray<string>) => Effect.Effect<Told>

/** Without a watchdog: how often the status is told (ms). */
const statusEvery = 30_000
const patience = "5 seconds"

/** How often systemd wants to hear from us (ms): twice within its bound. */
export const intervalOf = (watchdogUsec: string | undefined): number => {
  const bound = Number(watchdogUsec) / 1_000
  return Number.isFinite(bound) && bound > 0 ? bound / 2 : statusEvery
}

/** The program gets the socket's name and nothing else of our environment: there are tokens in it. */
const systemdNotify = (socket: string, path: string): Notify => (...messages) =>
  Effect.callback<Told>((resume) => {
    const child = spawn("systemd-notify", ["--no-block", ...messages], {
      stdio: "ignore",
      env: { NOTIFY_SOCKET: socket, PATH: path }
    })
    child.on("error", () => resume(Effect.succeed("missing")))
    child.on("exit", () => resume(Effect.succeed("told")))
    // Nobody waits for it at the end.
    child.unref()
    return Effect.sync(() => child.kill("SIGKILL"))
  }).pipe(Effect.timeoutOrElse({ duration: patience, orElse: () => Effect.succeed<Told>("told") }))

/** What `systemctl status` shows. */
const statusLine = Effect.gen(function*() {
  const status = yield* GatewayStatus
  switch ((yield* SubscriptionRef.get(status.socket)).state) {
    case "connected":
    case "rotating":
      return "connected to Slack"
    case "fatal":
      return "refused by Slack, see the log; what is stored is handled"
    default:
      return (yield* status.network) === "up" ? "connecting to Slack" : "waiting for the network"
  }
})

/** Tells all there is, again and again; ends where there is nobody to tell it. */
export const announce = Effect.fnUntraced(function*(notify: Notify, everyMs: number) {
  const status = yield* GatewayStatus
  while (true) {
    const beat = yield* status.heartbeat
    const age = (yield* Clock.currentTimeMillis) - (beat ?? -Infinity)
    const isFresh = age <= Duration.toMillis(freshFor)
    const told = yield* notify("READY=1", `STATUS=${yield* statusLine}`, ...(isFresh ? ["WATCHDOG=1"] : []))
    if (told === "missing") {
      return yield* Effect.logWarning("NOTIFY_SOCKET is set and systemd-notify cannot be run: systemd is told nothing")
    }
    yield* Effect.sleep(everyMs)
  }
})

/** For a gateway that is up: tells systemd of it, if it asked, until the scope closes. */
export const tellSystemd: Effect.Effect<void, never, GatewayStatus | Scope.Scope> = Effect.suspend(() => {
  const { NOTIFY_SOCKET: socket, PATH: path, WATCHDOG_USEC: watchdogUsec } = process.env
  if (socket === undefined || socket === "") return Effect.void
  const notify = systemdNotify(socket, path ?? "")
  // The last sign of life gives the drain the whole bound. Nobody waits for it.
  const stopping = Effect.forkDetach(notify("STOPPING=1", "STATUS=stopping", "WATCHDOG=1"), { startImmediately: true })
  return Effect.andThen(
    Effect.addFinalizer(() => stopping),
    Effect.forkScoped(announce(notify, intervalOf(watchdogUsec)), { startImmediately: true })
  )
})
