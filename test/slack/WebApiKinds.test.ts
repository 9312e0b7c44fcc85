/** Each kind of call over Slack's real client against LocalSlack: what it does, and what counts as done. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import { LocalSlack } from "slackwater/testing"
import type { Dispatch } from "../../src/Dispatch.ts"
import * as WebApi from "../../src/slack/WebApi.ts"
import { SlackApi } from "../../src/SlackApi.ts"
import { settings } from "../fixtures/stores.ts"
import { connect } from "../testing/clients.ts"

type Api = SlackApi["Service"]
type Slack = LocalSlack["Service"]

const test = <A, E>(sentence: string, body: (api: Api, slack: Slack) => Effect.Effect<A, E>) =>
  it.live(sentence, () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const given = { slackApiUrl: slack.apiUrl, requestTimeout: Duration.millis(500) }
      const api = WebApi.layer.pipe(Layer.provide(settings(given)))
      return yield* Effect.provide(Effect.flatMap(SlackApi, (api) => body(api, slack)), api, { local: true })
    }).pipe(Effect.provide(Layer.fresh(LocalSlack.layer()))))

const channel = "C0GENERAL"
const to = { channel }
const post = (api: Api, text = "hello") => api.send(to, { _tag: "Post", text }, "key-1")
const shown = (slack: Slack) => slack.messages(channel)
const reasonOf = <A, E extends { readonly reason: unknown }>(effect: Effect.Effect<A, E>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

describe("Post", () => {
  test("answers the direct message that a post to a person went to", (api) =>
    Effect.gen(function*() {
      const { channel } = yield* api.send({ channel: "U0ALICE" }, { _tag: "Post", text: "hi" }, "key-1")
      assert.strictEqual(channel, "D0ALICE")
    }))

  test("takes markdown alone", (api, slack) =>
    Effect.gen(function*() {
      yield* api.send(to, { _tag: "Post", text: "", markdown: "**bold**" }, "key-1")
      assert.strictEqual((yield* shown(slack))[0]?.text, "**bold**")
    }))

  for (const threadTs of ["1.000001", "", "nonsense"]) {
    test(
      `never goes to the channel when its thread is missing (${JSON.stringify(threadTs)})`,
      (api, slack) =>
        Effect.gen(function*() {
          const reason = yield* reasonOf(api.send({ channel, threadTs }, { _tag: "Post", text: "x" }, "key-1"))
          assert.strictEqual((reason as { readonly _tag: string })._tag, "Permanent")
          assert.isEmpty(yield* shown(slack))
        })
    )
  }

  test("that times out may still take effect, one that is reset is over", (api, slack) =>
    Effect.gen(function*() {
      yield* slack.faults({ delayMs: { method: "chat.postMessage", times: 1, ms: 900 } })
      assert.deepInclude(yield* reasonOf(post(api)), { _tag: "Ambiguous", late: true })
      yield* slack.faults({ stallBody: { method: "chat.postMessage", times: 1 } })
      assert.deepInclude(yield* reasonOf(post(api)), { _tag: "Ambiguous", late: true })
      yield* slack.faults({ resetBeforeCommit: { method: "chat.postMessage", times: 1 } })
      assert.deepInclude(yield* reasonOf(post(api)), { _tag: "Ambiguous", late: false })
      yield* slack.faults({ httpStatus: { method: "chat.postMessage", times: 1, status: 502 } })
      assert.deepInclude(yield* reasonOf(post(api)), { _tag: "Ambiguous", late: false })
    }))
})

describe("a change", () => {
  test("updates, reacts to, and deletes a message", (api, slack) =>
    Effect.gen(function*() {
      const target = yield* post(api)
      assert.deepStrictEqual(yield* api.send(to, { _tag: "Update", text: "better", target }, "key-2"), target)
      yield* api.send(to, { _tag: "React", name: "eyes", target }, "key-3")
      const [message] = yield* shown(slack)
      assert.deepInclude(message, { text: "better", reactions: [{ name: "eyes", users: ["U0BOT"] }] })
      assert.strictEqual((yield* api.find(to, "key-1", Date.now() - 1_000)).ts, target.ts, "it keeps its key")
      yield* api.send(to, { _tag: "React", name: "eyes", remove: true, target }, "key-4")
      assert.notProperty((yield* shown(slack))[0], "reactions")
      yield* api.send(to, { _tag: "Delete", target }, "key-5")
      assert.isEmpty(yield* shown(slack))
    }))

  test("that is so already is called so; an update may be repeated as it is", (api) =>
    Effect.gen(function*() {
      const target = yield* post(api)
      const update = { _tag: "Update", text: "x", target } as const
      for (let time = 0; time < 2; time++) assert.deepStrictEqual(yield* api.send(to, update, "key-2"), target)
      const once: ReadonlyArray<readonly [Dispatch, code: string]> = [
        [{ _tag: "React", name: "eyes", target }, "already_reacted"],
        [{ _tag: "React", name: "eyes", remove: true, target }, "no_reaction"],
        [{ _tag: "Delete", target }, "message_not_found"]
      ]
      for (const [dispatch, code] of once) {
        assert.deepStrictEqual(yield* api.send(to, dispatch, "key-2"), target)
        assert.deepInclude(yield* reasonOf(api.send(to, dispatch, "key-2")), { _tag: "AlreadyDone", code })
      }
    }))

  test("of a message that is gone is permanent, but for a deletion", (api) =>
    Effect.gen(function*() {
      const target = { channel, ts: "1.000001" }
      const gone = { _tag: "Permanent", code: "message_not_found" }
      assert.deepInclude(yield* reasonOf(api.send(to, { _tag: "Update", text: "x", target }, "key-1")), gone)
      assert.deepInclude(yield* reasonOf(api.send(to, { _tag: "React", name: "eyes", target }, "key-1")), gone)
      assert.deepInclude(yield* reasonOf(api.send(to, { _tag: "Update", text: "x" }, "key-1")), gone)
    }))
})

describe("Ephemeral", () => {
  test("is shown to one person", (api, slack) =>
    Effect.gen(function*() {
      yield* api.send(to, { _tag: "Ephemeral", user: "U0ALICE", text: "psst" }, "key-1")
      const entry = yield* slack.awaitJournal(({ _tag }) => _tag === "EphemeralPosted")
      assert.include(entry, { to: "U0ALICE", text: "psst" })
      assert.isEmpty(yield* shown(slack))
    }))
})

/** A command that somebody used, and where it may be answered. */
const commanded = (slack: Slack) =>
  Effect.gen(function*() {
    const socket = yield* connect
    yield* slack.command({ channel, user: "U0ALICE", command: "/do", text: "it" })
    const body: unknown = (yield* socket.delivered).body
    return (body as Record<string, string>)["response_url"] ?? ""
  }).pipe(Effect.scoped, Effect.provideService(LocalSlack, slack))

