/**
 * Traces, metrics and logs to a collector by OTLP over HTTP (protobuf, or JSON), as the standard OTEL variables say.
 *
 * Guarantees: a collector that is slow, away or refuses never holds anything up. A request ends with its timeout, only
 * so many run at once, and after a failure nothing is kept for a minute: what is lost is bounded, and the log says so
 * once. No secret of ours and no text of more than 16,000 characters leaves. The rooms' own polling makes no traces.
 * Does not: sample by content, or keep anything on disk.
 * On shutdown: sends what is left within the deadline of the stop, three seconds at most.
 */
import { ConfigProvider, Duration, Effect, Layer, Option, Random, Tracer } from "effect"
import { FetchHttpClient, HttpClient } from "effect/http"
import { OtlpExporter, OtlpLogger, OtlpMetrics, OtlpSerialization, OtlpTracer } from "effect/observability"
import { GatewayConfigError } from "../GatewayConfig.ts"
import { GaugesEvery } from "../Gauges.ts"
import { hidingIn } from "../redaction.ts"
import { version } from "../version.ts"
import { variable } from "./exporting.ts"
import { hide } from "./secrets.ts"
import { patience } from "./signals.ts"

/** Requests to the collector at once; one more is given up, with what it carries. */
const mostAtOnce = 8
const flushFor = 3_000
const defaultTimeout = 10_000

const mistaken = (setting: string, detail: string) => new GatewayConfigError({ setting, detail })

const samplers = [
  "always_on",
  "always_off",
  "traceidratio",
  "parentbased_always_on",
  "parentbased_always_off",
  "parentbased_traceidratio"
]

/** How many of the new traces are kept, from 0 to 1. */
const ratioOf = Effect.fnUntraced(function*(provider: ConfigProvider.ConfigProvider) {
  const name = (yield* variable(provider, "OTEL_TRACES_SAMPLER")) ?? "parentbased_always_on"
  if (!samplers.includes(name)) {
    return yield* mistaken("OTEL_TRACES_SAMPLER", `must be one of ${samplers.join(", ")}`)
  }
  if (name.endsWith("always_on")) return 1
  if (name.endsWith("always_off")) return 0
  const ratio = Number((yield* variable(provider, "OTEL_TRACES_SAMPLER_ARG")) ?? "1")
  if (ratio >= 0 && ratio <= 1) return ratio
  return yield* mistaken("OTEL_TRACES_SAMPLER_ARG", "must be a number from 0 to 1")
})

/** Looking for work, day and night: as roots these say nothing. */
const isPolling = (name: string) => /^(?:sql|MessageStore\.|OutboxStore\.|http\.server)/.test(name)

/** What begins a trace decides for all of it, in every process that it goes on in. */
const sampling = (inner: Tracer.Tracer, keeps: () => boolean) =>
  Tracer.make({
    span: (options) =>
      inner.span({
        ...options,
        sampled: options.sampled && (Option.isSome(options.parent) || (!isPolling(options.name) && keeps()))
      })
  })

const tracer = (ratio: number) =>
  Layer.effect(
    Tracer.Tracer,
    Effect.map(
      Effect.all([Tracer.Tracer, Random.Random]),
      ([inner, random]) => sampling(inner, () => ratio === 1 || random.nextDoubleUnsafe() < ratio)
    )
  ).pipe(Layer.provideMerge(OtlpTracer.layerFromConfig()))

/** Whatever is exported goes through here as data. */
const serialization = (format: "json" | "protobuf") =>
  Layer.effect(
    OtlpSerialization.OtlpSerialization,
    Effect.map(OtlpSerialization.OtlpSerialization, (inner) => {
      const safe = hidingIn(hide)
      return {
        traces: (data) => inner.traces(safe(data)),
        metrics: (data) => inner.metrics(safe(data)),
        logs: (data) => inner.logs(safe(data))
      }
    })
  ).pipe(Layer.provide(format === "json" ? OtlpSerialization.layerJson : OtlpSerialization.layerProtobuf))

