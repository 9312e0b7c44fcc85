/** The API over real sockets against a whole gateway: what it shows, and what a change does. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Latch, Redacted } from "effect"
import { type Gateway, Handler } from "slackwater"
import { LocalSlack } from "slackwater/testing"
import { ask, bearing, freePort } from "../fixtures/ask.ts"
import {
  answered,
  connected,
  dm,
  echo,
  eventually,
  startGateway,
  temporaryDirectory,
  withDatabase,
  withSlack
} from "../fixtures/gateway.ts"

const token = "5ecret-admin-token"

const gateway = Effect.fnUntraced(function*(handler: Gateway.Options["handler"] = echo) {
  const port = yield* freePort
  const dataDir = yield* temporaryDirectory
  yield* startGateway(dataDir, handler, { port, adminToken: Redacted.make(token), maxAttempts: 1 })
  yield* connected
  const slack = yield* LocalSlack
  return {
    dataDir,
    say: (text: string) => slack.say({ ...dm, text }),
    get: (path: string) => Effect.map(ask(port, path), ({ body, status }) => ({ status, json: JSON.parse(body) })),
    post: (path: string, body: unknown = {}) =>
      Effect.map(
        ask(port, path, { method: "POST", headers: bearing(token), body }),
        ({ body, status }) => ({ status, json: JSON.parse(body) })
      )
  }
})

const idsOf = ({ json }: { readonly json: { readonly rows: ReadonlyArray<{ readonly id: number }> } }) =>
  json.rows.map(({ id }) => id)

describe("/api/outbox", () => {
  it.live("lists replies, the newest first, page by page, by state and by conversation", () =>
    withSlack(Effect.gen(function*() {
      const { get, say } = yield* gateway()
      for (const text of ["a", "b", "c"]) {
        yield* say(text)
        yield* answered("D0ALICE", `You said: ${text}`)
      }
      const delivered = Effect.map(get("/api/outbox?state=delivered"), (page) => idsOf(page).length === 3)
      yield* eventually("all delivered", delivered)
      const first = yield* get("/api/outbox?limit=2")
      assert.deepStrictEqual(idsOf(first), [3, 2])
      assert.strictEqual(first.json.next, 2)
      const second = yield* get(`/api/outbox?limit=2&before=${first.json.next}`)
      assert.deepStrictEqual([idsOf(second), second.json.next], [[1], null])
      assert.deepStrictEqual(idsOf(yield* get("/api/outbox?state=queued,expired")), [])
      assert.deepStrictEqual(idsOf(yield* get("/api/outbox?conversation=D0ALICE&limit=1")), [3])
      assert.deepStrictEqual(idsOf(yield* get("/api/outbox?conversation=D9NOBODY")), [])
      assert.include(second.json.rows[0], { state: "delivered", text: "You said: a", conversation: "D0ALICE" })
    })))

  it.live("shows one reply, and says what it does not know or understand", () =>
    withSlack(Effect.gen(function*() {
      const { get, say } = yield* gateway()
      yield* say("a")
      yield* answered("D0ALICE", "You said: a")
      assert.include((yield* get("/api/outbox/1")).json, { id: 1, kind: "Post", channel: "D0ALICE" })
      for (const path of ["/api/outbox/9", "/api/outbox/x", "/api/outbox/-1", "/api/outbox/1.5", "/api/inbox/9"]) {
        const { json, status } = yield* get(path)
        assert.strictEqual(status, 404, path)
        assert.match(json.error, /^there is no /)
      }
      for (const query of ["state=gone", "limit=0", "limit=201", "limit=many", "before=-1", "conversation="]) {
        for (const list of ["outbox", "inbox"]) {
          const { json, status } = yield* get(`/api/${list}?${query}`)
          assert.strictEqual(status, 400, query)
          assert.isString(json.error)
        }
      }
    })))

  it.live("a dead letter that is sent again is posted at once, and what is left says why", () =>
    withSlack(Effect.gen(function*() {
      const { get, post, say } = yield* gateway()
      const slack = yield* LocalSlack
      yield* slack.faults({ error: { method: "chat.postMessage", code: "channel_not_found" } })
      yield* say("a")
      const failed = Effect.map(get("/api/outbox?state=failed_terminal"), (page) => idsOf(page).length === 1)
      yield* eventually("failed", failed)
      yield* slack.clearFaults
      const retried = yield* post("/api/outbox/retry", { ids: [1, 77] })
      assert.deepStrictEqual(retried.json, { changed: [1], unchanged: [{ id: 77, why: "there is no such row" }] })
      yield* answered("D0ALICE", "You said: a")
      const done = Effect.map(get("/api/outbox/1"), ({ json }) => json.state === "delivered")
      yield* eventually("delivered", done)
      for (const action of ["retry", "discard"]) {
        const again = yield* post(`/api/outbox/${action}`, { ids: [1] })
        assert.deepStrictEqual(again.json, { changed: [], unchanged: [{ id: 1, why: "delivered" }] })
      }
    })))
})

describe("/api/inbox", () => {
  it.live("a dead letter is shown with its error and payload, and runs again when it is retried", () =>
    withSlack(Effect.gen(function*() {
      let isBroken = true
      const { get, post, say } = yield* gateway(Handler.make((turn) =>
        Effect.gen(function*() {
          if (isBroken) return yield* Effect.fail("broken <script>")
          yield* turn.reply(`mended: ${turn.text}`)
        })
      ))
      yield* say("a")
      const failed = Effect.map(get("/api/inbox?state=failed"), (page) => idsOf(page).length === 1)
      yield* eventually("failed", failed)
      const shown = yield* get("/api/inbox/1")
      assert.include(shown.json, { id: 1, state: "failed", conversation: "D0ALICE", text: "a" })
      assert.include(shown.json.turnRecord, { state: "failed", error: "broken <script>" })
      assert.strictEqual(shown.json.payload.event.text, "a")
      isBroken = false
      const retried = yield* post("/api/inbox/retry", { ids: [1, 77] })
      assert.deepStrictEqual(retried.json, { changed: [1], unchanged: [{ id: 77, why: "there is no such row" }] })
      yield* answered("D0ALICE", "mended: a")
      const done = Effect.map(get("/api/inbox/1"), ({ json }) => json.state === "done")
      yield* eventually("done", done)
      const discarded = yield* post("/api/inbox/discard", { ids: [1] })
      assert.deepStrictEqual(discarded.json, { changed: [], unchanged: [{ id: 1, why: "done" }] })
    })))

  it.live("a list shows the beginning of a long text, the message alone all of it", () =>
    withSlack(Effect.gen(function*() {
      const { get, say } = yield* gateway(Handler.make(() => Effect.void))
      yield* say("x".repeat(3_000))
      yield* eventually("there", Effect.map(get("/api/inbox"), (page) => idsOf(page).length === 1))
      assert.strictEqual((yield* get("/api/inbox")).json.rows[0].text.length, 1_001)
      assert.strictEqual((yield* get("/api/inbox/1")).json.text.length, 3_000)
    })))
})

describe("turns and pauses", () => {
  it.live("shows what runs, and cancels it", () =>
    withSlack(Effect.gen(function*() {
      const never = yield* Latch.make()
      const { get, post, say } = yield* gateway(
        Handler.make((turn) => Effect.andThen(turn.status("thinking"), never.await))
      )
      yield* say("hello")
      const runs = Effect.map(get("/api/turns"), ({ json }) => json.turns[0]?.status === "thinking")
      yield* eventually("runs", runs)
      const [turn] = (yield* get("/api/turns")).json.turns
      assert.include(turn, { conversation: "D0ALICE", attempt: 1, messages: 1, text: "hello" })
      assert.doesNotHaveAnyKeys(turn, ["owner"])
      const cancelled = yield* post(`/api/turns/${encodeURIComponent(turn.id)}/cancel`)
      assert.deepStrictEqual(cancelled.json, { cancelled: true })
      yield* eventually("gone", Effect.map(get("/api/turns"), ({ json }) => json.turns.length === 0))
      assert.deepStrictEqual((yield* post(`/api/turns/${turn.id}/cancel`)).json, {
        cancelled: false,
        why: "it was cancelled before"
      })
      assert.deepStrictEqual((yield* post("/api/turns/nothing/cancel")).json, {
        cancelled: false,
        why: "there is no such turn"
      })
    })))

  it.live("a pause holds messages until it is resumed, of everything or of one conversation", () =>
    withSlack(Effect.gen(function*() {
      const { get, post, say } = yield* gateway()
      for (const place of [{}, { conversation: "D0ALICE" }]) {
        assert.deepStrictEqual((yield* post("/api/pause", { ...place, why: "lunch" })).json, { changed: true })
        assert.deepStrictEqual((yield* post("/api/pause", place)).json, { changed: false })
        const [pause] = (yield* get("/api/pauses")).json.pauses
        assert.include(pause, { conversation: null, why: "lunch", ...place })
        const text = `while ${JSON.stringify(place)}`
        yield* say(text)
        yield* eventually("waits", Effect.map(get("/api/inbox?state=queued"), (page) => idsOf(page).length === 1))
        assert.deepStrictEqual((yield* post("/api/resume", place)).json, { changed: true })
        yield* answered("D0ALICE", `You said: ${text}`)
        assert.deepStrictEqual((yield* get("/api/pauses")).json, { pauses: [] })
      }
    })))

  it.live("a pause of what is no conversation is refused, as on the command line: it would hold nothing", () =>
    withSlack(Effect.gen(function*() {
      const { get, post } = yield* gateway()
      for (const conversation of ["general", "C0123ABCD/yesterday", "D0ALICE/", "\u001b[31mD0ALICE", "a\u0000b"]) {
        const refused = yield* post("/api/pause", { conversation })
        assert.strictEqual(refused.status, 400, conversation)
        assert.match(refused.json.error, /is no conversation: name a channel like C0123ABCD/)
        assert.notInclude(refused.json.error, conversation)
      }
      assert.deepStrictEqual((yield* get("/api/pauses")).json, { pauses: [] })
    })))
})

it.live("a database that is away is said, and nothing is half done", () =>
  withSlack(Effect.gen(function*() {
    const { dataDir, get } = yield* gateway()
    yield* withDatabase(dataDir, (database) => database.exec("ALTER TABLE slackwater_pauses RENAME TO gone"))
    const { json, status } = yield* get("/api/pauses")
    assert.strictEqual(status, 503)
    assert.isString(json.error)
    yield* withDatabase(dataDir, (database) => database.exec("ALTER TABLE gone RENAME TO slackwater_pauses"))
    assert.strictEqual((yield* get("/api/pauses")).status, 200)
  })))
