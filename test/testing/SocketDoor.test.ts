import { assert, it } from "@effect/vitest"
import { Effect, Queue } from "effect"
import { TestClock } from "effect/testing"
import { WebSocket } from "ws"
import { LocalSlack } from "../../src/testing/index.ts"

const withSlack = Effect.provide(LocalSlack.layer())

/** A bare WebSocket on a fresh ticket, and what it sees in order. */
const bare = Effect.gen(function*() {
  const slack = yield* LocalSlack
  const seen = yield* Queue.unbounded<string>()
  const response = yield* Effect.promise(() =>
    fetch(`${slack.apiUrl}apps.connections.open`, { method: "POST", headers: { authorization: "Bearer xapp-1" } })
  )
  const { url } = (yield* Effect.promise(() => response.json())) as { readonly url: string }
  const socket = yield* Effect.acquireRelease(
    Effect.sync(() => new WebSocket(url)),
    (socket) => Effect.sync(() => socket.terminate())
  )
  const note = (what: string) => () => {
    Queue.offerUnsafe(seen, what)
  }
  socket.on("ping", note("ping")).on("pong", note("pong")).on("close", note("close")).on("error", () => undefined)
  socket.on("message", (data) => note(String(data))())
  const next = Queue.take(seen)
  assert.include(yield* next, "hello")
  return { socket, next }
})

it.effect("the server pings at its interval", () =>
  Effect.gen(function*() {
    const { next } = yield* bare
    yield* TestClock.adjust("10 seconds")
    assert.strictEqual(yield* next, "ping")
  }).pipe(withSlack))

it.effect("pings are answered, unless a fault says no", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const { next, socket } = yield* bare
    socket.ping()
    assert.strictEqual(yield* next, "pong")
    yield* slack.faults({ noPongs: true })
    socket.ping()
    // The frame behind the ping was read, so the ping was too.
    socket.send(JSON.stringify({ envelope_id: "marker" }))
    yield* slack.awaitJournal((entry) => entry._tag === "AckReceived")
    yield* slack.sendRaw("after")
    assert.strictEqual(yield* next, "after")
  }).pipe(withSlack))

it.effect("a connection that stays after its disconnect frame is closed", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const { next } = yield* bare
    yield* slack.faults({ noPings: true })
    yield* slack.disconnect("refresh_requested")
    assert.include(yield* next, "refresh_requested")
    yield* TestClock.adjust("10 seconds")
    assert.strictEqual(yield* next, "close")
  }).pipe(withSlack))

it.effect("a frame above the limit ends the connection and nothing else", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const [big, other] = [yield* bare, yield* bare]
    big.socket.send("x".repeat(2 * 1024 * 1024))
    assert.strictEqual(yield* big.next, "close")
    yield* slack.sendRaw("still here")
    assert.strictEqual(yield* other.next, "still here")
  }).pipe(withSlack))
