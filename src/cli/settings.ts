/** Where commands read their settings: the environment, then the file that `SLACKWATER_CONFIG` names. */
import { Config, ConfigProvider, Effect, Runtime, Schema } from "effect"
import { readFileSync } from "node:fs"

export class ConfigFileError extends Schema.TaggedError<ConfigFileError>()("ConfigFileError", {
  path: Schema.String,
  detail: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 78
  override get message(): string {
    return `SLACKWATER_CONFIG names ${this.path}, which cannot be read (${this.detail}); mend the path, or unset it`
  }
}

export const settings = Effect.gen(function*() {
  const environment = ConfigProvider.fromEnv()
  const path = yield* Config.String("SLACKWATER_CONFIG").pipe(Config.withDefault(""))
  if (path === "") return environment
  const contents = yield* Effect.try({
    try: () => readFileSync(path, "utf8"),
    catch: (error) => new ConfigFileError({ path, detail: error instanceof Error ? error.message : String(error) })
  })
  return ConfigProvider.orElse(environment, ConfigProvider.fromDotEnvContents(contents))
})
