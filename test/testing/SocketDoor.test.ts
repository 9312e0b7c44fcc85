import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { LocalSlack } from "../../src/testing/index.ts"
import { greeted } from "./bareClient.ts"

const withSlack = Effect.provide(LocalSlack.layer())

it.effect("the server pings at its interval", () =>
  Effect.gen(function*() {
    const { next } = yield* greeted
    yield* TestClock.adjust("10 seconds")
    assert.strictEqual(yield* next, "ping")
  }).pipe(withSlack))

it.effect("pings are answered, unless a fault says no", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const { next, socket } = yield* greeted
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
    const { next } = yield* greeted
    yield* slack.faults({ noPings: true })
    yield* slack.disconnect("refresh_requested")
    assert.include(yield* next, "refresh_requested")
    yield* TestClock.adjust("10 seconds")
    assert.strictEqual(yield* next, "close")
  }).pipe(withSlack))

it.effect("a frame above the limit ends the connection and nothing else", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const [big, other] = [yield* greeted, yield* greeted]
    big.socket.send("x".repeat(2 * 1024 * 1024))
    assert.strictEqual(yield* big.next, "close")
    yield* slack.sendRaw("still here")
    assert.strictEqual(yield* other.next, "still here")
  }).pipe(withSlack))
