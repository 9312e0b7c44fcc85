/** Trouble at the door, with the whole gateway: no event is lost over it, and no alarm outlives its cause. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Stream } from "effect"
import { GatewayStatus, Handler, Outbox } from "slackwater"
import { LocalSlack } from "slackwater/testing"
import {
  answered,
  connected,
  eventually,
  startGateway,
  temporaryDirectory,
  withDatabase,
  withSlack
} from "./fixtures/gateway.ts"

const echo = Handler.make((turn) => turn.reply(`You said: ${turn.text}`))
const silent = Handler.make(() => Effect.void)
const dm = { channel: "D0ALICE", user: "U0ALICE" }

describe("a command that the database refused", () => {
  it.live("leaves no alarm behind once the database takes writes again, and does not run late", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dataDir = yield* temporaryDirectory
      const gateway = yield* startGateway(dataDir, echo, {}, { respond: { slashCommand: () => ({ text: "ok" }) } })
      const { notReady, snapshot } = Context.get(gateway, GatewayStatus)
      yield* connected
      yield* withDatabase(
        dataDir,
        (database) =>
          database.exec("CREATE TRIGGER no BEFORE INSERT ON slackwater_messages BEGIN SELECT RAISE(ABORT, 'no'); END")
      )
      yield* slack.command({ channel: "C0GENERAL", user: "U0BOB", command: "/x", text: "y" })
      yield* eventually("not ready", Effect.map(notReady, (why) => why.includes("database")))
      yield* withDatabase(dataDir, (database) => database.exec("DROP TRIGGER no"))
      yield* eventually("ready again", Effect.map(notReady, (why) => why.length === 0))
      assert.deepInclude((yield* snapshot).inbox, { ignored: 1, queued: 0, done: 0 })
    })))
})

describe("JSON that is nested deeper than Slack nests", () => {
  it.live("is acked and kept as far as it can be, and leaves no alarm behind", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      const gateway = yield* startGateway(yield* temporaryDirectory, silent)
      yield* connected
      for (const depth of [400, 600, 4_300, 4_460, 4_470, 20_000]) {
        const id = `deep-${depth}`
        const blocks = `${"[".repeat(depth)}1${"]".repeat(depth)}`
        yield* slack.sendRaw(
          `{"envelope_id":"${id}","type":"events_api","payload":{"event_id":"Ev${id}","event":{"type":"message",` +
            `"channel_type":"im","channel":"D0ALICE","user":"U0ALICE","text":"x","ts":"${depth}.1","blocks":${blocks}}}}`
        )
        yield* slack.awaitJournal((entry) => entry._tag === "AckReceived" && entry.envelopeId === id)
      }
      const { notReady, snapshot } = Context.get(gateway, GatewayStatus)
      assert.deepStrictEqual(yield* notReady, [])
      yield* eventually("one turn", Effect.map(snapshot, ({ inbox }) => inbox.done === 1 && inbox.ignored === 5))
    })))
})

describe("a thread under what the host posted", () => {
  it.live("is one that the bot takes part in", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      const gateway = yield* startGateway(yield* temporaryDirectory, echo)
      yield* connected
      yield* Context.get(gateway, Outbox).enqueue({ channel: "C0GENERAL", text: "news" })
      yield* answered("C0GENERAL", "news")
      const [post] = yield* slack.messages("C0GENERAL")
      if (post === undefined) return assert.fail("nothing was posted")
      yield* slack.say({ channel: "C0GENERAL", user: "U0BOB", text: "why?", thread_ts: post.ts })
      yield* answered("C0GENERAL", "You said: why?")
    })))
})

describe("a full conversation in mode steer", () => {
  it.live("is no alarm any more when the running turn has taken what waited", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      const go = yield* Deferred.make<void>()
      const seen: Array<string> = []
      const handler = Handler.make((turn) =>
        Effect.andThen(
          Deferred.await(go),
          Stream.runForEach(Stream.take(turn.followups, 2), (message) => Effect.sync(() => seen.push(message.text)))
        )
      )
      const gateway = yield* startGateway(yield* temporaryDirectory, handler, { mode: "steer", maxWaiting: 2 })
      const { snapshot } = Context.get(gateway, GatewayStatus)
      yield* slack.say({ ...dm, text: "one" })
      yield* eventually("running", Effect.map(snapshot, ({ conversations }) => conversations.active === 1))
      for (const text of ["two", "three", "four"]) yield* slack.say({ ...dm, text })
      yield* eventually("full", Effect.map(snapshot, ({ alarms }) => alarms.length === 1))
      yield* Deferred.succeed(go, undefined)
      yield* eventually(
        "no alarm",
        Effect.map(snapshot, ({ alarms, inbox }) => inbox.done === 3 && alarms.length === 0)
      )
      assert.deepStrictEqual(seen, ["two", "three"])
    })))
})
