/** What is the same of every new turn, however it begins: with the message that opens it, or claimed for what waits. */
import { freeOf } from "./Control.ts"

/** Its first run, as the handler is told of it. */
export const firstRun = { attempt: 1, failures: 0, crashes: 0, interrupted: false, status: null } as const

/** Its name, after the first message it is given. */
export const turnName = (now: number, message: number): string => `turn_${now.toString(36)}_${message}`

/** No new turn may begin in the conversation of this column: one is unfinished or asked for there, or it is paused. */
export const isTaken = (conversation: string): string =>
  `EXISTS (SELECT 1 FROM slackwater_turns t WHERE t.conversation = ${conversation}
      AND t.state IN ('running', 'waiting'))
    OR EXISTS (SELECT 1 FROM slackwater_turns t WHERE t.conversation = ${conversation}
      AND t.state = 'failed' AND t.finished_at IS NULL)
    OR NOT ${freeOf(conversation)}`
