/** The sender under Slack's limits: as fast as they allow, never refused, and each conversation in its order. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Layer } from "effect"
import { Statement } from "effect/sql"
import { Gateway, Outbox as HostOutbox } from "slackwater"
import { LocalSlack, RateLimiter } from "slackwater/testing"
import { Outbox } from "../src/Outbox.ts"
import { AlreadyDone, NotSent, RateLimited, SlackApi } from "../src/SlackApi.ts"
import { settingsFor, temporaryDirectory, withSlack } from "./fixtures/gateway.ts"
import { alarms, post, stateOf, test, unpaced } from "./fixtures/outboxRoom.ts"
import { advance, epoch, ground, inRooms, settle } from "./fixtures/rooms.ts"
import { failing, reset, scriptedApi } from "./fixtures/scriptedApi.ts"

/** A Slack that holds its limits; answers how often it refused. */
const limitedApi = () => {
  const slack = scriptedApi()
  const limiter = new RateLimiter()
  let refusals = 0
  const send: SlackApi["Service"]["send"] = Effect.fnUntraced(function*(destination, dispatch, key) {
    const wait = limiter.refuse("chat.postMessage", destination.channel, yield* Clock.currentTimeMillis)
    if (wait === undefined) return yield* slack.api.send(destination, dispatch, key)
    refusals += 1
    return yield* failing("chat.postMessage", new RateLimited({ retryAfterMs: 1_000 * Math.ceil(wait / 1_000) }))
  })
  return { slack, refusals: () => refusals, layer: Layer.succeed(SlackApi, SlackApi.of({ ...slack.api, send })) }
}

/** The texts of each channel, in the order in which they were sent. */
const byChannel = (sent: ReadonlyArray<{ readonly channel: string; readonly text: string }>) => {
  const texts = new Map<string, Array<string>>()
  for (const { channel, text } of sent) texts.set(channel, [...(texts.get(channel) ?? []), text])
  return texts
}

describe("under Slack's limits", () => {
  it.effect("1,000 replies to 200 channels take hardly longer than they must, and none is refused", () => {
    const { layer, refusals, slack } = limitedApi()
    const rooms = Outbox.layer.pipe(Layer.provideMerge(ground()), Layer.provide(layer))
    return inRooms(rooms)(Effect.gen(function*() {
      for (let reply = 0; reply < 5; reply++) {
        for (let channel = 0; channel < 200; channel++) yield* post(`${reply}`, `C${channel}`)
      }
      for (let waited = 0; waited < 400 && slack.sent.length < 1_000; waited += 20) {
        yield* advance("20 seconds", "50 millis")
      }
      assert.strictEqual(refusals(), 0)
      assert.strictEqual(slack.sent.length, 1_000)
      for (const texts of byChannel(slack.sent).values()) assert.deepStrictEqual(texts, ["0", "1", "2", "3", "4"])
      // At 300 a minute of which 60 go out at once, 241 come back in a minute.
      const least = (1_000 - 60) / 241 * 60_000
      const took = (slack.sent.at(-1)?.at ?? 0) - epoch
      assert.isAtLeast(took, Math.floor(least))
      assert.isAtMost(took, 1.02 * least)
    }))
  }, 60_000)

  it.effect("50 replies to one channel go out one a second after the burst", () => {
    const { layer, refusals, slack } = limitedApi()
    const rooms = Outbox.layer.pipe(Layer.provideMerge(ground()), Layer.provide(layer))
    return inRooms(rooms)(Effect.gen(function*() {
      for (let reply = 0; reply < 50; reply++) yield* post(`${reply}`, "C1", `${reply % 10}.0`)
      yield* advance("50 seconds", "50 millis")
      assert.strictEqual(refusals(), 0)
      assert.strictEqual(slack.sent.length, 50)
      const took = (slack.sent.at(-1)?.at ?? 0) - epoch
      assert.isAtLeast(took, 46_000)
      assert.isAtMost(took, 47_000)
    }))
  })

  it.live("60 replies to 20 channels over real sockets are taken at the first try, in order", () => {
    const channels = Array.from({ length: 20 }, (_, n) => `C0TEAM${n}`)
    return Effect.gen(function*() {
      const slack = yield* LocalSlack
      const config = settingsFor(slack, yield* temporaryDirectory, {
        paceInterval: Duration.millis(50),
        paceBurst: 2
      })
      yield* Effect.gen(function*() {
        const outbox = yield* HostOutbox
        const handles = yield* Effect.forEach(
          ["1", "2", "3"],
          (text) => Effect.forEach(channels, (channel) => outbox.enqueue({ channel, text }))
        )
        yield* Effect.forEach(handles.flat(), (handle) => handle.delivered, { discard: true })
      }).pipe(Effect.provide(Gateway.layerOutbox(config), { local: true }))
      const posts = (yield* slack.journal).filter((entry) =>
        entry._tag === "ApiCall" && entry.method === "chat.postMessage"
      )
      assert.strictEqual(posts.length, 60)
      assert.isEmpty(posts.filter((entry) => entry._tag === "ApiCall" && !entry.ok))
      for (const channel of channels) {
        assert.deepStrictEqual((yield* slack.messages(channel)).map(({ text }) => text), ["1", "2", "3"])
      }
    }).pipe((body) => withSlack(body, { channels, faults: { limits: { speed: 20 } } }))
  })
})

