/** What `slackwater dev` runs when it is given no handler. */
import { Handler } from "../Handler.ts"

export default Handler.make((turn) => turn.reply(`You said: ${turn.text}`))
