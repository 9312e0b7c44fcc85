import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { type JournalEntry, LocalSlack } from "../../src/testing/index.ts"
import { call, connect, type SlackFailure, webClient } from "./clients.ts"

const channel = "C0GENERAL"
const alice = { channel, user: "U0ALICE" }
const withSlack = Effect.provide(LocalSlack.layer())
const is =
  <T extends JournalEntry["_tag"]>(tag: T) => (entry: JournalEntry): entry is Extract<JournalEntry, { _tag: T }> =>
    entry._tag === tag

it.effect("a stream grows, ends once, and cannot be updated meanwhile", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const web = yield* webClient()
    const thread_ts = yield* slack.say({ ...alice, text: "question" })
    const recipient = { recipient_user_id: "U0ALICE", recipient_team_id: "T0LOCAL" }
    const streamer = web.chatStream({ channel, thread_ts, ...recipient, buffer_size: 1 })
    yield* call(() => streamer.append({ markdown_text: "Hello" }))
    yield* call(() => streamer.append({ markdown_text: ", wor" }))
    const ts = streamer.ts ?? ""
    const conflict = yield* Effect.flip(call(() => web.chat.update({ channel, ts, text: "x" })))
    assert.strictEqual(conflict.data?.error, "streaming_state_conflict")
    yield* call(() => streamer.stop({ markdown_text: "ld" }))
    const last = (yield* slack.messages(channel)).at(-1)
    assert.deepStrictEqual([last?.ts, last?.thread_ts, last?.text], [ts, thread_ts, "Hello, world"])
    const over = yield* Effect.flip(call(() => web.chat.appendStream({ channel, ts, markdown_text: "!" })))
    assert.strictEqual(over.data?.error, "message_not_in_streaming_state")
  }).pipe(withSlack))

it.effect("a stream that is left alone is ended by Slack", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const web = yield* webClient()
    const thread_ts = yield* slack.say({ channel: "D0ALICE", user: "U0ALICE", text: "question" })
    const { ts = "" } = yield* call(() => web.chat.startStream({ channel: "D0ALICE", thread_ts }))
    yield* TestClock.adjust("5 minutes")
    const failure = yield* Effect.flip(
      call(() => web.chat.appendStream({ channel: "D0ALICE", ts, markdown_text: "!" }))
    )
    assert.strictEqual(failure.data?.error, "message_not_in_streaming_state")
  }).pipe(withSlack))

it.effect("an upload becomes a message with its file", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const web = yield* webClient()
    const file = { filename: "a.txt", title: "A text", content: "hello", initial_comment: "see" }
    yield* call(() => web.files.uploadV2({ channel_id: channel, ...file }))
    const [message] = yield* slack.messages(channel)
    assert.strictEqual(message?.text, "see")
    assert.deepStrictEqual(message?.files?.map(({ title }) => title), ["A text"])
  }).pipe(withSlack))

it.effect("a file that was never sent cannot be shared", () =>
  Effect.gen(function*() {
    const web = yield* webClient()
    const { file_id = "" } = yield* call(() => web.files.getUploadURLExternal({ filename: "a", length: 1 }))
    const share = { files: [{ id: file_id }] as [{ id: string }], channel_id: channel }
    const failure = yield* Effect.flip(call(() => web.files.completeUploadExternal(share)))
    assert.strictEqual(failure.data?.error, "file_not_found")
  }).pipe(withSlack))

it.effect("a command reaches the app and is answered at its response_url, five times", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const socket = yield* connect
    yield* slack.command({ ...alice, command: "/do", text: "it" })
    const body = (yield* socket.delivered).body as unknown as Record<string, string>
    assert.deepStrictEqual([body["command"], body["text"], body["channel_id"]], ["/do", "it", channel])
    const answer = (content: unknown) =>
      Effect.promise(async () => {
        const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(content) }
        return (await (await fetch(body["response_url"] ?? "", init)).json()) as { readonly ok: boolean }
      })
    assert.isTrue((yield* answer({ text: "for you" })).ok)
    assert.include(yield* slack.awaitJournal(is("EphemeralPosted")), { to: "U0ALICE", text: "for you" })
    yield* answer({ text: "for all", response_type: "in_channel" })
    yield* answer({ text: "for all, better", replace_original: true })
    assert.deepStrictEqual((yield* slack.messages(channel)).map((m) => m.text), ["for all, better"])
    yield* answer({ text: "4" })
    yield* answer({ text: "5" })
    assert.isFalse((yield* answer({ text: "6" })).ok)
  }).pipe(withSlack))

it.effect("a command fails while nobody is connected, and is not kept", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const failure = yield* Effect.flip(slack.command({ ...alice, command: "/do", text: "it" }))
    assert.strictEqual(failure.message, "LocalSlack: refused: dispatch_failed")
    const socket = yield* connect
    yield* slack.say({ ...alice, text: "after" })
    assert.strictEqual((yield* socket.delivered).body.event.text, "after")
  }).pipe(withSlack))

it.effect("an ephemeral message is shown to one person and kept by nobody", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const web = yield* webClient()
    yield* call(() => web.chat.postEphemeral({ ...alice, text: "psst" }))
    assert.include(yield* slack.awaitJournal(is("EphemeralPosted")), { to: "U0ALICE", text: "psst" })
    assert.deepStrictEqual(yield* slack.messages(channel), [])
  }).pipe(withSlack))

it.effect("a thread's status is told to whoever watches", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const web = yield* webClient()
    const thread_ts = yield* slack.say({ ...alice, text: "question" })
    yield* call(() => web.assistant.threads.setStatus({ channel_id: channel, thread_ts, status: "is thinking…" }))
    assert.include(yield* slack.awaitJournal(is("StatusSet")), { threadTs: thread_ts, status: "is thinking…" })
  }).pipe(withSlack))

it.effect("a post limit holds per channel and lets go with time", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const web = yield* webClient()
    yield* slack.faults({ postLimit: { intervalMs: 1_000, burst: 2 } })
    const post = (to: string) => call(() => web.chat.postMessage({ channel: to, text: "x" }))
    yield* post(channel)
    yield* post(channel)
    assert.strictEqual((yield* Effect.flip(post(channel))).retryAfter, 1)
    yield* post("D0ALICE")
    yield* TestClock.adjust("1 second")
    yield* post(channel)
    yield* Effect.flip(post(channel))
    assert.strictEqual((yield* slack.messages(channel)).length, 3)
  }).pipe(withSlack))

it.effect("Slack's own limits hold for a channel's posts and for each method, and let go with time", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const web = yield* webClient()
    yield* slack.faults({ limits: "on" })
    const post = (to: string) => call(() => web.chat.postMessage({ channel: to, text: "x" }))
    const retryAfter = <A>(refused: Effect.Effect<A, SlackFailure>) =>
      Effect.map(Effect.flip(refused), (failure) => failure.retryAfter)
    let ts = ""
    for (let burst = 0; burst < 5; burst++) ts = (yield* post(channel)).ts ?? ""
    assert.strictEqual(yield* retryAfter(post(channel)), 1)
    yield* post("D0ALICE")
    yield* TestClock.adjust("1 second")
    yield* post(channel)
    const edit = call(() => web.chat.update({ channel, ts, text: "y" }))
    for (let edits = 0; edits < 50; edits++) yield* edit
    yield* TestClock.adjust("20 seconds")
    assert.strictEqual(yield* retryAfter(edit), 40)
    yield* call(() => web.reactions.add({ channel, timestamp: ts, name: "eyes" }))
    yield* TestClock.adjust("40 seconds")
    yield* edit
  }).pipe(withSlack))
