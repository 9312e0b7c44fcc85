/**
 * The calls that say under a thread what the bot is doing.
 *
 * They are for the eye: at most a few at once, one at a time for a thread and always the newest text, dropped when
 * there are too many, never repeated, never kept. A call that fails is worth a debug line.
 */
import { Effect, FiberSet } from "effect"
import type { Destination } from "./Message.ts"
import { SlackApi } from "./SlackApi.ts"

/** Calls in flight; what would be one more is dropped. */
const atOnce = 16

const isThread = (destination: Destination): destination is Required<Destination> => destination.threadTs !== undefined

export const makeStatusCalls = Effect.gen(function*() {
  const api = yield* SlackApi
  const fibers = yield* FiberSet.make()
  /** Threads with a call in flight, and what to say after it. */
  const next = new Map<string, string | null>()

  const call = (destination: Required<Destination>, text: string) =>
    api.setStatus(destination, text).pipe(
      Effect.catchCause((cause) => Effect.logDebug("a status was not shown", cause))
    )

  const calls = Effect.fnUntraced(function*(thread: string, destination: Required<Destination>, first: string) {
    for (let text: string | null = first; text !== null;) {
      yield* call(destination, text)
      text = next.get(thread) ?? null
      if (text === null) next.delete(thread)
      else next.set(thread, null)
    }
  })

  /**
   * Shows the text, and waits for nothing. Slack takes it away when the bot posts: null says that a post comes, and
   * only sees to it that a call in flight does not leave its text under that post.
   */
  const show = (destination: Destination, text: string | null): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (!isThread(destination)) return Effect.void
      const thread = `${destination.channel}/${destination.threadTs}`
      if (next.has(thread)) {
        next.set(thread, text ?? "")
        return Effect.void
      }
      if (text === null || next.size >= atOnce) return Effect.void
      next.set(thread, null)
      return Effect.asVoid(FiberSet.run(fibers, calls(thread, destination, text)))
    })

  return show
})
