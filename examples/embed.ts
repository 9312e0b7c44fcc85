/** The gateway inside another Effect application. */
import { Effect } from "effect"
import { Gateway, Handler } from "slackwater"

const gateway = Gateway.layer({
  handler: Handler.make((turn) => turn.reply(`You said: ${turn.text}`)),
  config: { dataDir: "./bot-data" }
})

/** Runs until interrupted; fails with a typed error when the gateway cannot go on. */
export const program = Gateway.run.pipe(Effect.provide(gateway))
