/** How a conversation takes what comes while its turn runs: as configured, or as the user's function decides for each. */
import { Effect } from "effect"
import { type Mode, modes } from "./GatewayConfig.ts"
import type { ConversationKey } from "./Message.ts"

/** The user's function decides; its bug must not stop the conversations. */
export const guarded = (mode: ((conversation: ConversationKey) => Mode) | undefined, configured: Mode) => {
  let isKnown = false
  const fallBack = Effect.fnUntraced(function*(defect: unknown) {
    if (!isKnown) yield* Effect.logError("the mode function failed; the configured mode counts", defect)
    isKnown = true
    return configured
  })
  return (conversation: ConversationKey): Effect.Effect<Mode> =>
    mode === undefined ? Effect.succeed(configured) : Effect.sync(() => {
      const decided = mode(conversation)
      if (!modes.includes(decided)) throw new TypeError(`neither of ${modes.join(", ")}`)
      return decided
    }).pipe(Effect.catchDefect(fallBack))
}