describe("Respond", () => {
  test("answers a command for all, replaces that, and deletes it", (api, slack) =>
    Effect.gen(function*() {
      const url = yield* commanded(slack)
      const answer = (given: object) => api.send(to, { _tag: "Respond", url, text: "done", ...given }, "key-1")
      assert.deepStrictEqual(yield* answer({ responseType: "in_channel" }), { channel, ts: "" })
      assert.deepStrictEqual((yield* shown(slack)).map(({ text }) => text), ["done"])
      yield* answer({ replaceOriginal: true, text: "really done" })
      assert.deepStrictEqual((yield* shown(slack)).map(({ text }) => text), ["really done"])
      yield* answer({ deleteOriginal: true, text: "" })
      assert.isEmpty(yield* shown(slack))
    }))

  test("is over when the address is used up", (api, slack) =>
    Effect.gen(function*() {
      const url = yield* commanded(slack)
      const answer = api.send(to, { _tag: "Respond", url, text: "again" }, "key-1")
      for (let time = 0; time < 5; time++) yield* answer
      assert.deepInclude(yield* reasonOf(answer), { _tag: "Permanent", code: "used_url" })
    }))

  test(
    "may have arrived after a reset, and not when it was refused or limited",
    (api, slack) =>
      Effect.gen(function*() {
        const url = yield* commanded(slack)
        const answer = api.send(to, { _tag: "Respond", url, text: "done" }, "key-1")
        yield* slack.faults({ resetAfterCommit: { method: "response_url", times: 1 } })
        assert.deepInclude(yield* reasonOf(answer), { _tag: "Ambiguous", late: false })
        yield* slack.faults({ httpStatus: { method: "response_url", times: 1, status: 503 } })
        assert.deepInclude(yield* reasonOf(answer), { _tag: "Ambiguous" })
        yield* slack.faults({ rateLimit: { method: "response_url", times: 1, retryAfterSeconds: 7 } })
        assert.deepInclude(yield* reasonOf(answer), { _tag: "RateLimited", retryAfterMs: 7_000 })
      })
  )

  for (
    const url of [
      "http://169.254.169.254/latest/meta-data",
      "https://hooks.slack.com.evil.example/x",
      "https://hooks.slack.com@evil.example/x",
      "http://hooks.slack.com/x",
      "file:///etc/passwd",
      "nonsense"
    ]
  ) {
    test(`calls nobody at ${url}, and does not name it`, (api) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(api.send(to, { _tag: "Respond", url, text: "x" }, "key-1"))
        assert.strictEqual(error.message, "response_url: response_url_refused")
      }))
  }
})

describe("Upload", () => {
  for (
    const url of ["http://169.254.169.254/latest", "https://user@files.slack.com/x", "file:///etc/passwd", "nonsense"]
  ) {
    test(`brings no bytes to ${url}`, (api, slack) =>
      Effect.gen(function*() {
        const body = JSON.stringify({ ok: true, file_id: "F1", upload_url: url })
        yield* slack.faults({ httpStatus: { method: "files.getUploadURLExternal", status: 200, body } })
        const remembered: Array<string> = []
        const file = {
          content: Effect.succeed(new Blob(["x"])),
          id: null,
          remember: (id: string) => Effect.sync(() => void remembered.push(id))
        }
        const dispatch: Dispatch = { _tag: "Upload", spool: "s", filename: "a", bytes: 1 }
        const reason = yield* reasonOf(api.send(to, dispatch, "key-1", file))
        assert.deepInclude(reason, { _tag: "Permanent", code: "upload_url_refused" })
        assert.isEmpty(remembered)
      }))
  }
})
