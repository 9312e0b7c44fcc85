/** Takes ten seconds for an answer: time enough to kill the gateway in the middle of it. */
import { Effect } from "effect"
import { Handler } from "slackwater"

export default Handler.make((turn) =>
  turn.reply("Let me think about that for ten seconds.").pipe(
    Effect.andThen(Effect.sleep("10 seconds")),
    Effect.as(`I thought about it (attempt ${turn.attempt}): ${turn.text}`)
  )
)
