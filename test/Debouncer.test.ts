/** Quiet windows in virtual time. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Layer } from "effect"
import { Conversations } from "../src/Conversations.ts"
import { Debouncer } from "../src/Debouncer.ts"
import type { InboundMessage } from "../src/Message.ts"
import { MessageStore } from "../src/MessageStore.ts"
import { Shutdown } from "../src/Shutdown.ts"
import { StoreError, StoreUnavailable } from "../src/StoreError.ts"
import { Supervisor } from "../src/Supervisor.ts"
import { inbound, key } from "./fixtures/messages.ts"
import { inRooms, Rooms } from "./fixtures/rooms.ts"
import { settings } from "./fixtures/stores.ts"
import { advance, epoch, withWallClock } from "./fixtures/time.ts"

interface Script {
  readonly woken: Array<string>
  readonly flushed: Array<string>
  readonly madeDue: Array<string>
  storeIsAway: boolean
}

const quiet = 1_000

type Body<A, E> = (debouncer: Debouncer["Service"], script: Script) => Effect.Effect<A, E, Rooms>

const test = <A, E>(sentence: string, body: Body<A, E>, debounce = Duration.millis(quiet)) =>
  it.effect(sentence, () => inDebouncer(body, debounce))

const inDebouncer = <A, E>(body: Body<A, E>, debounce = Duration.millis(quiet)) => {
  const script: Script = { woken: [], flushed: [], madeDue: [], storeIsAway: false }
  const conversations = Layer.succeed(Conversations, {
    promise: () => undefined,
    wake: (conversation) => Effect.sync(() => void script.woken.push(conversation)),
    lookAround: Effect.void,
    drain: Effect.succeed({ drained: 0, remaining: 0 }),
    flush: (conversations) => Effect.sync(() => void script.flushed.push(...conversations))
  })
  const store = Layer.mock(MessageStore)({
    makeDue: (conversations) =>
      script.storeIsAway
        ? Effect.fail(new StoreError({ operation: "makeDue", reason: new StoreUnavailable({ cause: "away" }) }))
        : Effect.sync(() => void script.madeDue.push(...conversations))
  })
  const layer = Debouncer.layer.pipe(
    Layer.provide([conversations, store, Shutdown.layer, Supervisor.layer]),
    Layer.provide(settings({ debounce }))
  )
  return inRooms(layer)(Effect.flatMap(Debouncer, (debouncer) => body(debouncer, script)))
}

/** A message arrives: its window is decided, it is stored, the window counts. Answers its end, from the epoch on. */
const arrives = Effect.fnUntraced(function*(
  debouncer: Debouncer["Service"],
  conversation = "D1",
  given: Partial<InboundMessage> = {}
) {
  const message = inbound({ conversation: key(conversation), ...given })
  const window = yield* debouncer.window(message, yield* Clock.currentTimeMillis)
  yield* debouncer.opened(message.conversation, window)
  return window.endsAt - epoch
})

