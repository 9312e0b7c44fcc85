/** The command line: every command there is. */
import { Command, Completions } from "effect/cli"
import { backup } from "./backup.ts"
import { cancel } from "./cancel.ts"
import { completions } from "./completions.ts"
import { dev } from "./dev.ts"
import { doctor } from "./doctor.ts"
import { forget } from "./forget.ts"
import { healthcheck } from "./healthcheck.ts"
import { importQueue } from "./importQueue.ts"
import { inbox } from "./inbox.ts"
import { outbox } from "./outbox.ts"
import { pause, resume } from "./pause.ts"
import { perform } from "./perform.ts"
import { prune } from "./prune.ts"
import { run } from "./run.ts"
import { send } from "./send.ts"
import { status } from "./status.ts"

const root = Command.make("slackwater").pipe(
  Command.withDescription(
    "A crash-safe Slack gateway: acknowledged events are handled, committed replies are posted once"
  ),
  Command.withSubcommands([
    dev,
    run,
    status,
    doctor,
    send,
    inbox,
    outbox,
    pause,
    resume,
    cancel,
    forget,
    importQueue,
    prune,
    backup,
    healthcheck,
    completions((): Command.Command.Any => root)
  ])
)

export const main = perform(root)

/** All commands, with their flags and arguments, as data. */
export const described = (): Completions.CommandDescriptor => Completions.fromCommand(root)
