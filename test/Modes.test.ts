/** What happens to messages that arrive while their conversation's turn runs. */
import { assert, describe } from "@effect/vitest"
import { Deferred, Effect, Schema, Stream } from "effect"
import { Conversations } from "../src/Conversations.ts"
import type { Mode } from "../src/GatewayConfig.ts"
import type { Turn } from "../src/Handler.ts"
import { OwnerId } from "../src/Message.ts"
import { MessageStore } from "../src/MessageStore.ts"
import { gated, inbox, replies, say, test } from "./fixtures/conversationsRoom.ts"
import { arrival, key, tsAt } from "./fixtures/messages.ts"
import { advance, epoch, settle } from "./fixtures/rooms.ts"

describe("mode followup", () => {
  const each = gated()
  test("makes one turn of each message, in Slack's order", each.handler, () =>
    Effect.gen(function*() {
      yield* say("D1", "one", 1)
      yield* settle
      yield* say("D1", "three", 3)
      yield* say("D1", "two", 2)
      yield* each.release("one")
      yield* each.release("two")
      yield* each.release("three")
      assert.deepStrictEqual(each.texts(), ["one", "two", "three"])
    }), { mode: "followup" })
})

describe("mode interrupt", () => {
  const retried: Array<string> = []
  test(
    "stops a run of a turn that failed when a newer message came while it waited",
    (turn) =>
      Effect.suspend(() => {
        retried.push(`${turn.attempt} ${turn.text}`)
        return turn.text !== "one" ? Effect.succeed("ok") : turn.attempt === 1 ? Effect.fail("x") : Effect.never
      }),
    () =>
      Effect.gen(function*() {
        yield* say("D1", "one", 1)
        yield* settle
        yield* say("D1", "two", 2)
        yield* advance("2 minutes", "1 second")
        assert.deepStrictEqual(retried.at(-1), "1 one\ntwo")
      }),
    { mode: "interrupt" }
  )

  const recovered: Array<string> = []
  test(
    "stops a run of a turn that was cut off when a newer message came while nobody ran",
    (turn) =>
      Effect.suspend(() => {
        recovered.push(`${turn.attempt} ${turn.text}`)
        return turn.text === "one" ? Effect.never : Effect.succeed("ok")
      }),
    () =>
      Effect.gen(function*() {
        yield* advance("2 minutes", "1 second")
        assert.deepStrictEqual(recovered.at(-1), "1 one\ntwo")
      }),
    { mode: "interrupt" },
    {
      before: Effect.gen(function*() {
        const store = yield* MessageStore
        yield* store.append(arrival({ conversation: key("D1"), text: "one", ts: tsAt(1) }))
        yield* store.claim(key("D1"), OwnerId.make("dead"), epoch)
        yield* store.append(arrival({ conversation: key("D1"), text: "two", ts: tsAt(2) }))
      })
    }
  )

  const restarted = gated()
  const aborted: Array<boolean> = []
  const handler = (turn: Turn) =>
    Effect.onInterrupt(restarted.handler(turn), () => Effect.sync(() => aborted.push(turn.signal.aborted)))
  test(
    "stops the running turn and starts again with its messages and the new one",
    handler,
    () =>
      Effect.gen(function*() {
        yield* say("D1", "one", 1)
        yield* settle
        yield* say("D1", "two", 2)
        yield* settle
        assert.deepStrictEqual(restarted.texts(), ["one", "one\ntwo"])
        assert.deepStrictEqual(aborted, [true])
        assert.notStrictEqual(restarted.started[0]?.id, restarted.started[1]?.id)
        assert.strictEqual(restarted.started[1]?.attempt, 1)
        yield* restarted.release("one\ntwo", "answer")
        assert.deepStrictEqual(yield* replies, ["answer"])
        assert.strictEqual((yield* inbox).done, 2)
      }),
    { mode: "interrupt" }
  )

  test("keeps replies that were committed and discards the state that was set", (turn) =>
    turn.text === "one"
      ? Effect.andThen(turn.reply("working on it"), Effect.andThen(turn.state.set({ step: 1 }), Effect.never))
      : Effect.succeed("done"), () =>
    Effect.gen(function*() {
      yield* say("D1", "one", 1)
      yield* settle
      yield* say("D1", "two", 2)
      yield* settle
      assert.deepStrictEqual(yield* replies, ["working on it", "done"])
      assert.isNull(yield* (yield* MessageStore).state(key("D1")))
    }), { mode: "interrupt" })
})

