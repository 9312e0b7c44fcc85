/**
 * No secret of the process leaves it: not in log lines of any level, exported telemetry, metrics, files of the data
 * directory, status, errors, nor in what commands print; however much handlers and Slack's answers quote them.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { LocalSlack } from "../../src/testing/index.ts"
import { Collector, exportTo } from "../fixtures/collector.ts"
import { type Gateway, gateway } from "./gateway.ts"
import { directory, eventually, fixture, outcome, quick } from "./process.ts"

const app = "xapp-1-A0SECRET-5ecretapp"
const bots = ["xoxb-5ecret-bot-one", "xoxb-5ecret-bot-two"] as const
const admin = "4dm1n-5ecret/of+the=test"
const header = "c0llector-5ecret"
const secrets = [app, ...bots, admin, header]

/** As they are, and as they look in addresses, JSON and Basic authorization. */
const shapes = secrets.flatMap((secret) => [
  secret,
  encodeURIComponent(secret),
  Buffer.from(secret).toString("base64").replaceAll("=", "")
])

const isClean = (what: string, text: string) => {
  for (const shape of shapes) {
    const at = text.indexOf(shape)
    assert.strictEqual(at, -1, `${shape} is in ${what}: …${text.slice(Math.max(0, at - 200), at + 60)}…`)
  }
}

const files = (root: string): ReadonlyArray<string> =>
  readdirSync(root, { recursive: true, encoding: "utf8" }).map((name) => join(root, name))
    .filter((path) => statSync(path).isFile())

const isIdle = (started: Gateway, failed: number) =>
  eventually(
    "all turns have ended",
    started.status,
    (status) =>
      status !== undefined && status.inbox.queued + status.inbox.processing === 0 && status.inbox.failed === failed,
    started.running
  )

/** All that a page of the dashboard asks, with a session, and some that nobody should; with what listeners hear at first. */
const overHttp = Effect.fnUntraced(function*(port: string) {
  const url = `http://127.0.0.1:${port}`
  const ask = (path: string, init: RequestInit = {}) =>
    Effect.promise(async () => {
      const response = await fetch(`${url}${path}`, { ...init, signal: AbortSignal.timeout(10_000) })
      return {
        status: response.status,
        cookie: response.headers.get("set-cookie") ?? "",
        text: [...response.headers].join("\n") + (await response.text())
      }
    })
  const json = (body: unknown, headers: Readonly<Record<string, string>> = {}): RequestInit => ({
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json", ...headers }
  })
  const login = yield* ask("/login", json({ token: admin }))
  assert.strictEqual(login.status, 200, login.text)
  const cookie = login.cookie.split(";")[0] ?? ""
  const questions: ReadonlyArray<readonly [path: string, init?: RequestInit]> = [
    ["/"],
    ["/api/status"],
    ["/api/inbox", { headers: { authorization: `Bearer ${admin}` } }],
    ...[1, 2, 3, 4, 99].map((id) => [`/api/inbox/${id}`] as const),
    ["/api/outbox"],
    ...[1, 2, 3, 99].map((id) => [`/api/outbox/${id}`] as const),
    ["/api/turns"],
    ["/api/pauses"],
    ["/api/activity"],
    ["/api/session"],
    ["/metrics"],
    ["/login", json({ token: `${admin}!` })],
    ["/login", json(admin)],
    ["/login", json({ [admin]: admin })],
    ["/api/inbox/retry", json({ ids: [admin] }, { cookie })],
    ["/api/pause", json({ conversation: [admin] }, { cookie })],
    [`/api/inbox?state=${encodeURIComponent(admin)}&limit=${encodeURIComponent(admin)}`],
    [`/api/turns/${encodeURIComponent(admin)}/cancel`, json({}, { cookie })]
  ]
  const answers = yield* Effect.forEach(
    questions,
    ([path, init]) => Effect.map(ask(path, init), ({ text }) => [path, text] as const)
  )
  const heard = yield* Effect.promise(async () => {
    const stop = new AbortController()
    const response = await fetch(`${url}/api/events`, { signal: stop.signal })
    let text = ""
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += chunk
      if (text.includes("event: status") && text.includes("event: activity")) break
    }
    stop.abort()
    return text
  })
  const session = cookie.split("=")[1] ?? ""
  assert.isAbove(session.length, 30)
  return { session, answers: [...answers, ["/api/events", heard]] as const }
})

