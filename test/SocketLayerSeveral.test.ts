/** Several connections are kept: the end of one is no gap, and they never open together. */
import { assert, describe } from "@effect/vitest"
import { Deferred, Effect, Fiber, Metric } from "effect"
import { SocketLayer } from "../src/SocketLayer.ts"
import { foreignConnections } from "../src/Telemetry.ts"
import { Rooms } from "./fixtures/rooms.ts"
import { refused, tooMany, unreachable } from "./fixtures/scriptedConnection.ts"
import { alarms, socket, test } from "./fixtures/socketRoom.ts"
import { advance, epoch, settle } from "./fixtures/time.ts"

const two = { connections: 2 }

describe("two connections", () => {
  const first = Deferred.makeUnsafe<void>()
  const second = Deferred.makeUnsafe<void>()
  test("are opened one after the other, and the first is enough to be connected", (script) =>
    Effect.gen(function*() {
      assert.strictEqual(script.attempts.length, 1)
      assert.strictEqual((yield* socket).state, "starting")
      yield* Deferred.succeed(first, undefined)
      yield* settle
      assert.strictEqual(script.attempts.length, 2)
      assert.deepInclude(yield* socket, { state: "connected", connections: 1 })
      yield* Deferred.succeed(second, undefined)
      yield* settle
      assert.deepInclude(yield* socket, { state: "connected", connections: 2, generation: 2, reconnects: 0 })
    }), { ...two, before: ({ next }) => void next.push(first, second) })

  test("stay connected when one of them ends, and only that one is replaced", (script) =>
    Effect.gen(function*() {
      yield* advance("10 seconds")
      const gate = yield* Deferred.make<void>()
      script.next.push(gate)
      yield* script.line(1).cut
      yield* settle
      assert.deepInclude(yield* socket, {
        state: "connected",
        connectedSince: epoch,
        disconnectedSince: null,
        connections: 1
      })
      yield* Deferred.succeed(gate, undefined)
      yield* settle
      assert.strictEqual(script.lines.length, 3)
      assert.isFalse(script.line(2).released())
      assert.deepInclude(yield* socket, { state: "connected", connections: 2, generation: 3, reconnects: 1 })
    }), two)

  test("stay connected while one of them is being replaced", (script) =>
    Effect.gen(function*() {
      yield* advance("10 seconds")
      script.next.push(yield* Deferred.make<void>())
      yield* script.line(2).warn("refresh_requested")
      yield* settle
      assert.deepInclude(yield* socket, { state: "connected", connections: 2 })
    }), two)

  test("are disconnected only when both have ended, since the second did", (script) =>
    Effect.gen(function*() {
      yield* advance("10 seconds")
      script.next.push(...Array.from({ length: 20 }, () => unreachable))
      yield* script.line(1).cut
      yield* advance("1 second")
      assert.strictEqual((yield* socket).state, "connected")
      yield* script.line(2).cut
      yield* settle
      assert.deepInclude(yield* socket, { state: "disconnected", disconnectedSince: epoch + 11_000, connections: 0 })
    }), two)

  test(
    "say which stretch nobody heard when one ends that was dead, and nothing of one that just ends",
    (script) =>
      Effect.gen(function*() {
        script.line(1).heardAt = epoch
        yield* advance("1 minute")
        script.line(2).heardAt = epoch + 55_000
        yield* script.line(2).cut
        yield* settle
        assert.deepInclude(yield* socket, { state: "connected", silence: null })
        yield* script.line(1).cut
        yield* settle
        assert.deepInclude(yield* socket, { state: "connected", silence: { since: epoch, until: epoch + 60_000 } })
      }),
    two
  )

  test("hand each envelope over with the ack of the one that brought it", (script) =>
    Effect.gen(function*() {
      yield* script.line(1).bring("a")
      yield* script.line(2).bring("b")
      yield* script.line(2).bring("c")
      yield* settle
      assert.deepStrictEqual([script.line(1).acked, script.line(2).acked], [["a"], ["b", "c"]])
    }), two)

  test(
    "that were opened together are brought apart, so that Slack does not refresh both at one moment",
    (script) =>
      Effect.gen(function*() {
        yield* advance("59 seconds", "1 second")
        assert.strictEqual(script.attempts.length, 2)
        yield* advance("10 minutes", "1 second")
        assert.deepStrictEqual(script.attempts.map((at) => at - epoch), [0, 0, 60_000])
        assert.isFalse(script.line(1).released())
        assert.strictEqual((yield* socket).reconnects, 1)
      }),
    two
  )

  test("are never replaced together where Slack tells how long they stay", (script) =>
    Effect.gen(function*() {
      yield* advance("6 hours", "5 seconds")
      const gaps = script.attempts.slice(2).map((at, index) => at - (script.attempts[index + 1] ?? 0))
      assert.isAbove(gaps.length, 8)
      for (const gap of gaps) assert.isAtLeast(gap, 30_000)
      assert.strictEqual(script.counts.most, 3)
    }), { ...two, lifetimeMs: 3_600_000 })

  test("are opened by one caller when both fall, whose pauses grow", (script) =>
    Effect.gen(function*() {
      yield* advance("10 seconds")
      script.next.push(...Array.from({ length: 500 }, () => unreachable))
      yield* script.line(1).cut
      yield* script.line(2).cut
      yield* advance("10 minutes", "1 second")
      const pauses = script.attempts.slice(3).map((at, index) => at - (script.attempts[index + 2] ?? 0))
      for (const [index, pause] of pauses.entries()) assert.isAtMost(pause, Math.min(30_000, 200 * 2 ** index) + 101)
      assert.isAtMost(script.attempts.length, 90)
    }), two)

  test("both wait as long as Slack asks", (script) =>
    Effect.gen(function*() {
      yield* advance("10 seconds")
      script.next.push(tooMany(42_000))
      yield* script.line(1).cut
      yield* settle
      yield* script.line(2).cut
      yield* advance("41 seconds", "1 second")
      assert.strictEqual(script.attempts.length, 3)
      yield* advance("2 seconds", "1 second")
      assert.strictEqual(script.attempts.length, 5)
    }), two)

  test("are both opened at once where a forced reconnect cuts their pause short", (script) =>
    Effect.gen(function*() {
      yield* advance("10 seconds")
      script.next.push(tooMany(3_600_000))
      yield* script.line(1).cut
      yield* settle
      yield* script.line(2).cut
      yield* advance("1 minute")
      assert.strictEqual((yield* socket).connections, 0)
      yield* (yield* SocketLayer).reconnect("down for too long")
      yield* settle
      assert.strictEqual((yield* socket).connections, 2)
    }), two)

  test("keep delivering with an alarm where Slack refuses the replacement of one", (script) =>
    Effect.gen(function*() {
      yield* advance("10 seconds")
      script.next.push(refused("token_revoked"))
      yield* script.line(1).cut
      yield* settle
      assert.strictEqual((yield* socket).state, "connected")
      assert.include(yield* alarms, "slack-connection")
      yield* script.line(2).bring("still here")
      yield* settle
      assert.deepStrictEqual(script.line(2).acked, ["still here"])
    }), two)
})

