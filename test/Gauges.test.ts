/** Gauges: as of the scrape; the database is asked seldom, and not for long. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Metric } from "effect"
import { PrometheusMetrics } from "effect/observability"
import { TestClock } from "effect/testing"
import { GatewayStatus } from "../src/GatewayStatus.ts"
import { Gauges } from "../src/Gauges.ts"
import { MessageStore } from "../src/MessageStore.ts"
import { arrival } from "./fixtures/messages.ts"
import { scraped } from "./fixtures/prometheus.ts"
import { ground, inRooms } from "./fixtures/rooms.ts"

describe("gauges", () => {
  const test = <A, E>(
    sentence: string,
    body: (scrape: Effect.Effect<ReturnType<typeof scraped>>) => Effect.Effect<A, E, GatewayStatus | MessageStore>
  ) =>
    it.effect(sentence, () =>
      inRooms(Gauges.layer.pipe(Layer.provideMerge(ground())))(
        Effect.flatMap(
          Gauges,
          ({ refresh }) => body(Effect.andThen(refresh, Effect.map(PrometheusMetrics.format(), scraped)))
        )
      ).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))

  test("an alarm is 1 while it is on, and 0 when it is over", (scrape) =>
    Effect.gen(function*() {
      const status = yield* GatewayStatus
      const alarm = Effect.map(scrape, ({ value }) => value("slackwater_alarm", { code: "wake-file" }))
      assert.isNaN(yield* alarm)
      yield* status.raise("wake-file", "cannot be watched")
      assert.strictEqual(yield* alarm, 1)
      yield* status.clear("wake-file")
      assert.strictEqual(yield* alarm, 0)
    }))

  test("the database is asked once in five seconds, however many scrape", (scrape) =>
    Effect.gen(function*() {
      const store = yield* MessageStore
      const queued = Effect.map(scrape, ({ value }) => value("slackwater_inbox_messages", { state: "queued" }))
      assert.strictEqual(yield* queued, 0)
      yield* store.append(arrival())
      assert.strictEqual(yield* queued, 0)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* queued, 1)
    }))
})
