/** Frames that make no sense, and connections that do not come. */
import { assert, describe } from "@effect/vitest"
import { Effect, Fiber, Queue } from "effect"
import { TestClock } from "effect/testing"
import { LocalSlack } from "slackwater/testing"
import { bareServer } from "../fixtures/bareServer.ts"
import { live, open, openAt, virtual } from "../fixtures/socketMode.ts"
import { until } from "../fixtures/time.ts"

describe("frames", () => {
  const harmless: ReadonlyArray<readonly [string, string | Uint8Array]> = [
    ["null", "null"],
    ["a number", "42"],
    ["a list", "[]"],
    ["text that is no JSON", "{\"type\":"],
    ["nothing", ""],
    ["bytes", new Uint8Array([0, 159, 146, 150])],
    ["bytes that are an envelope", new TextEncoder().encode("{\"envelope_id\":\"e\",\"type\":\"events_api\"}")],
    ["an envelope without an id", "{\"type\":\"events_api\",\"payload\":{}}"],
    ["an envelope with a number for an id", "{\"envelope_id\":7,\"type\":\"events_api\"}"],
    ["an envelope without a type", "{\"envelope_id\":\"e\"}"],
    ["a second hello", "{\"type\":\"hello\"}"],
    ["a reason that cannot be printed", "{\"type\":\"disconnect\",\"reason\":{\"toString\":1,\"valueOf\":1}}"],
    ["objects nested deeply", "{\"type\":".repeat(20_000) + "1" + "}".repeat(20_000)]
  ]
  for (const [what, frame] of harmless) {
    live(
      `that make no sense do no harm: ${what}`,
      Effect.gen(function*() {
        const server = yield* bareServer
        const { incoming } = yield* openAt(server.apiUrl)
        const socket = yield* server.socket
        socket.send(frame)
        socket.send(JSON.stringify({ envelope_id: "next", type: "events_api", payload: null }))
        const { ack, envelope } = yield* Effect.timeout(Queue.take(incoming), "5 seconds")
        assert.deepStrictEqual(envelope, {
          id: "next",
          type: "events_api",
          payload: null,
          retryNum: 0,
          retryReason: ""
        })
        yield* ack()
        yield* until("acked", Effect.sync(() => server.received.some((text) => text.includes("next"))))
        assert.deepStrictEqual(JSON.parse(server.received.at(-1) ?? ""), { envelope_id: "next", payload: {} })
      })
    )
  }

  live(
    "without an event inside are handed over, to be kept and acked",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const { incoming } = yield* open
      const payload = { type: "app_rate_limited", team_id: "T1", minute_rate_limited: 1 }
      yield* slack.sendRaw(JSON.stringify({ envelope_id: "limited", type: "events_api", payload }))
      const { ack, envelope } = yield* Queue.take(incoming)
      assert.deepStrictEqual(envelope.payload, payload)
      yield* ack()
    })
  )

  live(
    "beyond the bound are dropped unacked and hold nothing up",
    Effect.gen(function*() {
      const server = yield* bareServer
      const { closed, incoming } = yield* openAt(server.apiUrl)
      const socket = yield* server.socket
      for (let n = 0; n < 1_500; n++) socket.send(JSON.stringify({ envelope_id: `e${n}`, type: "events_api" }))
      socket.close()
      yield* Effect.timeout(closed, "5 seconds")
      assert.strictEqual(Queue.sizeUnsafe(incoming), 1_024)
    })
  )
})

describe("a connection that does not come", () => {
  const failures: ReadonlyArray<
    readonly [string, Parameters<LocalSlack["Service"]["faults"]>[0], Record<string, unknown>]
  > = [
    ["is Unreachable when the WebSocket is refused", { refuseWebSocket: true }, { _tag: "Unreachable" }],
    ["is Unreachable when the API answers nonsense", { httpStatus: { method: "*", status: 502 } }, {
      _tag: "Unreachable"
    }],
    ["is Unreachable when the API is down", { apiDown: true }, { _tag: "Unreachable" }],
    ["is Unreachable on Slack's own trouble", { openError: "internal_error" }, { _tag: "Unreachable" }],
    [
      "is TooManyRequests on a rate limit, with Slack's time",
      { rateLimit: { method: "apps.connections.open", retryAfterSeconds: 17 } },
      { _tag: "TooManyRequests", retryAfterMs: 17_000 }
    ],
    ...[
      "invalid_auth",
      "not_authed",
      "token_revoked",
      "token_expired",
      "account_inactive",
      "missing_scope",
      "not_allowed_token_type"
    ]
      .map((code): readonly [string, { openError: string }, Record<string, unknown>] => [
        `is Refused on ${code}`,
        { openError: code },
        { _tag: "Refused", code }
      ])
  ]
  for (const [sentence, fault, reason] of failures) {
    live(
      sentence,
      Effect.gen(function*() {
        yield* (yield* LocalSlack).faults(fault)
        const error = yield* Effect.timeout(Effect.flip(open), "10 seconds")
        assert.strictEqual(error._tag, "SlackConnectionError")
        if (error._tag === "SlackConnectionError") assert.deepInclude(error.reason, reason)
      })
    )
  }

  for (
    const [what, fault] of [["hello", { noHello: true }], ["answer to its upgrade", { hangUpgrade: true }]] as const
  ) {
    virtual(
      `is Unreachable in bounded time without ${what}`,
      Effect.gen(function*() {
        const slack = yield* LocalSlack
        yield* slack.faults(fault)
        const opening = yield* Effect.forkChild(Effect.flip(open))
        yield* slack.awaitJournal((entry) => entry._tag === (what === "hello" ? "ConnectionOpened" : "ApiCall"))
        yield* TestClock.adjust("14 seconds")
        assert.isUndefined(opening.pollUnsafe())
        yield* TestClock.adjust("2 seconds")
        const error = yield* Fiber.join(opening)
        assert.match(error.message, /no hello within 15 s/)
      })
    )
  }
})
