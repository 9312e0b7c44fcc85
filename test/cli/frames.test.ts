/** Frames that no program should send: the real gateway acks what it can, keeps the reason, and lives on. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { LocalSlack } from "../../src/testing/index.ts"
import { awaitReplies, type Gateway, gateway } from "./gateway.ts"
import { echo, eventually } from "./process.ts"

const withSlack = Effect.provide(LocalSlack.layer())

const envelope = (id: string, type: string, payload: unknown) =>
  JSON.stringify({ envelope_id: id, type, accepts_response_payload: false, payload })

/** Sends a frame and waits for its ack. */
const sendAcked = Effect.fnUntraced(function*({ slack }: Gateway, id: string, frame: string) {
  const last = (yield* slack.journal).at(-1)?.n ?? 0
  assert.isTrue(yield* slack.sendRaw(frame))
  yield* slack.awaitJournal((entry) => entry._tag === "AckReceived" && entry.envelopeId === id, { after: last })
})

/** It still answers, and is the same process. */
const stillAnswers = Effect.fnUntraced(function*(gateway: Gateway) {
  yield* gateway.say("still there?")
  assert.deepStrictEqual(yield* awaitReplies(gateway, 1), ["You said: still there?"])
  assert.isFalse(gateway.running.hasEnded)
  yield* gateway.running.signal("SIGTERM")
  assert.deepStrictEqual(yield* gateway.running.ended, { code: 0, signal: null })
})

/** Reasons of what was ignored, from the database of a gateway that has ended. */
const ignored = (cwd: string): ReadonlyArray<unknown> => {
  const db = new DatabaseSync(join(cwd, "slackwater-data", "slackwater.db"), { readOnly: true, timeout: 10_000 })
  const rows = db.prepare("SELECT reason FROM slackwater_messages WHERE state = 'ignored' ORDER BY id").all()
  db.close()
  return rows.map((row) => row["reason"])
}

const undecodable: ReadonlyArray<readonly [what: string, frame: string, reason: RegExp]> = [
  [
    "an event envelope without an event",
    envelope("E1", "events_api", { type: "app_rate_limited", team_id: "T0LOCAL", minute_rate_limited: 1 }),
    /no event inside \(app_rate_limited\)/
  ],
  ["an event without a type", envelope("E1", "events_api", { event: { text: "hello" } }), /type/],
  ["an event that is a word", envelope("E1", "events_api", { event: "message" }), /Expected/],
  ["an envelope whose payload is null", envelope("E1", "events_api", null), /no event inside/],
  ["an envelope of a type nobody knows", envelope("E1", "telepathy", {}), /unknown envelope type telepathy/],
  ["a slash command without its command", envelope("E1", "slash_commands", { text: "hello" }), /command/]
]
for (const [what, frame, reason] of undecodable) {
  it.live(`${what} is acked, kept as ignored with the reason, and logged once`, () =>
    Effect.gen(function*() {
      const started = yield* gateway(echo)
      yield* sendAcked(started, "E1", frame)
      // Slack sends it again: acked again, and nothing new.
      yield* sendAcked(started, "E1", frame)
      const status = yield* started.status
      assert.strictEqual(status?.inbox.ignored, 1)
      yield* stillAnswers(started)
      const [kept] = ignored(started.cwd)
      assert.match(String(kept), reason)
      assert.lengthOf(started.running.stderr.split("\n").filter((line) => line.includes("could not be understood")), 1)
    }).pipe(withSlack))
}

it.live("null and other frames without an envelope do not end the process", () =>
  Effect.gen(function*() {
    const started = yield* gateway(echo)
    const frames = ["null", "", "[]", "42", "true", "\"text\"", "{", "{}", "{\"type\":null}", "{\"envelope_id\":{}}"]
    for (const frame of frames) assert.isTrue(yield* started.slack.sendRaw(frame))
    yield* stillAnswers(started)
    assert.deepStrictEqual(ignored(started.cwd).filter((reason) => reason !== "own message"), [])
    assert.notMatch(started.running.stderr, /^\s+at |TypeError/m)
  }).pipe(withSlack))

it.live("a disconnect frame with an unknown reason costs nothing but a new connection", () =>
  Effect.gen(function*() {
    const started = yield* gateway(echo)
    yield* started.slack.sendRaw(JSON.stringify({ type: "disconnect", reason: "moon_phase" }))
    yield* eventually("a new connection", started.status, (status) => status?.socket.generation === 2)
    yield* stillAnswers(started)
  }).pipe(withSlack))
