/** `slackwater run` told to read its settings again: by SIGUSR1, or by SIGHUP without a terminal. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { LocalSlack } from "../../src/testing/index.ts"
import { awaitReplies, type Gateway, gateway } from "./gateway.ts"
import { bin, directory, echo, eventually, fixture, start, tokens } from "./process.ts"

/** Without echoes nothing is ignored but what people write. */
const withSlack = Effect.provide(LocalSlack.layer({ faults: { echoes: false } }))

const reloaded = /the rooms of before have ended/

/** A gateway with its settings in a file, and a way to change them. */
const configured = Effect.fnUntraced(function*(
  handler: string,
  lines: ReadonlyArray<string>,
  env: Readonly<Record<string, string | undefined>> = {}
) {
  const cwd = yield* directory
  const write = (...next: ReadonlyArray<string>) => writeFileSync(join(cwd, "my.env"), `${next.join("\n")}\n`)
  write(...lines)
  return { ...(yield* gateway(handler, { SLACKWATER_CONFIG: "my.env", ...env }, cwd)), write }
})

/** Told to reload, and done with it. */
const reload = Effect.fnUntraced(function*(started: Gateway, times = 1, signal: "SIGUSR1" | "SIGHUP" = "SIGUSR1") {
  yield* started.running.signal(signal)
  yield* started.running.awaitOutput(reloaded, times)
})

const ignored = (started: Gateway, n: number) =>
  eventually("ignored", started.status, (status) => status?.inbox.ignored === n, started.running)

for (const signal of ["SIGUSR1", "SIGHUP"] as const) {
  it.live(`${signal}: a changed value is in force, in the same process`, () =>
    Effect.gen(function*() {
      const started = yield* configured(echo, [""])
      yield* started.say("one")
      yield* awaitReplies(started, 1)
      const before = yield* started.status
      started.write("SLACKWATER_ALLOW_USERS=U0BOB")
      yield* reload(started, 1, signal)
      yield* started.say("two")
      yield* ignored(started, 1)
      started.write("SLACKWATER_ALLOW_USERS=U0ALICE")
      yield* reload(started, 2, signal)
      yield* started.say("three")
      assert.deepStrictEqual(yield* awaitReplies(started, 2), ["You said: one", "You said: three"])
      const after = yield* started.status
      assert.strictEqual(after?.instance, before?.instance)
      assert.deepStrictEqual(after?.alarms, [])
      assert.deepStrictEqual([after?.socket.state, after?.socket.connections, after?.socket.generation], [
        "connected",
        1,
        3
      ])
      assert.strictEqual(yield* started.slack.connections, 1)
      yield* started.running.signal("SIGTERM")
      assert.deepStrictEqual(yield* started.running.ended, { code: 0, signal: null }, started.running.output)
      assert.strictEqual(started.running.count(/"stopped"/), 1)
    }).pipe(withSlack))
}

describe("what cannot be", () => {
  it.live("what the environment sets stays, whatever the file says", () =>
    Effect.gen(function*() {
      const started = yield* configured(echo, [""], { SLACKWATER_ALLOW_USERS: "U0ALICE" })
      started.write("SLACKWATER_ALLOW_USERS=U0BOB")
      yield* reload(started)
      yield* started.say("hello")
      assert.deepStrictEqual(yield* awaitReplies(started, 1), ["You said: hello"])
    }).pipe(withSlack))

  it.live("a changed handler waits for a restart", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      const handler = join(cwd, "handler.ts")
      const saying = (text: string) => writeFileSync(handler, `export default () => ${JSON.stringify(text)}\n`)
      saying("old")
      const started = yield* gateway(handler, {}, cwd)
      saying("new")
      yield* reload(started)
      yield* started.say("hello")
      assert.deepStrictEqual(yield* awaitReplies(started, 1), ["old"])
    }).pipe(withSlack))

  it.live("settings that are wrong change nothing, and the log says which", () =>
    Effect.gen(function*() {
      const started = yield* configured(echo, [""])
      started.write("SLACKWATER_CONCURRENCY=many")
      yield* started.running.signal("SIGUSR1")
      yield* started.running.awaitOutput(/reload refused.*SLACKWATER_CONCURRENCY must be a whole number/)
      yield* started.say("hello")
      assert.deepStrictEqual(yield* awaitReplies(started, 1), ["You said: hello"])
    }).pipe(withSlack))

  it.live("a token that Slack refuses changes nothing, and the old connection never closes", () =>
    Effect.gen(function*() {
      const started = yield* configured(echo, [""])
      const { slack } = started
      yield* slack.faults({ error: { method: "auth.test", code: "invalid_auth", times: 1 } })
      yield* started.running.signal("SIGUSR1")
      yield* started.running.awaitOutput(/reload refused.*invalid_auth/)
      yield* started.say("hello")
      assert.deepStrictEqual(yield* awaitReplies(started, 1), ["You said: hello"])
      assert.deepStrictEqual((yield* slack.journal).filter((entry) => entry._tag === "ConnectionClosed"), [])
      assert.deepStrictEqual((yield* started.status)?.alarms, [])
    }).pipe(withSlack))

  it.live("a token that was revoked is replaced: what waited for it is posted, and the alarm ends", () =>
    Effect.gen(function*() {
      const { SLACK_APP_TOKEN, SLACK_BOT_TOKEN } = tokens
      const started = yield* configured(echo, [`SLACK_BOT_TOKEN=${SLACK_BOT_TOKEN}`], { SLACK_BOT_TOKEN: undefined })
      yield* started.slack.faults({ revokedTokens: [SLACK_BOT_TOKEN] })
      for (const text of ["one", "two"]) yield* started.slack.say({ channel: "D0ALICE", user: "U0ALICE", text })
      yield* eventually("paused", started.status, (status) => status?.outbox.paused === true, started.running)
      started.write("SLACK_BOT_TOKEN=xoxb-an0ther")
      yield* reload(started)
      const replies = yield* eventually("both", started.replies, (all) => all.join().includes("two"), started.running)
      assert.strictEqual(replies.join("\n").match(/one/g)?.length, 1)
      yield* eventually("calm", started.status, (status) => status?.alarms.length === 0, started.running)
      assert.notInclude(started.running.output, "an0ther")
      assert.notInclude(started.running.output, SLACK_APP_TOKEN)
    }).pipe(withSlack))

  it.live("another data directory, host or port waits for a restart, and the rest is read", () =>
    Effect.gen(function*() {
      const started = yield* configured(echo, [""])
      started.write("SLACKWATER_DATA_DIR=elsewhere", "SLACKWATER_ALLOW_USERS=U0BOB")
      yield* reload(started)
      assert.strictEqual(started.running.count(/SLACKWATER_DATA_DIR cannot change in a reload/), 1)
      yield* started.say("hello")
      yield* ignored(started, 1)
    }).pipe(withSlack))
})

