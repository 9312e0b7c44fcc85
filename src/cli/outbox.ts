/** `slackwater outbox …`: looks at replies and settles them, beside a running gateway or without one. */
import { Command } from "effect/cli"
import { discard, retry } from "./outboxChange.ts"
import { list } from "./outboxList.ts"
import { show } from "./outboxShow.ts"

export const outbox = Command.make("outbox").pipe(
  Command.withDescription("Look at replies, send them again, discard them"),
  Command.withSubcommands([list, show, retry, discard])
)
