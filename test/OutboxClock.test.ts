/** The machine's clock is set while replies wait: they wait as long as they would have, and no longer. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, type Duration, Effect, Layer } from "effect"
import type { Settings } from "../src/GatewayConfig.ts"
import { Outbox } from "../src/Outbox.ts"
import type { OutboxStore } from "../src/OutboxStore.ts"
import { Ambiguous, NotSent, RateLimited, SlackApi, type SlackApiReason } from "../src/SlackApi.ts"
import { post, unpaced } from "./fixtures/outboxRoom.ts"
import { advance, ground, inRooms } from "./fixtures/rooms.ts"
import { scriptedApi } from "./fixtures/scriptedApi.ts"
import { withWallClock } from "./fixtures/time.ts"

type SetBack = (by: Duration.Input) => Effect.Effect<void>

const test = <A, E>(
  sentence: string,
  body: (slack: ReturnType<typeof scriptedApi>, setBack: SetBack) => Effect.Effect<A, E, Outbox | OutboxStore>,
  given: Partial<Settings> = unpaced
) =>
  it.effect(sentence, () => {
    const slack = scriptedApi()
    const rooms = Outbox.layer.pipe(Layer.provideMerge(ground(given)), Layer.provide(slack.layer))
    return withWallClock((setBack) => inRooms(rooms)(body(slack, setBack)))
  })

/** The clock is set ahead while a request is under way, as when a laptop wakes up; then the request ends like this. */
const aheadOf = (ending: SlackApiReason) =>
  it.effect(`set ahead while a request is under way prolongs no pause: ${ending._tag}`, () => {
    const slack = scriptedApi()
    const asleep = Deferred.makeUnsafe<void>()
    const send: typeof slack.api.send = (...call) => Effect.andThen(Deferred.await(asleep), slack.api.send(...call))
    const rooms = Outbox.layer.pipe(
      Layer.provideMerge(ground(unpaced)),
      Layer.provide(Layer.succeed(SlackApi, { ...slack.api, send }))
    )
    return withWallClock((setBack) =>
      inRooms(rooms)(Effect.gen(function*() {
        slack.script("a", ending)
        yield* post("a")
        yield* advance("1 second")
        yield* setBack("-8 hours")
        yield* Deferred.succeed(asleep, undefined)
        yield* advance("1 minute", "1 second")
        assert.deepStrictEqual(slack.texts(), ["a", "a"])
      }))
    )
  })

const down = new NotSent({ detail: "ECONNREFUSED" })

describe("a clock that is set", () => {
  aheadOf(new NotSent({ detail: "ENOTFOUND" }))
  aheadOf(new RateLimited({ retryAfterMs: 5_000 }))

  test("back by less than a second changes no order of a conversation", (slack, setBack) =>
    Effect.gen(function*() {
      slack.access.failure = down
      yield* post("first")
      yield* advance("40 seconds", "1 second")
      yield* post("second")
      yield* setBack("800 millis")
      yield* post("third")
      slack.access.failure = undefined
      yield* advance("1 minute", "50 millis")
      assert.deepStrictEqual(slack.texts(), ["first", "second", "third"])
    }))

  test(
    "back by an hour in an outage does not prolong it: what waited and what came since goes out",
    (slack, setBack) =>
      Effect.gen(function*() {
        slack.script("a", down)
        yield* post("a")
        yield* advance("100 millis", "10 millis")
        slack.access.failure = down
        yield* advance("2 minutes", "5 seconds")
        yield* post("b", "C2")
        yield* setBack("1 hour")
        slack.access.failure = undefined
        yield* post("behind b", "C2")
        yield* advance("2 minutes", "5 seconds")
        // Which of the two conversations goes first is nobody's promise.
        const told = slack.texts()
        assert.deepStrictEqual(told.filter((text) => text === "a"), ["a", "a"])
        assert.deepStrictEqual(told.filter((text) => text !== "a"), ["b", "behind b"])
      })
  )

  test(
    "back by an hour does not prolong the pause that Slack asked for, nor end it",
    (slack, setBack) =>
      Effect.gen(function*() {
        yield* post("first")
        yield* advance("1 second")
        slack.script("a", new RateLimited({ retryAfterMs: 300_000 }))
        yield* post("a")
        yield* advance("1 second")
        yield* setBack("1 hour")
        yield* advance("4 minutes", "5 seconds")
        assert.deepStrictEqual(slack.texts(), ["first", "a"])
        yield* advance("2 minutes", "5 seconds")
        assert.deepStrictEqual(slack.texts(), ["first", "a", "a"])
      })
  )

  test(
    "is no reason to overtake what may have arrived, when it is set ahead",
    (slack, setBack) =>
      Effect.gen(function*() {
        slack.look.failure = new Ambiguous({ detail: "reset" })
        slack.script("a", new Ambiguous({ detail: "reset" }))
        yield* post("a")
        yield* advance("5 seconds", "1 second")
        yield* setBack("-1 hour")
        yield* post("b")
        yield* advance("60 seconds", "1 second")
        assert.deepStrictEqual(slack.texts(), ["a"])
        slack.look.failure = undefined
        yield* advance("4 minutes", "5 seconds")
        assert.deepStrictEqual(slack.texts(), ["a", "a", "b"])
      })
  )

  test(
    "back by an hour does not prolong the hold of a lane, nor the search for what may have arrived",
    (slack, setBack) =>
      Effect.gen(function*() {
        slack.look.failure = new Ambiguous({ detail: "reset" })
        slack.script("a", new Ambiguous({ detail: "reset" }))
        yield* post("a")
        yield* post("b")
        yield* advance("10 seconds", "1 second")
        yield* setBack("1 hour")
        yield* advance("4 minutes", "5 seconds")
        assert.deepStrictEqual(slack.texts(), ["a", "b"])
        slack.look.failure = undefined
        yield* advance("4 minutes", "5 seconds")
        assert.deepStrictEqual(slack.texts(), ["a", "b", "a"])
      })
  )
})
