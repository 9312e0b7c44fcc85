/** The adapter over Slack's real client: what it brings, and what is left of it. */
import { assert, describe } from "@effect/vitest"
import { SocketModeClient } from "@slack/socket-mode"
import { Effect, Exit, Fiber, Queue, Scope } from "effect"
import { channel } from "node:diagnostics_channel"
import { LocalSlack } from "slackwater/testing"
import { bareServer } from "../fixtures/bareServer.ts"
import { clients, dm, isGone, live, open, openAt } from "../fixtures/socketMode.ts"
import { until } from "../fixtures/time.ts"

describe("a connection", () => {
  live(
    "is there after Slack's hello, and says what Slack said",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      yield* slack.faults({ approximateConnectionTime: 3_600 })
      const connection = yield* open
      assert.strictEqual(connection.connections, 1)
      assert.strictEqual(connection.approximateConnectionMs, 3_600_000)
      assert.strictEqual(yield* slack.connections, 1)
    })
  )

  live(
    "brings envelopes in order, each with the ack that Slack waits for",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const { incoming } = yield* open
      for (const text of ["a", "b"]) yield* slack.say({ ...dm, text })
      for (const text of ["a", "b"]) {
        const { ack, envelope } = yield* Queue.take(incoming)
        assert.strictEqual(envelope.type, "events_api")
        assert.nestedPropertyVal(envelope.payload, "event.text", text)
        assert.strictEqual(envelope.retryNum, 0)
        yield* ack()
        yield* slack.awaitJournal((entry) => entry._tag === "AckReceived" && entry.envelopeId === envelope.id)
      }
      yield* until("nothing is left to ack", Effect.map(slack.unacked, (ids) => ids.length === 0))
    })
  )

  live(
    "says how often Slack has tried before",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      yield* slack.faults({ retryDelaysMs: [20, 60_000, 60_000] })
      const { incoming } = yield* open
      yield* slack.say({ ...dm, text: "again" })
      yield* Queue.take(incoming)
      const { envelope } = yield* Queue.take(incoming)
      assert.deepInclude(envelope, { retryNum: 1, retryReason: "timeout" })
    })
  )

  live(
    "acks on its own connection and on no other",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const first = yield* open
      yield* slack.say({ ...dm, text: "to the first" })
      const { ack, envelope } = yield* Queue.take(first.incoming)
      const sent = yield* slack.awaitJournal((entry) => entry._tag === "EnvelopeSent")
      yield* open
      yield* ack()
      const acked = yield* slack.awaitJournal((entry) =>
        entry._tag === "AckReceived" && entry.envelopeId === envelope.id
      )
      assert.strictEqual("connection" in acked && acked.connection, "connection" in sent && sent.connection)
    })
  )

  live(
    "fails the ack once it is gone, whatever other connection there is",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const first = yield* open
      yield* slack.say({ ...dm, text: "x" })
      const { ack } = yield* Queue.take(first.incoming)
      yield* slack.dropConnections
      yield* first.closed
      yield* open
      assert.strictEqual((yield* Effect.flip(ack())).reason._tag, "Unreachable")
    })
  )

  live(
    "reports Slack's disconnect frame and still delivers what is behind it",
    Effect.gen(function*() {
      const server = yield* bareServer
      const { closed, disconnecting, incoming } = yield* openAt(server.apiUrl)
      const socket = yield* server.socket
      socket.send(JSON.stringify({ type: "disconnect", reason: "refresh_requested" }))
      socket.send(JSON.stringify({ envelope_id: "behind", type: "events_api", payload: {} }))
      assert.strictEqual(yield* disconnecting, "refresh_requested")
      const { ack, envelope } = yield* Queue.take(incoming)
      assert.strictEqual(envelope.id, "behind")
      const isClosed = yield* Effect.forkChild(closed)
      yield* ack()
      yield* until("acked", Effect.sync(() => server.received.some((text) => text.includes("behind"))))
      assert.isUndefined(isClosed.pollUnsafe())
    })
  )

  live(
    "reports its end when the transport is cut",
    Effect.gen(function*() {
      const { closed } = yield* open
      yield* (yield* LocalSlack).dropConnections
      yield* Effect.timeout(closed, "5 seconds")
    })
  )

  live(
    "shows signs of life once pings were seen",
    Effect.gen(function*() {
      const { lastHeardAt } = yield* open
      const seen = Effect.map(lastHeardAt, (at) => at !== null && Math.abs(Date.now() - at) < 2_000)
      yield* until("a ping was seen", seen)
    })
  )

  live(
    "is not taken for alive because another one is",
    Effect.gen(function*() {
      const quiet = yield* bareServer
      const silent = yield* openAt(quiet.apiUrl)
      const busy = yield* open
      yield* until("the other one was pinged", Effect.map(busy.lastHeardAt, (at) => at !== null))
      const before = yield* silent.lastHeardAt
      const pinged = (yield* busy.lastHeardAt) ?? 0
      yield* until("pinged again", Effect.map(busy.lastHeardAt, (at) => at !== null && at > pinged))
      assert.strictEqual(yield* silent.lastHeardAt, before)
    })
  )
})

