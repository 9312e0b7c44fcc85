/** The command line: every command there is. */
import { Command } from "effect/cli"
import { cancel } from "./cancel.ts"
import { dev } from "./dev.ts"
import { healthcheck } from "./healthcheck.ts"
import { importQueue } from "./importQueue.ts"
import { outbox } from "./outbox.ts"
import { pause, resume } from "./pause.ts"
import { perform } from "./perform.ts"
import { run } from "./run.ts"
import { send } from "./send.ts"

const root = Command.make("slackwater").pipe(
  Command.withDescription(
    "A crash-safe Slack gateway: acknowledged events are handled, committed replies are posted once"
  ),
  Command.withSubcommands([dev, run, send, outbox, pause, resume, cancel, importQueue, healthcheck])
)

export const main = perform(root)
