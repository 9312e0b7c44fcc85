/**
 * The listening socket of health, metrics and status. It is bound before the database is opened, so that a port in
 * use is found before anything is written; the routes are added above the rooms' stores (`Routes.ts`). A name that turned
 * out to be an address beyond this machine needs the admin token like one that says so.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Context, Effect, Layer, Runtime, Schema } from "effect"
import { HttpServer } from "effect/http"
import { NetAddress } from "effect/net"
import { createServer } from "node:http"
import { GatewayConfig, GatewayConfigError, knobs, neededFor } from "../GatewayConfig.ts"

export class HttpError extends Schema.TaggedError<HttpError>()("HttpError", {
  host: Schema.String,
  port: Schema.Int,
  detail: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 78
  override get message(): string {
    return `cannot listen on ${this.host}:${this.port} (${this.detail}); stop what uses it, or set SLACKWATER_HOST and SLACKWATER_PORT`
  }
}

/** Whether others than this machine can reach it. */
export const isBeyondLoopback = ({ address }: HttpServer.HttpServer["Service"]): boolean =>
  address._tag !== "UnixPathAddress" && !NetAddress.isLoopback(address.address)

export const layer = Layer.effectContext(Effect.gen(function*() {
  const { adminToken, host, port } = yield* GatewayConfig
  const built = yield* Layer.build(
    NodeHttpServer.layer(createServer, { host, port, gracefulShutdownTimeout: "500 millis" })
  ).pipe(Effect.mapError(({ cause }) => {
    const code: unknown = cause instanceof Error ? Reflect.get(cause, "code") : undefined
    return new HttpError({ host, port, detail: code === "EADDRINUSE" ? "the port is in use" : String(code ?? cause) })
  }))
  if (adminToken === null && isBeyondLoopback(Context.get(built, HttpServer.HttpServer))) {
    return yield* new GatewayConfigError({ setting: knobs.adminToken.env, detail: neededFor(host) })
  }
  return built
}))