describe("mode steer", () => {
  const taken: Array<string> = []
  test(
    "offers new messages to the running turn, and what it took completes with it",
    (turn) =>
      Stream.runForEach(Stream.take(turn.followups, 1), (message) => Effect.sync(() => taken.push(message.text))).pipe(
        Effect.map(() => `answered ${turn.text} and ${taken.length} more`)
      ),
    () =>
      Effect.gen(function*() {
        yield* say("D1", "one", 1)
        yield* settle
        yield* say("D1", "two", 2)
        yield* settle
        assert.deepStrictEqual(taken, ["two"])
        assert.deepStrictEqual(yield* replies, ["answered one and 1 more"])
        assert.strictEqual((yield* inbox).done, 2)
      }),
    { mode: "steer" }
  )

  const ignoring = gated()
  test("leaves what the turn did not take for the next one", ignoring.handler, () =>
    Effect.gen(function*() {
      yield* say("D1", "one", 1)
      yield* settle
      yield* say("D1", "two", 2)
      yield* ignoring.release("one")
      assert.deepStrictEqual(ignoring.texts(), ["one", "two"])
    }), { mode: "steer" })

  const seen = new Set<string>()
  let work = Deferred.makeUnsafe<string>()
  test(
    "loses no message that arrives while the handler ends",
    (turn) =>
      Effect.suspend(() => {
        for (const { text } of turn.messages) seen.add(text)
        if (turn.text.startsWith("late")) return Effect.succeed("ok")
        const listening = Stream.runForEach(turn.followups, ({ text }) => Effect.sync(() => seen.add(text)))
        return Effect.raceFirst(Effect.andThen(listening, Effect.never), Deferred.await(work))
      }),
    () =>
      Effect.gen(function*() {
        const late = Array.from({ length: 60 }, (_, yields) => `late ${yields}`)
        for (const [yields, text] of late.entries()) {
          work = Deferred.makeUnsafe<string>()
          yield* say(`D${yields}`, "first", 1)
          yield* settle
          yield* say(`D${yields}`, text, 2)
          for (let n = 0; n < yields; n++) yield* Effect.yieldNow
          yield* Deferred.succeed(work, "done")
          yield* settle
        }
        assert.includeMembers([...seen], late)
        assert.strictEqual((yield* inbox).done, 2 * late.length)
      }),
    { mode: "steer" }
  )
})

describe("a mode function", () => {
  const each = gated()
  test(
    "decides per conversation",
    each.handler,
    () =>
      Effect.gen(function*() {
        for (const name of ["D1", "D2"]) {
          for (const second of [1, 2]) {
            yield* (yield* MessageStore).append(
              arrival({ conversation: key(name), text: `${name} ${second}`, ts: tsAt(second) })
            )
          }
        }
        for (const name of ["D1", "D2"]) yield* (yield* Conversations).wake(key(name))
        yield* say("D3", "go")
        yield* settle
        assert.sameMembers(each.texts(), ["D1 1", "D2 1\nD2 2", "go"])
      }),
    {},
    { mode: (conversation) => conversation === key("D1") ? "followup" : "collect" }
  )

  for (const [what, answer] of [["throws", () => assert.fail("bug")], ["answers nonsense", () => "fast"]] as const) {
    test(
      `that ${what} is known from the log once, and the configured mode counts`,
      () => Effect.succeed("fine"),
      ({ lines }) =>
        Effect.gen(function*() {
          for (const name of ["D1", "D2", "D3"]) yield* say(name, "x")
          yield* settle
          assert.strictEqual((yield* inbox).done, 3)
          assert.strictEqual(lines.filter((line) => line.includes("mode function failed")).length, 1)
        }),
      {},
      { mode: answer as () => Mode }
    )
  }
})

