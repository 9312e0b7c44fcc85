/**
 * The gateway of one process: the real rooms and the real stores, in the order of `Gateway.ts`, run by the real Reload,
 * between simulated doors.
 *
 * Left out are the HTTP server and the spool's files, which say nothing about messages; the few files that rooms write
 * besides (heartbeat, wake) lie in a file system of the process.
 */
import {
  type Cause,
  ConfigProvider,
  Effect,
  FileSystem,
  Layer,
  Logger,
  Path,
  Queue,
  Redacted,
  References,
  Stream
} from "effect"
import { defaultActivation } from "../../src/Activation.ts"
import { Admission } from "../../src/Admission.ts"
import * as Gateway from "../../src/Gateway.ts"
import { GatewayConfig, type Settings } from "../../src/GatewayConfig.ts"
import { GatewayStatus } from "../../src/GatewayStatus.ts"
import type { HandlerOf } from "../../src/Handler.ts"
import * as Heartbeat from "../../src/Heartbeat.ts"
import { Instance } from "../../src/Instance.ts"
import * as Reload from "../../src/Reload.ts"
import { Shutdown } from "../../src/Shutdown.ts"
import * as WebApi from "../../src/slack/WebApi.ts"
import { SlackConnection } from "../../src/SlackConnection.ts"
import type { Spool } from "../../src/Spool.ts"
import * as HostTransaction from "../../src/sql/HostTransaction.ts"
import * as Stores from "../../src/sql/Stores.ts"
import { Supervisor } from "../../src/Supervisor.ts"
import { Workspace } from "../../src/Workspace.ts"
import type { Process } from "./Machine.ts"
import { operator, type Wish } from "./Operator.ts"
import type { Slack } from "./Slack.ts"

/** Nothing of it is read again; who touches a file wakes whoever watches it. */
const filesOf = () => {
  const watching = new Set<Queue.Queue<FileSystem.WatchEvent>>()
  return FileSystem.layerNoop({
    writeFileString: () => Effect.void,
    rename: () => Effect.void,
    utimes: (path) =>
      Effect.sync(() => {
        for (const watcher of watching) Queue.offerUnsafe(watcher, { _tag: "Update", path })
      }),
    watch: (_path, options) =>
      Stream.unwrap(Effect.gen(function*() {
        const events = yield* Queue.unbounded<FileSystem.WatchEvent>()
        watching.add(events)
        yield* Effect.addFinalizer(() => Effect.sync(() => watching.delete(events)))
        options?.onReady?.()
        return Stream.fromQueue(events)
      }))
  })
}

export interface House {
  readonly process: Process
  readonly slack: Slack
  readonly spool: Layer.Layer<Spool>
  readonly settings: Partial<Settings>
  readonly handler: HandlerOf
  /** Whether what looks at the process four times a second is there too; it costs most of the time. */
  readonly heartbeat: boolean
  readonly log: (level: string, text: string) => void
  /** Waits for a request to reload; answers what the settings are then. */
  readonly reloads: Queue.Queue<Partial<Settings>>
  readonly wishes: Queue.Queue<Wish>
}

const read = (given: Partial<Settings>) =>
  GatewayConfig.read({
    appToken: Redacted.make("xapp-simulated"),
    botToken: Redacted.make("xoxb-simulated"),
    ...given
  }).pipe(Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord({})))

/** Why something went wrong, in the words that say most. */
const textOf = (cause: Cause.Cause<unknown>) =>
  cause.reasons.map((reason) => {
    const said: unknown = reason._tag === "Fail" ? reason.error : reason._tag === "Die" ? reason.defect : reason._tag
    return said instanceof Error ? said.message : String(said)
  }).join(", ")

/** Runs until it is interrupted or gives up. */
export const house = ({ handler, heartbeat, log, process, reloads, settings, slack, spool, wishes }: House) => {
  const logger = Logger.make(({ cause, logLevel, message }) => {
    const text = Array.isArray(message) ? message.map(String).join(" ") : String(message)
    log(logLevel, cause.reasons.length === 0 ? text : `${text} ${textOf(cause)}`)
  })
  const ground = operator(wishes, settings.dataDir ?? "").pipe(
    Layer.provideMerge(Instance.cleanStop),
    Layer.provideMerge(heartbeat ? Heartbeat.layer(1) : Layer.empty),
    Layer.provideMerge(heartbeat ? HostTransaction.watch : Layer.empty),
    Layer.provideMerge(Admission.layer),
    Layer.provideMerge(GatewayStatus.layer),
    Layer.provideMerge(spool),
    Layer.provideMerge(Stores.own),
    Layer.provideMerge(Supervisor.layer),
    Layer.provideMerge(Shutdown.layer),
    Layer.provideMerge([filesOf(), Path.layer])
  )
  const api = Workspace.door.pipe(Layer.provide(WebApi.layer))
  const rooms = ({ activate, mode }: Parameters<typeof Gateway.rooms>[0]) =>
    Layer.effectContext(Effect.andThen(Shutdown.use(({ running }) => running), Effect.context())).pipe(
      Layer.provideMerge(Gateway.way(activate ?? defaultActivation, mode)),
      Layer.provide([Layer.succeed(SlackConnection, slack.connection(process)), api])
    )
  let next = settings
  return Effect.gen(function*() {
    return yield* Reload.run({
      handler,
      settings: yield* Effect.orDie(read(settings)),
      read: Effect.suspend(() => read(next)),
      requested: Effect.map(Queue.take(reloads), (wanted) => {
        next = { ...next, ...wanted }
      }),
      doomed: Effect.never,
      mayTake: () => Effect.void,
      // Less stands on this ground than on the gateway's own, and nothing asks for the rest.
      gateway: { ground, rooms } as unknown as Pick<typeof Gateway, "ground" | "rooms">
    })
  }).pipe(
    Effect.provideService(WebApi.Caller, slack.caller(process)),
    Effect.provide(Layer.mergeAll(Logger.layer([logger]), Layer.succeed(References.MinimumLogLevel, "Info")))
  )
}
