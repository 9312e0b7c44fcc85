/** Commit first, then ack: seen from Slack's side, through the whole gateway. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Duration, Effect, Stream } from "effect"
import { GatewayStatus, Handler, MessageStore, type Turn } from "slackwater"
import { type JournalEntry, LocalSlack } from "slackwater/testing"
import {
  answered,
  answers,
  connected,
  dm,
  echo,
  eventually,
  lockDatabase,
  startGateway,
  temporaryDirectory,
  withDatabase,
  withSlack
} from "./fixtures/gateway.ts"

const isAck = (entry: JournalEntry) => entry._tag === "AckReceived"
const isSent = (attempt: number) => (entry: JournalEntry) =>
  entry._tag === "EnvelopeSent" && entry.type === "message" && entry.attempt === attempt
const acks = Effect.flatMap(LocalSlack, (slack) => Effect.map(slack.journal, (entries) => entries.filter(isAck).length))

describe("Intake", () => {
  it.live("does not ack while the commit is held back, and acks once it is done", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dataDir = yield* temporaryDirectory
      yield* startGateway(dataDir, echo)
      yield* slack.awaitJournal((entry) => entry._tag === "ConnectionOpened")
      const lock = yield* lockDatabase(dataDir)
      yield* slack.say({ ...dm, text: "held" })
      // Slack has waited in vain and sent it again: until here nothing was acked.
      yield* slack.awaitJournal(isSent(1))
      assert.strictEqual(yield* acks, 0)
      lock.exec("ROLLBACK")
      yield* slack.awaitJournal(isAck)
      yield* answered("D0ALICE", "You said: held")
      const [row] = yield* withDatabase(dataDir, (database) =>
        database.prepare("SELECT count(*) AS n FROM slackwater_messages WHERE state <> 'ignored'").all())
      assert.strictEqual(row?.["n"], 1)
    }).pipe(withSlack))

  it.live("does not ack what the store refuses; Slack repeats it and it is answered once", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dataDir = yield* temporaryDirectory
      const context = yield* startGateway(dataDir, echo)
      const status = Context.get(context, GatewayStatus)
      yield* withDatabase(
        dataDir,
        (database) =>
          database.exec(`CREATE TRIGGER refuse BEFORE INSERT ON slackwater_messages
          BEGIN SELECT RAISE(ABORT, 'refused by the test'); END`)
      )
      yield* slack.say({ ...dm, text: "refused" })
      yield* slack.awaitJournal(isSent(1))
      assert.strictEqual(yield* acks, 0)
      assert.include(yield* status.notReady, "database")
      yield* withDatabase(dataDir, (database) => database.exec("DROP TRIGGER refuse"))
      yield* slack.awaitJournal(isAck)
      yield* answered("D0ALICE", "You said: refused")
      yield* eventually("ready again", Effect.map(status.notReady, (reasons) => reasons.length === 0))
      assert.deepStrictEqual(yield* answers("D0ALICE"), ["You said: refused"])
    }).pipe(withSlack))

  it.live("handles a message whose ack Slack never sees, once", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      yield* startGateway(yield* temporaryDirectory, echo)
      yield* slack.faults({ dropAcks: true })
      yield* slack.say({ ...dm, text: "again" })
      yield* slack.awaitJournal(isSent(3))
      yield* answered("D0ALICE", "You said: again")
      assert.deepStrictEqual(yield* answers("D0ALICE"), ["You said: again"])
    }).pipe(withSlack))

  it.live("makes one turn of a mention that arrives as message and app_mention, in either order", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      yield* startGateway(yield* temporaryDirectory, echo)
      for (const mentionFirst of [false, true]) {
        yield* slack.faults({ mentionFirst })
        yield* slack.say({ channel: "C0GENERAL", user: "U0BOB", text: `<@U0BOT> ${mentionFirst}` })
        yield* answered("C0GENERAL", `You said: ${mentionFirst}`)
      }
      yield* eventually("all acked", Effect.map(slack.unacked, (ids) => ids.length === 0))
      assert.deepStrictEqual(yield* answers("C0GENERAL"), ["You said: false", "You said: true"])
    }).pipe(withSlack))

  it.live("keeps what it cannot understand as ignored, acks it, and lives on", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dataDir = yield* temporaryDirectory
      yield* startGateway(dataDir, echo)
      yield* slack.awaitJournal((entry) => entry._tag === "ConnectionOpened")
      yield* connected
      yield* slack.sendRaw("null")
      yield* slack.sendRaw(JSON.stringify({
        envelope_id: "limited",
        type: "events_api",
        payload: { type: "app_rate_limited", team_id: "T0LOCAL", minute_rate_limited: 1 }
      }))
      yield* slack.awaitJournal((entry) => entry._tag === "AckReceived" && entry.envelopeId === "limited")
      yield* slack.say({ ...dm, text: "still here?" })
      yield* answered("D0ALICE", "You said: still here?")
      const [row] = yield* withDatabase(dataDir, (database) =>
        database.prepare("SELECT state, reason FROM slackwater_messages ORDER BY id LIMIT 1").all())
      assert.deepStrictEqual({ ...row }, { state: "ignored", reason: "no event inside (app_rate_limited)" })
    }).pipe(withSlack))

  it.live("keeps what an allow-list leaves out as ignored, with the reason", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dataDir = yield* temporaryDirectory
      yield* startGateway(dataDir, echo, { allowUsers: ["U0BOB"] })
      yield* slack.say({ ...dm, text: "from Alice" })
      yield* slack.say({ channel: "C0GENERAL", user: "U0BOB", text: "<@U0BOT> from Bob" })
      yield* answered("C0GENERAL", "You said: from Bob")
      assert.deepStrictEqual(yield* answers("D0ALICE"), [])
      const rows = yield* withDatabase(
        dataDir,
        (database) =>
          database.prepare("SELECT reason FROM slackwater_messages WHERE reason LIKE '%allowed' AND state = 'ignored'")
            .all()
      )
      assert.include(rows.map((row) => row["reason"]), "user not allowed")
    }).pipe(withSlack))

  it.live("keeps what a full conversation cannot take as a dead letter, acks it and says so", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dataDir = yield* temporaryDirectory
      const never = Handler.make(() => Effect.never)
      const context = yield* startGateway(dataDir, never, { maxWaiting: 2, shutdownTimeout: Duration.seconds(1) })
      for (const text of ["running", "one", "two", "too many"]) {
        yield* slack.say({ ...dm, text })
        yield* eventually(`acked: ${text}`, Effect.map(slack.unacked, (ids) => ids.length === 0))
        if (text === "running") {
          yield* eventually(
            "it runs",
            Effect.map(Context.get(context, MessageStore).counts, ({ processing }) => processing === 1)
          )
        }
      }
      const status = yield* Context.get(context, GatewayStatus).snapshot
      assert.strictEqual(status.inbox.failed, 1)
      assert.strictEqual(status.inbox.queued, 2)
      assert.include(status.alarms.map(({ code }) => code), "conversation-full")
    }).pipe(withSlack))

  /** A conversation that is full: one turn runs until `gate` opens, one message waits, one was too many. */
  const full = Effect.fnUntraced(function*(
    handler: (turn: Turn) => Effect.Effect<void, unknown>,
    settings: Parameters<typeof startGateway>[2]
  ) {
    const slack = yield* LocalSlack
    const dataDir = yield* temporaryDirectory
    const context = yield* startGateway(dataDir, Handler.make(handler), { maxWaiting: 1, ...settings })
    const alarms = Effect.map(
      Context.get(context, GatewayStatus).snapshot,
      (status) => status.alarms.map(({ code }) => code)
    )
    const { counts } = Context.get(context, MessageStore)
    yield* slack.say({ ...dm, text: "running" })
    yield* eventually("it runs", Effect.map(counts, ({ processing }) => processing === 1))
    yield* slack.say({ ...dm, text: "waits" })
    yield* eventually("it waits", Effect.map(counts, ({ queued }) => queued === 1))
    yield* slack.say({ ...dm, text: "too many" })
    yield* eventually("full", Effect.map(alarms, (codes) => codes.includes("conversation-full")))
    return { alarms, counts, slack }
  })

  it.live("ends the alarm of a full conversation when its next turn takes what waits", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const { alarms } = yield* full((turn) => turn.text === "running" ? Deferred.await(gate) : Effect.never, {
        shutdownTimeout: Duration.seconds(1)
      })
      yield* Deferred.succeed(gate, undefined)
      yield* eventually("not full", Effect.map(alarms, (codes) => codes.length === 0))
    }).pipe(withSlack))

  it.live("ends the alarm of a full conversation when another message finds room there", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const { alarms, counts, slack } = yield* full(
        (turn) =>
          Effect.andThen(Deferred.await(gate), Stream.runDrain(Stream.take(turn.followups, 1))).pipe(
            Effect.andThen(Effect.never)
          ),
        { mode: "steer", shutdownTimeout: Duration.seconds(1) }
      )
      yield* Deferred.succeed(gate, undefined)
      yield* eventually("it joined", Effect.map(counts, ({ queued }) => queued === 0))
      yield* slack.say({ ...dm, text: "room" })
      yield* eventually("not full", Effect.map(alarms, (codes) => codes.length === 0))
      assert.strictEqual((yield* counts).queued, 1)
    }).pipe(withSlack))
})
