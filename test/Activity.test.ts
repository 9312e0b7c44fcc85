/** The last hour, in virtual time, over stores in memory. */
import { assert, it } from "@effect/vitest"
import { Clock, Duration, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { Activity, bucketMs, buckets, layer } from "../src/Activity.ts"
import { MessageStore } from "../src/MessageStore.ts"
import { Outbox } from "../src/Outbox.ts"
import { arrival, key } from "./fixtures/messages.ts"
import { advance, ground, inRooms, settle } from "./fixtures/rooms.ts"
import { scriptedApi } from "./fixtures/scriptedApi.ts"
import { epoch } from "./fixtures/time.ts"

const withActivity = <A, E, R>(test: Effect.Effect<A, E, R>) =>
  Effect.andThen(
    TestClock.setTime(epoch),
    Effect.provide(test, Layer.fresh(layer.pipe(Layer.provideMerge(ground()))))
  )

const last = <A>(series: ReadonlyArray<A>, n = 1) => series.at(-n)

it.effect("counts what happened in buckets of ten seconds, the present one last", () =>
  withActivity(Effect.gen(function*() {
    const activity = yield* Activity
    yield* activity.count("received")
    yield* activity.count("received")
    yield* TestClock.adjust("10 seconds")
    yield* activity.count("delivered")
    const { from, series } = yield* activity.hour
    assert.strictEqual(from, Math.floor(epoch / bucketMs) * bucketMs + bucketMs - (buckets - 1) * bucketMs)
    assert.deepStrictEqual(series.received.slice(-2), [2, 0])
    assert.deepStrictEqual(series.delivered.slice(-2), [0, 1])
    for (const one of Object.values(series)) assert.strictEqual(one.length, buckets)
  })))

it.effect("says nothing of the time before the start, and forgets what is older than an hour", () =>
  withActivity(Effect.gen(function*() {
    const activity = yield* Activity
    yield* activity.count("received")
    const { series } = yield* activity.hour
    assert.deepStrictEqual(series.received.slice(-2), [null, 1])
    assert.deepStrictEqual(series.ackMsP95.slice(-1), [null])
    yield* TestClock.adjust("59 minutes")
    assert.include((yield* activity.hour).series.received, 1)
    yield* TestClock.adjust("1 minute")
    const later = (yield* activity.hour).series.received
    assert.deepStrictEqual(new Set(later), new Set([0]))
  })))

it.effect("of all times in a bucket, 95 in 100 are at most the p95", () =>
  withActivity(Effect.gen(function*() {
    const activity = yield* Activity
    for (let ms = 1; ms <= 1_000; ms++) yield* activity.took("ack", ms)
    yield* activity.took("turn", 0)
    const { series } = yield* activity.hour
    assert.approximately(last(series.ackMsP95) ?? 0, 950, 95)
    assert.strictEqual(last(series.turnMsP95), 1)
    assert.isNull(last(series.deliveryMsP95))
  })))

it.effect("looks at what waits every ten seconds, and shows the age of the oldest", () =>
  withActivity(Effect.gen(function*() {
    const activity = yield* Activity
    const store = yield* MessageStore
    yield* store.append(arrival({ conversation: key("D1") }, { receivedAt: epoch - 5_000 }))
    yield* activity.count("received")
    yield* TestClock.adjust("20 seconds")
    const { series } = yield* activity.hour
    assert.strictEqual(last(series.inboxQueued), 1)
    assert.strictEqual(last(series.outboxQueued), 0)
    assert.strictEqual(last(series.oldestQueuedAgeMs), 25_000)
  })))

it.effect("where nothing waits and nothing happens it looks once a minute, and says that nothing waits", () =>
  withActivity(Effect.gen(function*() {
    const activity = yield* Activity
    const store = yield* MessageStore
    yield* TestClock.adjust("1 second")
    // Another process puts it there; nobody tells us.
    yield* store.append(arrival({ conversation: key("D1") }, { receivedAt: epoch }))
    yield* TestClock.adjust("49 seconds")
    assert.deepStrictEqual((yield* activity.hour).series.inboxQueued.slice(-6), [0, 0, 0, 0, 0, 0])
    yield* TestClock.adjust("20 seconds")
    assert.deepStrictEqual((yield* activity.hour).series.inboxQueued.slice(-2), [1, 1])
  })))

it.effect("a clock that is set back counts on, in the buckets of its new time", () =>
  withActivity(Effect.gen(function*() {
    const activity = yield* Activity
    yield* activity.count("received")
    yield* TestClock.setTime(epoch - 30 * 60_000)
    yield* activity.count("received")
    assert.strictEqual(last((yield* activity.hour).series.received), 1)
    yield* TestClock.setTime(epoch)
    assert.strictEqual(last((yield* activity.hour).series.received), 1)
  })))

it.effect("rooms that are built without it tell it nothing, and fail at nothing", () =>
  Effect.gen(function*() {
    const activity = yield* Activity
    yield* activity.count("received")
    yield* activity.took("ack", 1)
    assert.deepStrictEqual((yield* activity.hour).series.received, [])
  }))

it.effect("a reply that was to wait is timed from when it may go out, as in the metrics", () =>
  inRooms(
    Outbox.layer.pipe(
      Layer.provide(scriptedApi().layer),
      Layer.provideMerge(layer),
      Layer.provideMerge(ground({ paceInterval: Duration.zero }))
    )
  )(Effect.gen(function*() {
    const outbox = yield* Outbox
    const now = yield* Clock.currentTimeMillis
    yield* outbox.enqueue({ channel: "C1", text: "later" }, { notBefore: new Date(now + 60_000) })
    yield* advance("1 minute", "1 second")
    yield* settle
    const { series } = yield* (yield* Activity).hour
    assert.strictEqual(last(series.delivered), 1)
    assert.isBelow(last(series.deliveryMsP95) ?? Infinity, 2_000)
  })))
