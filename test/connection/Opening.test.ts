/** Slack, or the network, does not let us in for a while. */
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import dns from "node:dns"
import { type FaultPatch, LocalSlack } from "slackwater/testing"
import {
  alarms,
  asked,
  isAnswered,
  isConnected,
  isDown,
  opened,
  socket,
  talks,
  test,
  until
} from "../fixtures/connection.ts"
import { dm } from "../fixtures/gateway.ts"

const open = "apps.connections.open"

/** Two more attempts have been made. */
const twice = (count: Effect.Effect<number, never, LocalSlack>) =>
  Effect.gen(function*() {
    const before = yield* count
    yield* until("two more attempts", Effect.map(count, (now) => now >= before + 2))
  })

/** The connection is lost while the fault is there; when it is over, all is well again. */
const outage = (fault: FaultPatch, attempts: Effect.Effect<void, never, LocalSlack>) =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    yield* talks("before")
    yield* slack.faults(fault)
    yield* slack.dropConnections
    yield* until("down", isDown)
    yield* slack.say({ ...dm, text: "meanwhile" })
    yield* attempts
    assert.isTrue(yield* isDown)
    yield* slack.clearFaults
    yield* until("connected", isConnected)
    yield* isAnswered("meanwhile")
    yield* talks("after")
    yield* until("one connection is left", Effect.map(slack.connections, (live) => live === 1))
  })

const faults: ReadonlyArray<
  readonly [what: string, fault: FaultPatch, attempts: Effect.Effect<void, never, LocalSlack>]
> = [
  ["Slack says no hello", { noHello: true }, twice(opened)],
  ["upgrades are never answered", { hangUpgrade: true }, twice(asked)],
  ["upgrades are answered with 404", { refuseWebSocket: 404 }, twice(asked)],
  ["asking for an address is answered with 429", { rateLimit: { method: open, retryAfterSeconds: 2 } }, twice(asked)],
  ["asking for an address is answered with 502", { httpStatus: { method: open, status: 502 } }, twice(asked)],
  ["asking for an address is answered with half an answer", { stallBody: { method: open } }, twice(asked)],
  ["Slack has trouble of its own", { openError: "internal_error" }, twice(asked)],
  ["the API is down", { apiDown: true }, Effect.void],
  ["the host of the WebSocket has no name", { socketHost: "nowhere.invalid" }, twice(asked)],
  ["the new peers are silent", { silentPeer: "all" }, twice(opened)]
]

describe("the gateway lives, and comes back when it is over:", () => {
  for (const [what, fault, attempts] of faults) test(what, outage(fault, attempts))

  test(
    "the app token was revoked; meanwhile there is an alarm",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      yield* slack.faults({ openError: "token_revoked" })
      yield* slack.dropConnections
      yield* until("an alarm", Effect.map(alarms, (codes) => codes.includes("slack-connection")))
      assert.strictEqual((yield* socket).state, "fatal")
      yield* slack.clearFaults
      yield* until("connected", isConnected)
      yield* until("the alarm is over", Effect.map(alarms, (codes) => codes.length === 0))
      yield* talks("after")
    })
  )
})

/** There is no `localhost` while they fail. */
const lookups = { failing: false, asked: 0 }
const { lookup } = dns
const failingLookup = Effect.acquireRelease(
  Effect.sync(() => {
    Object.assign(lookups, { failing: true, asked: 0 })
    dns.lookup = Object.assign((...given: Array<unknown>) => {
      const answer = given.at(-1) as (error: Error) => void
      const [name] = given
      if (!lookups.failing || name !== "localhost") return Reflect.apply(lookup, dns, given)
      lookups.asked += 1
      const error = Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: "ENOTFOUND", hostname: name })
      setImmediate(answer, error)
    }, lookup)
  }),
  () =>
    Effect.sync(() => {
      dns.lookup = lookup
    })
)

describe("the name of Slack's API is not found", () => {
  test(
    "at the start: the gateway lives, and connects when it is",
    Effect.gen(function*() {
      yield* until("three attempts", Effect.sync(() => lookups.asked >= 3))
      assert.isTrue(yield* isDown)
      lookups.failing = false
      yield* until("connected", isConnected)
      yield* talks("after")
    }),
    {
      before: failingLookup,
      atOnce: true,
      settings: (slack) => ({ slackApiUrl: slack.apiUrl.replace("127.0.0.1", "localhost") })
    }
  )
})
