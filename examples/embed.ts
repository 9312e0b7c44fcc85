/** The gateway inside another Effect application. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect } from "effect"
import { Gateway, Handler } from "slackwater"

const gateway = Gateway.layer({
  handler: Handler.make((turn) => turn.reply(`You said: ${turn.text}`)),
  config: { dataDir: "./bot-data" }
})

/** Runs until interrupted; fails with a typed error when the gateway cannot go on. */
NodeRuntime.runMain(Gateway.run.pipe(Effect.provide(gateway)))
