/** What the Web API adapter lists, through Slack's real client against LocalSlack. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { LocalSlack, type LocalSlackOptions } from "slackwater/testing"
import * as WebApi from "../../src/slack/WebApi.ts"
import { type Page, SlackApi, type SlackApiError } from "../../src/SlackApi.ts"
import { textIn } from "../../src/untrustedJson.ts"
import { settings } from "../fixtures/stores.ts"

const test = <A, E>(
  sentence: string,
  body: (api: SlackApi["Service"], slack: LocalSlack["Service"]) => Effect.Effect<A, E>,
  options: LocalSlackOptions = {}
) =>
  it.live(sentence, () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const api = WebApi.layer.pipe(Layer.provide(settings({ slackApiUrl: slack.apiUrl })))
      return yield* Effect.provide(Effect.flatMap(SlackApi, (api) => body(api, slack)), api, { local: true })
    }).pipe(Effect.provide(Layer.fresh(LocalSlack.layer(options)))))

const general = { channel: "C0GENERAL", user: "U0ALICE" }

/** All pages, and how many there were. */
const all = Effect.fnUntraced(function*<A>(page: (cursor?: string) => Effect.Effect<Page<A>, SlackApiError>) {
  const items: Array<A> = []
  let cursor: string | undefined
  let pages = 0
  do {
    const one = yield* page(cursor)
    items.push(...one.items)
    cursor = one.cursor
    pages += 1
  } while (cursor !== undefined)
  return { items, pages }
})

const texts = (messages: ReadonlyArray<unknown>) => messages.map((message) => textIn(message, "text"))

describe("conversations", () => {
  test("of one kind, over several pages", (api) =>
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* api.conversations("im")).items, ["D0ALICE", "D0BOB"])
      assert.deepStrictEqual((yield* api.conversations("private_channel")).items, [])
      const { items, pages } = yield* all((cursor) => api.conversations("public_channel", cursor))
      assert.strictEqual(pages, 2)
      assert.lengthOf(new Set(items), 251)
      assert.include(items, "C0GENERAL")
    }), { channels: Array.from({ length: 250 }, (_, n) => `C1N${n}`) })

  test("without the scope for it names the scope, and other kinds go on", (api) =>
    Effect.gen(function*() {
      const { reason } = yield* Effect.flip(api.conversations("im"))
      assert.deepInclude(reason, {
        _tag: "Configuration",
        code: "missing_scope",
        needed: "im:read"
      })
      assert.deepStrictEqual((yield* api.conversations("public_channel")).items, ["C0GENERAL"])
    }), { faults: { missingScopes: ["im:read"] } })
})

describe("history", () => {
  test(
    "is what was said since, the newest first, over several pages, without replies",
    (api, slack) =>
      Effect.gen(function*() {
        yield* slack.say({ ...general, text: "before" })
        yield* Effect.sleep("5 millis")
        const since = Date.now()
        const root = yield* slack.say({ ...general, text: "0" })
        const reply = yield* slack.say({ ...general, text: "reply", thread_ts: root })
        for (let n = 1; n <= 200; n++) yield* slack.say({ ...general, text: String(n) })
        const { items, pages } = yield* all((cursor) => api.history("C0GENERAL", since, cursor))
        assert.strictEqual(pages, 2)
        assert.deepStrictEqual(texts(items), Array.from({ length: 201 }, (_, n) => String(200 - n)))
        assert.strictEqual(textIn(items.at(-1), "latest_reply"), reply)
      })
  )

  test("without the scope for it names the scope", (api) =>
    Effect.gen(function*() {
      const { reason } = yield* Effect.flip(api.history("D0ALICE", 0))
      assert.deepInclude(reason, { _tag: "Configuration", needed: "im:history" })
      assert.deepStrictEqual((yield* api.history("C0GENERAL", 0)).items, [])
    }), { faults: { missingScopes: ["im:history"] } })

  test("that makes no sense is a failure", (api, slack) =>
    Effect.gen(function*() {
      yield* slack.faults({ httpStatus: { method: "conversations.history", status: 200, body: "{\"ok\":true}" } })
      assert.strictEqual((yield* Effect.flip(api.history("C0GENERAL", 0))).reason._tag, "Ambiguous")
    }))
})

describe("replies", () => {
  test("are what was said in the thread since, the oldest first", (api, slack) =>
    Effect.gen(function*() {
      const threadTs = yield* slack.say({ ...general, text: "root" })
      yield* slack.say({ ...general, text: "old", thread_ts: threadTs })
      yield* Effect.sleep("5 millis")
      const since = Date.now()
      for (const text of ["one", "two"]) yield* slack.say({ ...general, text, thread_ts: threadTs })
      const { items } = yield* api.replies({ channel: "C0GENERAL", threadTs }, since)
      assert.deepStrictEqual(texts(items).filter((text) => text !== "root"), ["one", "two"])
    }))

  test("of a thread that is not there are refused for good", (api) =>
    Effect.gen(function*() {
      const { reason } = yield* Effect.flip(api.replies({ channel: "C0GENERAL", threadTs: "1.000001" }, 0))
      assert.deepInclude(reason, { _tag: "Permanent", code: "thread_not_found" })
    }))
})
