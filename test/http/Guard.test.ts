/** Who may look and who may change something over HTTP, over real sockets against a whole gateway. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import type { Settings } from "slackwater"
import { ask, type Asked, bearing, freePort } from "../fixtures/ask.ts"
import { connected, echo, startGateway, temporaryDirectory, withSlack } from "../fixtures/gateway.ts"

const token = "5ecret-admin-token"
const admin = bearing(token)

const gateway = Effect.fnUntraced(function*(given: Partial<Settings> = {}) {
  const port = yield* freePort
  const dataDir = yield* temporaryDirectory
  yield* startGateway(dataDir, echo, { port, adminToken: Redacted.make(token), ...given })
  yield* connected
  return { port, dataDir, get: (path: string, asked: Asked = {}) => ask(port, path, asked) }
})

const changes = ["/logout", "/api/outbox/retry", "/api/outbox/discard"]
const pages = ["/metrics", "/api/status", "/api/session"]

describe("a gateway that only this machine reaches", () => {
  it.live("shows everything and changes nothing without the token", () =>
    withSlack(Effect.gen(function*() {
      const { get } = yield* gateway()
      for (const path of ["/healthz", "/readyz", ...pages]) {
        assert.strictEqual((yield* get(path)).status, 200, path)
      }
      for (const path of changes) {
        const refused = yield* get(path, { method: "POST", body: {} })
        assert.strictEqual(refused.status, 401, path)
        assert.match(JSON.parse(refused.body).error, /SLACKWATER_ADMIN_TOKEN/)
        assert.strictEqual((yield* get(path, { method: "POST", headers: bearing("wrong"), body: {} })).status, 401)
      }
    })))

  it.live("without a token set, changes are refused with a sentence that says how to set one", () =>
    withSlack(Effect.gen(function*() {
      const { get } = yield* gateway({ adminToken: null })
      for (const path of ["/login", ...changes]) {
        const refused = yield* get(path, { method: "POST", headers: admin, body: { token } })
        assert.strictEqual(refused.status, 403, path)
        assert.match(JSON.parse(refused.body).error, /no admin token is set: set SLACKWATER_ADMIN_TOKEN/)
      }
      assert.strictEqual((yield* get("/api/status")).status, 200)
    })))

  it.live("answers to no name but this machine's, whatever the request brings", () =>
    withSlack(Effect.gen(function*() {
      const { get, port } = yield* gateway()
      for (
        const host of ["evil.example", `evil.example:${port}`, "127.0.0.1.evil.example", "10.0.0.1", "a@localhost"]
      ) {
        for (const path of ["/api/status", "/", "/healthz"]) {
          assert.strictEqual((yield* get(path, { headers: { host, ...admin } })).status, 403, host)
        }
        const login = yield* get("/login", { method: "POST", headers: { host }, body: { token } })
        assert.strictEqual(login.status, 403, host)
        assert.isUndefined(login.headers["set-cookie"])
      }
      for (const host of ["localhost", `LOCALHOST:${port}`, "127.0.0.1", `[::1]:${port}`, "app.localhost"]) {
        assert.strictEqual((yield* get("/api/status", { headers: { host } })).status, 200, host)
      }
    })))

  it.live("refuses what a page of another site sends, with the token too, and lets nobody read across sites", () =>
    withSlack(Effect.gen(function*() {
      const { get, port } = yield* gateway()
      const foreign: ReadonlyArray<Record<string, string>> = [
        { origin: "https://evil.example" },
        { origin: "null" },
        { origin: `http://127.0.0.1:${port + 1}` },
        { "sec-fetch-site": "cross-site" },
        { "sec-fetch-site": "same-site" },
        { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" }
      ]
      for (const headers of foreign) {
        for (const path of ["/login", ...changes]) {
          const refused = yield* get(path, { method: "POST", headers: { ...admin, ...headers }, body: { token } })
          assert.strictEqual(refused.status, 403, `${path} ${JSON.stringify(headers)}`)
          assert.isUndefined(refused.headers["access-control-allow-origin"])
        }
      }
      for (const headers of foreign.slice(0, 5)) {
        assert.strictEqual((yield* get("/api/status", { headers })).status, 403)
      }
      const preflight = yield* get("/api/outbox/retry", {
        method: "OPTIONS",
        headers: { origin: "https://evil.example", "access-control-request-method": "POST" }
      })
      assert.strictEqual(preflight.status, 403)
      assert.isUndefined(preflight.headers["access-control-allow-origin"])
      // A link from another page leads here, and our own page may ask.
      const link = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" }
      assert.strictEqual((yield* get("/healthz", { headers: link })).status, 200)
      const own = { origin: `http://127.0.0.1:${port}`, "sec-fetch-site": "same-origin" }
      assert.strictEqual((yield* get("/login", { method: "POST", headers: own, body: { token } })).status, 200)
    })))

  it.live("what comes through a proxy needs the token to look", () =>
    withSlack(Effect.gen(function*() {
      const { get } = yield* gateway({ allowedHosts: ["bot.example.com"] })
      for (
        const headers of [{ host: "bot.example.com" }, { "x-forwarded-for": "192.0.2.1" }, { forwarded: "for=_x" }]
      ) {
        assert.strictEqual((yield* get("/api/status", { headers })).status, 401)
        assert.strictEqual((yield* get("/api/status", { headers: { ...headers, ...admin } })).status, 200)
        assert.deepStrictEqual(JSON.parse((yield* get("/readyz", { headers })).body), { ready: true })
      }
      const page = { host: "bot.example.com", origin: "https://bot.example.com", "x-forwarded-proto": "https" }
      const login = yield* get("/login", { method: "POST", headers: page, body: { token } })
      assert.strictEqual(login.status, 200)
      assert.match(String(login.headers["set-cookie"]), /; Secure/)
    })))

  it.live("every answer carries the headers that keep browsers in line", () =>
    withSlack(Effect.gen(function*() {
      const { get } = yield* gateway()
      const asked: ReadonlyArray<readonly [string, Asked]> = [
        ["/healthz", {}],
        ["/api/status", {}],
        ["/nothing", {}],
        ["/api/outbox/retry", { method: "POST" }],
        ["/", { headers: { host: "evil.example" } }]
      ]
      for (const [path, how] of asked) {
        const { headers } = yield* get(path, how)
        assert.strictEqual(
          headers["content-security-policy"],
          "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
            "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
          path
        )
        assert.strictEqual(headers["x-content-type-options"], "nosniff")
        assert.strictEqual(headers["referrer-policy"], "no-referrer")
        assert.strictEqual(headers["cache-control"], "no-store")
      }
      const nothing = yield* get("/nothing")
      assert.strictEqual(nothing.status, 404)
      assert.isString(JSON.parse(nothing.body).error)
    })))
})

describe("a gateway that others reach", () => {
  it.live("shows nothing but its state without the token", () =>
    withSlack(Effect.gen(function*() {
      const { get } = yield* gateway({ host: "0.0.0.0" })
      for (const path of [...pages, "/", "/nothing", "/api/outbox"]) {
        assert.strictEqual((yield* get(path)).status, 401, path)
        assert.strictEqual((yield* get(path, { headers: bearing("wrong") })).status, 401, path)
      }
      const health = yield* get("/healthz")
      assert.deepStrictEqual([health.status, health.body], [200, "ok\n"])
      const ready = yield* get("/readyz")
      assert.deepStrictEqual([ready.status, ready.body], [200, "{\"ready\":true}"])
      for (const path of pages) assert.strictEqual((yield* get(path, { headers: admin })).status, 200, path)
      const known = yield* get("/readyz", { headers: admin })
      assert.deepStrictEqual(JSON.parse(known.body), { ready: true, reasons: [] })
      assert.strictEqual((yield* get("/api/outbox/retry", { method: "POST", body: { ids: [1] } })).status, 401)
      assert.strictEqual((yield* get("/healthz", { headers: { host: "evil.example" } })).status, 403)
    })))

  it.live("a browser gets a page to log in with, and the session then opens everything", () =>
    withSlack(Effect.gen(function*() {
      const { get, port } = yield* gateway({ host: "0.0.0.0" })
      const browser = { accept: "text/html,*/*", "sec-fetch-site": "none", "sec-fetch-mode": "navigate" }
      const page = yield* get("/", { headers: browser })
      assert.strictEqual(page.status, 401)
      assert.match(String(page.headers["content-type"]), /^text\/html/)
      assert.include(page.body, "<form method=\"post\" action=\"/login\">")
      const form = {
        "content-type": "application/x-www-form-urlencoded",
        origin: `http://127.0.0.1:${port}`,
        "sec-fetch-site": "same-origin"
      }
      const wrong = yield* get("/login", { method: "POST", headers: form, body: "token=%3Cscript%3E" })
      assert.strictEqual(wrong.status, 401)
      assert.notInclude(wrong.body, "<script")
      const right = yield* get("/login", { method: "POST", headers: form, body: `token=${token}` })
      assert.deepStrictEqual([right.status, right.headers["location"]], [303, "/"])
      const cookie = String(right.headers["set-cookie"]).split(";")[0] ?? ""
      assert.strictEqual((yield* get("/api/status", { headers: { cookie } })).status, 200)
    })))
})

