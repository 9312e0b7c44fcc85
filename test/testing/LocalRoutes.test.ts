import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { type IncomingHttpHeaders, request } from "node:http"
import { Script } from "node:vm"
import { WebSocket } from "ws"
import { LocalSlack } from "../../src/testing/index.ts"

const withSlack = Effect.provide(LocalSlack.layer())
const hello = { channel: "C0GENERAL", user: "U0ALICE", text: "hello" }

interface Answered {
  readonly status: number | undefined
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** A request with any header, also those that `fetch` does not let one set. */
const send = (
  method: string,
  path: string,
  options: { readonly body?: unknown; readonly headers?: Record<string, string> } = {}
) =>
  Effect.flatMap(LocalSlack, ({ port }) =>
    Effect.callback<Answered>((resume) => {
      const outgoing = request(
        { port, host: "127.0.0.1", method, path, headers: options.headers ?? {} },
        (response) => {
          let text = ""
          response.on("data", (chunk) => {
            text += String(chunk)
          })
          response.on("end", () =>
            resume(Effect.succeed({ status: response.statusCode, headers: response.headers, text })))
        }
      )
      outgoing.on("error", (cause) =>
        resume(Effect.die(cause)))
      outgoing.end(typeof options.body === "string" ? options.body : JSON.stringify(options.body))
    }))

/** What is in the page, and nowhere else. */
const secret = Effect.map(send("GET", "/"), ({ text }) => /name="local-secret" content="([^"]+)"/.exec(text)?.[1] ?? "")

it.effect("people and tests write and read messages", () =>
  Effect.gen(function*() {
    const posted = JSON.parse((yield* send("POST", "/_local/messages", { body: hello })).text)
    assert.isTrue(posted.ok)
    const reply = { ...hello, user: "U0BOB", text: "hi", thread_ts: posted.ts }
    const replied = JSON.parse((yield* send("POST", "/_local/messages", { body: reply })).text)
    const { messages } = JSON.parse((yield* send("GET", "/_local/messages?channel=C0GENERAL")).text)
    assert.deepStrictEqual(messages, [
      { ts: posted.ts, user: "U0ALICE", text: "hello" },
      { ts: replied.ts, user: "U0BOB", text: "hi", thread_ts: posted.ts }
    ])
  }).pipe(withSlack))

it.effect("what cannot be done is a 400 that says why", () =>
  Effect.gen(function*() {
    const errorOf = (body: unknown) =>
      Effect.map(send("POST", "/_local/messages", { body }), ({ status, text }) => [status, JSON.parse(text).error])
    assert.deepStrictEqual(yield* errorOf({ ...hello, channel: "C0NONE" }), [400, "channel_not_found"])
    assert.deepStrictEqual(yield* errorOf({ channel: 1 }), [400, "invalid_body"])
    assert.deepStrictEqual(yield* errorOf("{"), [400, "invalid_body"])
    const unknownFault = yield* send("POST", "/_local/faults", { body: { resetAfterComit: { method: "*" } } })
    assert.strictEqual(unknownFault.status, 400)
  }).pipe(withSlack))

it.effect("what the bot says it is doing is shown until it posts in that thread, or for two minutes", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const [one, two] = [yield* slack.say(hello), yield* slack.say(hello)]
    const api = (method: string, body: Record<string, string>) =>
      send("POST", `/api/${method}`, {
        body,
        headers: { "content-type": "application/json", authorization: "Bearer xoxb-test" }
      })
    const shown = Effect.map(
      send("GET", "/_local/statuses"),
      ({ text }) => JSON.parse(text).statuses.map((entry: { readonly thread_ts: string }) => entry.thread_ts)
    )
    for (const thread_ts of [one, two]) {
      yield* api("assistant.threads.setStatus", { channel_id: hello.channel, thread_ts, status: "is thinking…" })
    }
    assert.deepStrictEqual(yield* shown, [one, two])
    yield* api("chat.postMessage", { channel: hello.channel, text: "at the top" })
    yield* api("chat.postMessage", { channel: hello.channel, thread_ts: one, text: "done" })
    assert.deepStrictEqual(yield* shown, [two])
    yield* TestClock.adjust("2 minutes")
    assert.deepStrictEqual(yield* shown, [])
  }).pipe(withSlack))

