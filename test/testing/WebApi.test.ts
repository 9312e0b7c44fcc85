import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { type JournalEntry, LocalSlack } from "../../src/testing/index.ts"
import { call, connect, webClient } from "./clients.ts"

const channel = "C0GENERAL"
const withSlack = Effect.provide(LocalSlack.layer())
const isCall = (entry: JournalEntry) => entry._tag === "ApiCall"
const metadata = { event_type: "outbox", event_payload: { key: "k1" } }

it.effect("a post is answered with its ts, and comes back as an event of the bot", () =>
  Effect.gen(function*() {
    const web = yield* webClient()
    const socket = yield* connect
    const posted = yield* call(() => web.chat.postMessage({ channel, text: "hello" }))
    const { message } = posted
    assert.deepStrictEqual([message?.text, message?.ts, message?.bot_id, message?.user], [
      "hello",
      posted.ts,
      "B0BOT",
      "U0BOT"
    ])
    const { event } = (yield* socket.delivered).body
    assert.deepStrictEqual([event.type, event.ts, event["bot_id"], event["app_id"], event["user"]], [
      "message",
      posted.ts,
      "B0BOT",
      "A0LOCAL",
      "U0BOT"
    ])
  }).pipe(withSlack))

it.effect("metadata is read back through the thread, and only when asked for", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const web = yield* webClient()
    const ts = yield* slack.say({ channel, user: "U0ALICE", text: "root" })
    yield* call(() => web.chat.postMessage({ channel, text: "reply", thread_ts: ts, metadata }))
    const without = yield* call(() => web.conversations.replies({ channel, ts }))
    const thread = yield* call(() => web.conversations.replies({ channel, ts, include_all_metadata: true }))
    assert.deepStrictEqual(thread.messages?.map((m) => m.text), ["root", "reply"])
    assert.deepStrictEqual(thread.messages?.[1]?.metadata, metadata)
    assert.notProperty(without.messages?.[1], "metadata")
  }).pipe(withSlack))

it.effect("history is newest first, leaves replies out, and pages", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const web = yield* webClient()
    const ts = yield* slack.say({ channel, user: "U0ALICE", text: "one" })
    yield* slack.say({ channel, user: "U0BOB", text: "reply", thread_ts: ts })
    for (const text of ["two", "three"]) yield* slack.say({ channel, user: "U0ALICE", text })
    const first = yield* call(() => web.conversations.history({ channel, limit: 2 }))
    assert.deepStrictEqual(first.messages?.map((m) => m.text), ["three", "two"])
    assert.isTrue(first.has_more)
    const cursor = first.response_metadata?.next_cursor ?? ""
    const second = yield* call(() => web.conversations.history({ channel, limit: 2, cursor }))
    assert.deepStrictEqual(second.messages?.map((m) => [m.text, m.reply_count]), [["one", 1]])
  }).pipe(withSlack))

it.effect("oldest and latest are exclusive unless inclusive is set", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const web = yield* webClient()
    const say = (text: string) => slack.say({ channel, user: "U0ALICE", text })
    const [oldest, , latest] = [yield* say("a"), yield* say("b"), yield* say("c")]
    const open = yield* call(() => web.conversations.history({ channel, oldest, latest }))
    const closed = yield* call(() => web.conversations.history({ channel, oldest, latest, inclusive: true }))
    assert.deepStrictEqual(open.messages?.map((m) => m.text), ["b"])
    assert.deepStrictEqual(closed.messages?.map((m) => m.text), ["c", "b", "a"])
  }).pipe(withSlack))

it.effect("edits, reactions and deletions show in the messages", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const web = yield* webClient()
    const keep = yield* call(() => web.chat.postMessage({ channel, text: "draft", metadata }))
    const drop = yield* call(() => web.chat.postMessage({ channel, text: "oops" }))
    yield* call(() => web.chat.update({ channel, ts: keep.ts ?? "", text: "final" }))
    yield* call(() => web.reactions.add({ channel, timestamp: keep.ts ?? "", name: "eyes" }))
    yield* call(() => web.chat.delete({ channel, ts: drop.ts ?? "" }))
    const [message, ...rest] = yield* slack.messages(channel)
    assert.deepStrictEqual(rest, [])
    assert.include(message, { text: "final" })
    assert.deepStrictEqual(message?.metadata, metadata)
    assert.deepStrictEqual(message?.reactions, [{ name: "eyes", users: ["U0BOT"] }])
    assert.isDefined(message?.edited)
  }).pipe(withSlack))

