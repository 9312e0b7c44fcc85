/** One connection takes the place of another. */
import { assert, describe } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { SocketLayer } from "../src/SocketLayer.ts"
import { refused, tooMany, unreachable } from "./fixtures/scriptedConnection.ts"
import { alarms, socket, test } from "./fixtures/socketRoom.ts"
import { advance, epoch, settle } from "./fixtures/time.ts"

describe("a replacement", () => {
  test("is connected before the old one is closed, on Slack's disconnect frame", (script) =>
    Effect.gen(function*() {
      yield* advance("1 minute")
      const gate = yield* Deferred.make<void>()
      script.next.push(gate)
      yield* script.line(1).warn("refresh_requested")
      yield* settle
      assert.strictEqual(script.attempts.length, 2)
      assert.isFalse(script.line(1).released())
      assert.strictEqual((yield* socket).state, "rotating")
      yield* script.line(1).bring("behind the frame")
      yield* settle
      assert.deepStrictEqual(script.line(1).acked, ["behind the frame"])
      yield* Deferred.succeed(gate, undefined)
      yield* settle
      assert.isTrue(script.line(1).released())
      assert.deepInclude(yield* socket, { state: "connected", generation: 2, connections: 1 })
    }))

  test("comes before Slack would end a connection", (script) =>
    Effect.gen(function*() {
      yield* advance("3539 seconds")
      assert.strictEqual(script.lines.length, 1)
      yield* advance("1 second")
      assert.strictEqual(script.lines.length, 2)
      assert.isTrue(script.line(1).released())
    }), { lifetimeMs: 3_600_000 })

  test("closes the old one only once what it brought is handled, but waits no longer than two seconds", (script) =>
    Effect.gen(function*() {
      yield* advance("1 minute")
      const gate = yield* Deferred.make<void>()
      script.gates.set("slow", gate)
      yield* script.line(1).bring("slow")
      yield* script.line(1).warn("warning")
      yield* advance("1 second")
      assert.isFalse(script.line(1).released())
      yield* Deferred.succeed(gate, undefined)
      yield* settle
      assert.isTrue(script.line(1).released())
      assert.deepStrictEqual(script.line(1).acked, ["slow"])
    }))

  test("silences the old one: it neither delivers nor changes the state any more", (script) =>
    Effect.gen(function*() {
      yield* advance("1 minute")
      yield* script.line(1).warn("warning")
      yield* settle
      const before = yield* socket
      yield* script.line(1).bring("ghost")
      yield* script.line(1).cut
      yield* script.line(1).warn("link_disabled")
      yield* advance("1 minute")
      assert.deepStrictEqual(script.accepted, [])
      assert.deepStrictEqual(yield* socket, before)
      assert.strictEqual(script.lines.length, 2)
    }))

  test("that does not come leaves the old one in place", (script) =>
    Effect.gen(function*() {
      yield* advance("1 minute")
      script.next.push(unreachable, unreachable)
      yield* script.line(1).warn("warning")
      yield* settle
      yield* script.line(1).bring("still here")
      yield* settle
      assert.deepStrictEqual(script.accepted, ["still here"])
      assert.strictEqual((yield* socket).state, "rotating")
      yield* advance("5 seconds", "100 millis")
      assert.strictEqual((yield* socket).state, "connected")
      assert.isTrue(script.line(1).released())
    }))

  test("whose predecessor ends meanwhile is published as disconnected, and the predecessor is let go", (script) =>
    Effect.gen(function*() {
      yield* advance("1 minute")
      const gate = yield* Deferred.make<void>()
      script.next.push(gate)
      yield* script.line(1).warn("warning")
      yield* settle
      yield* script.line(1).cut
      yield* settle
      assert.deepInclude(yield* socket, { state: "disconnected", connections: 0 })
      yield* Deferred.succeed(gate, undefined)
      yield* settle
      assert.deepInclude(yield* socket, { state: "connected", connections: 1 })
      assert.isTrue(script.line(1).released())
    }))

  test("that Slack refuses raises an alarm and leaves the old one connected", (script) =>
    Effect.gen(function*() {
      yield* advance("1 minute")
      script.next.push(refused("token_revoked"))
      yield* script.line(1).warn("warning")
      yield* advance("1 second")
      yield* script.line(1).bring("still here")
      yield* settle
      assert.deepStrictEqual(script.line(1).acked, ["still here"])
      assert.include(yield* alarms, "slack-connection")
      assert.strictEqual((yield* socket).state, "rotating")
    }))

  test("is made once, however many ask for it at once", (script) =>
    Effect.gen(function*() {
      yield* advance("1 minute")
      const layer = yield* SocketLayer
      yield* Effect.all(Array.from({ length: 5 }, () => layer.reconnect("test")), { concurrency: "unbounded" })
      yield* advance("1 second")
      yield* advance("1 minute")
      assert.strictEqual(script.lines.length, 2)
    }))

  test("that is asked for cuts the pause before the next attempt short", (script) =>
    Effect.gen(function*() {
      yield* advance("1 minute")
      script.next.push(tooMany(3_600_000))
      yield* script.line(1).cut
      yield* advance("1 second")
      assert.strictEqual(script.lines.length, 1)
      yield* (yield* SocketLayer).reconnect("down for too long")
      yield* settle
      assert.strictEqual(script.lines.length, 2)
    }))

  test("follows a connection whose envelope could not be handled", (script) =>
    Effect.gen(function*() {
      yield* advance("1 minute")
      yield* script.line(1).bring("poison")
      yield* advance("1 second")
      assert.strictEqual((yield* socket).generation, 2)
      assert.isTrue(script.line(1).released())
    }))

  for (const [reason, state] of [["too_many_websockets", "disconnected"], ["link_disabled", "fatal"]] as const) {
    test(`does not come at once after ${reason}, which raises an alarm`, (script) =>
      Effect.gen(function*() {
        yield* advance("1 minute")
        yield* script.line(1).warn(reason)
        yield* advance("30 seconds", "1 second")
        assert.strictEqual(script.attempts.length, 1)
        assert.deepInclude(yield* socket, { state, disconnectedSince: epoch + 60_000 })
        assert.include(yield* alarms, "slack-connection")
        yield* advance("31 seconds", "1 second")
        assert.strictEqual((yield* socket).state, "connected")
        assert.notInclude(yield* alarms, "slack-connection")
      }))
  }
})
