/** When a look begins, what it costs, and what becomes of one that fails: in virtual time, over a scripted Slack. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Layer, Option, SubscriptionRef } from "effect"
import { CatchUp } from "../src/CatchUp.ts"
import type { Settings } from "../src/GatewayConfig.ts"
import { GatewayStatus } from "../src/GatewayStatus.ts"
import { Instance } from "../src/Instance.ts"
import { Intake } from "../src/Intake.ts"
import { MessageStore } from "../src/MessageStore.ts"
import {
  type ChannelKind,
  Configuration,
  NotSent,
  RateLimited,
  SlackApi,
  type SlackApiReason
} from "../src/SlackApi.ts"
import { StoreError, StoreUnavailable } from "../src/StoreError.ts"
import { fieldIn, textIn } from "../src/untrustedJson.ts"
import { arrival, key } from "./fixtures/messages.ts"
import { advance, epoch, ground, inRooms, me, type Rooms } from "./fixtures/rooms.ts"
import { failing } from "./fixtures/scriptedApi.ts"

interface Slack {
  /** Channels of each kind, with what was said there. */
  readonly channels: Map<string, { readonly kind: ChannelKind; readonly messages: Array<Record<string, unknown>> }>
  readonly calls: Array<
    { readonly method: string; readonly channel: string; readonly at: number; readonly since: number }
  >
  /** What calls about a channel, or a listing of a kind, fail with. */
  readonly failures: Map<string, SlackApiReason>
  readonly recovered: Array<string>
  store: StoreError | undefined
}

const fakeSlack = (): Slack => ({
  channels: new Map(),
  calls: [],
  failures: new Map(),
  recovered: [],
  store: undefined
})

/** A channel whose history has no end. */
const endless = "CENDLESS"

const ts = (ms: number) => (ms / 1_000).toFixed(6)

const layerOf = (slack: Slack) => {
  const answer = Effect.fnUntraced(
    function*<A>(method: string, channel: string, since: number, items: () => ReadonlyArray<A>) {
      slack.calls.push({ method, channel, since, at: yield* Clock.currentTimeMillis })
      const failure = slack.failures.get(channel)
      if (failure !== undefined) return yield* failing(method, failure)
      return { items: items(), cursor: channel === endless ? "more" : undefined }
    }
  )
  const api = Layer.mock(SlackApi)({
    identity: Effect.succeed({ team: "T1", user: "U0BOT", bot: "B0BOT" }),
    conversations: (kind) =>
      answer(
        "users.conversations",
        kind,
        0,
        () => [...slack.channels].flatMap(([channel, { kind: its }]) => its === kind ? [channel] : [])
      ),
    history: (channel, since) =>
      answer("conversations.history", channel, since, () => slack.channels.get(channel)?.messages ?? []),
    replies: ({ channel }, since) => answer("conversations.replies", channel, since, () => [])
  })
  const intake = Layer.mock(Intake)({
    answers: () => false,
    recover: (payload) =>
      Effect.suspend(() => {
        if (slack.store !== undefined) return slack.store
        slack.recovered.push(textIn(fieldIn(payload, "event"), "text") ?? "")
        return Effect.succeed(Option.some("Queued" as const))
      })
  })
  return Layer.merge(api, intake)
}

type Needs = CatchUp | GatewayStatus | Instance | MessageStore | Rooms

const test = <A, E>(
  sentence: string,
  body: (slack: Slack) => Effect.Effect<A, E, Needs>,
  given: Partial<Settings> = {}
) =>
  it.effect(sentence, () => {
    const slack = fakeSlack()
    const layer = CatchUp.layer.pipe(
      Layer.provideMerge(ground({ historyLag: Duration.zero, ...given })),
      Layer.provide(layerOf(slack))
    )
    return inRooms(layer)(Effect.suspend(() => body(slack)))
  })

const connect = GatewayStatus.use(({ socket }) =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    SubscriptionRef.update(socket, (before) => ({
      ...before,
      state: "connected" as const,
      connectedSince: now,
      disconnectedSince: null
    })))
)
const disconnect = GatewayStatus.use(({ socket }) =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    SubscriptionRef.update(socket, (before) => ({
      ...before,
      state: "disconnected" as const,
      connectedSince: null,
      disconnectedSince: now
    })))
)

