/**
 * The listening socket of health, metrics and status. It is bound before the database is opened, so that a port in
 * use is found before anything is written; the routes are added above the rooms' stores (`Health.ts`).
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Effect, Layer, Runtime, Schema } from "effect"
import { createServer } from "node:http"
import { GatewayConfig } from "../GatewayConfig.ts"

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

export const layer = Layer.effectContext(Effect.gen(function*() {
  const { host, port } = yield* GatewayConfig
  return yield* Layer.build(
    NodeHttpServer.layer(createServer, { host, port, gracefulShutdownTimeout: "500 millis" })
  ).pipe(Effect.mapError(({ cause }) => {
    const code: unknown = cause instanceof Error ? Reflect.get(cause, "code") : undefined
    return new HttpError({ host, port, detail: code === "EADDRINUSE" ? "the port is in use" : String(code ?? cause) })
  }))
}))
