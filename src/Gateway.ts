/**
 * The whole gateway on one screen.
 *
 * Read `rooms` and then `ground` from the top: this is the way of a message, and because a Layer closes before what
 * it is provided with, it is also the order of the end. SIGTERM reads: stop forcing reconnects, close the socket,
 * flush the debouncer into conversations that still run, let running turns drain, drain the outbox, requeue what is
 * left, mark a clean stop, close heartbeat and health, close the database. There is no other shutdown code.
 *
 * Embedding: installs no signal handlers and never ends the process. `layer` fails when it cannot start; `run` fails
 * when the gateway gives up later. Two gateways share nothing.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer } from "effect"
import { type Activate, defaultActivation } from "./Activation.ts"
import { Conversations } from "./Conversations.ts"
import { Debouncer } from "./Debouncer.ts"
import * as Spool from "./files/Spool.ts"
import { GatewayConfig, type GatewayConfigError, type Mode, type Settings } from "./GatewayConfig.ts"
import { GatewayStatus } from "./GatewayStatus.ts"
import { Handler, type HandlerOf } from "./Handler.ts"
import * as Health from "./http/Health.ts"
import { type HttpError, layer as httpServer } from "./http/Server.ts"
import { Instance } from "./Instance.ts"
import { Intake } from "./Intake.ts"
import type { ConversationKey } from "./Message.ts"
import type { MessageStore } from "./MessageStore.ts"
import { Outbox } from "./Outbox.ts"
import { Retention } from "./Retention.ts"
import { Shutdown } from "./Shutdown.ts"
import * as SocketMode from "./slack/SocketMode.ts"
import * as WebApi from "./slack/WebApi.ts"
import { SocketLayer } from "./SocketLayer.ts"
import * as Database from "./sql/Database.ts"
import type { DatabaseError } from "./sql/DatabaseError.ts"
import { GroupCommit } from "./sql/GroupCommit.ts"
import * as SqlInstance from "./sql/Instance.ts"
import * as SqlMessageStore from "./sql/MessageStore.ts"
import * as SqlOutboxStore from "./sql/OutboxStore.ts"
import type { StoreError } from "./StoreError.ts"
import { Supervisor } from "./Supervisor.ts"
import { Watchdog } from "./Watchdog.ts"

export interface Options<R = never> {
  readonly handler: HandlerOf<R>
  /** What is left out comes from the ConfigProvider in force. */
  readonly config?: Partial<Settings>
  /** Which messages start a turn. */
  readonly activate?: Activate
  /** What happens to messages that arrive while their conversation's turn runs; overrides the configured mode. */
  readonly mode?: (conversation: ConversationKey) => Mode
}

/** Why a gateway cannot start. */
export type GatewayError = GatewayConfigError | DatabaseError | HttpError | StoreError

/** The way of a message, door first. */
const rooms = (activate: Activate, mode: Options["mode"]) =>
  Watchdog.layer.pipe(
    Layer.provideMerge(SocketLayer.layer),
    Layer.provideMerge(Intake.layerWith(activate)),
    Layer.provideMerge(Debouncer.layer),
    Layer.provideMerge(Conversations.layerWith(mode)),
    Layer.provideMerge(Outbox.layer)
  )

/** What the rooms stand on; it outlives them. */
const ground = Instance.cleanStop.pipe(
  Layer.provideMerge(Retention.layer),
  Layer.provideMerge(Watchdog.heartbeat),
  Layer.provideMerge(Health.layer),
  Layer.provideMerge(GatewayStatus.layer),
  Layer.provideMerge(Spool.layer),
  Layer.provideMerge(SqlInstance.layer),
  Layer.provideMerge(SqlMessageStore.layer),
  Layer.provideMerge(SqlOutboxStore.layer),
  Layer.provideMerge(GroupCommit.layer),
  Layer.provideMerge(Supervisor.layer),
  Layer.provideMerge(Database.layer),
  Layer.provideMerge(Shutdown.layer),
  Layer.provideMerge(httpServer),
  Layer.provideMerge(NodeServices.layer)
)

/** Everything is built: ready for readers of the phase. */
const running = Layer.effectDiscard(Effect.flatMap(Shutdown, (shutdown) => shutdown.running))

/** The gateway as a Layer. */
export const layer = <R = never>(
  options: Options<R>
): Layer.Layer<Outbox | MessageStore | GatewayStatus | Supervisor | GatewayConfig, GatewayError, R> =>
  running.pipe(
    Layer.provideMerge(rooms(options.activate ?? defaultActivation, options.mode)),
    Layer.provideMerge(Layer.mergeAll(SocketMode.layer, WebApi.layer, Handler.layer(options.handler))),
    Layer.provideMerge(ground),
    Layer.provideMerge(GatewayConfig.layer(options.config)),
    // Layers are shared by reference; two gateways in one process must not be.
    Layer.fresh
  )

/** Only the way out, for scripts and services that post and do not listen: `Outbox` with its store and its drain. */
export const layerOutbox = (
  config?: Partial<Settings>
): Layer.Layer<Outbox | GatewayStatus | Supervisor, GatewayError> =>
  running.pipe(
    Layer.provideMerge(Outbox.layer),
    Layer.provideMerge(WebApi.layer),
    Layer.provideMerge(ground),
    Layer.provideMerge(GatewayConfig.layer(config)),
    Layer.fresh
  )

/** Runs until interrupted; fails when the gateway gives up. */
export const run = Effect.flatMap(Supervisor, (supervisor) => supervisor.fatal)