it.effect("faults are switched on, one by one, and off", () =>
  Effect.gen(function*() {
    const patch = (body: unknown) =>
      Effect.map(send("POST", "/_local/faults", { body }), ({ text }) => JSON.parse(text).faults)
    assert.deepStrictEqual(yield* patch({ dropAcks: true }), { dropAcks: true })
    assert.deepStrictEqual(yield* patch({ noPongs: true }), { dropAcks: true, noPongs: true })
    assert.deepStrictEqual(yield* patch({ dropAcks: null }), { noPongs: true })
    yield* send("DELETE", "/_local/faults")
    assert.deepStrictEqual(JSON.parse((yield* send("GET", "/_local/faults")).text).faults, {})
  }).pipe(withSlack))

it.effect("the journal is read from where one stopped", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    for (const text of ["one", "two"]) yield* slack.say({ ...hello, text })
    const { entries } = JSON.parse((yield* send("GET", "/_local/journal?after=1")).text)
    assert.deepStrictEqual(
      entries.map((entry: { readonly n: number; readonly _tag: string }) => [entry.n, entry._tag]),
      [
        [2, "MessagePosted"]
      ]
    )
  }).pipe(withSlack))

it.effect("the stream tells of messages as they come", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const abort = new AbortController()
    const response = yield* Effect.promise(() => fetch(`${slack.url}/_local/stream`, { signal: abort.signal }))
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    yield* slack.say({ ...hello, text: "live" })
    let seen = ""
    while (!seen.includes("data:")) seen += (yield* Effect.promise(async () => await reader?.read()))?.value ?? ""
    const entry = JSON.parse(/data: (.*)/.exec(seen)?.[1] ?? "")
    assert.deepStrictEqual([entry._tag, entry.message.text], ["MessagePosted", "live"])
    abort.abort()
  }).pipe(withSlack))

it.effect("requests of other sites are refused", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const statusOf = (headers: Record<string, string>) =>
      Effect.map(send("POST", "/_local/messages", { body: hello, headers }), ({ status }) => status)
    assert.strictEqual(yield* statusOf({ origin: "https://evil.example" }), 403)
    assert.strictEqual(yield* statusOf({ origin: "null" }), 403)
    assert.strictEqual(yield* statusOf({ origin: `http://localhost:${slack.port + 1}` }), 403)
    assert.strictEqual(yield* statusOf({ host: `evil.example:${slack.port}` }), 403)
    assert.strictEqual(yield* statusOf({ "sec-fetch-site": "cross-site" }), 403)
    assert.deepStrictEqual(yield* slack.messages("C0GENERAL"), [])
    // Our own address is not enough: what a browser changes must bring the page's secret.
    assert.strictEqual(yield* statusOf({ origin: slack.url }), 403)
    assert.strictEqual(yield* statusOf({ origin: slack.url, "x-local-secret": "guessed" }), 403)
    assert.strictEqual(yield* statusOf({ "sec-fetch-site": "same-origin" }), 403)
    assert.deepStrictEqual(yield* slack.messages("C0GENERAL"), [])
    assert.strictEqual(yield* statusOf({ origin: slack.url, "x-local-secret": yield* secret }), 200)
  }).pipe(withSlack))

it.effect("every LocalSlack has a secret of its own", () =>
  Effect.gen(function*() {
    const mine = yield* secret
    const other = yield* Effect.provide(secret, LocalSlack.layer(), { local: true })
    assert.isAtLeast(mine.length, 32)
    assert.notStrictEqual(mine, other)
  }).pipe(withSlack))

