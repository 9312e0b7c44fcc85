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
import { Context, Effect, Layer } from "effect"
import type { SqlClient } from "effect/sql"
import { type Activate, defaultActivation } from "./Activation.ts"
import { Conversations } from "./Conversations.ts"
import { Debouncer } from "./Debouncer.ts"
import { GatewayConfig, type GatewayConfigError, type Mode, type Settings } from "./GatewayConfig.ts"
import { GatewayStatus } from "./GatewayStatus.ts"
import { Handler, type HandlerOf } from "./Handler.ts"
import * as Health from "./http/Health.ts"
import { type HttpError, layer as httpServer } from "./http/Server.ts"
import { Instance } from "./Instance.ts"
import { Intake } from "./Intake.ts"
import type { ConversationKey } from "./Message.ts"
import { MessageStore } from "./MessageStore.ts"
import { Outbox } from "./Outbox.ts"
import { Retention } from "./Retention.ts"
import { Shutdown } from "./Shutdown.ts"
import * as SocketMode from "./slack/SocketMode.ts"
import * as WebApi from "./slack/WebApi.ts"
import { SocketLayer } from "./SocketLayer.ts"
import type { DatabaseError } from "./sql/DatabaseError.ts"
import * as HostTransaction from "./sql/HostTransaction.ts"
import * as Stores from "./sql/Stores.ts"
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
  /** Where the tables are: in a file of their own, or in the database of the `SqlClient` the layer is given. */
  readonly database?: "own"
}
type InHost<Options> = Omit<Options, "database"> & { readonly database: "host" }

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
const ground = (where: Stores.Where) =>
  Instance.cleanStop.pipe(
    Layer.provideMerge(Retention.layer),
    Layer.provideMerge(Watchdog.heartbeat),
    Layer.provideMerge(HostTransaction.watch),
    Layer.provideMerge(Health.layer),
    Layer.provideMerge(GatewayStatus.layer),
    Layer.provideMerge(Stores.layer(where)),
    Layer.provideMerge(Supervisor.layer),
    Layer.provideMerge(Shutdown.layer),
    Layer.provideMerge(httpServer),
    Layer.provideMerge(NodeServices.layer)
  )

type Provided = Outbox | MessageStore | GatewayStatus | Supervisor | GatewayConfig
type Whole<R> = Layer.Layer<Provided, GatewayError, R>

/** Everything is built. Only these leave the house: the rest must not take the place of the host's own services. */
const door = Layer.effectContext(
  Effect.andThen(Effect.flatMap(Shutdown, (shutdown) => shutdown.running), Effect.context<Provided>()).pipe(
    Effect.map(Context.pick(Outbox, MessageStore, GatewayStatus, Supervisor, GatewayConfig))
  )
)

/** The gateway as a Layer. */
export function layer<R = never>(options: InHost<Options<R>>): Whole<R | SqlClient.SqlClient>
export function layer<R = never>(options: Options<R>): Whole<R>
export function layer<R = never>(options: Options<R> | InHost<Options<R>>): Whole<R | SqlClient.SqlClient> {
  return door.pipe(
    Layer.provide(rooms(options.activate ?? defaultActivation, options.mode)),
    Layer.provide(Layer.mergeAll(SocketMode.layer, WebApi.layer)),
    Layer.provide(ground(options.database ?? "own")),
    // The handler below everything: its services are the host's, also where we have one of the same name.
    Layer.provide(Layer.mergeAll(GatewayConfig.layer(options.config), Handler.layer(options.handler))),
    // Layers are shared by reference; two gateways in one process must not be.
    Layer.fresh
  )
}

/** Only the way out, for scripts and services that post and do not listen: `Outbox` with its store and its drain. */
export function layerOutbox(config: Partial<Settings> | undefined, where: "host"): Whole<SqlClient.SqlClient>
export function layerOutbox(config?: Partial<Settings>): Whole<never>
export function layerOutbox(config?: Partial<Settings>, where: Stores.Where = "own"): Whole<SqlClient.SqlClient> {
  return door.pipe(
    Layer.provide(Outbox.layer),
    Layer.provide(WebApi.layer),
    Layer.provide(ground(where)),
    Layer.provide(GatewayConfig.layer(config)),
    Layer.fresh
  )
}

/** Runs until interrupted; fails when the gateway gives up. */
export const run = Effect.flatMap(Supervisor, (supervisor) => supervisor.fatal)
