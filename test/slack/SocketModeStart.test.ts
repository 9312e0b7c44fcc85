/** When a connection counts as connected, and when Slack sends it away before. */
import { assert, describe } from "@effect/vitest"
import { SocketModeClient } from "@slack/socket-mode"
import { Effect, Fiber } from "effect"
import { LocalSlack } from "slackwater/testing"
import { live, open } from "../fixtures/socketMode.ts"

/** The client's `start` answers as the test says, whatever the client does. */
const startAnswers = (answer: (client: SocketModeClient, started: Promise<unknown>) => Promise<unknown>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const { start } = SocketModeClient.prototype
      SocketModeClient.prototype.start = function(this: SocketModeClient) {
        return answer(this, start.call(this)) as ReturnType<typeof start>
      }
      return start
    }),
    (start) =>
      Effect.sync(() => {
        SocketModeClient.prototype.start = start
      })
  )

describe("a connection is there", () => {
  live(
    "with Slack's hello, when `start` has not come back",
    Effect.gen(function*() {
      yield* startAnswers(() => new Promise(() => {}))
      const connection = yield* Effect.timeout(open, "5 seconds")
      assert.strictEqual(connection.connections, 1)
      assert.isNotNull(yield* connection.lastHeardAt, "a client that shows signs of life shows them from the start")
    })
  )

  live(
    "with the end of `start`, when Slack's hello was not seen",
    Effect.gen(function*() {
      yield* (yield* LocalSlack).faults({ noHello: true })
      yield* startAnswers((client, started) => {
        started.catch(() => {})
        return new Promise((resolve) => client.once("connecting", resolve))
      })
      const connection = yield* Effect.timeout(open, "5 seconds")
      assert.deepStrictEqual([connection.connections, connection.approximateConnectionMs], [null, null])
    })
  )

  live(
    "neither with a hello nor with the end of `start` once nobody waits for it",
    Effect.gen(function*() {
      let finish = () => {}
      yield* startAnswers((_client, started) => {
        started.catch(() => {})
        return new Promise<void>((resolve) => {
          finish = resolve
        })
      })
      const slack = yield* LocalSlack
      yield* slack.faults({ noHello: true })
      const opening = yield* Effect.forkChild(Effect.scoped(open))
      yield* slack.awaitJournal((entry) => entry._tag === "ConnectionOpened")
      yield* Fiber.interrupt(opening)
      yield* Effect.sync(() => finish())
      yield* Effect.timeout(slack.awaitJournal((entry) => entry._tag === "ConnectionClosed"), "5 seconds")
    })
  )
})

describe("a connection that Slack sends away before its hello", () => {
  live(
    "is TurnedAway, with Slack's reason",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      for (let others = 0; others < 10; others++) yield* open
      const error = yield* Effect.timeout(Effect.flip(open), "5 seconds")
      assert.deepInclude(error.reason, { _tag: "TurnedAway", reason: "too_many_websockets" })
      assert.strictEqual(yield* slack.connections, 10)
    })
  )

  live(
    "is TurnedAway, also when it knows nothing of those that are there",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      yield* slack.faults({ ghosts: 10 })
      const error = yield* Effect.timeout(Effect.flip(open), "5 seconds")
      assert.deepInclude(error.reason, { _tag: "TurnedAway", reason: "too_many_websockets" })
      yield* slack.faults({ ghosts: 9 })
      assert.strictEqual((yield* open).connections, 10)
    })
  )

  live(
    "is TurnedAway at once, also when Slack does not close it",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      yield* slack.faults({ noHello: true })
      const opening = yield* Effect.forkChild(Effect.flip(open))
      yield* slack.awaitJournal((entry) => entry._tag === "ConnectionOpened")
      yield* slack.disconnect("link_disabled")
      const error = yield* Effect.timeout(Fiber.join(opening), "5 seconds")
      assert.deepInclude(error.reason, { _tag: "TurnedAway", reason: "link_disabled" })
    })
  )
})
