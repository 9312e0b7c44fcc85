/** Reloads at bad moments: in crowds, in outages, over a database that takes nothing, with another workspace's token, and with an end in the middle. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { LocalSlack } from "../../src/testing/index.ts"
import { awaitReplies, gateway } from "./gateway.ts"
import { directory, echo, eventually, fixture } from "./process.ts"

const withSlack = Effect.provide(LocalSlack.layer({ faults: { echoes: false } }))

const reloaded = /the rooms of before have ended/

const configured = Effect.fnUntraced(function*(
  handler: string,
  lines: ReadonlyArray<string> = [],
  env: Readonly<Record<string, string>> = {}
) {
  const cwd = yield* directory
  const config = join(cwd, "my.env")
  const write = (...next: ReadonlyArray<string>) => writeFileSync(config, `${next.join("\n")}\n`)
  write(...lines)
  return { ...(yield* gateway(handler, { SLACKWATER_CONFIG: "my.env", ...env }, cwd)), config, write }
})

/** The bot token is one of another workspace. */
const strangers = {
  method: "auth.test",
  status: 200,
  body: JSON.stringify({ ok: true, team_id: "T0OTHER", user_id: "U9", bot_id: "B9" })
}

type Configured = Effect.Success<ReturnType<typeof configured>>

/** It goes on as if nothing had been: no alarm, one connection that was never closed, an answer. */
const unchanged = Effect.fnUntraced(function*(started: Configured) {
  yield* started.say("hello")
  assert.deepStrictEqual(yield* awaitReplies(started, 1), ["You said: hello"])
  assert.deepStrictEqual((yield* started.status)?.alarms, [])
  assert.strictEqual(yield* started.slack.connections, 1)
  assert.strictEqual(started.running.count(reloaded), 0)
  const closed = (yield* started.slack.journal).filter((entry) => entry._tag === "ConnectionClosed")
  assert.isAtMost(closed.length, 1)
})

const ends = Effect.fnUntraced(function*(started: Configured) {
  yield* started.running.signal("SIGTERM")
  assert.deepStrictEqual(yield* started.running.ended, { code: 0, signal: null }, started.running.output)
})

it.live("a hundred signals at once are a few reloads, and nothing is lost", () =>
  Effect.gen(function*() {
    const started = yield* configured(echo)
    for (let n = 0; n < 100; n++) {
      yield* started.running.signal(n % 2 === 0 ? "SIGUSR1" : "SIGHUP")
      if (n % 25 === 0) yield* started.say(`number ${n}`)
    }
    yield* started.running.awaitOutput(reloaded)
    const all = Effect.map(started.replies, (replies) => replies.join("\n"))
    for (const n of [0, 25, 50, 75]) {
      const text = yield* eventually(`number ${n}`, all, (found) => found.includes(`number ${n}`), started.running)
      assert.lengthOf([...text.matchAll(new RegExp(`number ${n}$`, "gm"))], 1)
    }
    yield* ends(started)
    assert.isAtMost(started.running.count(reloaded), 5)
  }).pipe(withSlack))

describe("refused, and nothing changes:", () => {
  for (
    const [what, spoil] of [
      ["is gone", ({ config }) => rmSync(config)],
      ["is a directory", ({ config }) => {
        rmSync(config)
        mkdirSync(config)
      }]
    ] satisfies ReadonlyArray<readonly [string, (started: Configured) => void]>
  ) {
    it.live(`a configuration file that ${what}`, () =>
      Effect.gen(function*() {
        const started = yield* configured(echo)
        spoil(started)
        yield* started.running.signal("SIGUSR1")
        yield* started.running.awaitOutput(/reload refused.*SLACKWATER_CONFIG names my\.env, which cannot be read/)
        yield* unchanged(started)
        yield* ends(started)
      }).pipe(withSlack))
  }

  it.live("another workspace's token", () =>
    Effect.gen(function*() {
      const started = yield* configured(echo)
      const { running, slack } = started
      yield* slack.faults({ httpStatus: strangers })
      yield* running.signal("SIGUSR1")
      yield* running.awaitOutput(/reload refused.*belong to workspace T0LOCAL, and SLACK_BOT_TOKEN to T0OTHER/)
      yield* unchanged(started)
      yield* ends(started)
    }).pipe(withSlack))

  it.live("a shorter deadline in settings that were refused does not cut the end short", () =>
    Effect.gen(function*() {
      const started = yield* configured(fixture("gated"), ["SLACKWATER_SHUTDOWN_TIMEOUT=9 seconds"], { GATE: "gate" })
      yield* started.say("slow")
      yield* awaitReplies(started, 1)
      yield* started.slack.faults({ error: { method: "auth.test", code: "invalid_auth", times: 1 } })
      started.write("SLACKWATER_SHUTDOWN_TIMEOUT=10 millis")
      yield* started.running.signal("SIGUSR1")
      yield* started.running.awaitOutput(/reload refused/)
      // The turn never ends, so the whole deadline passes.
      yield* ends(started)
    }).pipe(withSlack))
})