it.effect("refusals carry Slack's codes", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const web = yield* webClient()
    const codeOf = <A>(run: () => Promise<A>) => Effect.map(Effect.flip(call(run)), (failure) => failure.data?.error)
    const people = yield* slack.say({ channel, user: "U0ALICE", text: "mine" })
    const { ts = "" } = yield* call(() => web.chat.postMessage({ channel, text: "bot's" }))
    yield* call(() => web.reactions.add({ channel, timestamp: ts, name: "eyes" }))
    const [none, wrong, app] = [
      yield* webClient({ token: " " }),
      yield* webClient({ token: "secret" }),
      yield* webClient({ token: "xapp-1" })
    ]
    assert.deepStrictEqual(
      [
        yield* codeOf(() => web.chat.postMessage({ channel, text: "" })),
        yield* codeOf(() => web.chat.postMessage({ channel: "C0NONE", text: "x" })),
        yield* codeOf(() => web.chat.postMessage({ channel, text: "x", thread_ts: "1700000000.000001" })),
        yield* codeOf(() => web.apiCall("chat.postMessage", { channel, text: "x", metadata: "{" })),
        yield* codeOf(() => web.chat.update({ channel, ts: people, text: "x" })),
        yield* codeOf(() => web.chat.update({ channel, ts, text: "x".repeat(4_001) })),
        yield* codeOf(() => web.chat.delete({ channel, ts: "1.000001" })),
        yield* codeOf(() => web.reactions.add({ channel, timestamp: ts, name: "eyes" })),
        yield* codeOf(() => web.conversations.replies({ channel, ts: "1.000001" })),
        yield* codeOf(() => web.users.info({ user: "U0NOBODY" })),
        yield* codeOf(() => web.apiCall("no.such.method")),
        yield* codeOf(() => none.auth.test()),
        yield* codeOf(() => wrong.auth.test()),
        yield* codeOf(() => app.auth.test())
      ],
      [
        "no_text",
        "channel_not_found",
        "thread_not_found",
        "invalid_metadata_format",
        "cant_update_message",
        "msg_too_long",
        "message_not_found",
        "already_reacted",
        "thread_not_found",
        "user_not_found",
        "unknown_method",
        "not_authed",
        "invalid_auth",
        "not_allowed_token_type"
      ]
    )
  }).pipe(withSlack))

it.effect("the workspace can be looked at", () =>
  Effect.gen(function*() {
    const web = yield* webClient()
    const me = yield* call(() => web.auth.test())
    assert.include(me, { user_id: "U0BOT", bot_id: "B0BOT", team_id: "T0LOCAL" })
    const channels = yield* call(() => web.conversations.list({ types: "public_channel,im" }))
    assert.deepStrictEqual(channels.channels?.map((c) => c.id), ["C0GENERAL", "D0ALICE", "D0BOB"])
    const opened = yield* call(() => web.conversations.open({ users: "U0ALICE" }))
    assert.strictEqual(opened.channel?.id, "D0ALICE")
    const info = yield* call(() => web.users.info({ user: "U0ALICE" }))
    assert.strictEqual(info.user?.real_name, "Alice")
  }).pipe(withSlack))

it.effect("a reset after the commit leaves the message posted while the client rejects", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const web = yield* webClient()
    yield* slack.faults({ resetAfterCommit: { method: "chat.postMessage", times: 1 } })
    const failure = yield* Effect.flip(call(() => web.chat.postMessage({ channel, text: "once" })))
    assert.strictEqual(failure.code, "slack_webapi_request_error")
    assert.strictEqual((yield* slack.messages(channel)).length, 1)
    assert.include(yield* slack.awaitJournal(isCall), { ok: false, committed: true, fault: "resetAfterCommit" })
    yield* call(() => web.chat.postMessage({ channel, text: "again" }))
  }).pipe(withSlack))

