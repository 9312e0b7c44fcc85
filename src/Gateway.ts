/**
 * The whole gateway on one screen.
 *
 * Read `way` and then `groundOn` from the top: this is the way of a message, and because a Layer closes before what it is
 * provided with, it is also the order of the end. SIGTERM reads: stop forcing reconnects and catching up, close the
 * socket, flush the debouncer into conversations that still run, let running turns drain, drain the outbox, requeue what
 * is left, mark a clean stop, close heartbeat and health, close the database. There is no other shutdown code. A reload
 * closes the rooms alone, in the same order (Reload).
 *
 * Embedding: installs no signal handlers and never ends the process. `layer` fails when it cannot start; `run` fails
 * when the gateway gives up later. Two gateways share nothing.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Context, Effect, Layer } from "effect"
import type { SqlClient } from "effect/sql"
import { type Activate, defaultActivation } from "./Activation.ts"
import { CatchUp } from "./CatchUp.ts"
import { Conversations } from "./Conversations.ts"
import { Debouncer } from "./Debouncer.ts"
import * as Spool from "./files/Spool.ts"
import { GatewayConfig, type GatewayConfigError, type Settings } from "./GatewayConfig.ts"
import type { InHost, Options, Provided } from "./GatewayOptions.ts"
import { GatewayStatus } from "./GatewayStatus.ts"
import { Handler } from "./Handler.ts"
import * as Heartbeat from "./Heartbeat.ts"
import * as Routes from "./http/Routes.ts"
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

export type GatewayError = GatewayConfigError | DatabaseError | HttpError | StoreError
type Whole<R> = Layer.Layer<Provided, GatewayError, R>
export type { Options } from "./GatewayOptions.ts"
const outboxLooks = Outbox.use(({ lookAround }) => lookAround)
/** The way of a message, door first. */
export const way = (activate: Activate, mode: Options["mode"]) =>
  Watchdog.layer.pipe(
    Layer.provideMerge(CatchUp.layer),
    Layer.provideMerge(SocketLayer.layer),
    Layer.provideMerge(Intake.layerWith(activate)),
    Layer.provideMerge(Debouncer.layer),
    Layer.provideMerge(WakeFile.layer(Effect.andThen(outboxLooks, Conversations.use(({ lookAround }) => lookAround)))),
    Layer.provideMerge(Conversations.layerWith(mode)),
    Layer.provideMerge(Outbox.layer),
    Layer.provideMerge(Retention.layer)
  )

/** What the rooms stand on; it outlives them. */
const groundOn = <E, R>(stores: Layer.Layer<Layer.Success<typeof Stores.own>, E, R>) =>
  Instance.cleanStop.pipe(
    Layer.provideMerge(Heartbeat.layer(process.pid)),
    Layer.provideMerge(HostTransaction.watch),
    Layer.provideMerge(Routes.layer),
    Layer.provideMerge(GatewayStatus.layer),
    Layer.provideMerge(Spool.layer),
    Layer.provideMerge(stores),
    Layer.provideMerge(Supervisor.layer),
    Layer.provideMerge(Shutdown.layer),
    Layer.provideMerge(httpServer),
    Layer.provideMerge(NodeServices.layer)
  )
export const ground = groundOn(Stores.own)
/** The door out: it opens for the workspace that the data belong to. */
const slackApi = Workspace.door.pipe(Layer.provide(WebApi.layer))

/** Everything is built. Only these leave the house: the rest must not take the place of the host's own services. */
const door = Layer.effectContext(
  Effect.andThen(Shutdown.use(({ running }) => running), Effect.context<Provided>())
    .pipe(Effect.map(Context.pick(Outbox, MessageStore, GatewayStatus, Supervisor, GatewayConfig)))
)

/** All that a reload builds anew, above a ground. */
export const rooms = ({ activate, mode }: Pick<Options, "activate" | "mode">) =>
  door.pipe(Layer.provide(way(activate ?? defaultActivation, mode)), Layer.provide([SocketMode.layer, slackApi]))

/** The gateway as a Layer. */
export function layer<R = never, S = never>(options: InHost<Options<R, S>>): Whole<R | S | SqlClient.SqlClient>
export function layer<R = never, S = never>(options: Options<R, S>): Whole<R | S>
export function layer<R, S>(options: Options<R, S> | InHost<Options<R, S>>): Whole<R | S | SqlClient.SqlClient> {
  return rooms(options).pipe(
    Layer.provide(groundOn(Stores.layer(options.database ?? "own"))),
    // The user's parts below everything: their services are the host's, also where we have one of the same name.
    Layer.provide([Handler.layer(options.handler), Responder.layer(options.respond)]),
    Layer.provide(GatewayConfig.layer(options.config)),
    Layer.fresh // Layers are shared by reference; two gateways in one process must not be.
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
    Layer.provide(groundOn(Stores.layer(where))),
    Layer.provide(GatewayConfig.layer(config)),
    Layer.fresh
  )
}

/** Runs until interrupted; fails when the gateway gives up. */
export const run = Effect.flatMap(Supervisor, (supervisor) => supervisor.fatal)
