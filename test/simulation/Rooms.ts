/**
 * The gateway of one process: the real rooms and the real stores, in the order of `Gateway.ts`, between simulated doors.
 *
 * Left out are the HTTP server and the spool's files, which say nothing about messages; the few files that rooms write
 * besides (heartbeat, wake) lie in a file system of the process.
 */
import { ConfigProvider, Effect, FileSystem, Layer, Logger, Path, Redacted, References, Stream } from "effect"
import type { GatewayConfig as Config } from "../../src/GatewayConfig.ts"
import { GatewayConfig, type Settings } from "../../src/GatewayConfig.ts"
import { defaultActivation } from "../../src/Activation.ts"
import { run, way } from "../../src/Gateway.ts"
import { GatewayStatus } from "../../src/GatewayStatus.ts"
import { Handler, type HandlerOf } from "../../src/Handler.ts"
import * as Heartbeat from "../../src/Heartbeat.ts"
import { Instance } from "../../src/Instance.ts"
import { Responder } from "../../src/Responder.ts"
import { Shutdown } from "../../src/Shutdown.ts"
import * as WebApi from "../../src/slack/WebApi.ts"
import { SlackConnection } from "../../src/SlackConnection.ts"
import type { Spool } from "../../src/Spool.ts"
import * as HostTransaction from "../../src/sql/HostTransaction.ts"
import * as Stores from "../../src/sql/Stores.ts"
import { Supervisor } from "../../src/Supervisor.ts"
import { Workspace } from "../../src/Workspace.ts"
import type { Process } from "./Machine.ts"
import type { Slack } from "./Slack.ts"

/** Nothing of it is read again. */
const files = FileSystem.layerNoop({
  writeFileString: () => Effect.void,
  rename: () => Effect.void,
  utimes: () => Effect.void,
  watch: (_path, options) => {
    options?.onReady?.()
    return Stream.never
  }
})

export interface House {
  readonly process: Process
  readonly slack: Slack
  readonly spool: Layer.Layer<Spool>
  readonly settings: Partial<Settings>
  readonly handler: HandlerOf
  readonly heartbeat: boolean
  readonly log: (level: string, text: string) => void
}

const settingsOf = (given: Partial<Settings>): Layer.Layer<Config> =>
  GatewayConfig.layer({
    appToken: Redacted.make("xapp-simulated"),
    botToken: Redacted.make("xoxb-simulated"),
    ...given
  }).pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord({}))), Layer.orDie)

const running = Layer.effectDiscard(Effect.flatMap(Shutdown, (shutdown) => shutdown.running))

/** Runs until it is interrupted or gives up. */
export const house = ({ handler, heartbeat, log, process, settings, slack, spool }: House) => {
  const logger = Logger.make(({ cause, logLevel, message }) => {
    const text = Array.isArray(message) ? message.map(String).join(" ") : String(message)
    const why = cause.reasons.length === 0 ? "" : ` ${String(cause.reasons.map((reason) => String(Reflect.get(reason, "defect") ?? Reflect.get(reason, "error") ?? reason._tag)).join(", "))}`
    log(logLevel, text + why)
  })
  const ground = Instance.cleanStop.pipe(
    Layer.provideMerge(heartbeat ? Heartbeat.layer(1) : Layer.empty),
    Layer.provideMerge(HostTransaction.watch),
    Layer.provideMerge(GatewayStatus.layer),
    Layer.provideMerge(spool),
    Layer.provideMerge(Stores.own),
    Layer.provideMerge(Supervisor.layer),
    Layer.provideMerge(Shutdown.layer),
    Layer.provideMerge([files, Path.layer])
  )
  const api = Workspace.door.pipe(Layer.provide(WebApi.layer))
  const built = Layer.build(running.pipe(
    Layer.provideMerge(way(defaultActivation, undefined)),
    Layer.provide([Layer.succeed(SlackConnection, slack.connection(process)), api]),
    Layer.provideMerge(ground),
    Layer.provide([Handler.layer(handler), Responder.layer()]),
    Layer.provide(settingsOf(settings)),
    Layer.fresh
  ))
  return built.pipe(
    Effect.flatMap((context) => Effect.provideContext(run, context)),
    Effect.scoped,
    Effect.provideService(WebApi.Caller, slack.caller(process)),
    Effect.provide(Layer.mergeAll(
      Logger.layer([logger]),
      Layer.succeed(References.MinimumLogLevel, "Info")
    ))
  )
}
