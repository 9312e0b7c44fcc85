/** Who may look and change over HTTP, from real processes: bound to all addresses, over a reload, and in `dev`. */
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Option } from "effect"
import { writeFileSync } from "node:fs"
import { networkInterfaces } from "node:os"
import { join } from "node:path"
import { LocalSlack } from "../../src/testing/index.ts"
import { ask, bearing, freePort } from "../fixtures/ask.ts"
import { gateway } from "./gateway.ts"
import { connected, directory, echo, slackwater } from "./process.ts"

const withSlack = Effect.provide(LocalSlack.layer())
const token = "5ecret-admin"

/** Of another network card, where there is one. */
const outside = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  .find(({ family, internal }) => family === "IPv4" && !internal)?.address ?? "127.0.0.1"

it.live("bound to 0.0.0.0, it shows its state to everybody, and everything else to who has the token", () =>
  Effect.gen(function*() {
    const port = yield* freePort
    const env = { SLACKWATER_HOST: "0.0.0.0", SLACKWATER_ADMIN_TOKEN: token, SLACKWATER_PORT: String(port) }
    const { running } = yield* gateway(echo, env)
    for (const to of new Set(["127.0.0.1", outside])) {
      const host = `${to}:${port}`
      assert.strictEqual((yield* ask(port, "/healthz", { to, headers: { host } })).body, "ok\n")
      assert.strictEqual((yield* ask(port, "/readyz", { to, headers: { host } })).body, "{\"ready\":true}")
      for (const path of ["/", "/metrics", "/api/status", "/api/outbox", "/api/session", "/nothing"]) {
        assert.strictEqual((yield* ask(port, path, { to, headers: { host } })).status, 401, path)
      }
      for (const path of ["/api/status", "/metrics", "/api/outbox"]) {
        assert.strictEqual((yield* ask(port, path, { to, headers: { host, ...bearing(token) } })).status, 200, path)
      }
      const change = { to, method: "POST", body: { ids: [1] } }
      assert.strictEqual((yield* ask(port, "/api/outbox/retry", { ...change, headers: { host } })).status, 401)
      const known = yield* ask(port, "/api/outbox/retry", { ...change, headers: { host, ...bearing(token) } })
      assert.strictEqual(known.status, 200)
    }
    yield* ask(port, "/login", { method: "POST", body: { token: "5ecret-guess" } })
    yield* running.awaitOutput(/a wrong admin token was sent/)
    assert.notInclude(running.output, "5ecret")
  }).pipe(withSlack))

it.live("a reload brings another token: the old one and its sessions are worth nothing from then on", () =>
  Effect.gen(function*() {
    const port = yield* freePort
    const cwd = yield* directory
    const write = (secret: string) => writeFileSync(join(cwd, "my.env"), `SLACKWATER_ADMIN_TOKEN=${secret}\n`)
    write("5ecret-one")
    const { running } = yield* gateway(echo, { SLACKWATER_CONFIG: "my.env", SLACKWATER_PORT: String(port) }, cwd)
    const login = yield* ask(port, "/login", { method: "POST", body: { token: "5ecret-one" } })
    const cookie = { cookie: String(login.headers["set-cookie"]).split(";")[0] ?? "" }
    const change = (headers: Record<string, string>) =>
      Effect.map(
        ask(port, "/api/outbox/retry", { method: "POST", headers, body: { ids: [1] } }),
        ({ status }) => status
      )
    assert.deepStrictEqual([yield* change(cookie), yield* change(bearing("5ecret-one"))], [200, 200])
    const listening = yield* Effect.promise(() => fetch(`http://127.0.0.1:${port}/api/events`, { headers: cookie }))
    const heard = yield* Effect.forkScoped(Effect.promise(() => listening.text()))
    write("5ecret-two")
    yield* running.signal("SIGUSR1")
    yield* running.awaitOutput(/the rooms of before have ended/)
    // Whoever listens is let go, and asks again with what it has.
    const said = yield* Effect.timeoutOption(Fiber.join(heard), "10 seconds")
    assert.match(Option.getOrElse(said, () => "it still listens"), /^event: status$/m)
    assert.deepStrictEqual([yield* change(cookie), yield* change(bearing("5ecret-one"))], [401, 401])
    assert.strictEqual(yield* change(bearing("5ecret-two")), 200)
  }).pipe(withSlack))

it.live("dev makes a token of its own, and a page that does not know it changes nothing", () =>
  Effect.gen(function*() {
    const port = yield* freePort
    const running = yield* slackwater(["dev"], { env: { SLACKWATER_PORT: String(port) } })
    yield* running.awaitOutput(connected)
    const session = yield* ask(port, "/api/session")
    assert.deepStrictEqual(JSON.parse(session.body), { loggedIn: false, hasToken: true })
    const refused = yield* ask(port, "/api/outbox/retry", { method: "POST", body: { ids: [1] } })
    assert.strictEqual(refused.status, 401)
  }))
