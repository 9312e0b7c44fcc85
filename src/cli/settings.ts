/** Where commands read their settings: the environment, then the file that `SLACKWATER_CONFIG` names. */
import { Config, ConfigProvider, Effect, Runtime, Schema } from "effect"
import { readFileSync } from "node:fs"
import { remember } from "./secrets.ts"

/** Settings that nobody may see; headers of the exporter hold keys. */
const secretNames = [
  "SLACK_APP_TOKEN",
  "SLACK_BOT_TOKEN",
  "SLACKWATER_ADMIN_TOKEN",
  ...["", "_TRACES", "_METRICS", "_LOGS"].map((of) => `OTEL_EXPORTER_OTLP${of}_HEADERS`)
]

/** Of `name=value,name=value`. */
const headerValues = (list: string) => list.split(",").map((header) => header.slice(header.indexOf("=") + 1).trim())

export class ConfigFileError extends Schema.TaggedError<ConfigFileError>()("ConfigFileError", {
  path: Schema.String,
  detail: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 78
  override get message(): string {
    return `SLACKWATER_CONFIG names ${this.path}, which cannot be read (${this.detail}); mend the path, or unset it`
  }
}

/** Whatever else is wrong with them, none of them is printed. */
const rememberSecrets = (provider: ConfigProvider.ConfigProvider) =>
  Effect.forEach(secretNames, (name) =>
    Config.String(name).pipe(
      (config) => config.parse(provider),
      Effect.map((value) => name.endsWith("HEADERS") ? headerValues(value).forEach(remember) : remember(value)),
      Effect.ignore
    ), { discard: true })

export const settings = Effect.gen(function*() {
  const environment = ConfigProvider.fromEnv()
  yield* rememberSecrets(environment)
  const path = yield* Config.String("SLACKWATER_CONFIG").pipe(Config.withDefault(""))
  if (path === "") return environment
  const contents = yield* Effect.try({
    try: () => readFileSync(path, "utf8"),
    catch: (error) => new ConfigFileError({ path, detail: error instanceof Error ? error.message : String(error) })
  })
  const file = ConfigProvider.fromDotEnvContents(contents)
  yield* rememberSecrets(file)
  return ConfigProvider.orElse(environment, file)
})

/** Reads some of them. */
export const reading = <A, E, R>(read: Effect.Effect<A, E, R>) =>
  Effect.flatMap(settings, (provider) => Effect.provideService(read, ConfigProvider.ConfigProvider, provider))