it.live("a shorter deadline does not cut short the end of rooms that began to end before", () =>
  Effect.gen(function*() {
    const started = yield* configured(fixture("gated"), ["SLACKWATER_SHUTDOWN_TIMEOUT=9 seconds"], { GATE: "gate" })
    yield* started.say("slow")
    yield* awaitReplies(started, 1)
    started.write("SLACKWATER_SHUTDOWN_TIMEOUT=10 millis")
    yield* started.running.signal("SIGUSR1")
    yield* started.running.awaitOutput(/the rooms of before end/)
    yield* ends(started)
  }).pipe(withSlack))

for (
  const [what, later, alarm] of [
    [
      "Slack refuses them",
      { error: { method: "apps.connections.open", code: "token_revoked" } },
      "slack-connection"
    ],
    ["their token is another workspace's", { httpStatus: strangers }, "workspace"]
  ] as const
) {
  it.live(`new rooms that came in an outage do not end the process when ${what} afterwards`, () =>
    Effect.gen(function*() {
      const started = yield* configured(echo)
      const { running, slack, status } = started
      yield* slack.faults({ apiDown: true, refuseWebSocket: true })
      yield* slack.dropConnections
      yield* eventually("down", status, (now) => now?.socket.state === "disconnected", running)
      yield* running.signal("SIGUSR1")
      yield* running.awaitOutput(reloaded)
      yield* slack.faults({ apiDown: null, ...later })
      yield* eventually(
        alarm,
        status,
        (now) => now?.alarms.some(({ code }) => code === alarm) === true,
        running
      )
      // It is still there, and works again when the settings are right.
      yield* slack.clearFaults
      yield* running.signal("SIGUSR1")
      yield* running.awaitOutput(reloaded, 2)
      yield* started.say("hello")
      assert.deepStrictEqual(yield* awaitReplies(started, 1), ["You said: hello"])
      assert.deepStrictEqual((yield* status)?.alarms, [])
      yield* ends(started)
    }).pipe(withSlack))
}

it.live("while nothing can be written it reloads, and what was said meanwhile is answered when it can", () =>
  Effect.gen(function*() {
    const started = yield* configured(echo)
    yield* started.say("one")
    yield* awaitReplies(started, 1)
    const database = new DatabaseSync(join(started.cwd, "slackwater-data/slackwater.db"), { timeout: 10_000 })
    database.exec("BEGIN IMMEDIATE")
    yield* started.say("two")
    yield* started.running.signal("SIGUSR1")
    yield* started.running.awaitOutput(/reloaded; the rooms of before end|reload refused/)
    yield* started.say("three")
    database.exec("COMMIT")
    database.close()
    yield* started.running.awaitOutput(/the rooms of before have ended|reload refused/)
    const text = yield* eventually(
      "all of it",
      Effect.map(started.replies, (replies) => replies.join("\n")),
      (found) => /two/.test(found) && /three/.test(found),
      started.running
    )
    assert.lengthOf([...text.matchAll(/two|three/g)], 2)
    yield* ends(started)
  }).pipe(withSlack))

describe("SIGTERM", () => {
  for (
    const [moment, line, faults] of [
      ["at the moment of the request", undefined, {}],
      ["while the new rooms ask who they are", undefined, { stallHeaders: { method: "auth.test" } }],
      ["while the new rooms connect", undefined, { hangUpgrade: true }],
      ["when they have taken over", /reloaded; the rooms of before end/, {}],
      ["when the rooms of before have ended", reloaded, {}]
    ] as const
  ) {
    it.live(`${moment}: 0, and the next start knows of no crash`, () =>
      Effect.gen(function*() {
        const started = yield* configured(echo)
        yield* started.say("one")
        yield* awaitReplies(started, 1)
        yield* started.slack.faults(faults)
        const from = (yield* started.slack.journal).at(-1)?.n ?? 0
        yield* started.running.signal("SIGUSR1")
        if (line !== undefined) yield* started.running.awaitOutput(line)
        else if (moment !== "at the moment of the request") {
          yield* started.slack.awaitJournal((entry) => entry._tag === "ApiCall", { after: from })
        }
        yield* ends(started)
        assert.strictEqual(started.running.count(/"stopped"/), 1)
        assert.notMatch(started.running.output, /"level":"ERROR"/)
        yield* started.slack.clearFaults
        const next = yield* gateway(echo, {}, started.cwd)
        assert.match(next.running.stderr, /"previousStop":"clean"/)
      }).pipe(withSlack))
  }
})
