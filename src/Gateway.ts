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
import * as Spool from "./files/Spool.ts"
import { GatewayConfig, type GatewayConfigError, type Settings } from "./GatewayConfig.ts"
import type { InHost, Options, Provided } from "./GatewayOptions.ts"
import { GatewayStatus } from "./GatewayStatus.ts"
import { Handler } from "./Handler.ts"
import * as Health from "./http/Health.ts"
import { type HttpError, layer as httpServer } from "./http/Server.ts"
import { Instance } from "./Instance.ts"
import { Intake } from "./Intake.ts"
import { MessageStore } from "./MessageStore.ts"
import { Outbox } from "./Outbox.ts"
import { Responder } from "./Responder.ts"
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
import * as WakeFile from "./WakeFile.ts"
import { Watchdog } from "./Watchdog.ts"
import { Workspace } from "./Workspace.ts"

/** Why a gateway cannot start. */
export type GatewayError = GatewayConfigError | DatabaseError | HttpError | StoreError
type Whole<R> = Layer.Layer<Provided, GatewayError, R>
export type { Options } from "./GatewayOptions.ts"

const outboxLooks = Outbox.use(({ lookAround }) => lookAround)

/** The way of a message, door first. */
const rooms = (activate: Activate, mode: Options["mode"]) =>
  Watchdog.layer.pipe(
    Layer.provideMerge(SocketLayer.layer),
    Layer.provideMerge(Intake.layerWith(activate)),
    Layer.provideMerge(Debouncer.layer),
    Layer.provideMerge(WakeFile.layer(Effect.andThen(outboxLooks, Conversations.use(({ lookAround }) => lookAround)))),
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
    Layer.provideMerge(Spool.layer),
    Layer.provideMerge(Stores.layer(where)),
    Layer.provideMerge(Supervisor.layer),
    Layer.provideMerge(Shutdown.layer),
    Layer.provideMerge(httpServer),
    Layer.provideMerge(NodeServices.layer)
  )

/** The door out: it opens for the workspace that the data belong to. */
const slackApi = Workspace.door.pipe(Layer.provide(WebApi.layer))

/** Everything is built. Only these leave the house: the rest must not take the place of the host's own services. */
const door = Layer.effectContext(
  Effect.andThen(Effect.flatMap(Shutdown, (shutdown) => shutdown.running), Effect.context<Provided>()).pipe(
    Effect.map(Context.pick(Outbox, MessageStore, GatewayStatus, Supervisor, GatewayConfig))
  )
)

/** The gateway as a Layer. */
export function layer<R = never, S = never>(options: InHost<Options<R, S>>): Whole<R | S | SqlClient.SqlClient>
export function layer<R = never, S = never>(options: Options<R, S>): Whole<R | S>
export function layer<R, S>(options: Options<R, S> | InHost<Options<R, S>>): Whole<R | S | SqlClient.SqlClient> {
  return door.pipe(
    Layer.provide(rooms(options.activate ?? defaultActivation, options.mode)),
    Layer.provide([SocketMode.layer, slackApi]),
    Layer.provide(ground(options.database ?? "own")),
    // The user's parts below everything: their services are the host's, also where we have one of the same name.
    Layer.provide([Handler.layer(options.handler), Responder.layer(options.respond)]),
    Layer.provide(GatewayConfig.layer(options.config)),
    // Layers are shared by reference; two gateways in one process must not be.
    Layer.fresh
  )
}

/** Only the way out, for scripts and services that post and do not listen: `Outbox` with its store and its drain. */
export function layerOutbox(config: Partial<Settings> | undefined, where: "host"): Whole<SqlClient.SqlClient>
export function layerOutbox(config?: Partial<Settings>): Whole<never>
export function layerOutbox(config?: Partial<Settings>, where: Stores.Where = "own"): Whole<SqlClient.SqlClient> {
  return door.pipe(
    Layer.provide(WakeFile.layer(outboxLooks)),
    Layer.provide(Outbox.layer),
    Layer.provide(slackApi),
    Layer.provide(ground(where)),
    Layer.provide(GatewayConfig.layer(config)),
    Layer.fresh
  )
}

/** Runs until interrupted; fails when the gateway gives up. */
export const run = Effect.flatMap(Supervisor, (supervisor) => supervisor.fatal)