/** Connected for a while, and then not; answers when that began. */
const gapOf = (length: Duration.Input) =>
  Effect.gen(function*() {
    const began = yield* Clock.currentTimeMillis
    yield* disconnect
    yield* advance(length)
    yield* connect
    return began
  })

/** The first connection, some minutes ago. */
const settled = Effect.andThen(connect, advance("5 minutes", "1 minute"))

const heardUntil = Effect.flatMap(Instance, (instance) => instance.heardUntil)
const alarms = GatewayStatus.use((status) => Effect.map(status.snapshot, ({ alarms }) => alarms))
const looks = (slack: Slack) =>
  slack.calls.filter(({ channel, method }) => method === "users.conversations" && channel === "im")

describe("the moment up to which everything was heard", () => {
  test("goes on every minute while a connection lives, stands in a gap, and goes on after the look", (slack) =>
    Effect.gen(function*() {
      yield* settled
      assert.strictEqual(yield* heardUntil, epoch + 5 * 60_000)
      slack.failures.set("im", new NotSent({ detail: "ECONNREFUSED" }))
      const began = yield* gapOf("10 minutes")
      assert.strictEqual(yield* heardUntil, began)
      yield* advance("10 minutes", "10 seconds")
      assert.strictEqual(yield* heardUntil, began, "the look has not come to its end")
      assert.strictEqual(yield* CatchUp.use(({ owedSince }) => owedSince), began)
      slack.failures.clear()
      yield* advance("6 minutes", "10 seconds")
      assert.isAbove((yield* heardUntil) ?? 0, began + 20 * 60_000)
      assert.isNull(yield* CatchUp.use(({ owedSince }) => owedSince))
    }))

  test("stood still while a connection was dead beside one that lived", (slack) =>
    Effect.gen(function*() {
      yield* settled
      slack.failures.set("im", new NotSent({ detail: "ECONNREFUSED" }))
      const until = yield* Clock.currentTimeMillis
      const silence = { since: until - 60_000, until }
      const { socket } = yield* GatewayStatus
      yield* SubscriptionRef.update(socket, (before) => ({ ...before, silence }))
      yield* advance("1 minute", "10 seconds")
      assert.strictEqual(yield* heardUntil, silence.since)
      // The same is published with every change.
      yield* SubscriptionRef.update(socket, (before) => ({ ...before, reconnects: 2 }))
      slack.failures.clear()
      yield* advance("6 minutes", "10 seconds")
      assert.isNull(yield* CatchUp.use(({ owedSince }) => owedSince))
      assert.isAbove((yield* heardUntil) ?? 0, until)
    }))

  test("goes on after a gap that is left to Slack", (slack) =>
    Effect.gen(function*() {
      yield* settled
      yield* gapOf("2 seconds")
      yield* advance("1 minute")
      assert.strictEqual(yield* heardUntil, epoch + 6 * 60_000)
      assert.isEmpty(slack.calls)
    }))
})

