/**
 * Whether somebody listens to traces, metrics and logs by OTLP, as the standard OTEL variables say. Where nobody does,
 * spans are off, and nothing of the exporter is loaded.
 */
import { Config, type ConfigProvider, Effect, Layer, References } from "effect"
import { GatewayConfigError } from "../GatewayConfig.ts"

export const endpoints = [
  "OTEL_EXPORTER_OTLP_ENDPOINT",
  "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
  "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
  "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"
] as const

/** An empty variable is none. */
export const variable = (provider: ConfigProvider.ConfigProvider, name: string): Effect.Effect<string | undefined> =>
  Config.String(name).pipe(
    Config.withDefault(""),
    (config) => config.parse(provider),
    Effect.orElseSucceed(() => ""),
    Effect.map((value) => value.trim() === "" ? undefined : value.trim())
  )

export const exporting = Effect.fnUntraced(function*(provider: ConfigProvider.ConfigProvider) {
  const isDisabled = (yield* variable(provider, "OTEL_SDK_DISABLED"))?.toLowerCase() === "true"
  let given = false
  for (const name of endpoints) {
    const value = yield* variable(provider, name)
    if (value === undefined) continue
    if (!URL.canParse(value) || !/^https?:$/.test(new URL(value).protocol)) {
      return yield* new GatewayConfigError({ setting: name, detail: "must be an http(s) address, or unset" })
    }
    given = true
  }
  if (!given || isDisabled) return Layer.succeed(References.TracerEnabled, false)
  const { layer } = yield* Effect.promise(() => import("./otlp.ts"))
  return yield* layer(provider)
})