/** The client of the exporters: bounded in time and number. What fails here is not tried again for a minute. */
const client = (timeoutMs: number) =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.map(HttpClient.HttpClient, (inner) => {
      let running = 0
      let isFailing = false
      const worked = Effect.sync(() => {
        isFailing = false
      })
      const failed = Effect.suspend(() => {
        if (isFailing) return Effect.void
        isFailing = true
        return Effect.logWarning(
          "the collector of OTEL_EXPORTER_OTLP_ENDPOINT takes nothing; telemetry is lost meanwhile"
        )
      })
      return HttpClient.transformResponse(inner, (request) =>
        Effect.suspend(() => {
          if (running >= mostAtOnce) return Effect.die(new Error("too many requests to the collector"))
          running += 1
          return request.pipe(
            Effect.timeoutOrElse({
              duration: timeoutMs,
              orElse: () => Effect.die(new Error("the collector does not answer"))
            }),
            Effect.tap((response) => response.status < 400 ? worked : failed),
            Effect.tapCause(() => failed),
            Effect.ensuring(Effect.sync(() => {
              running -= 1
            }))
          )
        }))
    })
  ).pipe(Layer.provide(FetchHttpClient.layer))

/** Runs before the exporters close, which then have nothing left. */
const flushed = Layer.effectDiscard(
  Effect.flatMap(OtlpExporter.Flusher, ({ flush }) =>
    Effect.addFinalizer(() =>
      Effect.suspend(() => {
        const left = patience.since === undefined ? flushFor : patience.ms - (performance.now() - patience.since)
        return Effect.asVoid(Effect.timeoutOption(flush, Math.max(0, Math.min(flushFor, left))))
      })
    ))
)

/** What the variables leave out, and what is not theirs to say. */
const completed = Effect.fnUntraced(function*(provider: ConfigProvider.ConfigProvider) {
  const attributes = (yield* variable(provider, "OTEL_RESOURCE_ATTRIBUTES")) ?? ""
  const named = /(?:^|,)\s*service\.name\s*=/.test(attributes)
  return ConfigProvider.orElse(
    // The flush above is what waits at the end.
    ConfigProvider.fromEnvRecord(
      Object.fromEntries(["TRACES", "METRICS", "LOGS"].map((of) => [`OTEL_EXPORTER_OTLP_${of}_TIMEOUT`, "200"]))
    ),
    ConfigProvider.orElse(
      provider,
      ConfigProvider.fromEnvRecord({
        OTEL_TRACES_EXPORTER: "otlp",
        OTEL_METRICS_EXPORTER: "otlp",
        OTEL_LOGS_EXPORTER: "otlp",
        OTEL_SERVICE_VERSION: version,
        ...(named ? {} : { OTEL_SERVICE_NAME: "slackwater" })
      })
    )
  )
})

/** A number of milliseconds. */
const millis = Effect.fnUntraced(function*(provider: ConfigProvider.ConfigProvider, name: string, fallback: number) {
  const ms = Number((yield* variable(provider, name)) ?? fallback)
  return Number.isSafeInteger(ms) && ms > 0
    ? ms
    : yield* mistaken(name, "must be a whole number of milliseconds, from 1 up")
})

export const layer = Effect.fnUntraced(function*(provider: ConfigProvider.ConfigProvider) {
  const protocol = (yield* variable(provider, "OTEL_EXPORTER_OTLP_PROTOCOL")) ?? "http/protobuf"
  if (protocol !== "http/protobuf" && protocol !== "http/json") {
    return yield* mistaken("OTEL_EXPORTER_OTLP_PROTOCOL", "must be http/protobuf or http/json; gRPC is not spoken")
  }
  const every = yield* millis(provider, "OTEL_METRIC_EXPORT_INTERVAL", 60_000)
  const timeoutMs = yield* millis(provider, "OTEL_EXPORTER_OTLP_TIMEOUT", defaultTimeout)
  const exporters = Layer.mergeAll(
    tracer(yield* ratioOf(provider)),
    OtlpMetrics.layerFromConfig(),
    OtlpLogger.layerFromConfig()
  )
  return flushed.pipe(
    Layer.provideMerge(exporters),
    Layer.provide(serialization(protocol === "http/json" ? "json" : "protobuf")),
    Layer.provide(client(timeoutMs)),
    Layer.provide(ConfigProvider.layer(yield* completed(provider))),
    Layer.merge(Layer.succeed(GaugesEvery, Duration.millis(every))),
    Layer.catchCause((cause) => Layer.effectDiscard(mistaken("OTEL_…", `a variable makes no sense: ${String(cause)}`)))
  )
})
