/** Besides what is usual, a question in a channel starts a turn. What starts none is kept, with the reason. */
import { type Activate, defaultActivation, eventOf, Handler } from "slackwater"

export const activate: Activate = (message, context) => {
  const usual = defaultActivation(message, context)
  const isSaid = eventOf(message).kind === "message" && message.user !== context.botUser
  return usual._tag === "Ignore" && isSaid && message.text.trimEnd().endsWith("?") ? { _tag: "Turn" } : usual
}

export default Handler.make((turn) => turn.reply(`A good question: ${turn.text}`))