describe("a turn", () => {
  const ran: Array<string> = []
  test("that is re-run goes on behind its finished steps", (turn) =>
    Effect.gen(function*() {
      const names: Array<string> = []
      for (let n = 1; n <= 10; n++) {
        names.push(
          yield* turn.step(
            `step ${n}`,
            Effect.sync(() => {
              ran.push(`${n}`)
              return `result ${n}`
            })
          )
        )
        if (n === 7 && turn.attempt === 1) return yield* Effect.fail("cut off behind the seventh")
      }
      return names.join(", ")
    }), () =>
    Effect.gen(function*() {
      yield* say("D1", "go")
      yield* settle
      assert.strictEqual(ran.length, 7)
      yield* advance("10 seconds", "1 second")
      assert.deepStrictEqual(ran, ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"])
      assert.deepStrictEqual(yield* replies, [Array.from({ length: 10 }, (_, n) => `result ${n + 1}`).join(", ")])
    }))

  const decoded: Array<string> = []
  test(
    "whose stored result of a step does not decode any more hears so, and the step is not run again",
    (turn) =>
      Effect.gen(function*() {
        const read = turn.step("a", Effect.sync(() => `run ${decoded.push("ran")}`), Schema.String)
        if (turn.attempt === 1) return yield* Effect.andThen(read, Effect.fail("cut off"))
        const number = turn.step("a", Effect.sync(() => decoded.push("ran again")), Schema.Number)
        return (yield* Effect.flip(number)).message
      }),
    () =>
      Effect.gen(function*() {
        yield* say("D1", "go")
        yield* settle
        yield* advance("10 seconds", "1 second")
        assert.match((yield* replies)[0] ?? "", /step "a": its stored result does not decode any more/)
        assert.deepStrictEqual(decoded, ["ran"])
      })
  )

  test(
    "may not name two steps alike",
    (turn) =>
      Effect.andThen(turn.step("a", Effect.succeed("1")), turn.step("a", Effect.succeed("2"))).pipe(
        Effect.catch((error) => Effect.succeed((error as Error).message))
      ),
    () =>
      Effect.gen(function*() {
        yield* say("D1", "go")
        yield* settle
        assert.match((yield* replies)[0] ?? "", /step "a": this name was used already/)
      })
  )

  test("hands its state to the next one when it completes", (turn) =>
    Effect.gen(function*() {
      const before = yield* turn.state.get
      yield* turn.state.set({ count: typeof before === "object" ? 2 : 1 })
      return JSON.stringify(before ?? "nothing")
    }), () =>
    Effect.gen(function*() {
      yield* say("D1", "one", 1)
      yield* settle
      yield* say("D1", "two", 2)
      yield* settle
      assert.deepStrictEqual(yield* replies, [`"nothing"`, `{"count":1}`])
    }))

  test(
    "that fails leaves no state behind",
    (turn) => Effect.andThen(turn.state.set({ bad: true }), Effect.fail("boom")),
    () =>
      Effect.gen(function*() {
        yield* say("D1", "one")
        yield* settle
        assert.isNull(yield* (yield* MessageStore).state(key("D1")))
      }),
    { maxAttempts: 1 }
  )

  test(
    "reads what was said before, oldest first",
    (turn) =>
      turn.text === "one"
        ? Effect.succeed("first answer")
        : Effect.map(
          turn.history(),
          (lines) => lines.map((line) => line._tag === "Reply" ? `< ${line.text}` : `> ${line.message.text}`).join("; ")
        ),
    () =>
      Effect.gen(function*() {
        yield* say("D1", "one", 1)
        yield* settle
        yield* say("D1", "two", 2)
        yield* settle
        assert.match((yield* replies)[1] ?? "", /> one/)
        assert.match((yield* replies)[1] ?? "", /< first answer/)
      })
  )
})
