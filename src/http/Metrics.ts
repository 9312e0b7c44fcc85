/** `/metrics`, for Prometheus: everything in `Telemetry.ts`, the gauges as of this scrape. */
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
// Not by the barrel, which loads what exports by OTLP.
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import { Gauges } from "../Gauges.ts"

const contentType = "text/plain; version=0.0.4; charset=utf-8"

export const layer = HttpRouter.use((router) =>
  Gauges.use(({ refresh }) =>
    router.add(
      "GET",
      "/metrics",
      Effect.map(
        Effect.andThen(refresh, PrometheusMetrics.format()),
        (text) => HttpServerResponse.text(text, { contentType })
      )
    )
  )
).pipe(Layer.provide(Gauges.layer))