describe("the end of two connections", () => {
  test("finishes what each has in hand, and lets both go", (script) =>
    Effect.gen(function*() {
      yield* advance("10 seconds")
      const gates = [yield* Deferred.make<void>(), yield* Deferred.make<void>()] as const
      for (const [index, gate] of gates.entries()) {
        script.gates.set(`hand ${index + 1}`, gate)
        yield* script.line(index + 1).bring(`hand ${index + 1}`)
        yield* script.line(index + 1).bring("next")
      }
      yield* settle
      const closing = yield* Effect.forkChild(Effect.flatMap(Rooms, (rooms) => rooms.close))
      yield* settle
      for (const gate of gates) yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(closing)
      assert.deepStrictEqual([script.line(1).acked, script.line(2).acked], [["hand 1"], ["hand 2"]])
      assert.strictEqual(script.counts.open, 0)
      assert.strictEqual(script.attempts.length, 2)
    }), two)
})

describe("the deaf one of two connections", () => {
  test(
    "gives the last sign of life, and is the one that a forced reconnect replaces",
    (script) =>
      Effect.gen(function*() {
        const layer = yield* SocketLayer
        yield* advance("75 seconds")
        script.line(1).heardAt = epoch + 75_000
        const spare = script.line(3)
        spare.heardAt = epoch + 60_000
        assert.strictEqual(yield* layer.lastHeardAt, epoch + 60_000)
        const gate = yield* Deferred.make<void>()
        script.next.push(gate)
        yield* layer.reconnect("nothing heard")
        yield* settle
        assert.strictEqual(yield* layer.lastHeardAt, epoch + 60_000)
        yield* Deferred.succeed(gate, undefined)
        yield* settle
        assert.isTrue(spare.released())
        assert.isFalse(script.line(1).released())
        assert.strictEqual(yield* layer.lastHeardAt, epoch + 75_000)
      }),
    two
  )

  test("is noticed when nothing was ever heard of it", (script) =>
    Effect.gen(function*() {
      const layer = yield* SocketLayer
      assert.isNull(yield* layer.lastHeardAt)
      yield* advance("30 seconds")
      script.line(2).heardAt = epoch + 30_000
      assert.strictEqual(yield* layer.lastHeardAt, epoch)
    }), two)
})

