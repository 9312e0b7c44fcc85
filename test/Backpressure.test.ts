/**
 * A database that is full, held by somebody else, or slower than Slack: no ack, a clear alarm, readiness off, bounded
 * memory; and once it is over everything goes on without a restart, each thing once.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { subscribe, unsubscribe } from "node:diagnostics_channel"
import { join } from "node:path"
import {
  Gateway,
  GatewayConfig,
  GatewayStatus,
  Handler,
  MessageStore,
  Outbox,
  type Settings,
  type Turn
} from "slackwater"
import { SqliteClient } from "slackwater/sqlite"
import { type JournalEntry, LocalSlack } from "slackwater/testing"
import { splitText } from "../src/splitText.ts"
import { freePort } from "./fixtures/ask.ts"
import {
  answered,
  answers,
  dm,
  eventually,
  lockDatabase,
  settingsFor,
  temporaryDirectory,
  withDatabase,
  withSlack
} from "./fixtures/gateway.ts"
import { logged } from "./fixtures/rooms.ts"

/** A gateway over a client that is ours, so that a test can take the room away from its very connection. */
const startGateway = Effect.fnUntraced(function*(
  dataDir: string,
  handler: Gateway.Options["handler"],
  given: Partial<Settings> = {}
) {
  const slack = yield* LocalSlack
  const client = yield* Layer.build(Layer.fresh(SqliteClient.layer({ filename: join(dataDir, "slackwater.db") })))
  const config = settingsFor(slack, dataDir, { port: yield* freePort, ...given })
  const gateway = yield* Effect.provideContext(
    Layer.build(Gateway.layer({ handler, config, database: "host" })),
    client
  )
  return Context.merge(client, gateway)
})
type Running = Effect.Success<ReturnType<typeof startGateway>>

/** Slack repeats what was not acked every so often, for as long as a test takes. */
const repeating = (everyMs: number) => ({ faults: { retryDelaysMs: Array.from({ length: 200 }, () => everyMs) } })

const isAck = (entry: JournalEntry) => entry._tag === "AckReceived"
const isRepeated = (entry: JournalEntry) => entry._tag === "EnvelopeSent" && entry.attempt > 0
const allAcked = Effect.flatMap(
  LocalSlack,
  (slack) => eventually("everything acked", Effect.map(slack.unacked, (ids) => ids.length === 0), "1 minute")
)

const get = (gateway: Running, path: string) =>
  Effect.promise(async () => {
    const response = await fetch(`http://127.0.0.1:${Context.get(gateway, GatewayConfig).port}${path}`)
    return { status: response.status, text: await response.text() }
  })
/** What an orchestrator sees. */
const readyz = (gateway: Running) =>
  Effect.map(get(gateway, "/readyz"), ({ status, text }) => ({ status, body: JSON.parse(text) as unknown }))
/** Envelopes that the database did not take, in this process so far. */
const refusals = (gateway: Running) =>
  Effect.map(
    get(gateway, "/metrics"),
    ({ text }) => Number(/^slackwater_events\w*\{.*refused.*\} (\d+)/m.exec(text)?.[1] ?? 0)
  )
const ready = { status: 200, body: { ready: true, reasons: [] } }
const unready = { status: 503, body: { ready: false, reasons: ["database"] } }

const alarms = (gateway: Running) =>
  Effect.map(Context.get(gateway, GatewayStatus).snapshot, ({ alarms }) => alarms.map(({ code }) => code))
/** What SQLite said is what a person reads. */
const alarmText = (gateway: Running) =>
  Effect.map(Context.get(gateway, GatewayStatus).snapshot, ({ alarms }) => alarms.map(({ text }) => text).join("\n"))
const raised = (gateway: Running, code: string) =>
  eventually(`the alarm ${code}`, Effect.map(alarms(gateway), (codes) => codes.includes(code)))
