/** How far long work is, for a person at a terminal; on stderr, and gone when it is done. */
import { Effect } from "effect"

/** One line that is written over. */
export const write = (doing: string, done: number, total: number, what: string): void => {
  if (!process.stderr.isTTY) return
  process.stderr.write(done < total ? `\r\u001b[K${doing} ${done} of ${total} ${what}` : "\r\u001b[K")
}

export const progress = (doing: string, what: string) => (done: number, total: number): Effect.Effect<void> =>
  Effect.sync(() => write(doing, done, total, what))

/** Takes the line away. */
export const noProgress = Effect.sync(() => write("", 1, 1, ""))
