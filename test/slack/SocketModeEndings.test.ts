/** How connections end that end badly, and what can be seen of them while they live. */
import { assert, describe } from "@effect/vitest"
import { SocketModeClient } from "@slack/socket-mode"
import { Effect, Exit, Fiber, Scope } from "effect"
import { LocalSlack } from "slackwater/testing"
import { clients, isGone, live, open } from "../fixtures/socketMode.ts"
import { until } from "../fixtures/time.ts"

/** TCP sockets of this process, both ends of each connection. */
const sockets = Effect.sync(() => process.getActiveResourcesInfo().filter((what) => what === "TCPSocketWrap").length)

describe("an end", () => {
  live(
    "is noticed when Slack closes and keeps TCP open",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      yield* slack.faults({ keepTcpOpen: true, closeAfterMs: 0 })
      const { closed } = yield* open
      yield* Effect.timeout(closed, "5 seconds")
    })
  )

  live(
    "leaves no socket to a peer that is silent, even though it answers no close",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const scope = yield* Scope.make()
      yield* Scope.provide(open, scope)
      yield* slack.faults({ silentPeer: "open" })
      const before = yield* sockets
      yield* Scope.close(scope, Exit.void)
      // The other end is Slack's, which notices nothing.
      yield* until("our end is gone", Effect.map(sockets, (now) => now < before))
    })
  )

  for (const [what, fault] of [["hello", { noHello: true }], ["upgrade", { hangUpgrade: true }]] as const) {
    live(
      `leaves no socket when it comes while the address is asked for, and no ${what} follows`,
      Effect.gen(function*() {
        const slack = yield* LocalSlack
        clients.length = 0
        yield* slack.faults({ ...fault, delayMs: { method: "apps.connections.open", ms: 100 } })
        const opening = yield* Effect.forkChild(Effect.scoped(open))
        yield* until("the client has started", Effect.sync(() => clients.length === 1))
        yield* Fiber.interrupt(opening)
        yield* slack.awaitJournal((entry) => entry._tag === "ApiCall")
        yield* until("its WebSocket is gone", isGone(clients[0]))
      })
    )
  }
})

describe("signs of life", () => {
  live(
    "can be seen as soon as there is a connection",
    Effect.gen(function*() {
      const { lastHeardAt } = yield* open
      assert.isNotNull(yield* lastHeardAt)
    })
  )

  live(
    "of a client that hides its WebSocket are not seen from the start, nor taken from others",
    Effect.gen(function*() {
      const other = yield* open
      const { start } = SocketModeClient.prototype
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          SocketModeClient.prototype.start = function(this: SocketModeClient) {
            let hidden: SocketModeClient["websocket"]
            Object.defineProperty(this, "websocket", {
              get: () =>
                hidden && new Proxy(hidden, { get: (of, key) => key === "websocket" ? undefined : bound(of, key) }),
              set: (value: SocketModeClient["websocket"]) => {
                hidden = value
              }
            })
            return start.call(this)
          }
        }),
        () =>
          Effect.sync(() => {
            SocketModeClient.prototype.start = start
          })
      )
      const { lastHeardAt } = yield* open
      assert.isNull(yield* lastHeardAt)
      const before = (yield* other.lastHeardAt) ?? 0
      yield* until("others are pinged", Effect.map(other.lastHeardAt, (at) => at !== null && at > before))
      assert.isNull(yield* lastHeardAt)
    })
  )
})

const bound = (of: object, key: string | symbol): unknown => {
  const value: unknown = Reflect.get(of, key, of)
  return typeof value === "function" ? value.bind(of) : value
}
