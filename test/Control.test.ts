/** What an operator's pauses and cancels mean for turns that run or would begin: Conversations over the real stores. */
import { assert, describe } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { Control } from "../src/Control.ts"
import { Conversations } from "../src/Conversations.ts"
import { GatewayStatus } from "../src/GatewayStatus.ts"
import { Handler, type Turn } from "../src/Handler.ts"
import { OwnerId, TurnId } from "../src/Message.ts"
import { MessageStore } from "../src/MessageStore.ts"
import { gated, inbox, replies, say, test } from "./fixtures/conversationsRoom.ts"
import { arrival, key } from "./fixtures/messages.ts"
import { advance, epoch, settle } from "./fixtures/rooms.ts"

/** What a command does: a change, and the touch of the wake file. */
const byHand = <A, E, R>(change: (control: Control["Service"]) => Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const answer = yield* change(yield* Control)
    yield* (yield* Conversations).lookAround
    yield* settle
    return answer
  })

const alarms = Effect.map(
  Effect.flatMap(GatewayStatus, ({ snapshot }) => snapshot),
  (found) => found.alarms.map(({ code }) => code)
)

describe("a pause", () => {
  const held = gated()
  test(
    "keeps turns from beginning until it ends, and lets one that runs go on",
    held.handler,
    () =>
      Effect.gen(function*() {
        yield* say("D1", "one")
        yield* settle
        yield* byHand((control) => control.pause(null, epoch))
        yield* say("D1", "two")
        yield* say("D2", "three")
        yield* advance("10 minutes", "10 seconds")
        yield* held.release("one", "answer")
        assert.deepStrictEqual(held.texts(), ["one"])
        assert.deepStrictEqual(yield* replies, ["answer"])
        assert.strictEqual((yield* inbox).queued, 2)
        yield* byHand((control) => control.resume(null, epoch))
        assert.deepStrictEqual(held.texts(), ["one", "two", "three"])
      })
  )

  const one = gated()
  test("of one channel leaves the others alone", one.handler, () =>
    Effect.gen(function*() {
      yield* byHand((control) => control.pause(key("C1"), epoch))
      yield* say("C1/1.1", "held")
      yield* say("C2/1.1", "free")
      yield* settle
      assert.deepStrictEqual(one.texts(), ["free"])
      assert.deepStrictEqual(yield* alarms, [])
    }))

  test(
    "of everything is an alarm and a field of the status until it is over",
    gated().handler,
    () =>
      Effect.gen(function*() {
        const status = yield* GatewayStatus
        yield* byHand((control) => control.pause(null, epoch, "deploy"))
        yield* byHand((control) => control.pause(key("D1"), epoch))
        const { alarms: raised, paused } = yield* status.snapshot
        assert.deepStrictEqual(paused, { everything: true, since: epoch, why: "deploy", named: 1 })
        assert.deepStrictEqual(raised.map(({ code }) => code), ["paused"])
        assert.match(raised[0]?.text ?? "", /\(deploy\).*slackwater resume/)
        yield* byHand((control) => control.resume(null, epoch))
        assert.deepStrictEqual(yield* alarms, [])
        assert.deepInclude((yield* status.snapshot).paused, { everything: false, since: null, named: 1 })
      })
  )

  test(
    "that was there before the gateway is an alarm from its start on",
    gated().handler,
    () => Effect.map(alarms, (raised) => assert.deepStrictEqual(raised, ["paused"])),
    {},
    {
      before: Effect.flatMap(Control, ({ pause }) => pause(null, epoch))
    }
  )

  const interrupted = gated()
  test(
    "does not let a new message interrupt a turn that runs; its end does",
    interrupted.handler,
    () =>
      Effect.gen(function*() {
        yield* say("D1", "one")
        yield* settle
        yield* byHand((control) => control.pause(key("D1"), epoch))
        yield* say("D1", "two", 1)
        yield* settle
        assert.isFalse(interrupted.started[0]?.signal.aborted)
        yield* byHand((control) => control.resume(key("D1"), epoch))
        assert.deepStrictEqual(interrupted.texts(), ["one", "one\ntwo"])
      }),
    { mode: "interrupt" }
  )

  const offered: Array<string> = []
  test(
    "offers a running turn what came meanwhile only once it is over",
    (turn: Turn) => Stream.runForEach(turn.followups, ({ text }) => Effect.sync(() => void offered.push(text))),
    () =>
      Effect.gen(function*() {
        yield* say("D1", "one")
        yield* settle
        yield* byHand((control) => control.pause(null, epoch))
        yield* say("D1", "two", 1)
        yield* settle
        assert.deepStrictEqual(offered, [])
        yield* byHand((control) => control.resume(null, epoch))
        assert.deepStrictEqual(offered, ["two"])
      }),
    { mode: "steer" }
  )
})

