/** What a gateway holds does not grow with the connections it has had. */
import { assert } from "@effect/vitest"
import { SocketModeClient } from "@slack/socket-mode"
import { Effect } from "effect"
import { channel } from "node:diagnostics_channel"
import { LocalSlack } from "slackwater/testing"
import { opened, socket, talks, test, until } from "../fixtures/connection.ts"
import { clients } from "../fixtures/socketMode.ts"

const reconnects = 500

const subscribers = (name: string): number => {
  const list: unknown = Reflect.get(channel(name), "_subscribers")
  return Array.isArray(list) ? list.length : 0
}

/** How many of each kind there are; the first connection has one of everything. */
const held = Effect.sync(() => {
  const resources = Map.groupBy(process.getActiveResourcesInfo(), (kind) => kind)
  return {
    sockets: resources.get("TCPSocketWrap")?.length ?? 0,
    process: process.eventNames().map((name) => [name, process.listenerCount(name)]),
    subscribers: ["open", "close", "socket_error", "ping", "pong"].map((what) =>
      subscribers(`undici:websocket:${what}`)
    )
  }
})

const listeners = (client: SocketModeClient) =>
  client.eventNames().map((name) => [name, client.listenerCount(name)] as const)

test(
  `${reconnects} connections one after the other leave no socket, no listener and no subscription`,
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    yield* talks("before")
    const before = yield* held
    clients.length = 0
    for (let n = 0; n < reconnects; n++) {
      const { generation } = yield* socket
      // As they end in reality: told to go, cut off, closed.
      if (n % 3 === 0) yield* slack.disconnect("refresh_requested")
      else if (n % 3 === 1) yield* slack.dropConnections
      else {
        yield* slack.disconnect("warning")
        yield* slack.dropConnections
      }
      yield* until(
        `connection ${n + 2}`,
        Effect.map(socket, (now) => now.generation > generation && now.state === "connected")
      )
    }
    assert.isAtLeast(yield* opened, reconnects + 1)
    yield* talks("after")
    yield* until("one connection", Effect.map(slack.connections, (live) => live === 1))
    // Sockets of finished requests are kept for the next one, a few at most.
    yield* until("as many sockets as before", Effect.map(held, ({ sockets }) => sockets <= before.sockets + 4))
    const { sockets: _, ...after } = yield* held
    const { sockets: __, ...first } = before
    assert.deepStrictEqual(after, first)
    const fresh = listeners(new SocketModeClient({ appToken: "xapp-1" }))
    const retired = clients.filter((client) => client.websocket?.readyState === undefined)
    assert.isAtLeast(retired.length, reconnects - 1)
    for (const client of retired) assert.deepStrictEqual(listeners(client), fresh)
  }),
  { shortPauses: true, timeout: 120_000 }
)