describe("the number of connections", () => {
  for (const connections of [1, 2, 4]) {
    test(
      `is never above ${connections + 1} where ${connections} are kept, whatever happens to them`,
      (script) =>
        Effect.gen(function*() {
          script.opening.takesMs = 300
          for (let round = 0; round < 40; round++) {
            for (const [index, line] of script.lines.entries()) {
              if (line.released()) continue
              // Nobody answers it, so its connection lingers.
              const modal = `${round}/${index}?`
              script.gates.set(modal, yield* Deferred.make<void>())
              yield* line.bring(modal)
              if (round % 4 === 0 || (round + index) % 3 === 0) yield* line.warn("refresh_requested")
              else if ((round + index) % 7 === 0) yield* line.cut
            }
            if (round % 5 === 0) script.next.push(unreachable)
            if (round % 4 === 0) yield* (yield* SocketLayer).reconnect("test")
            yield* advance("11 seconds", "500 millis")
          }
          assert.isAtMost(script.counts.most, connections + 1)
          assert.isAbove(script.lines.length, 20)
          yield* advance("2 minutes", "1 second")
          assert.strictEqual(script.counts.open, connections)
          assert.strictEqual((yield* socket).connections, connections)
        }),
      { connections }
    )
  }

  test("that Slack counts above ours raises an alarm, until a hello is right again", (script) =>
    Effect.gen(function*() {
      const before = yield* Metric.value(foreignConnections)
      yield* advance("10 seconds")
      assert.notInclude(yield* alarms, "slack-foreign-connections")
      script.counts.others = 1
      yield* script.line(1).warn("warning")
      yield* settle
      assert.include(yield* alarms, "slack-foreign-connections")
      assert.strictEqual((yield* Metric.value(foreignConnections)).count - before.count, 1)
      assert.strictEqual((yield* socket).state, "connected")
      yield* advance("10 seconds")
      script.counts.others = 0
      yield* script.line(2).warn("warning")
      yield* settle
      assert.notInclude(yield* alarms, "slack-foreign-connections")
    }))

  test(
    "may hold those of the room that this one takes over from, but not for ever",
    (script) =>
      Effect.gen(function*() {
        assert.strictEqual(script.lines.length, 2)
        assert.notInclude(yield* alarms, "slack-foreign-connections")
        yield* advance("10 seconds")
        yield* script.line(1).warn("warning")
        yield* settle
        assert.include(yield* alarms, "slack-foreign-connections")
      }),
    {
      ...two,
      earlier: { generation: 7, connections: 2, state: "connected" },
      before: ({ counts }) => {
        counts.others = 2
      }
    }
  )
})
