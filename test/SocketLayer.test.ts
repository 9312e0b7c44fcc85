/** Connecting, being without a connection, and the end. */
import { assert, describe } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { Ambiguous, Credentials } from "../src/SlackApi.ts"
import { SocketLayer } from "../src/SocketLayer.ts"
import { Supervisor } from "../src/Supervisor.ts"
import { Rooms } from "./fixtures/rooms.ts"
import { refused, tooMany, turnedAway, unreachable } from "./fixtures/scriptedConnection.ts"
import { alarms, socket, test } from "./fixtures/socketRoom.ts"
import { advance, epoch, settle } from "./fixtures/time.ts"

describe("connecting", () => {
  test("publishes the connection, and hands over what it brings with its own ack", (script) =>
    Effect.gen(function*() {
      assert.deepInclude(yield* socket, { state: "connected", generation: 1, connectedSince: epoch, connections: 1 })
      for (const id of ["a", "b", "c"]) yield* script.line(1).bring(id)
      yield* settle
      assert.deepStrictEqual(script.accepted, ["a", "b", "c"])
      assert.deepStrictEqual(script.line(1).acked, ["a", "b", "c"])
    }))

  test(
    "tries again for ever while Slack is not there, with growing, jittered pauses",
    (script) =>
      Effect.gen(function*() {
        yield* advance("10 minutes", "1 second")
        assert.strictEqual(script.lines.length, 1)
        const pauses = script.attempts.slice(1).map((at, index) => at - (script.attempts[index] ?? 0))
        for (const [index, pause] of pauses.entries()) assert.isAtMost(pause, Math.min(30_000, 200 * 2 ** index) + 101)
        assert.isAtMost(Math.max(...pauses), 30_101)
        assert.isAbove(Math.max(...pauses), 5_000)
        assert.isAbove(new Set(pauses.map((pause) => Math.round(pause))).size, 10)
      }),
    { before: ({ next }) => next.push(...Array.from({ length: 25 }, () => unreachable)) }
  )

  test("waits at least as long as Slack asks", (script) =>
    Effect.gen(function*() {
      yield* advance("60 seconds", "1 second")
      assert.isAtLeast((script.attempts[1] ?? 0) - epoch, 42_000)
    }), { before: ({ next }) => void next.push(tooMany(42_000)) })

  test("gives up with 78 where Slack refuses app or token at the start", (script) =>
    Effect.gen(function*() {
      const failure = yield* Effect.flip((yield* Supervisor).fatal)
      assert.strictEqual(failure.exitCode, 78)
      assert.match(failure.message, /\(invalid_auth\).*app-level token.*set SLACK_APP_TOKEN/)
      assert.strictEqual((yield* socket).state, "fatal")
      assert.strictEqual(script.lines.length, 0)
    }), { before: ({ next }) => void next.push(refused("invalid_auth")) })

  test("gives up with 78 where Socket Mode is switched off at the start", (script) =>
    Effect.gen(function*() {
      const failure = yield* Effect.flip((yield* Supervisor).fatal)
      assert.strictEqual(failure.exitCode, 78)
      assert.match(failure.message, /link_disabled.*switch it on under Socket Mode/)
      assert.strictEqual(script.attempts.length, 1)
    }), { before: ({ next }) => void next.push(turnedAway("link_disabled")) })

  test("waits, with an alarm, where Slack has no room for it at the start", (script) =>
    Effect.gen(function*() {
      assert.strictEqual((yield* socket).state, "starting")
      assert.include(yield* alarms, "slack-connection")
      yield* advance("59 seconds", "1 second")
      assert.strictEqual(script.attempts.length, 1)
      yield* advance("2 seconds")
      assert.strictEqual((yield* socket).state, "connected")
      assert.notInclude(yield* alarms, "slack-connection")
    }), { before: ({ next }) => void next.push(turnedAway("too_many_websockets")) })

  test(
    "gives up with 78 where the bot token is refused",
    () =>
      Effect.map(
        Effect.flatMap(Supervisor, (supervisor) => Effect.flip(supervisor.fatal)),
        ({ exitCode }) => assert.strictEqual(exitCode, 78)
      ),
    {
      before: ({ identityFailures }) => void identityFailures.push(new Credentials({ code: "token_revoked" }))
    }
  )

  test("asks who we are until it knows, and only once", (script) =>
    Effect.gen(function*() {
      yield* advance("5 seconds", "100 millis")
      yield* script.line(1).cut
      yield* advance("5 seconds", "100 millis")
      assert.strictEqual(script.lines.length, 2)
      assert.strictEqual(script.asked.times, 2)
    }), { before: ({ identityFailures }) => void identityFailures.push(new Ambiguous({ detail: "HTTP 503" })) })

  test("goes on with what is stored where Slack refuses us later, and tries again every minute", (script) =>
    Effect.gen(function*() {
      yield* advance("1 minute")
      script.next.push(refused("token_revoked"), refused("token_revoked"))
      yield* script.line(1).cut
      yield* advance("1 second")
      assert.strictEqual((yield* socket).state, "fatal")
      assert.include(yield* alarms, "slack-connection")
      yield* advance("121 seconds", "1 second")
      assert.strictEqual((yield* socket).state, "connected")
      assert.notInclude(yield* alarms, "slack-connection")
    }))

  test(
    "is not given up by a new room beside others that were connected before, where Slack refuses it",
    (script) =>
      Effect.gen(function*() {
        assert.deepInclude(yield* socket, { state: "fatal", generation: 7, reconnects: 3 })
        assert.include(yield* alarms, "slack-connection")
        yield* advance("61 seconds")
        assert.deepInclude(yield* socket, { state: "connected", generation: 8 })
        assert.strictEqual(script.attempts.length, 2)
      }),
    { before: ({ next }) => void next.push(refused("token_revoked")), earlier: { generation: 7, reconnects: 3 } }
  )
})

