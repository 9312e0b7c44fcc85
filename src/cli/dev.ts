/**
 * `slackwater dev [handler]`: LocalSlack in this process, the gateway as a child (devGateway). Killing the gateway is a
 * real kill, and "Slack" lives on. SIGUSR1 is passed on to the gateway, which reads its settings again.
 */
import { Config, Duration, Effect, Redacted } from "effect"
import { Argument, Command } from "effect/cli"
import { fileURLToPath } from "node:url"
import { randomToken } from "../Admission.ts"
import { GatewayConfig, GatewayConfigError, setting } from "../GatewayConfig.ts"
import { LocalSlack } from "../testing/index.ts"
import { addressOf } from "./askGateway.ts"
import * as DevGateway from "./devGateway.ts"
import { answering, check, handlerFlags } from "./handlerFlags.ts"
import { reading } from "./settings.ts"
import { patience } from "./signals.ts"

/** The child keeps its own deadline; one that cannot even do that is killed this much later. */
const killAfter = Duration.seconds(3)
const tokens = { appToken: "xapp-local", botToken: "xoxb-local" }

const echo = fileURLToPath(
  new URL(import.meta.url.endsWith(".ts") ? "../cli/echo.ts" : "../cli/echo.js", import.meta.url)
)

/** What the gateway will read too, so that a mistake is found before anything is started. */
const read = Effect.gen(function*() {
  const mistaken = (detail: string) => new GatewayConfigError({ setting: "SLACKWATER_LOCAL_SLACK_PORT", detail })
  // By default LocalSlack's replies and a real workspace's do not meet in one outbox.
  const dataDir = yield* Config.String("SLACKWATER_DATA_DIR").pipe(Config.withDefault("./slackwater-data/dev"))
  const given = yield* setting("adminToken")
  const adminToken = given ?? Redacted.make(yield* randomToken)
  const { host, port: gatewayPort, shutdownTimeout } = yield* GatewayConfig.read({
    dataDir,
    adminToken,
    appToken: Redacted.make(tokens.appToken),
    botToken: Redacted.make(tokens.botToken),
    slackApiUrl: "http://127.0.0.1/"
  })
  const port = yield* Config.Int("SLACKWATER_LOCAL_SLACK_PORT").pipe(
    Config.withDefault(8788),
    Effect.filterOrFail((port) => port >= 0 && port <= 65_535),
    Effect.mapError(() => mistaken("must be a port from 0 to 65535"))
  )
  // Of a port that is taken as it comes nobody knows the number.
  const address = gatewayPort === 0 ? undefined : addressOf(host, gatewayPort)
  const gateway = DevGateway.make(address === undefined ? undefined : { url: address, token: adminToken })
  const slack = LocalSlack.layer({
    port,
    gateway: gateway.watched,
    // The part behind `#` stays in the browser.
    ...(address === undefined
      ? {}
      : { dashboardUrl: `${address}/#token=${encodeURIComponent(Redacted.value(adminToken))}` })
  })
  // One that was set reaches the gateway by itself, and can change there in a reload.
  const access = given === null ? { SLACKWATER_ADMIN_TOKEN: Redacted.value(adminToken) } : {}
  return { dataDir, gateway, slack, mistaken, access, stopWithin: Duration.sum(shutdownTimeout, killAfter) }
})

export const dev = Command.make(
  "dev",
  {
    ...handlerFlags,
    handler: handlerFlags.handler.pipe(
      Argument.withDescription("A .ts or .js module; without it, and without --exec, messages are echoed")
    )
  },
  Effect.fn("dev")(function*(given) {
    const who = yield* answering("dev", given, echo)
    const { access, dataDir, gateway, mistaken, slack, stopWithin } = yield* reading(read)
    patience.ms = Duration.toMillis(stopWithin)
    // Only the gateway loads it: what it does there must not reach Slack.
    yield* check(who)
    return yield* Effect.gen(function*() {
      const { apiUrl } = yield* LocalSlack
      const environment = {
        SLACKWATER_DATA_DIR: dataDir,
        SLACK_API_URL: apiUrl,
        SLACK_APP_TOKEN: tokens.appToken,
        SLACK_BOT_TOKEN: tokens.botToken,
        ...access
      }
      return yield* gateway.run({ who, environment, stopWithin })
    }).pipe(
      Effect.provide(slack, { local: true }),
      Effect.catchTag(
        "LocalSlackError",
        (error) => mistaken(`must be free: ${error.reason.message}; stop what uses it, or set another port`)
      )
    )
  })
).pipe(Command.withDescription("Gateway, a local Slack and a page to chat in; no account needed"))
