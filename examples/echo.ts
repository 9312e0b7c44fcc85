/** Answers every message with what was said. Also what `npm start` runs. */
import { Handler } from "slackwater"

export default Handler.make((turn) => turn.reply(`You said: ${turn.text}`))
