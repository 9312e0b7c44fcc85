/** The judge of the transport, in virtual time. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Layer, SubscriptionRef } from "effect"
import type { Settings } from "../src/GatewayConfig.ts"
import { GatewayStatus, type SocketState } from "../src/GatewayStatus.ts"
import { SlackApi } from "../src/SlackApi.ts"
import { SocketLayer } from "../src/SocketLayer.ts"
import { Supervisor } from "../src/Supervisor.ts"
import { Watchdog } from "../src/Watchdog.ts"
import { ground, inRooms, logged } from "./fixtures/rooms.ts"
import { advance, withWallClock } from "./fixtures/time.ts"

interface Script {
  readonly reconnects: Array<{ readonly reason: string; readonly at: number }>
  readonly lines: ReadonlyArray<string>
  heardAt: number | null | "always"
  /** Of the connections that a forced reconnect brings. */
  reconnectWorks: boolean
  apiAnswers: boolean
  asked: number
}

type Rooms = Watchdog | GatewayStatus | Supervisor

const test = <A, E>(
  sentence: string,
  body: (script: Script) => Effect.Effect<A, E, Rooms>,
  settings: Partial<Settings> = {}
) =>
  it.effect(sentence, () => {
    const log = logged()
    const script: Script = {
      reconnects: [],
      lines: log.lines,
      heardAt: "always",
      reconnectWorks: false,
      apiAnswers: true,
      asked: 0
    }
    const socket = Layer.effect(
      SocketLayer,
      Effect.map(GatewayStatus, (status) => ({
        reconnect: (reason: string) =>
          Effect.gen(function*() {
            const at = yield* Clock.currentTimeMillis
            script.reconnects.push({ reason, at })
            if (script.reconnectWorks) yield* SubscriptionRef.update(status.socket, (before) => up(before, at))
          }),
        lastHeardAt: Effect.map(Clock.currentTimeMillis, (now) => script.heardAt === "always" ? now : script.heardAt)
      }))
    )
    const api = Layer.mock(SlackApi)({
      answers: Effect.sync(() => {
        script.asked += 1
        return script.apiAnswers
      })
    })
    const layer = Watchdog.layer.pipe(
      Layer.provide([socket, api]),
      Layer.provideMerge(ground(settings)),
      Layer.provideMerge(log.layer)
    )
    return inRooms(layer)(Effect.andThen(connected, body(script)))
  })

const up = (before: SocketState, now: number): SocketState => ({
  ...before,
  state: "connected",
  generation: before.generation + 1,
  reconnects: before.generation,
  connections: 1,
  connectedSince: now,
  disconnectedSince: null
})
const publish = (change: (before: SocketState, now: number) => SocketState) =>
  Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    yield* SubscriptionRef.update((yield* GatewayStatus).socket, (before) => change(before, now))
  })
const connected = publish(up)
const disconnected = publish((before, now) => ({
  ...before,
  state: "disconnected",
  connectedSince: null,
  disconnectedSince: now
}))
const forced = Effect.flatMap(Watchdog, (watchdog) => watchdog.forced)
const fatal = Effect.flatMap(Supervisor, (supervisor) => Effect.forkChild(Effect.flip(supervisor.fatal)))
const network = Effect.flatMap(GatewayStatus, (status) => status.network)
const alarms = Effect.flatMap(
  GatewayStatus,
  (status) => Effect.map(status.snapshot, ({ alarms }) => alarms.map(({ code }) => code))
)
const reasons = (script: Script) => script.reconnects.map(({ reason }) => reason)

