/** Server-sent events over real sockets against a whole gateway. */
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Layer, Redacted, Scope } from "effect"
import { TestClock } from "effect/testing"
import { type ClientRequest, request } from "node:http"
import { LocalSlack } from "slackwater/testing"
import { GatewayStatus } from "../../src/GatewayStatus.ts"
import { Events } from "../../src/http/Events.ts"
import { ask, bearing, freePort } from "../fixtures/ask.ts"
import {
  answered,
  connected,
  dm,
  echo,
  eventually,
  startGateway,
  temporaryDirectory,
  withSlack
} from "../fixtures/gateway.ts"
import { ground } from "../fixtures/rooms.ts"

const token = "5ecret-admin-token"

interface Event {
  readonly event: string
  readonly data: Readonly<Record<string, unknown>>
  /** When it came, in whole milliseconds. */
  readonly at: number
}

/** A browser that listens until the scope closes. */
const listen = Effect.fnUntraced(function*(port: number, headers: Readonly<Record<string, string>> = {}) {
  const heard: Array<Event> = []
  const status = yield* Deferred.make<number>()
  const ended = yield* Deferred.make<boolean>()
  yield* Effect.acquireRelease(
    Effect.sync((): ClientRequest => {
      const asking = request({ host: "127.0.0.1", port, path: "/api/events", headers, agent: false }, (response) => {
        Deferred.doneUnsafe(status, Effect.succeed(response.statusCode ?? 0))
        let text = ""
        response.setEncoding("utf8").on("data", (part: string) => {
          const blocks = (text + part).split("\n\n")
          text = blocks.pop() ?? ""
          for (const block of blocks) {
            const event = /^event: (.*)$/m.exec(block)?.[1]
            const data = /^data: (.*)$/m.exec(block)?.[1]
            if (event !== undefined && data !== undefined) heard.push({ event, data: JSON.parse(data), at: Date.now() })
          }
        })
        response.on("error", () => undefined)
        response.on("close", () => Deferred.doneUnsafe(ended, Effect.succeed(response.complete)))
      })
      asking.on("error", () => Deferred.doneUnsafe(ended, Effect.succeed(false)))
      asking.end()
      return asking
    }),
    (asking) => Effect.sync(() => asking.destroy())
  )
  return {
    heard,
    status: Deferred.await(status),
    /** Whether it was ended, and not cut off. */
    ended: Deferred.await(ended),
    statuses: () => heard.filter(({ event }) => event === "status")
  }
})

const gateway = Effect.fnUntraced(function*(host = "127.0.0.1") {
  const port = yield* freePort
  const scope = yield* Scope.make()
  yield* startGateway(yield* temporaryDirectory, echo, { port, host, adminToken: Redacted.make(token) }).pipe(
    Scope.provide(scope)
  )
  yield* connected
  const close = Scope.close(scope, Exit.void)
  yield* Effect.addFinalizer(() => close)
  return { port, close }
})

it.live("says the status and the last hour at once, and the status again when something changed", () =>
  withSlack(Effect.gen(function*() {
    const { port } = yield* gateway()
    const one = yield* listen(port)
    yield* eventually("both", Effect.sync(() => new Set(one.heard.map(({ event }) => event)).size === 2))
    assert.deepInclude(one.statuses()[0]?.data, { phase: "running" })
    const slack = yield* LocalSlack
    yield* slack.say({ ...dm, text: "hello" })
    yield* answered("D0ALICE", "You said: hello")
    yield* eventually("delivered", Effect.sync(() => /"delivered":1/.test(JSON.stringify(one.statuses().at(-1)?.data))))
  })))

it.live("says a status at most once a second, to all listeners alike", () =>
  withSlack(Effect.gen(function*() {
    const { port } = yield* gateway()
    const all = yield* Effect.forEach([1, 2, 3], () => listen(port))
    const slack = yield* LocalSlack
    for (let n = 0; n < 5; n++) yield* slack.say({ ...dm, text: `${n}` })
    const done = Effect.sync(() => all.every((one) => /"done":5/.test(JSON.stringify(one.statuses().at(-1)?.data))))
    yield* eventually("all know", done)
    for (const { statuses } of all) {
      // The greeting is of the present; from then on a second lies between two of them, as far as sockets keep time.
      const uptimes = statuses().map(({ data }) => Number(data["uptimeMs"]))
      const gaps = [...new Set(uptimes)].map((at, n, all) => at - (all[n - 1] ?? -Infinity))
      for (const gap of gaps) assert.isAtLeast(gap, 990)
    }
  })))

it.live("a stop waits for no listener: it says goodbye to those who stay", () =>
  withSlack(Effect.gen(function*() {
    const { close, port } = yield* gateway()
    const one = yield* listen(port)
    assert.strictEqual(yield* one.status, 200)
    yield* close
    assert.isTrue(yield* Effect.timeout(one.ended, "5 seconds"))
  })))

it.live("listeners are bounded, and one that leaves makes room", () =>
  withSlack(Effect.gen(function*() {
    const { port } = yield* gateway()
    yield* Effect.scoped(Effect.gen(function*() {
      const all = yield* Effect.forEach(Array.from({ length: 32 }), () => listen(port))
      for (const { status } of all) assert.strictEqual(yield* status, 200)
      const refused = yield* ask(port, "/api/events")
      assert.strictEqual(refused.status, 503)
      assert.deepStrictEqual(JSON.parse(refused.body), { error: "too many listen already" })
    }))
    const room = Effect.scoped(Effect.flatMap(listen(port), ({ status }) => Effect.map(status, (s) => s === 200)))
    yield* eventually("room", room)
  })))

it.live("where others can ask, it is for those who may look", () =>
  withSlack(Effect.gen(function*() {
    const { port } = yield* gateway("0.0.0.0")
    assert.strictEqual((yield* ask(port, "/api/events")).status, 401)
    const one = yield* listen(port, bearing(token))
    assert.strictEqual(yield* one.status, 200)
    const hour = yield* ask(port, "/api/activity", { headers: bearing(token) })
    assert.strictEqual(hour.status, 200)
    assert.strictEqual(JSON.parse(hour.body).series.received.length, 360)
  })))

it.effect("asks for nothing while nobody listens, and once a second for however many do", () => {
  let asked = 0
  const counting = Layer.effect(
    GatewayStatus,
    Effect.map(GatewayStatus, (status) => ({
      ...status,
      snapshot: Effect.suspend(() => {
        asked++
        return status.snapshot
      })
    }))
  )
  return Effect.gen(function*() {
    const events = yield* Events
    yield* TestClock.adjust("1 hour")
    assert.strictEqual(asked, 0)
    yield* Effect.scoped(Effect.gen(function*() {
      for (let n = 0; n < 3; n++) assert.isDefined(yield* events.listen)
      yield* TestClock.adjust("10 seconds")
    }))
    assert.isAtLeast(asked, 9)
    assert.isAtMost(asked, 11)
    const before = asked
    yield* TestClock.adjust("1 hour")
    assert.isAtMost(asked, before + 1)
  }).pipe(Effect.provide(Layer.fresh(Events.layer.pipe(Layer.provide(counting), Layer.provideMerge(ground())))))
})
