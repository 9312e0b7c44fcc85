/** Hours in which Slack is not there, whatever it says meanwhile: no reply ends by count, each is there once, in order. */
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { OutboxStore } from "../src/OutboxStore.ts"
import { Ambiguous, NotSent, type SlackApiReason } from "../src/SlackApi.ts"
import { alarms, post, stateOf, test } from "./fixtures/outboxRoom.ts"
import { advance, settle } from "./fixtures/rooms.ts"
import { reset, type scriptedApi } from "./fixtures/scriptedApi.ts"

const notThere = new Ambiguous({ detail: "HTTP 503", unavailable: true })
const timedOut = new Ambiguous({ detail: "TimeoutError", late: true })
const unreachable = new NotSent({ detail: "ENOTFOUND" })

type Slack = ReturnType<typeof scriptedApi>
const texts = ["a", "b", "c", "d"]
const lanes = ["C1", "C2", "C3"]

/** From now on posts are answered with this, and so is everything else where `all` is set. */
const goAway = (slack: Slack, reason: SlackApiReason, all: boolean) => {
  for (const text of texts) slack.script(text, ...Array.from({ length: 5_000 }, () => reason))
  if (!all) return
  slack.access.failure = reason
  slack.look.failure = reason
}
const comeBack = (slack: Slack) => {
  for (const text of texts) slack.script(text)
  slack.access.failure = undefined
  slack.look.failure = undefined
}

/** What Slack has of a channel, in the order in which it came. */
const there = (slack: Slack, channel: string) =>
  slack.sent.filter((one) => one.channel === channel && slack.arrived.has(one)).map(({ text }) => text)
const record = (id: number) =>
  Effect.flatMap(OutboxStore, (store) => Effect.map(store.list({ ids: [id] }, { limit: 1 }), ([row]) => row))

const outages: ReadonlyArray<readonly [what: string, reason: SlackApiReason, all: boolean]> = [
  ["it cannot be reached", unreachable, true],
  ["it answers everything with 503", notThere, true],
  ["it answers posts with 503, and nothing else", notThere, false],
  ["nobody answers in time", timedOut, true]
]

describe("six hours without Slack", () => {
  for (const [what, reason, all] of outages) {
    test(
      `in which ${what}: every reply is there once afterwards, in the order of its conversation`,
      (slack) =>
        Effect.gen(function*() {
          for (const lane of lanes) yield* post("first", lane)
          yield* settle
          goAway(slack, reason, all)
          for (const text of texts) yield* Effect.forEach(lanes, (lane) => post(text, lane))
          yield* advance("6 hours", "5 minutes")
          comeBack(slack)
          yield* advance("5 minutes", "1 second")
          for (const lane of lanes) assert.deepStrictEqual(there(slack, lane), ["first", ...texts])
          const counts = yield* Effect.flatMap(OutboxStore, (store) => store.counts)
          assert.deepInclude(counts, { delivered: 15, failed_terminal: 0, unknown: 0 })
          assert.isEmpty((yield* alarms).codes)
        }),
      { outboxMaxAttempts: 3 }
    )
  }

  test("cost a change of a reply no attempt either, whatever Slack says of them", (slack) =>
    Effect.gen(function*() {
      const handle = yield* post("first")
      yield* settle
      goAway(slack, notThere, false)
      const change = yield* handle.update("a")
      yield* advance("6 hours", "5 minutes")
      assert.deepInclude(yield* record(change.id), { state: "failed_retryable", attempts: 0, error: "Unavailable" })
      comeBack(slack)
      yield* advance("1 minute", "1 second")
      assert.strictEqual(yield* stateOf(change.id), "delivered")
    }), { outboxMaxAttempts: 3 })

  test("that begin with a post in doubt keep what stands behind it behind it", (slack) =>
    Effect.gen(function*() {
      slack.look.failure = unreachable
      slack.script("a", reset)
      for (const text of texts) yield* post(text)
      yield* settle
      goAway(slack, unreachable, true)
      yield* advance("6 hours", "5 minutes")
      comeBack(slack)
      yield* advance("5 minutes", "1 second")
      assert.deepStrictEqual(there(slack, "C1"), texts)
    }))
})

describe("Slack that is there for others", () => {
  test(
    "ends a reply that alone is told that it is not, by count and within minutes",
    (slack) =>
      Effect.gen(function*() {
        slack.script("poison", ...Array.from({ length: 100 }, () => notThere))
        const handle = yield* post("poison", "C1")
        yield* post("behind", "C1")
        for (let minute = 0; minute < 5; minute++) {
          yield* post(`${minute}`, "C2")
          yield* advance("1 minute", "1 second")
        }
        assert.strictEqual(yield* stateOf(handle.id), "failed_terminal")
        assert.deepStrictEqual(there(slack, "C1"), ["behind"])
      }),
    { outboxMaxAttempts: 3 }
  )
})

describe("after a post whose fate is open", () => {
  test("Slack is asked before the next one goes out", (slack) =>
    Effect.gen(function*() {
      slack.script("a", timedOut)
      yield* post("a", "C1")
      yield* settle
      slack.access.failure = timedOut
      for (const lane of ["C2", "C3", "C4"]) yield* post("b", lane)
      yield* advance("10 minutes", "10 seconds")
      assert.deepStrictEqual(slack.texts(), ["a"])
    }))
})
