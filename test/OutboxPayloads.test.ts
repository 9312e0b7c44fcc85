/** Replies of every size and number, through Slack's client to a Slack that checks them and holds its limits. */
import { assert, describe } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { Outbox } from "slackwater"
import { LocalSlack } from "slackwater/testing"
import { answers } from "./fixtures/gateway.ts"
import { eventually, faultsMet, isSettled, place, posts, status, test } from "./fixtures/outboxSlack.ts"

/** 8,000 words, no two alike; 800 of them fill a post. */
const whole = Array.from({ length: 8_000 }, (_, n) => `${n} `.padStart(5, "0")).join("")

describe("an empty reply", () => {
  for (const content of [{}, { text: "" }, { text: " \n\t" }, { blocks: [] }, { markdown: "" }]) {
    test(
      `(${JSON.stringify(content)}) is refused at once, Slack is not asked, and the next one goes out`,
      Effect.gen(function*() {
        const outbox = yield* Outbox
        const error = yield* Effect.flip(outbox.enqueue({ ...place, ...content }))
        assert.include(error.message, "empty")
        yield* outbox.enqueue({ ...place, text: "next" })
        yield* eventually("an end", isSettled)
        assert.deepStrictEqual(yield* answers(place.channel), ["next"])
        assert.strictEqual((yield* posts).length, 1)
      })
    )
  }
})

test(
  "a reply of blocks alone is one post, in its place",
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const outbox = yield* Outbox
    const blocks = [{ type: "section", text: { type: "mrkdwn", text: "in a block" } }]
    yield* outbox.enqueue({ ...place, text: "before" })
    yield* outbox.enqueue({ ...place, blocks })
    yield* outbox.enqueue({ ...place, text: "behind" })
    yield* eventually("an end", isSettled)
    const messages = yield* slack.messages(place.channel)
    assert.deepStrictEqual(messages.map((message) => [message.text, message.blocks]), [
      ["before", undefined],
      ["", blocks],
      ["behind", undefined]
    ])
  })
)

for (
  const [what, patch] of [
    ["", {}],
    [", also when an answer in the middle is lost", { resetAfterCommit: { method: "chat.postMessage", times: 1 } }]
  ] as const
) {
  test(
    `40,000 characters are ten posts in order, none lost and none doubled${what}`,
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const outbox = yield* Outbox
      yield* outbox.enqueue({ ...place, text: whole })
      yield* eventually("four parts", Effect.map(posts, ({ length }) => length >= 4), "100 millis")
      yield* slack.faults(patch)
      yield* outbox.enqueue({ ...place, text: "behind" })
      yield* eventually("an end", isSettled)
      const parts = yield* answers(place.channel)
      assert.strictEqual(parts.pop(), "behind")
      assert.deepStrictEqual(parts.map(({ length }) => length), Array.from({ length: 10 }, () => 4_000))
      assert.isTrue(parts.join("") === whole)
      assert.deepStrictEqual(yield* faultsMet, Object.keys(patch))
    }),
    { settings: { paceInterval: Duration.seconds(1), paceBurst: 1 } }
  )
}

const channels = Array.from({ length: 20 }, (_, n) => `C0TEAM${n}`)

/** Five conversations in each channel, five replies to each of those. */
test(
  "500 replies in one burst are each there once, in the order of their conversation, and none is refused",
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const outbox = yield* Outbox
    const lanes: Array<{ readonly channel: string; readonly threadTs: string }> = []
    for (const channel of channels) {
      for (let thread = 0; thread < 5; thread++) {
        lanes.push({ channel, threadTs: yield* slack.say({ channel, user: "U0ALICE", text: "root" }) })
      }
    }
    for (let reply = 0; reply < 5; reply++) {
      yield* Effect.forEach(lanes, (lane) => outbox.enqueue({ ...lane, text: `${reply}` }), { concurrency: 50 })
    }
    yield* eventually("an end", isSettled)
    const asked = yield* posts
    assert.strictEqual(asked.length, 500)
    assert.isEmpty(asked.filter(({ ok }) => !ok))
    const messages = (yield* Effect.forEach(channels, slack.messages)).flat()
    for (const { threadTs } of lanes) {
      const thread = messages.filter((message) => message.thread_ts === threadTs && message.bot_id !== undefined)
      assert.deepStrictEqual(thread.map((message) => message.text), ["0", "1", "2", "3", "4"])
    }
    assert.deepInclude(yield* status, { delivered: 500 })
  }),
  {
    settings: { paceInterval: Duration.seconds(1), paceBurst: 5 },
    slack: { channels, faults: { limits: "on" } }
  }
)
