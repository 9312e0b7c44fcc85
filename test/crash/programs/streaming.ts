/** Streams its answer. The first run stops half way and waits for its end; the next one says the same and goes on. */
import { Effect } from "effect"
import { Handler } from "slackwater"

const half = "one ".repeat(100)

export default Handler.make((turn) =>
  Effect.gen(function*() {
    const stream = yield* turn.stream()
    yield* stream.append(half)
    if (turn.attempt === 1) return yield* Effect.never
    const two = turn.text.includes("other") ? "another end" : "and two"
    yield* stream.append(two)
    return yield* stream.stop(turn.text.includes("other") ? two : undefined)
  })
)
