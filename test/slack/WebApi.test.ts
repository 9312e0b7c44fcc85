/** The Web API adapter over Slack's real client against LocalSlack: posting, and finding a post again. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { LocalSlack } from "slackwater/testing"
import * as WebApi from "../../src/slack/WebApi.ts"
import { SlackApi } from "../../src/SlackApi.ts"
import { settings } from "../fixtures/stores.ts"

const withApi = <A, E>(body: (api: SlackApi["Service"], slack: LocalSlack["Service"]) => Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const api = WebApi.layer.pipe(Layer.provide(settings({ slackApiUrl: slack.apiUrl })))
    return yield* Effect.provide(Effect.flatMap(SlackApi, (api) => body(api, slack)), api, { local: true })
  }).pipe(Effect.provide(Layer.fresh(LocalSlack.layer())))

const test = <A, E>(
  sentence: string,
  body: (api: SlackApi["Service"], slack: LocalSlack["Service"]) => Effect.Effect<A, E>
) => it.live(sentence, () => withApi(body))

const channel = "C0GENERAL"
const hello = { _tag: "Post", text: "hello" } as const
const before = () => Date.now() - 1_000

describe("identity", () => {
  test("says who we are", (api) => Effect.map(api.identity, ({ user }) => assert.strictEqual(user, "U0BOT")))
})

describe("send", () => {
  test("posts text and blocks into the channel and answers Slack's ts", (api, slack) =>
    Effect.gen(function*() {
      const { ts } = yield* api.send({ channel }, { ...hello, blocks: [{ type: "divider" }] }, "key-1")
      const [message] = yield* slack.messages(channel)
      assert.deepInclude(message, { ts, text: "hello" })
      assert.notProperty(message, "thread_ts")
      assert.deepStrictEqual(message?.metadata, { event_type: "slackwater_reply", event_payload: { key: "key-1" } })
    }))

  test("posts into the thread that it is given", (api, slack) =>
    Effect.gen(function*() {
      const threadTs = yield* slack.say({ channel, user: "U0ALICE", text: "root" })
      const { ts } = yield* api.send({ channel, threadTs }, hello, "key-1")
      const messages = yield* slack.messages(channel)
      assert.strictEqual(messages.find((message) => message.ts === ts)?.thread_ts, threadTs)
    }))

  test("is asked once, also when the answer is lost", (api, slack) =>
    Effect.gen(function*() {
      yield* slack.faults({ resetAfterCommit: { method: "chat.postMessage", times: 1 } })
      const error = yield* Effect.flip(api.send({ channel }, hello, "key-1"))
      assert.strictEqual(error.reason._tag, "Ambiguous")
      assert.strictEqual((yield* slack.messages(channel)).length, 1)
    }))

  test("may have arrived when Slack answers ok without a ts", (api, slack) =>
    Effect.gen(function*() {
      yield* slack.faults({ httpStatus: { method: "chat.postMessage", status: 200, body: "{\"ok\":true}" } })
      assert.strictEqual((yield* Effect.flip(api.send({ channel }, hello, "key-1"))).reason._tag, "Ambiguous")
    }))

  test("never shows the token or the text in its errors", (api, slack) =>
    Effect.gen(function*() {
      yield* slack.faults({ error: { method: "chat.postMessage", code: "is_archived" } })
      const error = yield* Effect.flip(api.send({ channel }, { _tag: "Post", text: "s3cret" }, "key-1"))
      assert.strictEqual(error.message, "chat.postMessage: is_archived")
      assert.notMatch(JSON.stringify(error), /s3cret|xoxb/)
    }))
})

describe("setStatus", () => {
  test("shows the text under the thread, and takes it away with an empty one", (api, slack) =>
    Effect.gen(function*() {
      const threadTs = yield* slack.say({ channel, user: "U0ALICE", text: "root" })
      yield* api.setStatus({ channel, threadTs }, "is thinking…")
      assert.deepStrictEqual(yield* slack.statuses, [{ channel, thread_ts: threadTs, status: "is thinking…" }])
      yield* api.setStatus({ channel, threadTs }, "")
      assert.deepStrictEqual(yield* slack.statuses, [])
    }))
})

describe("find", () => {
  test("finds a post in its channel by its key, and none of another key", (api) =>
    Effect.gen(function*() {
      const since = before()
      const { ts } = yield* api.send({ channel }, hello, "key-1")
      yield* api.send({ channel }, hello, "key-2")
      assert.strictEqual((yield* api.find({ channel }, "key-1", since)).ts, ts)
      assert.isNull((yield* api.find({ channel }, "key-3", since)).ts)
    }))

  test("finds a post in its thread, which the channel's history does not show", (api, slack) =>
    Effect.gen(function*() {
      const since = before()
      const threadTs = yield* slack.say({ channel, user: "U0ALICE", text: "root" })
      const { ts } = yield* api.send({ channel, threadTs }, hello, "key-1")
      assert.strictEqual((yield* api.find({ channel, threadTs }, "key-1", since)).ts, ts)
      assert.isNull((yield* api.find({ channel }, "key-1", since)).ts)
    }))

  test("finds a post that its sender never heard of", (api, slack) =>
    Effect.gen(function*() {
      const since = before()
      yield* slack.faults({ resetAfterCommit: { method: "chat.postMessage", times: 1 } })
      yield* Effect.flip(api.send({ channel }, hello, "key-1"))
      const [message] = yield* slack.messages(channel)
      assert.strictEqual((yield* api.find({ channel }, "key-1", since)).ts, message?.ts ?? "")
    }))

  test("finds a post to a person in the direct message with them", (api) =>
    Effect.gen(function*() {
      const since = before()
      const { ts } = yield* api.send({ channel: "U0ALICE" }, hello, "key-1")
      assert.strictEqual((yield* api.find({ channel: "U0ALICE" }, "key-1", since)).ts, ts)
    }))

  test("finds a post behind hundreds of others", (api, slack) =>
    Effect.gen(function*() {
      const since = before()
      const { ts } = yield* api.send({ channel }, hello, "key-1")
      for (let n = 0; n < 450; n++) yield* slack.say({ channel, user: "U0ALICE", text: `noise ${n}` })
      assert.strictEqual((yield* api.find({ channel }, "key-1", since)).ts, ts)
    }))

  for (const [how, off] of [["ahead", 3_600_000], ["back", -3_600_000]] as const) {
    test(`finds a post that was sent while our clock was an hour ${how}`, (api) =>
      Effect.gen(function*() {
        const since = before() + off
        const { ts } = yield* api.send({ channel }, hello, "key-1")
        assert.strictEqual((yield* api.find({ channel }, "key-1", since)).ts, ts)
      }))
  }

  test("does not take what it could not look through for absent", (api, slack) =>
    Effect.gen(function*() {
      const since = before()
      for (let n = 0; n < 1_050; n++) yield* slack.say({ channel, user: "U0ALICE", text: `noise ${n}` })
      assert.strictEqual((yield* Effect.flip(api.find({ channel }, "key-1", since))).reason._tag, "Ambiguous")
    }))

  test("takes a thread that is gone for absent", (api) =>
    Effect.gen(function*() {
      assert.isNull((yield* api.find({ channel, threadTs: "1.000000" }, "key-1", before())).ts)
    }))

  for (
    const [code, tag] of [["missing_scope", "Configuration"], ["ratelimited", "RateLimited"], [
      "not_in_channel",
      "Permanent"
    ]] as const
  ) {
    test(`fails, and is not absent, on ${code}`, (api, slack) =>
      Effect.gen(function*() {
        yield* slack.faults({ error: { method: "conversations.history", code } })
        assert.strictEqual((yield* Effect.flip(api.find({ channel }, "key-1", before()))).reason._tag, tag)
      }))
  }

  test("does not see what Slack's history does not show yet", (api, slack) =>
    Effect.gen(function*() {
      const since = before()
      yield* slack.faults({ historyLagMs: 60_000 })
      yield* api.send({ channel }, hello, "key-1")
      assert.isNull((yield* api.find({ channel }, "key-1", since)).ts)
    }))
})