describe("a connection that ends", () => {
  test("is followed by a new one", (script) =>
    Effect.gen(function*() {
      yield* advance("1 hour", "10 minutes")
      yield* script.line(1).cut
      yield* settle
      assert.strictEqual(script.lines.length, 2)
      assert.deepInclude(yield* socket, { state: "connected", generation: 2, reconnects: 1 })
      assert.isTrue(script.line(1).released())
    }))

  test(
    "after it was healthy, forgets the failures before it",
    (script) =>
      Effect.gen(function*() {
        yield* advance("10 minutes", "1 second")
        script.next.push(unreachable)
        yield* script.line(1).cut
        yield* advance("301 millis")
        assert.strictEqual(script.lines.length, 2)
      }),
    { before: ({ next }) => next.push(...Array.from({ length: 12 }, () => unreachable)) }
  )

  test("is published at once", (script) =>
    Effect.gen(function*() {
      yield* advance("1 minute")
      script.next.push(...Array.from({ length: 9 }, () => unreachable))
      yield* script.line(1).cut
      yield* settle
      assert.deepInclude(yield* socket, {
        state: "disconnected",
        connectedSince: null,
        disconnectedSince: epoch + 60_000,
        connections: 0
      })
    }))

  test("soon after it began is followed after growing pauses, not in a stampede", (script) =>
    Effect.gen(function*() {
      for (let round = 0; round < 600; round++) {
        if (script.lines.at(-1)?.released() === false) yield* script.lines.at(-1)?.cut ?? Effect.void
        yield* advance("100 millis")
      }
      assert.isAtMost(script.attempts.length, 30)
    }))
})

describe("the last sign of life", () => {
  test("is the present connection's, and null without one", (script) =>
    Effect.gen(function*() {
      const { lastHeardAt } = yield* SocketLayer
      script.line(1).heardAt = 42
      assert.strictEqual(yield* lastHeardAt, 42)
      script.next.push(unreachable)
      yield* script.line(1).cut
      yield* settle
      assert.isNull(yield* lastHeardAt)
    }))
})

describe("what concerns one channel", () => {
  test("comes one after the other, whatever kind it is and wherever it names its channel", (script) =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      script.gates.set("message", gate)
      const kinds = {
        message: { event: { channel: "C1" } },
        mention: { event: { channel: "C1" } },
        renamed: { event: { channel: { id: "C1" } } },
        reaction: { event: { item: { channel: "C1" } } },
        command: { channel_id: "C1" },
        button: { channel: { id: "C1" } },
        inside: { container: { channel_id: "C1" } }
      }
      for (const [id, payload] of Object.entries(kinds)) yield* script.line(1).bring(id, payload)
      yield* script.line(1).bring("elsewhere", { event: { channel: "C2" } })
      yield* settle
      assert.deepStrictEqual(script.begun, ["message", "elsewhere"])
      yield* Deferred.succeed(gate, undefined)
      yield* settle
      assert.deepStrictEqual(script.accepted, ["elsewhere", ...Object.keys(kinds)])
    }))
})

