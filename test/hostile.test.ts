/** What handlers and Slack have done to others: each of these once lost, doubled or froze something. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect } from "effect"
import { type Gateway, GatewayStatus, Handler, Outbox } from "slackwater"
import { LocalSlack } from "slackwater/testing"
import {
  answered,
  answers,
  connected,
  dm,
  echo,
  eventually,
  startGateway,
  temporaryDirectory,
  withDatabase,
  withSlack
} from "./fixtures/gateway.ts"

const count = (dataDir: string, statement: string) =>
  withDatabase(dataDir, (database) => Number(database.prepare(`SELECT count(*) AS n ${statement}`).get()?.["n"]))

/** Says one thing, and waits until its turn has become a dead letter. */
const deadLetter = (handler: Gateway.Options["handler"]) =>
  withSlack(Effect.gen(function*() {
    const slack = yield* LocalSlack
    const dataDir = yield* temporaryDirectory
    yield* startGateway(dataDir, handler, { maxAttempts: 2 })
    yield* slack.say({ ...dm, text: "go on" })
    yield* eventually(
      "a dead letter",
      Effect.map(count(dataDir, "FROM slackwater_messages WHERE state = 'failed'"), (n) => n === 1)
    )
    assert.strictEqual(yield* count(dataDir, "FROM slackwater_turns WHERE state = 'running'"), 0)
    // The next message of the same conversation is not held up.
    yield* slack.say({ ...dm, text: "next" })
    yield* eventually(
      "both failed",
      Effect.map(count(dataDir, "FROM slackwater_messages WHERE state = 'failed'"), (n) => n === 2)
    )
  }))

describe("a handler", () => {
  it.live("that answers blocks which cannot be encoded fails its turn and nothing else", () => {
    const circular: Record<string, unknown> = {}
    circular["self"] = circular
    return deadLetter(Handler.make(() => Effect.succeed({ text: "x", blocks: [circular] })))
  })

  it.live("that fails with something that cannot even be printed fails its turn and nothing else", () =>
    deadLetter(Handler.make(() => Effect.fail(Object.create(null) as object))))

  it.live("that fails with an error whose message is an object fails its turn and nothing else", () =>
    deadLetter(Handler.make(() => Effect.fail(Object.assign(new Error("x"), { message: { deep: true } })))))

  it.live("that throws fails its turn and nothing else", () =>
    deadLetter(Handler.promise(() => {
      throw new TypeError("no such thing")
    })))

  it.live("that forgets to await its reply has it sent all the same", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      const handler = Handler.promise(async (turn) => {
        void turn.reply("not awaited")
      })
      yield* startGateway(yield* temporaryDirectory, handler)
      yield* slack.say({ ...dm, text: "hello" })
      yield* answered("D0ALICE", "not awaited")
    })))

  it.live("that replies after its turn is over posts nothing and harms nobody", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      const late: Array<unknown> = []
      const handler = Handler.promise(async (turn) => {
        if (turn.text === "first") {
          setTimeout(() => void turn.reply("too late").catch((error: unknown) => late.push(error)), 50)
        }
        return `done: ${turn.text}`
      })
      yield* startGateway(yield* temporaryDirectory, handler)
      yield* slack.say({ ...dm, text: "first" })
      yield* eventually("the late reply refused", Effect.sync(() => late.length === 1))
      yield* slack.say({ ...dm, text: "second" })
      yield* answered("D0ALICE", "done: second")
      assert.deepStrictEqual(yield* answers("D0ALICE"), ["done: first", "done: second"])
    })))
})

describe("Slack", () => {
  it.live("answering a post with nonsense does not hold the lane up", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dataDir = yield* temporaryDirectory
      const outbox = Context.get(yield* startGateway(dataDir, echo), Outbox)
      for (const body of ["{}", "[]", `{"ok":false}`, `{"error":null}`, "null", "<html>"]) {
        yield* slack.faults({
          httpStatus: { method: "chat.postMessage", status: 200, body, times: 1, afterCommit: true }
        })
        yield* outbox.enqueue({ channel: "C0GENERAL", text: body })
        yield* eventually(
          `settled: ${body}`,
          Effect.map(count(dataDir, "FROM slackwater_outbox WHERE state <> 'delivered'"), (n) => n === 0)
        )
      }
      assert.deepStrictEqual(yield* answers("C0GENERAL"), [
        "{}",
        "[]",
        `{"ok":false}`,
        `{"error":null}`,
        "null",
        "<html>"
      ])
    })))

  it.live("repeating an ignored event does not bring it back to life", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      yield* startGateway(yield* temporaryDirectory, echo)
      const root = yield* slack.say({ channel: "C0GENERAL", user: "U0BOB", text: "a topic" })
      yield* slack.say({ channel: "C0GENERAL", user: "U0BOB", text: "chatter", thread_ts: root })
      const sent = yield* slack.awaitJournal((entry) => entry._tag === "AckReceived" && entry.n > 1)
      yield* slack.say({ channel: "C0GENERAL", user: "U0BOB", text: "<@U0BOT> hi", thread_ts: root })
      yield* answered("C0GENERAL", "You said: hi")
      if (sent._tag !== "AckReceived") return assert.fail("no ack")
      for (const entry of yield* slack.journal) {
        if (entry._tag === "EnvelopeSent" && entry.eventId !== undefined) yield* slack.redeliver(entry.eventId)
      }
      yield* eventually("all acked", Effect.map(slack.unacked, (ids) => ids.length === 0))
      yield* slack.say({ ...dm, text: "last" })
      yield* answered("D0ALICE", "You said: last")
      assert.deepStrictEqual(yield* answers("C0GENERAL"), ["You said: hi"])
    })))

  it.live("sending a payload that cannot be read costs neither the connection nor another message", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dataDir = yield* temporaryDirectory
      const status = Context.get(yield* startGateway(dataDir, echo), GatewayStatus)
      yield* connected
      const deep = `${"[".repeat(20_000)}${"]".repeat(20_000)}`
      for (
        const payload of [
          `{"type":{"toString":null}}`,
          `{"event":{"type":"message","channel":{},"text":7}}`,
          `{"x":${deep}}`
        ]
      ) {
        yield* slack.sendRaw(`{"envelope_id":"odd-${payload.length}","type":"events_api","payload":${payload}}`)
        yield* slack.awaitJournal((entry) =>
          entry._tag === "AckReceived" && entry.envelopeId === `odd-${payload.length}`
        )
      }
      yield* slack.say({ ...dm, text: "fine" })
      yield* answered("D0ALICE", "You said: fine")
      assert.strictEqual(
        yield* count(dataDir, "FROM slackwater_messages WHERE state = 'ignored' AND reason <> 'own message'"),
        3
      )
      assert.strictEqual((yield* status.snapshot).socket.generation, 1)
    })))

  it.live("losing every answer to an activation that returns nothing keeps the event as ignored", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dataDir = yield* temporaryDirectory
      yield* startGateway(dataDir, echo, {}, { activate: () => undefined as never })
      yield* slack.say({ ...dm, text: "hello" })
      yield* eventually(
        "kept",
        Effect.map(count(dataDir, "FROM slackwater_messages WHERE reason = 'activation threw'"), (n) => n === 1)
      )
    })))
})