it.live("a busy gateway, whose handler quotes every secret in its errors, tells none of them to anybody", () =>
  Effect.gen(function*() {
    const collector = yield* Collector
    const slack = yield* LocalSlack
    const cwd = yield* directory
    const configure = (bot: string) =>
      writeFileSync(
        join(cwd, "my.env"),
        `SLACK_APP_TOKEN=${app}\nSLACK_BOT_TOKEN=${bot}\nSLACKWATER_ADMIN_TOKEN="${admin}"\n`
      )
    configure(bots[0])
    const dataDir = join(cwd, "slackwater-data")
    const env = {
      SLACK_APP_TOKEN: undefined,
      SLACK_BOT_TOKEN: undefined,
      SLACKWATER_CONFIG: "my.env",
      SLACKWATER_LOG_LEVEL: "all",
      SLACKWATER_MAX_ATTEMPTS: "2",
      SLACKWATER_RETRY_DELAY: "10 millis",
      SLACKWATER_FAILURE_NOTICE: "off",
      LEAK: JSON.stringify(secrets),
      ...exportTo(collector),
      OTEL_EXPORTER_OTLP_HEADERS: `authorization=${header}`
    }
    const started = yield* gateway(fixture("leaky"), env, cwd)
    const say = (text: string) => slack.say({ channel: "C0GENERAL", user: "U0ALICE", text: `<@U0BOT> ${text}` })

    // Handlers that fail in every way there is.
    for (const what of ["throw", "object", "promise", "answer"]) yield* say(what)
    yield* isIdle(started, 4)

    // Slack's refusals: of the token, for good, for now, and none at all.
    yield* slack.faults({ error: { method: "chat.postMessage", code: "channel_not_found", times: 1 } })
    yield* say("one")
    yield* started.running.awaitOutput(/a reply will not be sent/)
    yield* slack.faults({ resetAfterCommit: { method: "chat.postMessage", times: 1 } })
    yield* say("two")
    yield* started.running.awaitOutput(/a reply may have arrived/)
    yield* slack.faults({ error: { method: "chat.postMessage", code: "invalid_auth" } })
    yield* say("three")
    yield* started.running.awaitOutput(/"alarm":"slack-access"/)
    const busy = yield* Effect.forEach(["/metrics", "/api/status", "/readyz", "/nothing"], started.get)
    for (const { body } of busy) isClean("what it says over HTTP", body)

    // Another token, by a reload.
    yield* slack.clearFaults
    configure(bots[1])
    yield* started.running.signal("SIGUSR1")
    yield* started.running.awaitOutput(/the rooms of before have ended/)
    yield* say("four")
    yield* say("throw again")
    yield* isIdle(started, 5)
    yield* eventually(
      "two, three and four",
      started.status,
      (status) => status?.outbox.delivered === 3,
      started.running
    )

    const port = /127\.0\.0\.1:(\d+)/.exec(started.running.output)?.[1] ?? ""
    const { answers, session } = yield* overHttp(port)
    for (const [path, text] of answers) {
      assert.isNotEmpty(text)
      isClean(`${path} over HTTP`, text)
    }

    const rows = ["inbox", "outbox"].flatMap((of) => [[of, "list"], [of, "show", "1"], [of, "show", "99"]])
    const others = [["status"], ["doctor"], ["inbox", "retry", "--dry-run", "--state", "failed"], [
      "prune",
      "--dry-run"
    ]]
    for (const args of [...rows, ...others].flatMap((args) => [args, [...args, "--json"]])) {
      const { stderr, stdout } = yield* outcome(args, {
        cwd,
        env: { ...quick, ...env, SLACK_API_URL: slack.apiUrl, SLACKWATER_PORT: port }
      })
      assert.isNotEmpty(stdout + stderr)
      isClean(args.join(" "), stdout + stderr)
    }
    const health = yield* outcome(["healthcheck", "--json"], { cwd, env: { ...quick, ...env } })
    assert.strictEqual(health.code, 0, health.stderr)
    isClean("healthcheck", health.stdout + health.stderr)
    for (const path of files(dataDir)) isClean(path, readFileSync(path, "latin1"))

    // And an error that is nobody's ends the process.
    yield* say("doom")
    assert.strictEqual((yield* started.running.ended).code, 70)
    assert.match(started.running.stderr, /nobody caught this/)
    for (const path of files(dataDir)) isClean(path, readFileSync(path, "latin1"))

    isClean("the output", started.running.output)
    assert.include(started.running.stderr, "POST failed: ")
    assert.match(started.running.stderr, /"level":"DEBUG"|"level":"TRACE"|the turn failed for good/)
    const exported = collector.received()
    for (const path of ["/v1/traces", "/v1/logs", "/v1/metrics"]) {
      assert.isTrue(exported.some((one) => one.path === path), path)
    }
    for (const { body, path } of exported) {
      isClean(path, body)
      assert.notInclude(body, session)
    }
    assert.notInclude(started.running.output, session)
    // There was something to hide.
    assert.include(exported.map(({ body }) => body).join("\n"), "<redacted>")
    assert.strictEqual(collector.authorization(), header)
  }).pipe(Effect.provide(Layer.merge(LocalSlack.layer(), Collector.layer))))

it.live("what the command line refuses names the variable and not its value", () =>
  Effect.gen(function*() {
    const env = { SLACK_APP_TOKEN: `wrong-${app}`, SLACK_BOT_TOKEN: bots[0], SLACKWATER_ADMIN_TOKEN: admin }
    const { code, stderr, stdout } = yield* outcome(["run", fixture("leaky")], { env })
    assert.strictEqual(code, 78)
    isClean("the refusal", stdout + stderr)
  }))
