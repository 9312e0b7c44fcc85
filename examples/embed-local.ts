/** The same against a Slack in this process: no account, no tokens. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Redacted } from "effect"
import { Gateway, Handler } from "slackwater"
import { LocalSlack } from "slackwater/testing"

const program = Effect.gen(function*() {
  const { apiUrl, url } = yield* LocalSlack
  yield* Console.log(`Chat:     ${url}/`)
  const tokens = { appToken: Redacted.make("xapp-local"), botToken: Redacted.make("xoxb-local") }
  const handler = Handler.make((turn) => turn.reply(`You said: ${turn.text}`))
  const config = { ...tokens, slackApiUrl: apiUrl, dataDir: "./bot-data/local" }
  return yield* Effect.provide(Gateway.run, Gateway.layer({ handler, config }))
})
NodeRuntime.runMain(Effect.provide(program, LocalSlack.layer({ port: 0 })))
