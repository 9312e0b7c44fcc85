/** Answers with a file. */
import { Handler } from "slackwater"

export default Handler.make((turn) => turn.upload({ filename: "answer.txt", content: `about ${turn.text}` }))
