/** How far long work is, for a person at a terminal; on stderr, and gone when it is done. */
import { Effect } from "effect"

/** One line that is written over. */
export const progress = (doing: string) => (done: number, total: number, what = ""): Effect.Effect<void> =>
  Effect.sync(() => {
    if (!process.stderr.isTTY) return
    process.stderr.write(done < total ? `\r\u001b[K${doing} ${done} of ${total}${what}` : "\r\u001b[K")
  })
