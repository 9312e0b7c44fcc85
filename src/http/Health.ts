/**
 * `/healthz` (the process lives), `/readyz` (socket up, database writable, not draining), `/metrics` and
 * `/api/status`. Below the rooms: during a drain readiness answers 503 instead of vanishing. Who may not look learns from
 * `/readyz` whether it is ready, and not why not.
 */
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { PrometheusMetrics } from "effect/observability"
import { GatewayStatus } from "../GatewayStatus.ts"
import { Asker } from "./Guard.ts"

export const layer = Layer.mergeAll(
  HttpRouter.add("GET", "/healthz", HttpServerResponse.text("ok\n")),
  HttpRouter.use((router) =>
    GatewayStatus.use((status) =>
      Effect.andThen(
        router.add(
          "GET",
          "/readyz",
          Effect.gen(function*() {
            const reasons = yield* status.notReady
            const { mayLook } = yield* Asker
            const ready = reasons.length === 0
            return HttpServerResponse.jsonUnsafe(mayLook ? { ready, reasons } : { ready }, {
              status: ready ? 200 : 503
            })
          })
        ),
        router.add(
          "GET",
          "/api/status",
          status.snapshot.pipe(
            Effect.map((snapshot) => HttpServerResponse.jsonUnsafe(snapshot)),
            Effect.catch((error) =>
              Effect.succeed(HttpServerResponse.jsonUnsafe({ error: error.message }, { status: 503 }))
            )
          )
        )
      )
    )
  ),
  PrometheusMetrics.layerHttp({ path: "/metrics" })
)
