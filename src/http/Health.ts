/**
 * `/healthz` (the process lives), `/readyz` (socket up, database writable, not draining), `/metrics` and
 * `/api/status`. Below the rooms: during a drain readiness answers 503 instead of vanishing.
 */
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { GatewayStatus } from "../GatewayStatus.ts"
import { Snapshot } from "../Snapshot.ts"
import * as Metrics from "./Metrics.ts"

const routes = Layer.mergeAll(
  HttpRouter.add("GET", "/healthz", HttpServerResponse.text("ok\n")),
  HttpRouter.use((router) =>
    GatewayStatus.use((status) =>
      Effect.andThen(
        router.add(
          "GET",
          "/readyz",
          Effect.map(status.notReady, (reasons) =>
            HttpServerResponse.jsonUnsafe({ ready: reasons.length === 0, reasons }, {
              status: reasons.length === 0 ? 200 : 503
            }))
        ),
        router.add(
          "GET",
          "/api/status",
          status.snapshot.pipe(
            Effect.flatMap(HttpServerResponse.schemaJson(Snapshot)),
            Effect.catch((error) =>
              Effect.succeed(HttpServerResponse.jsonUnsafe({ error: error.message }, { status: 503 }))
            )
          )
        )
      )
    )
  ),
  Metrics.layer
)

const announce = Layer.effectDiscard(
  Effect.flatMap(
    HttpServer.HttpServer,
    (server) => Effect.logInfo("listening").pipe(Effect.annotateLogs({ url: HttpServer.formatAddress(server.address) }))
  )
)

export const layer = Layer.provideMerge(
  announce,
  HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true })
)
