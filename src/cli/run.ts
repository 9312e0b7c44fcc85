/** `slackwater run <handler>`: the gateway against Slack, until a signal. */
import { ConfigProvider, Duration, Effect } from "effect"
import { Argument, Command } from "effect/cli"
import * as Gateway from "../Gateway.ts"
import { GatewayConfig } from "../GatewayConfig.ts"
import { loadHandler } from "./handlerModule.ts"
import { patience } from "./patience.ts"
import { settings } from "./settings.ts"

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
    patience.ms = Duration.toMillis(config.shutdownTimeout)
    const loaded = yield* loadHandler(path)
    return yield* Effect.provide(Gateway.run, Gateway.layer({ ...loaded, config }), { local: true })
  })
).pipe(
  Command.withDescription("Run the gateway against Slack until SIGTERM (needs SLACK_APP_TOKEN and SLACK_BOT_TOKEN)")
)
