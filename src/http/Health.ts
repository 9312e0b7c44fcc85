/**
 * `/healthz` (the process lives), `/readyz` (socket up, database writable, not draining), `/metrics` and
 * `/api/status`. Below the rooms: during a drain readiness answers 503 instead of vanishing. Who may not look learns from
 * `/readyz` whether it is ready, and not why not.
 */
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { GatewayStatus } from "../GatewayStatus.ts"
import { Snapshot } from "../Snapshot.ts"
import { answering } from "./answers.ts"
import { Asker } from "./Guard.ts"
import * as Metrics from "./Metrics.ts"

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
          answering(Snapshot)(status.snapshot)
        )
      )
    )
  ),
  Metrics.layer
)