describe("an envelope that the responder answers", () => {
  test("holds up none behind it, and keeps its connection until it is done", (script) =>
    Effect.gen(function*() {
      yield* advance("1 minute")
      const gate = yield* Deferred.make<void>()
      script.gates.set("modal?", gate)
      for (const id of ["modal?", "a", "b"]) yield* script.line(1).bring(id)
      yield* settle
      assert.deepStrictEqual(script.line(1).acked, ["a", "b"])
      yield* script.line(1).warn("refresh_requested")
      yield* settle
      assert.strictEqual(script.lines.length, 2)
      assert.isFalse(script.line(1).released())
      yield* Deferred.succeed(gate, undefined)
      yield* settle
      assert.deepStrictEqual(script.accepted, ["a", "b", "modal?"])
      assert.deepStrictEqual(script.line(1).acked, ["a", "b", "modal?"])
      assert.isTrue(script.line(1).released())
    }))

  test("is cut short by the end, and neither lost nor left unacked", (script) =>
    Effect.gen(function*() {
      yield* advance("1 minute")
      script.gates.set("modal?", yield* Deferred.make<void>())
      yield* script.line(1).bring("modal?")
      yield* settle
      yield* (yield* Rooms).close
      assert.deepStrictEqual(script.accepted, ["modal? cut short"])
      assert.deepStrictEqual(script.line(1).acked, ["modal?"])
    }))

  test("is one of at most 64 at a time", (script) =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const ids = Array.from({ length: 65 }, (_, n) => `modal ${n}?`)
      for (const id of ids) {
        script.gates.set(id, gate)
        yield* script.line(1).bring(id)
      }
      yield* script.line(1).bring("behind")
      yield* settle
      assert.deepStrictEqual([script.begun.length, script.accepted], [64, []])
      yield* Deferred.succeed(gate, undefined)
      yield* settle
      assert.sameMembers([...script.accepted], [...ids, "behind"])
    }))

  test("that ends in a defect replaces the connection", (script) =>
    Effect.gen(function*() {
      yield* advance("1 minute")
      yield* script.line(1).bring("poison?")
      yield* settle
      assert.strictEqual(script.lines.length, 2)
      assert.isTrue(script.line(1).released())
    }))
})

describe("the end", () => {
  test("finishes the envelope in hand, takes no further one and lets the connection go, without a word", (script) =>
    Effect.gen(function*() {
      yield* advance("1 minute")
      const gate = yield* Deferred.make<void>()
      script.gates.set("in hand", gate)
      yield* script.line(1).bring("in hand")
      yield* script.line(1).bring("next")
      yield* settle
      const closing = yield* Effect.forkChild(Effect.flatMap(Rooms, (rooms) => rooms.close))
      yield* settle
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(closing)
      assert.deepStrictEqual(script.accepted, ["in hand"])
      assert.deepStrictEqual(script.line(1).acked, ["in hand"])
      assert.isTrue(script.line(1).released())
      assert.strictEqual(script.attempts.length, 1)
      assert.deepStrictEqual(script.logLines.filter((line) => /^(Warn|Error|Fatal)/.test(line)), [])
    }))

  test("lets go of both connections in the middle of a replacement", (script) =>
    Effect.gen(function*() {
      yield* advance("1 minute")
      const slow = yield* Deferred.make<void>()
      script.gates.set("slow", slow)
      yield* script.line(1).bring("slow")
      yield* script.line(1).warn("warning")
      yield* settle
      assert.strictEqual(script.lines.length, 2)
      yield* Deferred.succeed(slow, undefined)
      yield* (yield* Rooms).close
      assert.isTrue(script.line(1).released() && script.line(2).released())
    }))

  test("does not wait for a connection that is being opened", (script) =>
    Effect.gen(function*() {
      script.next.push(yield* Deferred.make<void>())
      yield* advance("1 minute")
      yield* script.line(1).cut
      yield* settle
      yield* (yield* Rooms).close
      assert.strictEqual(script.lines.length, 1)
    }))
})
