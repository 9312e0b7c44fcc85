/** The judge of the transport, in virtual time. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Layer, SubscriptionRef } from "effect"
import { GatewayStatus, type SocketState } from "../src/GatewayStatus.ts"
import { Ambiguous, SlackApi, SlackApiError } from "../src/SlackApi.ts"
import { SocketLayer } from "../src/SocketLayer.ts"
import { Supervisor } from "../src/Supervisor.ts"
import { Watchdog } from "../src/Watchdog.ts"
import { ground, inRooms } from "./fixtures/rooms.ts"
import { advance } from "./fixtures/time.ts"

interface Script {
  readonly reconnects: Array<{ readonly reason: string; readonly at: number }>
  heardAt: number | null | "always"
  apiAnswers: boolean
}

const test = <A, E>(
  sentence: string,
  body: (script: Script) => Effect.Effect<A, E, Watchdog | GatewayStatus | Supervisor>
) =>
  it.effect(sentence, () => {
    const script: Script = { reconnects: [], heardAt: "always", apiAnswers: true }
    const socket = Layer.succeed(SocketLayer, {
      reconnect: (reason) => Effect.map(Clock.currentTimeMillis, (at) => void script.reconnects.push({ reason, at })),
      lastHeardAt: Effect.map(Clock.currentTimeMillis, (now) => script.heardAt === "always" ? now : script.heardAt)
    })
    const api = Layer.mock(SlackApi)({
      identity: Effect.suspend(() =>
        script.apiAnswers
          ? Effect.succeed({ team: "T1", user: "U1", bot: "B1" })
          : Effect.fail(new SlackApiError({ method: "auth.test", reason: new Ambiguous({ detail: "no answer" }) }))
      )
    })
    const layer = Watchdog.layer.pipe(Layer.provideMerge(ground()), Layer.provide([socket, api]))
    return inRooms(layer)(Effect.andThen(connected, body(script)))
  })

const publish = (change: (now: number) => Partial<SocketState>) =>
  Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    yield* SubscriptionRef.update((yield* GatewayStatus).socket, (before) => ({ ...before, ...change(now) }))
  })
const connected = publish((now) => ({ state: "connected", connectedSince: now, disconnectedSince: null }))
const disconnected = publish((now) => ({ state: "disconnected", connectedSince: null, disconnectedSince: now }))
const forced = Effect.flatMap(Watchdog, (watchdog) => watchdog.forced)
const fatal = Effect.flatMap(Supervisor, (supervisor) => Effect.forkChild(Effect.flip(supervisor.fatal)))

describe("Watchdog", () => {
  test("leaves a connection alone that is quiet for a day but alive", (script) =>
    Effect.gen(function*() {
      yield* advance("24 hours", "1 hour")
      assert.deepStrictEqual(script.reconnects, [])
      assert.strictEqual(yield* forced, 0)
    }))

  test("leaves a blip alone", (script) =>
    Effect.gen(function*() {
      for (let blip = 0; blip < 5; blip++) {
        yield* disconnected
        yield* advance("59 seconds", "1 second")
        yield* connected
        yield* advance("10 seconds")
      }
      assert.deepStrictEqual(script.reconnects, [])
    }))

  test("forces a new connection when there is none for longer than the threshold, and again after another", (script) =>
    Effect.gen(function*() {
      yield* disconnected
      yield* advance("65 seconds", "1 second")
      assert.deepStrictEqual(script.reconnects.map(({ reason }) => reason), ["down for too long"])
      yield* advance("65 seconds", "1 second")
      assert.strictEqual(script.reconnects.length, 2)
      assert.strictEqual(yield* forced, 2)
    }))

  test("forces a new connection when nothing was heard for a minute", (script) =>
    Effect.gen(function*() {
      script.heardAt = yield* Clock.currentTimeMillis
      yield* advance("59 seconds", "1 second")
      assert.deepStrictEqual(script.reconnects, [])
      yield* advance("6 seconds", "1 second")
      assert.deepStrictEqual(script.reconnects.map(({ reason }) => reason), ["nothing heard"])
    }))

  test("judges a client that shows no signs of life by its state alone", (script) =>
    Effect.gen(function*() {
      script.heardAt = null
      yield* advance("6 hours", "10 minutes")
      assert.deepStrictEqual(script.reconnects, [])
      yield* disconnected
      yield* advance("65 seconds", "1 second")
      assert.strictEqual(script.reconnects.length, 1)
    }))

  test("leaves a refused app alone: forcing it helps nobody", (script) =>
    Effect.gen(function*() {
      yield* disconnected
      yield* publish(() => ({ state: "fatal" }))
      yield* advance("1 hour", "1 minute")
      assert.deepStrictEqual(script.reconnects, [])
    }))

  test("gives up with 75 after ten forced reconnects in a row while Slack's API answers", (script) =>
    Effect.gen(function*() {
      const failure = yield* fatal
      yield* disconnected
      yield* advance("9 minutes", "5 seconds")
      assert.isUndefined(failure.pollUnsafe())
      yield* advance("3 minutes", "5 seconds")
      assert.deepInclude(yield* Fiber.join(failure), { fiber: "watchdog", exitCode: 75 })
      assert.strictEqual(script.reconnects.length >= 10, true)
    }))

  test("does not give up while the API does not answer either", (script) =>
    Effect.gen(function*() {
      const failure = yield* fatal
      script.apiAnswers = false
      yield* disconnected
      yield* advance("3 hours", "1 minute")
      assert.isUndefined(failure.pollUnsafe())
      assert.isAbove(script.reconnects.length, 100)
    }))

  test("counts anew once a connection has held", (script) =>
    Effect.gen(function*() {
      const failure = yield* fatal
      for (let outage = 0; outage < 4; outage++) {
        yield* disconnected
        yield* advance("6 minutes", "5 seconds")
        yield* connected
        yield* advance("2 minutes", "5 seconds")
        assert.strictEqual(yield* forced, 0)
      }
      assert.isUndefined(failure.pollUnsafe())
      assert.isAbove(script.reconnects.length, 10)
    }))
})