const wellAgain = Effect.fnUntraced(function*(gateway: Running) {
  yield* eventually("no alarm", Effect.map(alarms(gateway), (codes) => codes.length === 0))
  assert.deepStrictEqual(yield* readyz(gateway), ready)
  // The first connection still: nothing was started anew.
  assert.strictEqual((yield* Context.get(gateway, GatewayStatus).snapshot).socket.generation, 1)
})

/** The file can grow by nothing, as on a full disk; asked for on the gateway's own connection, for which it counts. */
const pages = (gateway: Running, limit: string) =>
  Effect.asVoid(Context.get(gateway, SqlClient.SqlClient).unsafe(`PRAGMA max_page_count = ${limit}`))
const fill = (gateway: Running) => pages(gateway, "1")
const makeRoom = (gateway: Running) => pages(gateway, "4294967294")

/** Notes the name of each message, its first word, and answers with all of them. */
const noting = () => {
  const heard: Array<string> = []
  const handler = Handler.make((turn) => {
    const names = turn.messages.map((message) => message.text.split(" ")[0] ?? "")
    heard.push(...names)
    return turn.reply(`heard ${names.join(" ")}`)
  })
  return { heard, handler }
}
/** Of a size that finds no room in a page that is there already. */
const long = " and so on".repeat(600)

/** Counts the pings of Slack that came through to a client of this process: as many as the event loop had turns for. */
const pings = Effect.gen(function*() {
  const seen = { pings: 0 }
  const onPing = () => {
    seen.pings += 1
  }
  yield* Effect.acquireRelease(
    Effect.sync(() => subscribe("undici:websocket:ping", onPing)),
    () => Effect.sync(() => unsubscribe("undici:websocket:ping", onPing))
  )
  return seen
})

describe("a full disk", () => {
  it.live("is not acked over, shows in readiness, and once there is room all is handled once, without a restart", () => {
    const log = logged()
    return Effect.gen(function*() {
      const slack = yield* LocalSlack
      const { handler, heard } = noting()
      const gateway = yield* startGateway(yield* temporaryDirectory, handler)
      yield* eventually("ready", Effect.map(readyz(gateway), ({ status }) => status === 200))
      yield* fill(gateway)
      const names = Array.from({ length: 5 }, (_, n) => `m${n}`)
      for (const name of names) yield* slack.say({ ...dm, text: name + long })
      yield* raised(gateway, "database:intake")
      yield* slack.awaitJournal(isRepeated)
      assert.deepStrictEqual((yield* slack.journal).filter(isAck), [])
      assert.include(yield* alarmText(gateway), "database or disk is full")
      assert.deepStrictEqual(yield* readyz(gateway), unready)
      yield* makeRoom(gateway)
      yield* allAcked
      yield* eventually("all heard", Effect.sync(() => heard.length >= 5))
      yield* wellAgain(gateway)
      assert.deepStrictEqual(heard.toSorted(), names)
      const said = Effect.map(
        answers("D0ALICE"),
        (posts) => posts.join(" ").split(" ").filter((word) => word !== "heard").toSorted()
      )
      yield* eventually("all answered", Effect.map(said, (words) => words.length >= 5))
      assert.deepStrictEqual(yield* said, names)
      // However often it was tried, the log says it once.
      assert.lengthOf(log.lines.filter((line) => line.includes("events are not acked")), 1)
    }).pipe(Effect.provide(log.layer), (test) => withSlack(test, repeating(300)))
  })

  it.live("leaves no alarm behind where Slack has given up repeating what was refused", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const { handler, heard } = noting()
      const gateway = yield* startGateway(yield* temporaryDirectory, handler)
      yield* fill(gateway)
      const before = yield* refusals(gateway)
      for (const text of ["first", "second"]) yield* slack.say({ ...dm, text: text + long })
      yield* eventually("both refused", Effect.map(refusals(gateway), (n) => n >= before + 2))
      assert.deepStrictEqual(yield* alarms(gateway), ["database:intake"])
      yield* makeRoom(gateway)
      yield* wellAgain(gateway)
      // The first of them, so that what Slack may repeat later is not overtaken.
      yield* answered("D0ALICE", "heard first")
      assert.deepStrictEqual(heard, ["first"])
    }).pipe((test) => withSlack(test, { faults: { retryDelaysMs: [] } })))

  it.live("holds back the completion of a run, which is neither repeated nor answered twice", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dataDir = yield* temporaryDirectory
      const go = yield* Deferred.make<void>()
      const runs: Array<Turn["attempt"]> = []
      const handler = Handler.make((turn) => {
        runs.push(turn.attempt)
        return Effect.as(Deferred.await(go), `done${long}`)
      })
      const gateway = yield* startGateway(dataDir, handler)
      yield* slack.say({ ...dm, text: "go on" })
      yield* eventually("it runs", Effect.sync(() => runs.length === 1))
      yield* fill(gateway)
      yield* Deferred.succeed(go, undefined)
      yield* raised(gateway, "database:turns")
      assert.deepStrictEqual(yield* readyz(gateway), unready)
      assert.deepStrictEqual(yield* answers("D0ALICE"), [])
      yield* makeRoom(gateway)
      const parts = splitText(`done${long}`)
      yield* answered("D0ALICE", parts.at(-1) ?? "")
      yield* wellAgain(gateway)
      assert.deepStrictEqual(runs, [1])
      assert.deepStrictEqual(yield* answers("D0ALICE"), parts)
    }).pipe(withSlack))
})