describe("while a turn runs", () => {
  const gated = (env: Readonly<Record<string, string>> = {}) =>
    configured(fixture("gated"), [""], { GATE: "gate", ...env })

  it.live("the turn goes on, and others are answered by the new rooms meanwhile", () =>
    Effect.gen(function*() {
      const started = yield* gated()
      yield* started.say("slow")
      yield* awaitReplies(started, 1)
      yield* started.running.signal("SIGUSR1")
      yield* started.running.awaitOutput(/the rooms of before end/)
      yield* started.slack.say({ channel: "D0BOB", user: "U0BOB", text: "quick" })
      yield* eventually("bob is heard", started.slack.messages("D0BOB"), (all) => all.some(({ bot_id }) => bot_id))
      assert.strictEqual(started.running.count(reloaded), 0)
      writeFileSync(join(started.cwd, "gate"), "")
      yield* started.running.awaitOutput(reloaded)
      assert.deepStrictEqual(yield* awaitReplies(started, 2), ["one moment", "here it is: slow"])
    }).pipe(withSlack))

  it.live("a turn that takes longer than the deadline runs again in the new rooms, and says nothing twice", () =>
    Effect.gen(function*() {
      const started = yield* gated({ SLACKWATER_SHUTDOWN_TIMEOUT: "500 millis" })
      yield* started.say("slow")
      yield* awaitReplies(started, 1)
      yield* reload(started)
      writeFileSync(join(started.cwd, "gate"), "")
      assert.deepStrictEqual(yield* awaitReplies(started, 2), ["one moment", "here it is: slow"])
    }).pipe(withSlack))

  it.live("a message behind it is answered after it", () =>
    Effect.gen(function*() {
      const started = yield* gated()
      yield* started.say("slow")
      yield* awaitReplies(started, 1)
      yield* started.running.signal("SIGUSR1")
      yield* started.running.awaitOutput(/the rooms of before end/)
      yield* started.say("next")
      writeFileSync(join(started.cwd, "gate"), "")
      assert.deepStrictEqual(yield* awaitReplies(started, 4), [
        "one moment",
        "here it is: slow",
        "one moment",
        "here it is: next"
      ])
    }).pipe(withSlack))

  it.live("SIGTERM ends both, in order: 0", () =>
    Effect.gen(function*() {
      const started = yield* gated({ SLACKWATER_SHUTDOWN_TIMEOUT: "1 second" })
      yield* started.say("slow")
      yield* awaitReplies(started, 1)
      yield* started.running.signal("SIGUSR1")
      yield* started.running.awaitOutput(/the rooms of before end/)
      yield* started.running.signal("SIGTERM")
      assert.deepStrictEqual(yield* started.running.ended, { code: 0, signal: null }, started.running.output)
      assert.strictEqual(started.running.count(/"stopped"/), 1)
      assert.notMatch(started.running.output, /"level":"ERROR"/)
    }).pipe(withSlack))

  it.live("requests during a reload are one more after it", () =>
    Effect.gen(function*() {
      const started = yield* gated()
      yield* started.say("slow")
      yield* awaitReplies(started, 1)
      yield* started.running.signal("SIGUSR1")
      yield* started.running.awaitOutput(/the rooms of before end/)
      for (let n = 0; n < 5; n++) yield* started.running.signal("SIGUSR1")
      writeFileSync(join(started.cwd, "gate"), "")
      yield* started.running.awaitOutput(reloaded, 2)
      yield* started.running.signal("SIGTERM")
      assert.deepStrictEqual(yield* started.running.ended, { code: 0, signal: null }, started.running.output)
      assert.strictEqual(started.running.count(reloaded), 2)
    }).pipe(withSlack))
})

it.live("SIGTERM before it is up ends it with 0", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    yield* slack.faults({ hangUpgrade: true })
    const cwd = yield* directory
    const running = yield* start(process.execPath, [bin, "run", echo], {
      cwd,
      env: { ...tokens, SLACK_API_URL: slack.apiUrl, SLACKWATER_PORT: "0" }
    })
    yield* running.awaitOutput(/"started"/)
    yield* running.signal("SIGUSR1")
    yield* running.signal("SIGTERM")
    assert.deepStrictEqual(yield* running.ended, { code: 0, signal: null }, running.output)
  }).pipe(withSlack))
