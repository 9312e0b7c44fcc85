/**
 * The echo of a soak. It imports Effect, so that the gateway runs from its modules and not from the bundle: `inside.mjs`
 * has something to say to one of them.
 */
import * as Effect from "effect/Effect"

export default (turn) => Effect.runSync(Effect.succeed(`You said: ${turn.text}`))