describe("a database that somebody else holds", () => {
  it.live("for a moment: nobody notices", () => {
    const log = logged()
    return Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dataDir = yield* temporaryDirectory
      const { handler, heard } = noting()
      const gateway = yield* startGateway(dataDir, handler)
      yield* slack.awaitJournal((entry) => entry._tag === "ConnectionOpened")
      const seen = yield* pings
      const lock = yield* lockDatabase(dataDir)
      yield* slack.say({ ...dm, text: "m0" })
      // Slack's pings come every 50 ms: so many of them, and the loop had its turns while the file was held.
      yield* eventually("eight pings", Effect.sync(() => seen.pings >= 8))
      lock.exec("ROLLBACK")
      yield* answered("D0ALICE", "heard m0")
      assert.deepStrictEqual(heard, ["m0"])
      assert.isEmpty((yield* slack.journal).filter(isRepeated))
      assert.isEmpty(log.lines.filter((line) => line.startsWith("ERROR") || line.includes("alarm")))
      yield* wellAgain(gateway)
    }).pipe(
      Effect.provide(log.layer),
      (test) => withSlack(test, { pingInterval: "50 millis", faults: { retryDelaysMs: [60_000] } })
    )
  })

  it.live("for longer: no ack, not ready, pings are still answered; then all is handled once", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dataDir = yield* temporaryDirectory
      const { handler, heard } = noting()
      const gateway = yield* startGateway(dataDir, handler)
      yield* slack.awaitJournal((entry) => entry._tag === "ConnectionOpened")
      const seen = yield* pings
      const lock = yield* lockDatabase(dataDir)
      for (const text of ["m0", "m1"]) yield* slack.say({ ...dm, text })
      yield* raised(gateway, "database:intake")
      assert.isAtLeast(seen.pings, 10)
      assert.deepStrictEqual((yield* slack.journal).filter(isAck), [])
      assert.include(yield* alarmText(gateway), "database is locked")
      assert.deepStrictEqual(yield* readyz(gateway), unready)
      lock.exec("ROLLBACK")
      yield* allAcked
      yield* eventually("both heard", Effect.sync(() => heard.length >= 2))
      yield* wellAgain(gateway)
      assert.deepStrictEqual(heard.toSorted(), ["m0", "m1"])
    }).pipe((test) => withSlack(test, { ...repeating(1_000), pingInterval: "100 millis" })))

  it.live("holds back what a run answered and what became of a post, and nothing happens twice", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dataDir = yield* temporaryDirectory
      const go = yield* Deferred.make<void>()
      const runs: Array<Turn["attempt"]> = []
      const handler = Handler.make((turn) => {
        runs.push(turn.attempt)
        return Effect.as(Deferred.await(go), "the result")
      })
      const gateway = yield* startGateway(dataDir, handler)
      yield* slack.say({ ...dm, text: "go on" })
      yield* eventually("it runs", Effect.sync(() => runs.length === 1))
      // Slack takes the post at once and says so late: until then it is in `sending`.
      yield* slack.faults({ delayMs: { method: "chat.postMessage", ms: 500, times: 1 } })
      yield* Context.get(gateway, Outbox).enqueue({ channel: "C0GENERAL", text: "on its way" })
      yield* slack.awaitJournal((entry) => entry._tag === "MessagePosted" && entry.by === "U0BOT")
      const lock = yield* lockDatabase(dataDir)
      yield* Deferred.succeed(go, undefined)
      yield* raised(gateway, "database:turns")
      yield* raised(gateway, "database:sends")
      assert.deepStrictEqual(yield* readyz(gateway), unready)
      lock.exec("ROLLBACK")
      yield* answered("D0ALICE", "the result")
      yield* wellAgain(gateway)
      const left = yield* withDatabase(
        dataDir,
        (database) => database.prepare("SELECT count(*) AS n FROM slackwater_outbox WHERE state <> 'delivered'").get()
      )
      assert.strictEqual(left?.["n"], 0)
      assert.deepStrictEqual(yield* answers("C0GENERAL"), ["on its way"])
      assert.deepStrictEqual(yield* answers("D0ALICE"), ["the result"])
      assert.deepStrictEqual(runs, [1])
    }).pipe(withSlack))
})