it.effect("a reset before the commit leaves nothing", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const web = yield* webClient()
    yield* slack.faults({ resetBeforeCommit: { method: "*" } })
    const failure = yield* Effect.flip(call(() => web.chat.postMessage({ channel, text: "never" })))
    assert.strictEqual(failure.code, "slack_webapi_request_error")
    assert.deepStrictEqual(yield* slack.messages(channel), [])
  }).pipe(withSlack))

it.effect("a rate limit is a 429 with the seconds to wait, as often as told", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const web = yield* webClient()
    yield* slack.faults({ rateLimit: { method: "chat.postMessage", times: 1, retryAfterSeconds: 7 } })
    const failure = yield* Effect.flip(call(() => web.chat.postMessage({ channel, text: "x" })))
    assert.include(failure, { code: "slack_webapi_rate_limited_error", retryAfter: 7 })
    yield* call(() => web.chat.postMessage({ channel, text: "x" }))
  }).pipe(withSlack))

it.effect("errors and statuses come before or after the commit", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const web = yield* webClient()
    const method = "chat.postMessage"
    yield* slack.faults({
      error: [{ method, code: "fatal_error", times: 1 }, {
        method,
        code: "internal_error",
        times: 1,
        afterCommit: true
      }],
      httpStatus: [{ method, status: 503, times: 1 }, { method, status: 500, times: 1, afterCommit: true }]
    })
    const post = (text: string) => Effect.flip(call(() => web.chat.postMessage({ channel, text })))
    const first = yield* post("not sent")
    const second = yield* post("not sent")
    const third = yield* post("sent")
    const fourth = yield* post("sent")
    assert.deepStrictEqual(
      [first.data?.error, second.statusCode, third.data?.error, fourth.statusCode],
      ["fatal_error", 503, "internal_error", 500]
    )
    assert.deepStrictEqual((yield* slack.messages(channel)).map((m) => m.text), ["sent", "sent"])
  }).pipe(withSlack))

it.effect("while the API is down nothing is read", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const web = yield* webClient()
    yield* slack.faults({ apiDown: true })
    const failure = yield* Effect.flip(call(() => web.chat.postMessage({ channel, text: "x" })))
    assert.strictEqual(failure.code, "slack_webapi_request_error")
    assert.deepStrictEqual(yield* slack.journal, [])
    yield* slack.faults({ apiDown: null })
    yield* call(() => web.chat.postMessage({ channel, text: "x" }))
  }).pipe(withSlack))

it.effect("a delayed answer comes late, and the call took effect before", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const web = yield* webClient({ timeout: 50 })
    yield* slack.faults({ delayMs: { method: "chat.postMessage", ms: 60_000 } })
    const failure = yield* Effect.flip(call(() => web.chat.postMessage({ channel, text: "late" })))
    assert.strictEqual(failure.code, "slack_webapi_request_error")
    assert.strictEqual((yield* slack.messages(channel)).length, 1)
    yield* TestClock.adjust("1 minute")
  }).pipe(withSlack))

it.effect("an answer that stops half-way makes the client fail", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const web = yield* webClient({ timeout: 50 })
    yield* slack.faults({ stallBody: { method: "chat.postMessage", times: 1 } })
    yield* Effect.flip(call(() => web.chat.postMessage({ channel, text: "half" })))
    assert.strictEqual((yield* slack.messages(channel)).length, 1)
  }).pipe(withSlack))

it.effect("history lags behind when told so", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const web = yield* webClient()
    yield* slack.faults({ historyLagMs: 5_000 })
    yield* call(() => web.chat.postMessage({ channel, text: "fresh" }))
    const history = Effect.map(call(() => web.conversations.history({ channel })), (page) => page.messages?.length)
    assert.strictEqual(yield* history, 0)
    yield* TestClock.adjust("5 seconds")
    assert.strictEqual(yield* history, 1)
  }).pipe(withSlack))
