/** `slackwater run <handler>`: the gateway against Slack, until a signal. */
import { ConfigProvider, Duration, Effect, Latch } from "effect"
import { Argument, Command } from "effect/cli"
import { GatewayConfig } from "../GatewayConfig.ts"
import type { Turn } from "../Handler.ts"
import * as Reload from "../Reload.ts"
import { StrayErrors } from "../StrayErrors.ts"
import { exporting } from "./exporting.ts"
import { loadHandler } from "./handlerModule.ts"
import { settings } from "./settings.ts"
import { patience, reloading, uncaught } from "./signals.ts"
import { strayErrors } from "./strayErrors.ts"
import { tellSystemd } from "./systemd.ts"

const read = Effect.flatMap(
  settings,
  (provider) => Effect.provideService(GatewayConfig.read(), ConfigProvider.ConfigProvider, provider)
)

const mayTake = (timeout: Duration.Duration) =>
  Effect.sync(() => {
    patience.ms = Duration.toMillis(timeout)
  })

/** What came during the start, or during a reload, is one request. */
const requests = Effect.sync(() => {
  const wanted = Latch.makeUnsafe(reloading.isWanted)
  reloading.listener = () => wanted.openUnsafe()
  return Effect.andThen(wanted.await, wanted.close)
})

/** Waits for an error that nobody caught and that is no turn's. */
const uncaughtErrors = Effect.sync(() => {
  const doomed = Latch.makeUnsafe(false)
  uncaught.listener = () => {
    doomed.openUnsafe()
    return true
  }
  return doomed.await
})

export const run = Command.make(
  "run",
  {
    handler: Argument.String("handler").pipe(
      Argument.withDescription("A .ts or .js module; its default export answers")
    )
  },
  // No span: all that the process ever does would be its child.
  Effect.fnUntraced(function*({ handler: path }) {
    // Checked before the module is loaded and before anything is written.
    const first = yield* read
    const loaded = yield* loadHandler(path)
    const handler = {
      ...loaded.handler,
      run: (turn: Turn) => Effect.provideService(loaded.handler.run(turn), StrayErrors, strayErrors)
    }
    const listeners = yield* exporting(yield* settings)
    return yield* Effect.provide(
      Reload.run({
        ...loaded,
        handler,
        settings: first,
        read,
        requested: yield* requests,
        doomed: yield* uncaughtErrors,
        mayTake,
        whenUp: tellSystemd
      }),
      listeners
    )
  })
).pipe(
  Command.withDescription("Run the gateway against Slack until SIGTERM (needs SLACK_APP_TOKEN and SLACK_BOT_TOKEN)")
)