describe("Debouncer", () => {
  test("wakes the conversation after the quiet time", (debouncer, script) =>
    Effect.gen(function*() {
      assert.strictEqual(yield* arrives(debouncer), quiet)
      yield* advance(quiet - 1)
      assert.deepStrictEqual(script.woken, [])
      yield* advance(1)
      assert.deepStrictEqual(script.woken, ["D1"])
      yield* advance("1 hour")
      assert.deepStrictEqual(script.woken, ["D1"])
    }))

  test("moves the end of the window with each message", (debouncer, script) =>
    Effect.gen(function*() {
      yield* arrives(debouncer)
      yield* advance(900)
      assert.strictEqual(yield* arrives(debouncer), 1_900)
      yield* advance(999)
      assert.deepStrictEqual(script.woken, [])
      yield* advance(1)
      assert.deepStrictEqual(script.woken, ["D1"])
    }))

  test(
    "ends a window five quiet times after its first message, whatever still comes",
    (debouncer, script) =>
      Effect.gen(function*() {
        const ends: Array<number> = []
        for (let message = 0; message < 6; message++) {
          ends.push(yield* arrives(debouncer))
          yield* advance(900)
        }
        assert.deepStrictEqual(ends, [1_000, 1_900, 2_800, 3_700, 4_600, 5_000])
        assert.deepStrictEqual(script.woken, ["D1"])
        assert.strictEqual(yield* arrives(debouncer), 5_400 + quiet)
      })
  )

  test("keeps the windows of conversations apart", (debouncer, script) =>
    Effect.gen(function*() {
      yield* arrives(debouncer, "D1")
      yield* advance(500)
      yield* arrives(debouncer, "D2")
      yield* advance(500)
      assert.deepStrictEqual(script.woken, ["D1"])
      yield* advance(500)
      assert.deepStrictEqual(script.woken, ["D1", "D2"])
    }))

  for (const given of [{ kind: "slash_command" }, { kind: "interactive" }, { subtype: "file_share" }] as const) {
    test(
      `does not let ${Object.values(given)[0]} wait, which ends the window that it meets`,
      (debouncer, script) =>
        Effect.gen(function*() {
          yield* arrives(debouncer)
          yield* advance(100)
          assert.strictEqual(yield* arrives(debouncer, "D1", given), 100)
          assert.deepStrictEqual(script.woken, ["D1"])
          yield* advance("1 hour")
          assert.deepStrictEqual(script.woken, ["D1"])
        })
    )
  }

  test("opens no window where the quiet time is zero", (debouncer, script) =>
    Effect.gen(function*() {
      assert.strictEqual(yield* arrives(debouncer), 0)
      assert.deepStrictEqual(script.woken, ["D1"])
    }), Duration.zero)

  test("wakes at once when storing took longer than the window", (debouncer, script) =>
    Effect.gen(function*() {
      const message = inbound({ conversation: key("D1") })
      const window = yield* debouncer.window(message, epoch)
      yield* advance(quiet)
      yield* debouncer.opened(message.conversation, window)
      assert.deepStrictEqual(script.woken, ["D1"])
    }))

  it.effect("ends a window although the clock is set back in it", () =>
    withWallClock((setBack) =>
      inDebouncer((debouncer, script) =>
        Effect.gen(function*() {
          yield* arrives(debouncer)
          yield* setBack("1 hour")
          yield* advance(quiet)
          assert.deepStrictEqual(script.woken, ["D1"])
          assert.strictEqual(yield* arrives(debouncer), 2 * quiet - 3_600_000)
        })
      )
    ))

  test(
    "bounds the windows that are open; a conversation beyond them does not wait",
    (debouncer, script) =>
      Effect.gen(function*() {
        for (let conversation = 0; conversation < 2_048; conversation++) yield* arrives(debouncer, `D${conversation}`)
        assert.strictEqual(yield* arrives(debouncer, "one too many"), 0)
        assert.deepStrictEqual(script.woken, ["one too many"])
        assert.strictEqual(yield* arrives(debouncer, "D5"), quiet)
        assert.strictEqual(yield* debouncer.flushAll, 2_048)
      })
  )

  test("ends every open window at once and hands them over", (debouncer, script) =>
    Effect.gen(function*() {
      yield* arrives(debouncer, "D1")
      yield* arrives(debouncer, "D2")
      assert.strictEqual(yield* debouncer.flushAll, 2)
      assert.deepStrictEqual(script.madeDue, ["D1", "D2"])
      assert.deepStrictEqual(script.flushed, ["D1", "D2"])
      assert.strictEqual(yield* debouncer.flushAll, 0)
      yield* advance("1 hour")
      assert.deepStrictEqual(script.woken, [])
    }))

  test("hands nothing over that the store did not make due", (debouncer, script) =>
    Effect.gen(function*() {
      yield* arrives(debouncer)
      script.storeIsAway = true
      assert.strictEqual(yield* debouncer.flushAll, 0)
      assert.deepStrictEqual(script.flushed, [])
      yield* advance(quiet)
      assert.deepStrictEqual(script.woken, ["D1"])
    }))

  test("hands over what is open when it closes", (debouncer, script) =>
    Effect.gen(function*() {
      yield* arrives(debouncer)
      yield* (yield* Rooms).close
      assert.deepStrictEqual(script.flushed, ["D1"])
    }))
})