it.effect("a gateway is signalled by the page only, and only by the signals it knows", () =>
  Effect.gen(function*() {
    const signals: Array<string> = []
    const gateway = {
      signal: (name: string) => signals.push(name) > 0,
      look: Effect.succeed(undefined)
    }
    yield* Effect.gen(function*() {
      const slack = yield* LocalSlack
      const kill = (body: unknown, headers: Record<string, string>) =>
        Effect.map(send("POST", "/_local/gateway", { body, headers }), ({ status }) => status)
      const mine = { "x-local-secret": yield* secret }
      assert.strictEqual(yield* kill({ signal: "SIGKILL" }, {}), 403)
      assert.strictEqual(yield* kill({ signal: "SIGKILL" }, { ...mine, origin: "https://evil.example" }), 403)
      assert.strictEqual(yield* kill({ signal: "SIGKILL" }, { ...mine, host: `evil.example:${slack.port}` }), 403)
      assert.strictEqual(yield* kill({ signal: "SIGSTOP" }, mine), 400)
      assert.strictEqual(yield* kill({ signal: "SIGKILL", pid: 1 }, mine), 400)
      assert.deepStrictEqual(signals, [])
      assert.strictEqual(yield* kill({ signal: "SIGTERM" }, { ...mine, origin: slack.url }), 200)
      assert.deepStrictEqual(signals, ["SIGTERM"])
    }).pipe(Effect.provide(LocalSlack.layer({ gateway })))
  }))

it.effect("a LocalSlack that runs no gateway has none to signal", () =>
  Effect.gen(function*() {
    const headers = { "x-local-secret": yield* secret }
    const { status, text } = yield* send("POST", "/_local/gateway", { body: { signal: "SIGKILL" }, headers })
    assert.deepStrictEqual([status, JSON.parse(text).error], [400, "no_gateway"])
  }).pipe(withSlack))

it.effect("a new channel is one that bots see too", () =>
  Effect.gen(function*() {
    const make = (name: string) =>
      Effect.map(send("POST", "/_local/channels", { body: { name } }), ({ status, text }) => [status, JSON.parse(text)])
    const [, { channel }] = yield* make("plans-2")
    assert.deepStrictEqual([channel, (yield* make("plans-2"))[0], (yield* make("No Good"))[0]], ["C0PLANS2", 400, 400])
    const listed = yield* send("POST", "/api/conversations.list", { headers: { authorization: "Bearer xoxb-test" } })
    assert.include(listed.text, `"name":"plans-2"`)
  }).pipe(withSlack))

it.effect("a WebSocket of another site is refused", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const status = yield* Effect.callback<number | undefined>((resume) => {
      const socket = new WebSocket(`${slack.url.replace("http", "ws")}/link/?ticket=x`, {
        origin: "https://evil.example"
      })
      socket.on("unexpected-response", (_request, response) => resume(Effect.succeed(response.statusCode)))
      socket.on("error", () => undefined)
    })
    assert.strictEqual(status, 403)
  }).pipe(withSlack))

it.effect("a body above the limit is a 413", () =>
  Effect.gen(function*() {
    const answered = yield* send("POST", "/_local/messages", { body: { ...hello, text: "x".repeat(1024 * 1024) } })
    assert.strictEqual(answered.status, 413)
    assert.deepStrictEqual(yield* LocalSlack.use((slack) => slack.messages("C0GENERAL")), [])
  }).pipe(withSlack))

it.effect("the page is served with a policy that lets only its own script and style run", () =>
  Effect.gen(function*() {
    const page = yield* send("GET", "/")
    assert.strictEqual(page.status, 200)
    assert.include(page.headers["content-type"], "text/html")
    const policy = String(page.headers["content-security-policy"])
    assert.include(policy, "default-src 'none'")
    assert.match(policy, /script-src 'sha256-[^']+'/)
    assert.match(policy, /style-src 'sha256-[^']+'/)
    assert.notInclude(policy, "unsafe")
    assert.notMatch(page.text, /(src|href)="(https?:)?\/\//)
    const script = /<script>([^]*)<\/script>/.exec(page.text)?.[1] ?? ""
    assert.doesNotThrow(() => new Script(script))
    assert.notMatch(script, /innerHTML|outerHTML|insertAdjacentHTML|document\.write/)
  }).pipe(withSlack))

it.effect("paths that do not exist are a 404, and what is no path a 400", () =>
  Effect.gen(function*() {
    assert.strictEqual((yield* send("GET", "/_local/nothing")).status, 404)
    assert.strictEqual((yield* send("GET", "//")).status, 400)
  }).pipe(withSlack))
