/** Whoever opens connections waits as long as was said, whoever sets the machine's clock meanwhile. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as Opening from "../src/Opening.ts"
import { advance, withWallClock } from "./fixtures/time.ts"

describe("a pause before the next attempt", () => {
  it.effect("is no longer when the clock is set back", () =>
    withWallClock((setBack) =>
      Effect.gen(function*() {
        const opening = yield* Opening.make
        yield* opening.postpone(10_000)
        yield* setBack("8 hours")
        const attempt = yield* Effect.forkChild(opening.inTurn(Effect.void))
        yield* advance("9 seconds")
        assert.isUndefined(attempt.pollUnsafe())
        yield* advance("2 seconds")
        yield* Fiber.join(attempt)
      })
    ))
})