describe("nothing is left", () => {
  const channels = ["undici:websocket:ping", "undici:websocket:pong"]
  const listeners = () =>
    clients.flatMap((client) => ["error", "disconnected"].map((event) => client.listenerCount(event as "error")))
  const subscribed = () => channels.filter((name) => channel(name).hasSubscribers)
  const fresh = () => {
    const client = new SocketModeClient({ appToken: "xapp-1" })
    return ["error", "disconnected"].map((event) => client.listenerCount(event as "error"))
  }

  live(
    "of a connection whose scope was closed",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      clients.length = 0
      const scope = yield* Scope.make()
      const { incoming } = yield* Scope.provide(open, scope)
      assert.sameMembers(subscribed(), channels)
      yield* slack.say({ ...dm, text: "x" })
      const { ack } = yield* Queue.take(incoming)
      yield* Scope.close(scope, Exit.void)
      yield* until("Slack has lost the connection", Effect.map(slack.connections, (live) => live === 0))
      assert.deepStrictEqual(subscribed(), [])
      assert.deepStrictEqual(listeners(), fresh())
      assert.strictEqual((yield* Effect.flip(ack())).reason._tag, "Unreachable")
    })
  )

  live(
    "of a connection that never came",
    Effect.gen(function*() {
      clients.length = 0
      yield* (yield* LocalSlack).faults({ refuseWebSocket: true })
      yield* Effect.flip(Effect.scoped(open))
      assert.deepStrictEqual(subscribed(), [])
      assert.deepStrictEqual(listeners(), fresh())
    })
  )

  live(
    "of a connection that was given up while it was being opened",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      clients.length = 0
      yield* slack.faults({ delayMs: { method: "apps.connections.open", ms: 150 } })
      const opening = yield* Effect.forkChild(Effect.scoped(open))
      yield* until("the client has started", Effect.sync(() => clients.length === 1))
      yield* Fiber.interrupt(opening)
      yield* slack.awaitJournal((entry) => entry._tag === "ApiCall")
      yield* until("its WebSocket is gone", isGone(clients[0]))
      yield* until("Slack has no connection", Effect.map(slack.connections, (live) => live === 0))
      assert.deepStrictEqual(subscribed(), [])
    })
  )

  live(
    "of fifty connections one after the other",
    Effect.gen(function*() {
      clients.length = 0
      for (let n = 0; n < 50; n++) yield* Effect.scoped(open)
      const slack = yield* LocalSlack
      yield* until("Slack has lost them all", Effect.map(slack.connections, (live) => live === 0))
      assert.deepStrictEqual(subscribed(), [])
      assert.deepStrictEqual(new Set(listeners()), new Set(fresh()))
    })
  )
})
