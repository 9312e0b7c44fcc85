/**
 * The gateway that `slackwater dev` runs as a child: started, watched, signalled, and started again when it dies.
 *
 * The child has a process group of its own, so that Ctrl-C in a terminal reaches only this process. It holds an IPC
 * channel to us and stops when that closes: that is how we stop it, so whoever else signals it, it is one stop and not
 * two, and it does not outlive a parent that was killed. It is not started again when it says that that cannot help.
 * LocalSlack's page may signal it, and is told what becomes of it.
 * On shutdown the child is stopped in order, within its own deadline and a little more, and then killed.
 */
import { Console, Deferred, type Duration, Effect, Option, Redacted, Runtime, Schema } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { type GatewayCounts, LocalSlack, type WatchedGateway } from "../testing/index.ts"
import { fieldIn } from "../untrustedJson.ts"
import { type Answering, argumentsOf } from "./handlerFlags.ts"
import { reloading } from "./signals.ts"

/** Exit codes of a gateway that would end the same way again: owned elsewhere, no database, configuration. */
const pointless = new Set([73, 74, 78])
const restartAfter = "500 millis"
const answersWithin = 1_000

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

interface DevGatewayOptions {
  readonly who: Answering
  readonly environment: Readonly<Record<string, string>>
  readonly stopWithin: Duration.Duration
}

/** The one child there is at a time, as LocalSlack's page sees it. */
export interface DevGateway {
  readonly watched: WatchedGateway
  /** Runs the gateway, again and again, until that has no point any more. */
  readonly run: (options: DevGatewayOptions) => Effect.Effect<never, GatewayEnded, LocalSlack>
}

/** Where the gateway answers over HTTP, and what opens it. */
interface DevAddress {
  readonly url: string
  readonly token: Redacted.Redacted
}

/** Without an address nobody asks the gateway what it does. */
export const make = (address: DevAddress | undefined): DevGateway => {
  let child: Child | undefined

  const signal = (name: NodeJS.Signals) =>
    child !== undefined && !Deferred.isDoneUnsafe(child.ended) && child.process.kill(name)

  /** Runs the gateway once. Interrupted, it ends the child in order and waits for it. */
  const once = Effect.fnUntraced(
    function*({ environment, stopWithin, who }: DevGatewayOptions) {
      const slack = yield* LocalSlack
      const before = (yield* slack.journal).at(-1)?.n ?? 0
      const running = yield* Effect.acquireRelease(start(who, environment), (started) => stop(started, stopWithin))
      child = running
      const pid = running.process.pid ?? -1
      yield* slack.gatewayEvent({ _tag: "GatewayStarted", pid })
      yield* Console.log(`Gateway:  pid ${pid} (try: kill -9 ${pid}, in the middle of an answer)`)
      // Its handler is loaded and it hears signals when it asks Slack for the first time.
      yield* Effect.forkScoped(Effect.gen(function*() {
        yield* slack.awaitJournal(({ _tag }) => _tag === "ApiCall", { after: before })
        yield* announce(slack.url)
        reloading.listener = () => {
          reloading.isWanted = false
          signal("SIGUSR1")
        }
        if (reloading.isWanted) reloading.listener()
      }))
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          reloading.listener = () => {}
        })
      )
      const ending = yield* Deferred.await(running.ended)
      yield* slack.gatewayEvent({ _tag: "GatewayEnded", ...ending })
      return ending
    },
    Effect.scoped
  )

  let announced = false
  const announce = (url: string) =>
    Effect.suspend(() => {
      if (announced) return Effect.void
      announced = true
      return Console.log(`Chat:     ${url}/`)
    })

  return {
    watched: { signal, look: address === undefined ? Effect.succeed(undefined) : look(address) },
    run: Effect.fnUntraced(function*(options) {
      while (true) {
        const { code, signal } = yield* once(options)
        if (code !== null && pointless.has(code)) return yield* new GatewayEnded({ code })
        yield* Console.log(`Gateway:  ended (${signal ?? code}); starting it again`)
        yield* Effect.sleep(restartAfter)
      }
    })
  }
}

const start = (who: Answering, environment: Readonly<Record<string, string>>) =>
  Effect.sync((): Child => {
    const ended = Deferred.makeUnsafe<Ending>()
    const entry = process.argv[1] ?? ""
    const child = spawn(process.execPath, [...process.execArgv, entry, "run", ...argumentsOf(who)], {
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

const look = ({ token, url }: DevAddress): Effect.Effect<GatewayCounts | undefined> =>
  Effect.promise(async () => {
    try {
      const response = await fetch(`${url}/api/status`, {
        headers: { authorization: `Bearer ${Redacted.value(token)}` },
        signal: AbortSignal.timeout(answersWithin)
      })
      return response.ok ? countsIn(await response.json()) : undefined
    } catch {
      // It is not up, or on its way down.
      return undefined
    }
  })

const countsIn = (status: unknown): GatewayCounts => {
  const [inbox, outbox] = [fieldIn(status, "inbox"), fieldIn(status, "outbox")]
  const count = (from: unknown, ...names: ReadonlyArray<string>) =>
    names.reduce((sum, name) => sum + (Number(fieldIn(from, name)) || 0), 0)
  return {
    phase: String(fieldIn(status, "phase")),
    queued: count(inbox, "queued"),
    processing: count(inbox, "processing"),
    replies: count(outbox, "queued", "sending", "failed_retryable", "unknown") - count(outbox, "held")
  }
}
