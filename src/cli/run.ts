/** `slackwater run <handler>`: the gateway against Slack, until a signal. */
import { Duration, Effect, Latch } from "effect"
import { Command } from "effect/cli"
import { GatewayConfig, type Settings } from "../GatewayConfig.ts"
import type { Turn } from "../Handler.ts"
import * as Reload from "../Reload.ts"
import { StrayErrors } from "../StrayErrors.ts"
import { exporting } from "./exporting.ts"
import { type Answering, answering, handlerFlags, load } from "./handlerFlags.ts"
import { perform } from "./perform.ts"
import { reading, settings } from "./settings.ts"
import { patience, reloading, uncaught } from "./signals.ts"
import { strayErrors } from "./strayErrors.ts"
import { tellSystemd } from "./systemd.ts"

/** A turn that waited for a worker would use up its time: as many run at once as there are workers. */
const fitting = (who: Answering) => (settings: Settings): Settings =>
  who._tag === "Module" || who.workers === 0
    ? settings
    : { ...settings, concurrency: Math.min(settings.concurrency, who.workers) }

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
  handlerFlags,
  // No span: all that the process ever does would be its child.
  Effect.fnUntraced(function*(given) {
    const who = yield* answering("run", given)
    const fitted = Effect.map(reading(GatewayConfig.read()), fitting(who))
    // Checked before the module is loaded and before anything is written.
    const first = yield* fitted
    const loaded = yield* load(who)
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
        read: fitted,
        requested: yield* requests,
        doomed: yield* uncaughtErrors,
        mayTake,
        whenUp: tellSystemd
      }),
      listeners
    )
  }, Effect.scoped)
).pipe(
  Command.withDescription("Run the gateway against Slack until SIGTERM (needs SLACK_APP_TOKEN and SLACK_BOT_TOKEN)"),
  Command.withExamples([
    { command: "slackwater run bot.ts", description: "A module that answers" },
    { command: "slackwater run --exec \"python3 bot.py\"", description: "A command that answers, in any language" }
  ])
)

/** Alone, for a quick start and a small process. */
export const main = perform(Command.make("slackwater").pipe(Command.withSubcommands([run])))
