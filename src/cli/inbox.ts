/** `slackwater inbox …`: looks at messages and settles dead letters, beside a running gateway or without one. */
import { Command } from "effect/cli"
import { discard, retry } from "./inboxChange.ts"
import { list } from "./inboxList.ts"
import { show } from "./inboxShow.ts"

export const inbox = Command.make("inbox").pipe(
  Command.withDescription("Look at messages, have dead letters handled again, give messages up"),
  Command.withSubcommands([list, show, retry, discard])
)