describe("a cancelled turn", () => {
  const running = Effect.map(Effect.flatMap(Control, (control) => control.running), (turns) => turns[0]?.id)
  const cancel = Effect.gen(function*() {
    const id = (yield* running) ?? TurnId.make("none")
    return yield* byHand((control) => control.cancel(id, epoch))
  })

  const stopped: Array<string> = []
  const events = gated()
  test(
    "is stopped, what it said stands, nobody is told more, and its conversation goes on",
    (turn) =>
      turn.text !== "one" ? events.handler(turn) : turn.reply("working").pipe(
        Effect.andThen(turn.status("is thinking")),
        Effect.andThen(Effect.never),
        Effect.onInterrupt(() => Effect.sync(() => void stopped.push(turn.text)))
      ),
    (room) =>
      Effect.gen(function*() {
        yield* say("D1", "one")
        yield* settle
        yield* say("D1", "two", 1)
        assert.deepInclude(yield* cancel, { _tag: "Cancelled", wasRunning: true })
        assert.deepStrictEqual(stopped, ["one"])
        assert.deepStrictEqual(yield* replies, ["working"])
        assert.strictEqual((yield* inbox).failed, 1)
        assert.deepStrictEqual(events.texts(), ["two"])
        assert.deepStrictEqual(room.statuses, ["is thinking", ""])
        assert.include(room.lines, "Info the turn was cancelled by hand")
        assert.deepStrictEqual(room.lines.filter((line) => line.startsWith("Error")), [])
      })
  )

  const signals: Array<AbortSignal> = []
  test(
    "aborts the signal of a handler that is an async function",
    Handler.promise((turn) => {
      signals.push(turn.signal)
      return new Promise<void>((resolve) => turn.signal.addEventListener("abort", () => resolve()))
    }),
    () =>
      Effect.gen(function*() {
        yield* say("D1", "one")
        yield* settle
        yield* cancel
        assert.isTrue(signals[0]?.aborted)
        assert.strictEqual((yield* inbox).failed, 1)
      })
  )

  const late = gated()
  test("counts nothing of a handler that ends before it is told", late.handler, (room) =>
    Effect.gen(function*() {
      yield* say("D1", "one")
      yield* settle
      const id = (yield* running) ?? TurnId.make("none")
      yield* (yield* Control).cancel(id, epoch)
      yield* late.release("one", "too late")
      assert.deepStrictEqual(yield* replies, [])
      assert.strictEqual((yield* inbox).failed, 1)
      assert.include(room.lines, "Info the turn was cancelled by hand")
    }))

  const first = gated()
  test("is no turn that has ended", first.handler, () =>
    Effect.gen(function*() {
      yield* say("D1", "one")
      yield* settle
      const id = (yield* running) ?? TurnId.make("none")
      yield* first.release("one", "answer")
      assert.deepStrictEqual(yield* byHand((control) => control.cancel(id, epoch)), {
        _tag: "Ended",
        state: "done",
        byHand: false
      })
      assert.strictEqual((yield* inbox).done, 1)
    }))

  const others = gated()
  test("is the only one: what runs beside it goes on", others.handler, () =>
    Effect.gen(function*() {
      yield* say("D1", "one")
      yield* say("D2", "two")
      yield* settle
      yield* cancel
      yield* others.release("two", "answer")
      assert.deepStrictEqual(yield* replies, ["answer"])
      const { done, failed } = yield* inbox
      assert.deepStrictEqual({ done, failed }, { done: 1, failed: 1 })
    }))

  const never = gated()
  test(
    "of a gateway that died does not run again",
    never.handler,
    () =>
      Effect.gen(function*() {
        yield* settle
        assert.deepStrictEqual(never.texts(), [])
        assert.strictEqual((yield* inbox).failed, 1)
      }),
    {},
    {
      before: Effect.gen(function*() {
        const store = yield* MessageStore
        yield* store.append(arrival({ conversation: key("D1"), text: "one" }))
        yield* store.claim(key("D1"), OwnerId.make("dead"), epoch)
        const control = yield* Control
        const id = (yield* control.running)[0]?.id ?? TurnId.make("none")
        yield* control.cancel(id, epoch)
      })
    }
  )
})
