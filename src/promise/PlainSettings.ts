/**
 * The settings of `GatewayConfig` as strings and numbers: the same names, checks and defaults. A duration is a text like
 * "30 seconds"; a list is an array; `null` is "off". A token is Redacted before anything else sees it.
 */
import { ConfigProvider, Effect, type Redacted } from "effect"
import type { Duration } from "effect"
import { GatewayConfig, GatewayConfigError, knobs, type Settings } from "../GatewayConfig.ts"

type Unit = "milli" | "millis" | "second" | "seconds" | "minute" | "minutes" | "hour" | "hours" | "day" | "days"
export type DurationText = `${number} ${Unit}`

type Plain<A> = A extends Redacted.Redacted ? string : A extends Duration.Duration ? DurationText : A

export type PlainSettings = { readonly [K in keyof Settings]?: Plain<Settings[K]> | undefined }

const textOf = (value: unknown): string | undefined =>
  value === null
    ? "off"
    : Array.isArray(value)
    ? value.join(",")
    : typeof value === "string"
    ? value
    : typeof value === "number" || typeof value === "boolean"
    ? String(value)
    : undefined

/** Reads and checks them; what is left out comes from the environment. */
export const readSettings = Effect.fnUntraced(function*(given: PlainSettings) {
  const entries: Array<[string, string]> = []
  for (const [field, value] of Object.entries(given)) {
    if (value === undefined) continue
    if (!Object.hasOwn(knobs, field)) {
      return yield* new GatewayConfigError({ setting: field, detail: "is no setting; see docs/settings.md" })
    }
    const { env, expects } = knobs[field as keyof Settings]
    const text = textOf(value)
    if (text === undefined) return yield* new GatewayConfigError({ setting: env, detail: expects })
    entries.push([env, text])
  }
  const provider = ConfigProvider.orElse(
    ConfigProvider.fromEnvRecord(Object.fromEntries(entries)),
    ConfigProvider.fromEnv()
  )
  return yield* Effect.provideService(GatewayConfig.read(), ConfigProvider.ConfigProvider, provider)
})
