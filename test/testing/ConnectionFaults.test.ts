/** What a LocalSlack does wrong with connections when it is told to. */
import { assert, it } from "@effect/vitest"
import { Effect, Queue } from "effect"
import { TestClock } from "effect/testing"
import { LocalSlack } from "../../src/testing/index.ts"
import { until } from "../fixtures/time.ts"
import { bareClient, greeted, ticket } from "./bareClient.ts"

const withSlack = Effect.provide(LocalSlack.layer())
const dm = { channel: "D0ALICE", user: "U0ALICE" }
const quiet = LocalSlack.use((slack) => slack.faults({ noPings: true }))

/** The connections that envelopes went to so far. */
const sentTo = LocalSlack.use((slack) =>
  Effect.map(
    slack.journal,
    (entries) => entries.flatMap((entry) => entry._tag === "EnvelopeSent" ? [entry.connection] : [])
  )
)

it.effect("an upgrade is refused with the status that is wanted", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    yield* slack.faults({ refuseWebSocket: 404 })
    assert.strictEqual(yield* (yield* bareClient).next, "refused 404")
    yield* slack.faults({ refuseWebSocket: true })
    assert.strictEqual(yield* (yield* bareClient).next, "refused 503")
    yield* slack.faults({ refuseWebSocket: false })
    yield* greeted
  }).pipe(withSlack))

it.effect("the eleventh connection is sent away instead of greeted", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    for (let n = 1; n <= 10; n++) assert.strictEqual((yield* greeted).hello.num_connections, n)
    const eleventh = yield* bareClient
    assert.include(yield* eleventh.next, "too_many_websockets")
    assert.strictEqual(yield* eleventh.next, "close")
    assert.strictEqual(yield* slack.connections, 10)
  }).pipe(withSlack))

it.effect("ghosts are counted, take their share of the events, and leave less room", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    yield* slack.faults({ ghosts: 9 })
    const { hello } = yield* greeted
    assert.strictEqual(hello.num_connections, 10)
    assert.include(yield* (yield* bareClient).next, "too_many_websockets")
    for (let n = 0; n < 10; n++) yield* slack.say({ ...dm, text: "x" })
    const connections = yield* sentTo
    assert.strictEqual(connections.filter((one) => one === "c1").length, 1)
    assert.strictEqual(new Set(connections).size, 10)
  }).pipe(withSlack))

it.effect("an open WebSocket of a silent peer neither reads, answers, sends nor closes, until the fault is over", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const silent = yield* greeted
    yield* slack.faults({ silentPeer: "open" })
    const other = yield* greeted
    silent.socket.ping()
    silent.socket.send(JSON.stringify({ envelope_id: "unread" }))
    yield* slack.disconnect("warning")
    yield* TestClock.adjust("10 seconds")
    // What the other one is told was told to the silent one before.
    assert.include(yield* other.next, "warning")
    assert.deepStrictEqual(new Set([yield* other.next, yield* other.next]), new Set(["ping", "close"]))
    assert.strictEqual(Queue.sizeUnsafe(silent.seen), 0)
    assert.isFalse((yield* slack.journal).some((entry) => entry._tag === "AckReceived"))
    assert.strictEqual(silent.socket.readyState, silent.socket.OPEN)
    yield* slack.faults({ silentPeer: null })
    assert.strictEqual(yield* silent.next, "close")
  }).pipe(withSlack))

it.effect("with all peers silent nobody new is greeted either, and events go to them all the same", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    yield* slack.faults({ silentPeer: "all" })
    const { seen, socket } = yield* bareClient
    yield* slack.awaitJournal((entry) => entry._tag === "ConnectionOpened")
    yield* slack.say({ ...dm, text: "into the void" })
    assert.deepStrictEqual(yield* sentTo, ["c1"])
    yield* until("the upgrade is answered", Effect.sync(() => socket.readyState === socket.OPEN))
    assert.strictEqual(Queue.sizeUnsafe(seen), 0)
    yield* slack.clearFaults
    yield* until("it is reset", Effect.map(slack.connections, (live) => live === 0))
  }).pipe(withSlack))

it.effect("TCP stays after the close handshake, and Slack counts the connection no more", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    yield* slack.faults({ keepTcpOpen: true })
    const { seen, socket } = yield* greeted
    socket.close(1000)
    yield* slack.awaitJournal((entry) => entry._tag === "ConnectionClosed")
    assert.strictEqual(Queue.sizeUnsafe(seen), 0)
    assert.strictEqual(socket.readyState, socket.CLOSING)
    yield* slack.faults({ keepTcpOpen: null })
    yield* until("it is over", Effect.sync(() => socket.readyState === socket.CLOSED))
  }).pipe(withSlack))

it.effect("events come right behind a disconnect frame when they are told to", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const { next } = yield* greeted
    yield* slack.faults({ eventsBehindDisconnect: true })
    yield* slack.disconnect("link_disabled")
    yield* slack.say({ ...dm, text: "behind" })
    assert.include(yield* next, "link_disabled")
    assert.include(yield* next, "behind")
  }).pipe(withSlack))

it.effect("connections flap", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    yield* slack.faults({ closeAfterMs: 200 })
    for (let n = 0; n < 3; n++) {
      const { next } = yield* greeted
      yield* TestClock.adjust("200 millis")
      assert.strictEqual(yield* next, "close")
    }
    yield* until("none is left", Effect.map(slack.connections, (live) => live === 0))
  }).pipe(withSlack))

it.effect("a connection is refreshed when its time is over: hello says when, a warning comes, the request, the end", () =>
  Effect.gen(function*() {
    yield* quiet
    yield* LocalSlack.use((slack) => slack.faults({ refreshAfterMs: 360_000 }))
    const { hello, next, seen } = yield* greeted
    assert.strictEqual(hello.debug_info.approximate_connection_time, 360)
    yield* TestClock.adjust("350 seconds")
    assert.include(yield* next, "warning")
    yield* TestClock.adjust("10 seconds")
    assert.include(yield* next, "refresh_requested")
    assert.strictEqual(Queue.sizeUnsafe(seen), 0)
    yield* TestClock.adjust("10 seconds")
    assert.strictEqual(yield* next, "close")
  }).pipe(withSlack))

it.effect("the address for the WebSocket names the host that is wanted", () =>
  Effect.gen(function*() {
    yield* LocalSlack.use((slack) => slack.faults({ socketHost: "nowhere.invalid" }))
    assert.match(yield* ticket, /^ws:\/\/nowhere\.invalid:\d+\/link\/\?ticket=.+&app_id=/)
  }).pipe(withSlack))

it.effect("faults of open connections are switched on and off over HTTP, at once", () =>
  Effect.gen(function*() {
    const { url } = yield* LocalSlack
    const { next, socket } = yield* greeted
    const faults = (method: string, body?: string) =>
      Effect.promise(() => fetch(`${url}/_local/faults`, { method, ...(body === undefined ? {} : { body }) }))
    yield* faults("POST", "{\"silentPeer\":\"open\"}")
    socket.ping()
    yield* faults("DELETE")
    assert.strictEqual(yield* next, "close")
  }).pipe(withSlack))
