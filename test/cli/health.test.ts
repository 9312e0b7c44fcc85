/** What the gateway says about itself over HTTP, from a real process. */
import { assert, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { LocalSlack } from "../../src/testing/index.ts"
import { awaitReplies, gateway, startGateway } from "./gateway.ts"
import { echo, eventually, fixture } from "./process.ts"

const withSlack = Effect.provide(LocalSlack.layer())

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const Time = Schema.NullOr(Count)

/** The shape of the manual. Fields may be added, never changed. */
const Status = Schema.Struct({
  instance: Schema.NonEmptyString,
  version: Schema.NonEmptyString,
  phase: Schema.Literals(["starting", "running", "draining", "stopped"]),
  uptimeMs: Count,
  socket: Schema.Struct({
    state: Schema.Literals(["starting", "connected", "rotating", "disconnected", "fatal"]),
    generation: Count,
    connectedSince: Time,
    disconnectedSince: Time,
    reconnects: Count,
    connections: Count
  }),
  inbox: Schema.Struct({
    queued: Count,
    processing: Count,
    done: Count,
    failed: Count,
    ignored: Count,
    oldestQueuedAgeMs: Time
  }),
  outbox: Schema.Struct({
    queued: Count,
    sending: Count,
    unknown: Count,
    failed_retryable: Count,
    delivered: Count,
    failed_terminal: Count,
    expired: Count,
    paused: Schema.Boolean,
    oldestQueuedAgeMs: Time
  }),
  conversations: Schema.Struct({ active: Count }),
  previousStop: Schema.Literals(["clean", "crash", "none"]),
  heartbeat: Time,
  alarms: Schema.Array(Schema.Struct({ code: Schema.NonEmptyString, since: Count, text: Schema.NonEmptyString }))
})
const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Status))

it.live("/healthz answers 200, and /readyz 200 once Slack is connected", () =>
  Effect.gen(function*() {
    const { get } = yield* gateway(echo)
    assert.strictEqual((yield* get("/healthz")).status, 200)
    const ready = yield* get("/readyz")
    assert.strictEqual(ready.status, 200)
    assert.deepStrictEqual(JSON.parse(ready.body), { ready: true, reasons: [] })
  }).pipe(withSlack))

it.live("/readyz answers 503 with the reason until Slack is there, and again when the connection is lost", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    yield* slack.faults({ refuseWebSocket: true })
    const { get, running } = yield* startGateway(echo)
    yield* running.awaitOutput(/no connection to Slack/)
    const early = yield* get("/readyz")
    assert.strictEqual(early.status, 503)
    assert.match(early.body, /"reasons":\["socket (starting|disconnected)"\]/)
    assert.strictEqual((yield* get("/healthz")).status, 200)
    yield* slack.clearFaults
    yield* eventually("ready", get("/readyz"), ({ status }) => status === 200, running)
    yield* slack.faults({ refuseWebSocket: true })
    yield* slack.dropConnections
    const lost = yield* eventually("not ready", get("/readyz"), ({ status }) => status === 503, running)
    assert.deepStrictEqual(JSON.parse(lost.body), { ready: false, reasons: ["socket disconnected"] })
  }).pipe(withSlack))

it.live("/readyz answers 503 during a drain, and /api/status goes on", () =>
  Effect.gen(function*() {
    const started = yield* gateway(fixture("gated"), { GATE: "gate" })
    const { cwd, get, running, say } = started
    yield* say("hello")
    yield* awaitReplies(started, 1)
    yield* running.signal("SIGTERM")
    const draining = yield* eventually("draining", get("/readyz"), ({ status }) => status === 503, running)
    assert.include(JSON.parse(draining.body).reasons, "draining")
    assert.strictEqual((yield* get("/healthz")).status, 200)
    const status = yield* decode((yield* get("/api/status")).body)
    assert.deepStrictEqual([status.phase, status.conversations.active], ["draining", 1])
    writeFileSync(join(cwd, "gate"), "")
    assert.deepStrictEqual(yield* running.ended, { code: 0, signal: null })
    assert.deepStrictEqual(yield* started.replies, ["one moment", "here it is: hello"])
  }).pipe(withSlack))

it.live("/api/status has the shape of the manual, and counts what happened", () =>
  Effect.gen(function*() {
    const started = yield* gateway(echo)
    yield* started.say("hello")
    yield* awaitReplies(started, 1)
    const answer = yield* eventually("delivered", started.get("/api/status"), ({ body }) => /"delivered":1/.test(body))
    assert.match(answer.type, /^application\/json/)
    const status = yield* decode(answer.body)
    assert.strictEqual(status.phase, "running")
    assert.include(status.socket, { state: "connected", generation: 1, reconnects: 0, disconnectedSince: null })
    assert.include(status.inbox, { queued: 0, processing: 0, done: 1, failed: 0 })
    assert.include(status.outbox, { queued: 0, sending: 0, delivered: 1, paused: false })
    assert.strictEqual(status.previousStop, "none")
    assert.deepStrictEqual(status.alarms, [])
  }).pipe(withSlack))

it.live("/metrics is Prometheus text", () =>
  Effect.gen(function*() {
    const started = yield* gateway(echo)
    yield* started.say("hello")
    yield* awaitReplies(started, 1)
    const { body, status, type } = yield* started.get("/metrics")
    assert.strictEqual(status, 200)
    assert.match(type, /^text\/plain/)
    const lines = body.split("\n").filter((line) => line !== "")
    for (const line of lines) {
      assert.match(line, /^(# (HELP|TYPE) [a-zA-Z_:][\w:]* .+|[a-zA-Z_:][\w:]*(\{.*\})? -?([\d.e+-]+|NaN|Inf))$/)
    }
    assert.isTrue(lines.some((line) => /^slackwater_\w+(\{.*\})? [1-9]/.test(line)), body)
  }).pipe(withSlack))

it.live("what is not there is 404", () =>
  Effect.gen(function*() {
    const { get } = yield* gateway(echo)
    assert.strictEqual((yield* get("/nothing")).status, 404)
  }).pipe(withSlack))