describe("a rate limit", () => {
  test("of a second channel while the first is paused pauses all posts", (slack) =>
    Effect.gen(function*() {
      slack.script("a", new RateLimited({ retryAfterMs: 9_000 }))
      slack.script("b", new RateLimited({ retryAfterMs: 5_000 }))
      yield* post("a", "C1")
      yield* settle
      yield* post("b", "C2")
      yield* settle
      yield* post("c", "C3")
      yield* advance("4999 millis")
      assert.deepStrictEqual(slack.texts(), ["a", "b"])
      yield* advance("1 millis")
      assert.deepStrictEqual(slack.texts(), ["a", "b", "b", "c"])
      yield* advance("4 seconds")
      assert.deepStrictEqual(slack.texts(), ["a", "b", "b", "c", "a"])
    }), unpaced)

  test("of the whole workspace pauses all posts at once", (slack) =>
    Effect.gen(function*() {
      slack.script("a", new RateLimited({ retryAfterMs: 60_000, workspace: true }))
      yield* post("a", "C1")
      yield* settle
      yield* post("b", "C2")
      yield* advance("59999 millis", "1 second")
      assert.deepStrictEqual(slack.texts(), ["a"])
      yield* advance("1 millis")
      assert.sameMembers(slack.texts().slice(1), ["a", "b"])
    }), unpaced)
})

describe("another method than posting", () => {
  const sentOf = (slack: ReturnType<typeof scriptedApi>, kind: string) =>
    slack.sent.filter((one) => one.kind === kind).length

  test("has a limit of its own: updates wait for theirs, and posts go on", (slack) =>
    Effect.gen(function*() {
      const handles = yield* Effect.forEach(
        Array.from({ length: 40 }, (_, n) => `C${n}`),
        (channel) => post("first", channel)
      )
      yield* settle
      yield* Effect.forEach(handles, (handle) => handle.update("second"))
      yield* settle
      // Of 50 a minute a fifth goes out at once.
      assert.deepStrictEqual([sentOf(slack, "Post"), sentOf(slack, "Update")], [40, 10])
      yield* post("third", "C99")
      yield* settle
      assert.deepStrictEqual([sentOf(slack, "Post"), sentOf(slack, "Update")], [41, 10])
      yield* advance("1 minute", "500 millis")
      assert.strictEqual(sentOf(slack, "Update"), 40)
    }))

  test("is paused by its own 429, and nothing else is", (slack) =>
    Effect.gen(function*() {
      const [a, b] = [yield* post("a", "C1"), yield* post("b", "C2")]
      yield* settle
      slack.script("a2", new RateLimited({ retryAfterMs: 9_000 }))
      yield* a.update("a2")
      yield* settle
      yield* b.update("b2")
      yield* post("c", "C1", "1.0")
      yield* advance("8900 millis", "100 millis")
      assert.deepStrictEqual(slack.texts(), ["a", "b", "a2", "c"])
      yield* advance("200 millis", "100 millis")
      assert.deepStrictEqual(slack.texts().slice(4).toSorted(), ["a2", "b2"])
    }))

  const channels = Array.from({ length: 12 }, (_, n) => `C${n}`)
  const waiting: ReadonlyArray<
    readonly [what: string, (slack: ReturnType<typeof scriptedApi>) => Effect.Effect<void, unknown, Outbox>]
  > = [
    ["updates", () =>
      Effect.gen(function*() {
        const handles = yield* Effect.forEach(channels, (channel) => post("first", channel))
        yield* settle
        yield* Effect.forEach(handles, (handle) => handle.update("second"))
      })],
    ["looks", (slack) =>
      Effect.gen(function*() {
        slack.look.blind = true
        for (const channel of channels) {
          slack.script(channel, reset)
          yield* post(channel, channel)
        }
      })]
  ]
  for (const [what, begin] of waiting) {
    it.effect(`is not tried all the time while it waits: ${what}`, () => {
      const slack = scriptedApi()
      const rooms = Outbox.layer.pipe(Layer.provideMerge(ground()), Layer.provide(slack.layer))
      let statements = 0
      return inRooms(rooms)(Effect.gen(function*() {
        yield* begin(slack)
        yield* settle
        statements = 0
        yield* advance("900 millis", "1 millis")
        assert.strictEqual(sentOf(slack, "Update") + slack.looks.length, 10)
        assert.isBelow(statements, 20)
      })).pipe(
        Effect.provideService(Statement.CurrentTransformer, (self) =>
          Effect.sync(() => {
            statements += 1
            return self
          }))
      )
    })
  }
})

describe("what Slack would do later, for one channel only", () => {
  test("is tried again by itself, and holds up nobody else", (slack) =>
    Effect.gen(function*() {
      slack.script("a", new NotSent({ detail: "external_channel_migrating", onlyThis: true }))
      yield* post("a", "C1")
      yield* settle
      yield* post("b", "C2")
      yield* settle
      assert.deepStrictEqual(slack.texts(), ["a", "b"])
      assert.strictEqual(slack.access.asked, 1)
      yield* advance("10 seconds", "1 second")
      assert.deepStrictEqual(slack.texts(), ["a", "b", "a"])
    }), unpaced)
})

describe("what Slack has done before", () => {
  test("is delivered, and nothing is alarming about it", (slack) =>
    Effect.gen(function*() {
      slack.script("x", new AlreadyDone({ code: "already_reacted" }))
      const handle = yield* post("x")
      yield* post("behind")
      yield* handle.delivered
      yield* settle
      assert.strictEqual(yield* stateOf(handle.id), "delivered")
      assert.deepStrictEqual(slack.texts(), ["x", "behind"])
      assert.isEmpty((yield* alarms).codes)
    }))
})