describe("Watchdog", () => {
  test("leaves a connection alone that is quiet for a day but alive", (script) =>
    Effect.gen(function*() {
      yield* advance("24 hours", "1 hour")
      assert.deepStrictEqual(script.reconnects, [])
      assert.strictEqual(script.asked, 0)
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
      assert.deepStrictEqual(reasons(script), ["down for too long"])
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
      assert.deepStrictEqual(reasons(script), ["nothing heard"])
    }))

  test("judges a client that shows no signs of life by its state alone, and says so once", (script) =>
    Effect.gen(function*() {
      const said = () => script.lines.filter((line) => line.includes("judged by its state alone")).length
      script.heardAt = null
      yield* advance("5 seconds", "1 second")
      assert.strictEqual(said(), 1, "at once")
      yield* advance("6 hours", "10 minutes")
      assert.deepStrictEqual(script.reconnects, [])
      assert.strictEqual(said(), 1)
      yield* disconnected
      yield* advance("65 seconds", "1 second")
      assert.deepStrictEqual(reasons(script), ["down for too long"])
      yield* connected
      yield* advance("10 minutes", "1 minute")
      assert.strictEqual(said(), 1)
    }))

  test("says nothing of the kind where signs of life are seen", (script) =>
    Effect.gen(function*() {
      yield* advance("10 minutes", "10 seconds")
      assert.deepStrictEqual(script.lines.filter((line) => line.startsWith("Warn")), [])
    }))

  test("leaves a refused app alone: forcing it helps nobody", (script) =>
    Effect.gen(function*() {
      yield* disconnected
      yield* publish((before) => ({ ...before, state: "fatal" }))
      yield* advance("1 hour", "1 minute")
      assert.deepStrictEqual(script.reconnects, [])
    }))

  test("gives up with 75 once ten forced reconnects in a row have failed while Slack's API answers", (script) =>
    Effect.gen(function*() {
      const failure = yield* fatal
      yield* disconnected
      yield* advance("605 seconds", "5 seconds")
      assert.strictEqual(script.reconnects.length, 10)
      yield* advance("50 seconds", "5 seconds")
      assert.isUndefined(failure.pollUnsafe())
      yield* advance("15 seconds", "5 seconds")
      assert.deepInclude(yield* Fiber.join(failure), { fiber: "watchdog", exitCode: 75 })
      assert.strictEqual(script.reconnects.length, 10)
    }))

  test("gives up after as many as are configured", (script) =>
    Effect.gen(function*() {
      const failure = yield* fatal
      yield* disconnected
      yield* advance("195 seconds", "5 seconds")
      assert.strictEqual((yield* Fiber.join(failure)).exitCode, 75)
      assert.strictEqual(script.reconnects.length, 2)
    }), { watchdogMaxAttempts: 2 })

  test("gives up when every new connection goes deaf, too", (script) =>
    Effect.gen(function*() {
      const failure = yield* fatal
      script.reconnectWorks = true
      // Each is heard for its first seconds.
      for (let minute = 0; minute < 3; minute++) {
        yield* advance("10 seconds", "1 second")
        script.heardAt = yield* Clock.currentTimeMillis
        yield* advance("70 seconds", "1 second")
      }
      assert.strictEqual((yield* Fiber.join(failure)).exitCode, 75)
      assert.deepStrictEqual(reasons(script), ["nothing heard", "nothing heard"])
    }), { watchdogMaxAttempts: 2 })

  test("sees an outage where the API does not answer either: no end, and the attempts go on", (script) =>
    Effect.gen(function*() {
      const failure = yield* fatal
      script.apiAnswers = false
      assert.strictEqual(yield* network, "up")
      yield* disconnected
      yield* advance("65 seconds", "1 second")
      assert.strictEqual(yield* network, "down")
      yield* advance("3 hours", "1 minute")
      assert.isUndefined(failure.pollUnsafe())
      assert.isAbove(script.reconnects.length, 100)
      assert.strictEqual(script.lines.filter((line) => line.includes("outage")).length, 1)
      yield* connected
      yield* advance("10 seconds", "1 second")
      assert.strictEqual(yield* network, "up")
    }))

  test("counts anew after an outage", (script) =>
    Effect.gen(function*() {
      const failure = yield* fatal
      yield* disconnected
      yield* advance("570 seconds", "5 seconds")
      assert.strictEqual(yield* forced, 9)
      script.apiAnswers = false
      yield* advance("1 minute", "5 seconds")
      assert.strictEqual(yield* forced, 0)
      script.apiAnswers = true
      yield* advance("570 seconds", "5 seconds")
      assert.isUndefined(failure.pollUnsafe())
      assert.strictEqual(yield* network, "up")
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

  test("does not count anew for a connection that came and went", () =>
    Effect.gen(function*() {
      for (let flap = 0; flap < 3; flap++) {
        yield* disconnected
        yield* advance("70 seconds", "5 seconds")
        yield* connected
        yield* advance("20 seconds", "5 seconds")
      }
      assert.strictEqual(yield* forced, 3)
    }))

  test("concludes nothing from the silence of a process that stood still", (script) =>
    Effect.gen(function*() {
      script.heardAt = yield* Clock.currentTimeMillis
      yield* advance("50 seconds", "5 seconds")
      const clock = yield* Clock.Clock
      let stoodFor = 0n
      Object.assign(clock, { monotonicTimeNanos: Effect.map(clock.monotonicTimeNanos, (nanos) => nanos + stoodFor) })
      // Twenty seconds pass in which no timer fires and no frame is read.
      stoodFor = 20_000_000_000n
      yield* advance("50 seconds", "5 seconds")
      assert.deepStrictEqual(script.reconnects, [])
      yield* advance("15 seconds", "5 seconds")
      assert.deepStrictEqual(reasons(script), ["nothing heard"])
    }))

  it.effect("a wall clock that is set changes nothing", () =>
    withWallClock((setBack) =>
      Effect.gen(function*() {
        const reconnects: Array<string> = []
        let heard = yield* Clock.currentTimeMillis
        const socket = Layer.succeed(SocketLayer, {
          reconnect: (reason) => Effect.sync(() => void reconnects.push(reason)),
          lastHeardAt: Effect.sync(() => heard)
        })
        const layer = Watchdog.layer.pipe(
          Layer.provide([socket, Layer.mock(SlackApi)({ answers: Effect.succeed(true) })]),
          Layer.provideMerge(ground())
        )
        yield* inRooms(layer)(Effect.gen(function*() {
          yield* connected
          yield* advance("10 seconds", "1 second")
          yield* setBack("-2 hours")
          yield* advance("30 seconds", "1 second")
          assert.deepStrictEqual(reconnects, [])
          heard = yield* Clock.currentTimeMillis
          yield* setBack("4 hours")
          yield* advance("70 seconds", "1 second")
          assert.deepStrictEqual(reconnects, ["nothing heard"])
        }))
      })
    ))

  test("raises an alarm for connections that open and do not hold, and ends it when they do", () =>
    Effect.gen(function*() {
      for (let refresh = 0; refresh < 10; refresh++) {
        yield* advance("6 minutes", "1 minute")
        yield* connected
      }
      assert.deepStrictEqual(yield* alarms, [])
      for (let flap = 0; flap < 30; flap++) {
        yield* connected
        yield* advance("10 seconds", "5 seconds")
      }
      assert.deepStrictEqual(yield* alarms, ["connection-churn"])
      yield* advance("20 minutes", "1 minute")
      assert.deepStrictEqual(yield* alarms, [])
    }))
})
