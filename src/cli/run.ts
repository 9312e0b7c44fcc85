/** `slackwater run <handler>`: the gateway against Slack, until a signal. */
import { Config, ConfigProvider, Effect, Runtime, Schema } from "effect"
import { Argument, Command } from "effect/cli"
import { readFileSync } from "node:fs"
import * as Gateway from "../Gateway.ts"
import { GatewayConfig } from "../GatewayConfig.ts"
import { loadHandler } from "./handlerModule.ts"

class ConfigFileError extends Schema.TaggedError<ConfigFileError>()("ConfigFileError", {
  path: Schema.String,
  detail: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 78
  override get message(): string {
    return `SLACKWATER_CONFIG names ${this.path}, which cannot be read (${this.detail})`
  }
}

/** The environment, then the file that `SLACKWATER_CONFIG` names. */
const settings = Effect.gen(function*() {
  const environment = ConfigProvider.fromEnv()
  const path = yield* Config.String("SLACKWATER_CONFIG").pipe(Config.withDefault(""))
  if (path === "") return environment
  const contents = yield* Effect.try({
    try: () => readFileSync(path, "utf8"),
    catch: (error) => new ConfigFileError({ path, detail: error instanceof Error ? error.message : String(error) })
  })
  return ConfigProvider.orElse(environment, ConfigProvider.fromDotEnvContents(contents))
})

export const run = Command.make(
  "run",
  {
    handler: Argument.String("handler").pipe(
      Argument.withDescription("A .ts or .js module; its default export answers")
    )
  },
  Effect.fn("run")(function*({ handler: path }) {
    const provider = yield* settings
    // Checked before the module is loaded and before anything is written.
    const config = yield* Effect.provideService(GatewayConfig.read(), ConfigProvider.ConfigProvider, provider)
    const handler = yield* loadHandler(path)
    return yield* Effect.provide(Gateway.run, Gateway.layer({ handler, config }), { local: true })
  })
).pipe(
  Command.withDescription("Run the gateway against Slack until SIGTERM (needs SLACK_APP_TOKEN and SLACK_BOT_TOKEN)")
)
