/** The connection is there, and then it is not, or only seems to be. */
import { assert, describe } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { LocalSlack } from "slackwater/testing"
import {
  alarms,
  impatientClients,
  isAnswered,
  isConnected,
  opened,
  quickRetries,
  socket,
  talks,
  test,
  until
} from "../fixtures/connection.ts"
import { answers, dm } from "../fixtures/gateway.ts"

/** A newer generation than this is connected. */
const replaced = (generation: number) =>
  until("replaced", Effect.map(socket, (now) => now.generation > generation && now.state === "connected"))

const oneLeft = LocalSlack.use((slack) =>
  until("one connection is left", Effect.map(slack.connections, (live) => live === 1))
)

describe("a new connection takes the place of one", () => {
  test(
    "whose pings are not answered",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const { generation } = yield* socket
      yield* slack.faults({ noPongs: true })
      yield* until("replaced", Effect.map(socket, (now) => now.generation > generation))
      yield* slack.clearFaults
      yield* until("connected", isConnected)
      yield* talks("after")
    }),
    { before: impatientClients }
  )

  test(
    "whose peer is half-open, when Slack's client gives it up",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const { generation } = yield* socket
      yield* slack.faults({ silentPeer: "open" })
      yield* slack.say({ ...dm, text: "into the void" })
      yield* replaced(generation)
      yield* isAnswered("into the void")
      yield* talks("after")
    }),
    { before: impatientClients }
  )

  test(
    "whose peer is half-open, when the Watchdog hears nothing for a minute",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const { generation } = yield* socket
      yield* slack.faults({ silentPeer: "open", retryDelaysMs: [120_000, ...quickRetries] })
      yield* slack.say({ ...dm, text: "into the void" })
      yield* replaced(generation)
      yield* isAnswered("into the void")
      yield* talks("after")
    })
  )

  for (const connections of [1, 2]) {
    test(
      `whose peer is half-open, of ${connections}: what Slack sent into it and never repeats is found`,
      Effect.gen(function*() {
        const slack = yield* LocalSlack
        const { generation } = yield* socket
        yield* slack.faults({ silentPeer: "open", retryDelaysMs: [] })
        for (const text of ["one", "two", "three"]) yield* slack.say({ ...dm, text })
        yield* replaced(generation)
        yield* until("looked for", Effect.map(answers(dm.channel), (all) => /three/.test(all.join("\n"))))
        assert.deepStrictEqual(yield* answers(dm.channel), ["You said: one\ntwo\nthree"])
      }),
      { settings: () => ({ connections, catchUp: Duration.seconds(30), debounce: Duration.seconds(5) }) }
    )
  }

  test(
    "that Slack closes while TCP stays open",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const { generation } = yield* socket
      yield* slack.faults({ keepTcpOpen: true, closeAfterMs: 2_000 })
      yield* slack.dropConnections
      yield* replaced(generation + 2)
      yield* slack.faults({ closeAfterMs: null })
      yield* replaced((yield* socket).generation)
      yield* talks("after")
    })
  )

  test(
    "that is reset",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const { generation } = yield* socket
      yield* slack.dropConnections
      yield* replaced(generation)
      yield* talks("after")
      yield* oneLeft
    })
  )

  test(
    "that Slack refreshes when its time is over, before it is closed",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      yield* slack.faults({ refreshAfterMs: 30_000 })
      yield* slack.dropConnections
      yield* until("five refreshes", Effect.map(opened, (count) => count >= 7))
      yield* talks("after")
      // From the second connection on there was always one.
      const entries = (yield* slack.journal).filter((entry) => entry._tag === "ConnectionClosed").slice(1)
      assert.isNotEmpty(entries)
      assert.isTrue(entries.every((entry) => entry._tag === "ConnectionClosed" && entry.live > 0))
    })
  )
})

test(
  "connections that are closed as soon as they are there do not end the gateway, and the last one stays",
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    yield* slack.faults({ closeAfterMs: 200 })
    yield* slack.dropConnections
    yield* until("ten of them", Effect.map(opened, (count) => count >= 11))
    yield* slack.say({ ...dm, text: "meanwhile" })
    yield* isAnswered("meanwhile")
    yield* slack.clearFaults
    yield* talks("after")
    yield* oneLeft
  })
)

describe("ten connections are there already:", () => {
  test(
    "the gateway lives, says so, and connects when there is room",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      yield* until("it says so", Effect.map(alarms, (codes) => codes.includes("slack-connection")))
      yield* slack.faults({ ghosts: null })
      yield* until("connected", isConnected)
      yield* until("no alarm", Effect.map(alarms, (codes) => codes.length === 0))
      yield* talks("after")
    }),
    { before: LocalSlack.use((slack) => slack.faults({ ghosts: 10 })), atOnce: true }
  )

  test(
    "what goes to connections of which nobody knows is answered when Slack tries again",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      yield* slack.faults({ ghosts: 2 })
      for (const text of ["one", "two", "three"]) yield* talks(text)
      const sent = (yield* slack.journal).flatMap((entry) => entry._tag === "EnvelopeSent" ? [entry.connection] : [])
      assert.isTrue(sent.some((connection) => connection.startsWith("ghost")))
    })
  )
})