describe("a session", () => {
  it.live("is a cookie that scripts cannot read, other sites cannot send, and that is not the token", () =>
    withSlack(Effect.gen(function*() {
      const { get } = yield* gateway()
      const login = yield* get("/login", { method: "POST", body: { token } })
      assert.strictEqual(login.status, 200)
      const cookie = String(login.headers["set-cookie"])
      assert.match(cookie, /^slackwater_\d+=[0-9a-f]{64}; /)
      for (const part of [/; HttpOnly/, /; SameSite=Strict/, /; Path=\//, /; Max-Age=43200/]) assert.match(cookie, part)
      assert.notMatch(cookie, /Secure/)
      assert.notInclude(cookie, token)
    })))

  it.live("may change things until it is ended", () =>
    withSlack(Effect.gen(function*() {
      const { get } = yield* gateway()
      const login = yield* get("/login", { method: "POST", body: { token } })
      const cookie = { cookie: String(login.headers["set-cookie"]).split(";")[0] ?? "" }
      const session = Effect.map(get("/api/session", { headers: cookie }), ({ body }): unknown => JSON.parse(body))
      assert.deepStrictEqual(yield* session, { loggedIn: true, hasToken: true })
      const retried = yield* get("/api/outbox/retry", { method: "POST", headers: cookie, body: { ids: [1] } })
      assert.strictEqual(retried.status, 200)
      assert.strictEqual((yield* get("/logout", { method: "POST", headers: cookie })).status, 200)
      assert.deepStrictEqual(yield* session, { loggedIn: false, hasToken: true })
      assert.strictEqual((yield* get("/logout", { method: "POST", headers: cookie })).status, 401)
    })))

  it.live("is not opened by a wrong token, and many of them are held up", () =>
    withSlack(Effect.gen(function*() {
      const { get } = yield* gateway()
      const guess = Effect.map(get("/login", { method: "POST", body: { token: "guess" } }), ({ status }) => status)
      const answers = yield* Effect.forEach(Array.from({ length: 12 }), () => guess)
      assert.deepStrictEqual(answers.slice(0, 10), Array.from({ length: 10 }, () => 401))
      assert.deepStrictEqual(answers.slice(10), [429, 429])
      const right = yield* get("/login", { method: "POST", body: { token } })
      assert.deepStrictEqual([right.status, right.headers["retry-after"]], [429, "5"])
    })))
})

describe("a body", () => {
  it.live("is of a bounded size, JSON, and of the shape that is expected", () =>
    withSlack(Effect.gen(function*() {
      const { get } = yield* gateway()
      const post = (body: unknown, headers: Record<string, string> = {}) =>
        Effect.map(
          get("/api/outbox/retry", { method: "POST", headers: { ...admin, ...headers }, body }),
          ({ status }) => status
        )
      assert.strictEqual(yield* post({ ids: [1] }), 200)
      assert.strictEqual(yield* post("{\"ids\":[1]}"), 415)
      assert.strictEqual(yield* post("{", { "content-type": "application/json" }), 400)
      for (const ids of ["1", ["1"], [1.5], [-1], [0], [], Array.from({ length: 1_001 }, (_, n) => n + 1)]) {
        assert.strictEqual(yield* post({ ids }), 400, JSON.stringify(ids).slice(0, 20))
      }
      assert.strictEqual(yield* post({ ids: [1], more: "x".repeat(100_000) }), 413)
    })))
})