describe("a database that is slower than Slack", () => {
  const burst = 1_500
  const waiting = 1_024

  it.live(
    `of ${burst} envelopes at once ${waiting} wait, the rest is dropped unacked, and each is handled once`,
    () =>
      Effect.gen(function*() {
        const slack = yield* LocalSlack
        const dataDir = yield* temporaryDirectory
        const { handler, heard } = noting()
        const gateway = yield* startGateway(dataDir, handler, { maxWaiting: burst })
        yield* slack.awaitJournal((entry) => entry._tag === "ConnectionOpened")
        const seen = yield* pings
        const lock = yield* lockDatabase(dataDir)
        const names = Array.from({ length: burst }, (_, n) => `m${n}`)
        for (const name of names) yield* slack.say({ ...dm, text: name })
        // The second ping from now was sent behind all of them.
        const before = seen.pings
        yield* eventually("all frames arrived", Effect.sync(() => seen.pings >= before + 2))
        const sent = (yield* slack.journal).flatMap((entry) => entry._tag === "EnvelopeSent" ? [entry.envelopeId] : [])
        lock.exec("ROLLBACK")
        yield* allAcked
        const firsts = new Set(sent)
        const taken = (yield* slack.journal).filter((entry) =>
          entry._tag === "AckReceived" && firsts.has(entry.envelopeId)
        )
        assert.isAtLeast(sent.length, burst)
        // What waited, and what the connection had in its hands: 128 at most, and the next one.
        assert.isAtLeast(taken.length, waiting)
        assert.isAtMost(taken.length, waiting + 128 + 2)
        yield* eventually("all heard", Effect.sync(() => heard.length >= burst), "1 minute")
        assert.deepStrictEqual(heard.toSorted(), names.toSorted())
        const { counts } = Context.get(gateway, MessageStore)
        yield* eventually("all done", Effect.map(counts, ({ done }) => done === burst), "1 minute")
        yield* wellAgain(gateway)
      }).pipe((test) => withSlack(test, { ...repeating(6_000), pingInterval: "100 millis" })),
    120_000
  )
})