describe("a look", () => {
  test("begins when the history has had time to show what was said", (slack) =>
    Effect.gen(function*() {
      yield* settled
      yield* gapOf("1 minute")
      yield* advance("9 seconds", "1 second")
      assert.isEmpty(slack.calls)
      yield* advance("2 seconds", "1 second")
      assert.lengthOf(looks(slack), 1)
    }), { historyLag: Duration.seconds(10) })

  test("keeps to 40 calls a minute and method, however many channels there are", (slack) =>
    Effect.gen(function*() {
      for (let n = 0; n < 100; n++) slack.channels.set(`C${n}`, { kind: "public_channel", messages: [] })
      yield* settled
      yield* gapOf("1 minute")
      yield* advance("5 minutes", "1 second")
      const times = slack.calls.filter(({ method }) => method === "conversations.history").map(({ at }) => at)
      assert.lengthOf(times, 100)
      const inMinute = times.map((from) => times.filter((at) => at >= from && at < from + 60_000).length)
      assert.isAtMost(Math.max(...inMinute), 40)
      assert.isNull(yield* CatchUp.use(({ owedSince }) => owedSince))
    }))

  test("waits as long as Slack says, and asks nothing meanwhile", (slack) =>
    Effect.gen(function*() {
      slack.channels.set("C1", { kind: "public_channel", messages: [] })
      slack.failures.set("C1", new RateLimited({ retryAfterMs: 1_800_000 }))
      yield* settled
      yield* gapOf("1 minute")
      yield* advance("29 minutes", "1 minute")
      const asked = () => slack.calls.filter(({ channel }) => channel === "C1").length
      assert.strictEqual(asked(), 1)
      slack.failures.clear()
      yield* advance("2 minutes", "10 seconds")
      assert.strictEqual(asked(), 2)
      assert.isEmpty(yield* alarms)
    }))

  test("reads from before the gap what was said since, and further back for threads, within the age", (slack) =>
    Effect.gen(function*() {
      yield* settled
      const said = (ago: number, text: string, more = {}) => ({
        ts: ts(epoch + 5 * 60_000 - ago),
        text,
        user: "U1",
        ...more
      })
      slack.channels.set("D1", {
        kind: "im",
        messages: [
          said(-30_000, "in the gap"),
          said(-20_000, "our own", { user: "U0BOT" }),
          said(60_000, "in the overlap"),
          said(180_000, "before"),
          said(3_600_000, "a thread that goes on", { latest_reply: ts(epoch + 5 * 60_000 + 1_000) }),
          said(3_600_000, "a thread that has ended", { latest_reply: ts(epoch) })
        ]
      })
      yield* gapOf("1 minute")
      yield* advance("1 second")
      assert.deepStrictEqual(slack.recovered, ["in the overlap", "in the gap"])
      const [history] = slack.calls.filter(({ method }) => method === "conversations.history")
      assert.strictEqual(history?.since, (history?.at ?? 0) - 12 * 3_600_000)
      const replies = slack.calls.filter(({ method }) => method === "conversations.replies")
      assert.deepStrictEqual(replies.map(({ since }) => since), [epoch + 3 * 60_000])
    }))

  test("leaves out what is older than the age, whatever Slack lists", (slack) =>
    Effect.gen(function*() {
      yield* settled
      const began = yield* Clock.currentTimeMillis
      const said = (at: number, text: string) => ({ ts: ts(began + at), text, user: "U1" })
      slack.channels.set("D1", { kind: "im", messages: [said(7_000_000, "fresh"), said(60_000, "too old")] })
      yield* gapOf("2 hours")
      yield* advance("10 seconds", "1 second")
      assert.deepStrictEqual(slack.recovered, ["fresh"])
      assert.match((yield* alarms)[0]?.text ?? "", /\(age 1\)/)
    }), { catchUpAge: Duration.hours(1) })

  test("goes on behind a channel without end, and one that Slack refuses, with an alarm", (slack) =>
    Effect.gen(function*() {
      for (const channel of [endless, "C1", "C2"]) {
        const messages = [{ ts: ts(epoch + 5 * 60_000 + 1_000), text: `in ${channel}`, user: "U1" }]
        slack.channels.set(channel, { kind: "public_channel", messages })
      }
      slack.failures.set("C1", new Configuration({ code: "access_denied" }))
      yield* settled
      yield* gapOf("1 minute")
      yield* advance("5 minutes", "5 seconds")
      assert.lengthOf(slack.calls.filter(({ channel }) => channel === endless), 25)
      assert.deepStrictEqual(slack.recovered, ["in CENDLESS", "in C2"])
      assert.match((yield* alarms)[0]?.text ?? "", /\(pages 1, refused 1\)/)
    }))

  test("begins with the channels in which the bot was at work last", (slack) =>
    Effect.gen(function*() {
      const store = yield* MessageStore
      for (const n of [1, 2, 3, 4]) slack.channels.set(`C${n}`, { kind: "public_channel", messages: [] })
      for (const name of ["C2/1.0", "C4/1.0"]) {
        yield* store.append(arrival({ conversation: key(name) }))
        const turn = Option.getOrThrow(yield* store.claim(key(name), me, epoch))
        yield* advance("1 second")
        yield* store.complete(turn.id, me, [], yield* Clock.currentTimeMillis)
      }
      yield* settled
      yield* gapOf("1 minute")
      yield* advance("10 seconds", "1 second")
      const of = (wanted: string) => slack.calls.filter(({ method }) => method === wanted).map(({ channel }) => channel)
      assert.deepStrictEqual(of("conversations.history"), ["C4", "C2", "C1", "C3"])
      // Their threads are older than what history is read for.
      assert.deepStrictEqual(of("conversations.replies"), ["C4", "C2"])
    }))

  test("that a gap comes into makes one more, from that gap on", (slack) =>
    Effect.gen(function*() {
      slack.channels.set("C1", { kind: "public_channel", messages: [] })
      slack.failures.set("C1", new RateLimited({ retryAfterMs: 60_000 }))
      yield* settled
      yield* gapOf("1 minute")
      yield* advance("10 seconds")
      const second = yield* gapOf("20 seconds")
      yield* gapOf("5 seconds")
      slack.failures.clear()
      yield* advance("1 minute", "1 second")
      assert.lengthOf(looks(slack), 2)
      assert.isAbove((yield* heardUntil) ?? 0, second)
      assert.isNull(yield* CatchUp.use(({ owedSince }) => owedSince))
    }))

  test("that cannot read one channel is made again, and leaves it out in the end, with an alarm", (slack) =>
    Effect.gen(function*() {
      for (const n of [1, 2]) {
        slack.channels.set(`C${n}`, {
          kind: "public_channel",
          messages: [{ ts: ts(epoch + 5 * 60_000 + 1_000), text: `in ${n}`, user: "U1" }]
        })
      }
      slack.failures.set("C1", new NotSent({ detail: "fatal_error" }))
      yield* settled
      yield* gapOf("1 minute")
      yield* advance("10 minutes", "5 seconds")
      assert.lengthOf(looks(slack), 6)
      assert.deepStrictEqual(slack.recovered, ["in 2"])
      assert.match((yield* alarms).find(({ code }) => code === "catch-up")?.text ?? "", /\(failed 1\)/)
      slack.failures.clear()
      yield* gapOf("1 minute")
      yield* advance("10 seconds")
      assert.isEmpty(yield* alarms)
    }))

  test("that cannot list the channels is made again without end, and an alarm says so until it could", (slack) =>
    Effect.gen(function*() {
      slack.channels.set("D1", {
        kind: "im",
        messages: [{ ts: ts(epoch + 5 * 60_000 + 1_000), text: "hello", user: "U1" }]
      })
      slack.failures.set("im", new NotSent({ detail: "ECONNREFUSED" }))
      yield* settled
      yield* gapOf("1 minute")
      yield* advance("1 minute", "5 seconds")
      assert.isEmpty(yield* alarms)
      yield* advance("1 hour", "30 seconds")
      assert.match((yield* alarms)[0]?.text ?? "", /^what was said since .* cannot be looked for: .*ECONNREFUSED/)
      slack.failures.clear()
      yield* advance("6 minutes", "10 seconds")
      assert.deepStrictEqual(slack.recovered, ["hello"])
      assert.isEmpty(yield* alarms)
    }))

  test("whose finds the database does not take is made again", (slack) =>
    Effect.gen(function*() {
      slack.channels.set("C1", {
        kind: "public_channel",
        messages: [{ ts: ts(epoch + 5 * 60_000 + 1_000), text: "hello", user: "U1" }]
      })
      slack.store = new StoreError({ operation: "append", reason: new StoreUnavailable({ cause: "full" }) })
      yield* settled
      const began = yield* gapOf("1 minute")
      yield* advance("1 minute", "5 seconds")
      assert.strictEqual(yield* heardUntil, began)
      slack.store = undefined
      yield* advance("2 minutes", "5 seconds")
      assert.deepStrictEqual(slack.recovered, ["hello"])
      assert.isAbove((yield* heardUntil) ?? 0, began)
    }))
})
