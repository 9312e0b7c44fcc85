/** `/metrics` of a real gateway, as Prometheus reads it. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { metrics } from "../../src/Telemetry.ts"
import { LocalSlack } from "../../src/testing/index.ts"
import { scraped } from "../fixtures/prometheus.ts"
import { awaitReplies, type Gateway, gateway } from "./gateway.ts"
import { echo, eventually } from "./process.ts"

const withSlack = Effect.provide(LocalSlack.layer())

const scrape = ({ get }: Gateway) => Effect.map(get("/metrics"), ({ body }) => scraped(body))

/** Appear with what they measure: an alarm, a failure. */
const later = ["slackwater_alarm", "slackwater_fiber_restarts_total"]

it.live("every metric is there after one message, with its help, its type and its labels, and nothing else is", () =>
  Effect.gen(function*() {
    const started = yield* gateway(echo)
    yield* started.say("hello")
    yield* awaitReplies(started, 1)
    const { families, samples, value } = yield* eventually(
      "a scrape that knows of the delivery",
      scrape(started),
      ({ value }) =>
        value("slackwater_sends_total", { outcome: "delivered" }) === 1 &&
        value("slackwater_outbox_replies", { state: "delivered" }) === 1 &&
        value("slackwater_turn_seconds_count") === 1,
      started.running
    )
    const expected = metrics.filter(({ name }) => !later.includes(name))
      .map(({ description: help, kind, name }) => [name, { help, type: kind.toUpperCase() }] as const)
    assert.deepStrictEqual(
      [...families].toSorted(([a], [b]) => a < b ? -1 : 1),
      expected.toSorted(([a], [b]) => a < b ? -1 : 1)
    )
    for (const { labels, name } of samples) {
      const metric = metrics.find((one) => name === one.name || name.replace(/_(?:bucket|sum|count)$/, "") === one.name)
      for (const [label, is] of Object.entries(labels)) {
        if (label === "le") continue
        const known = metric?.labels[label]
        assert.isDefined(known, `${name} has no label ${label}`)
        if (typeof known === "object") assert.include(known, is, name)
      }
    }
    for (const { kind, name } of metrics) {
      if (kind === "histogram") assert.isAtLeast(value(`${name}_count`), 1, name)
    }
    const is: ReadonlyArray<readonly [string, Readonly<Record<string, string>>, number]> = [
      ["slackwater_events_total", { outcome: "queued" }, 1],
      ["slackwater_turns_total", { outcome: "done" }, 1],
      ["slackwater_turns_total", { outcome: "failed" }, 0],
      ["slackwater_inbox_messages", { state: "done" }, 1],
      ["slackwater_inbox_messages", { state: "queued" }, 0],
      ["slackwater_socket_state", { state: "connected" }, 1],
      ["slackwater_socket_state", { state: "disconnected" }, 0],
      ["slackwater_socket_generation", {}, 1],
      ["slackwater_phase", { phase: "running" }, 1],
      ["slackwater_scrape_failed", {}, 0],
      ["slackwater_api_call_seconds_count", { method: "chat.postMessage", outcome: "ok" }, 1]
    ]
    for (const [name, labels, expected] of is) assert.strictEqual(value(name, labels), expected, name)
    assert.isAbove(value("slackwater_database_bytes", { file: "database" }), 4_095)
  }).pipe(withSlack))

it.live("an alarm is a series of its own, and a refused token an outcome", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const started = yield* gateway(echo)
    yield* slack.faults({ error: { method: "chat.postMessage", code: "invalid_auth" } })
    yield* started.say("hello")
    const { value } = yield* eventually(
      "the alarm",
      scrape(started),
      ({ value }) =>
        value("slackwater_alarm", { code: "slack-access" }) === 1 && value("slackwater_outbox_paused") === 1,
      started.running
    )
    assert.isAtLeast(value("slackwater_api_call_seconds_count", { outcome: "Credentials" }), 1)
  }).pipe(withSlack))
