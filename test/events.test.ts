/** Events of every kind, from what a person does in Slack to the entry of a route and back, over real sockets. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Activate, defaultActivation, eventOf, Handler } from "slackwater"
import { type JournalEntry, LocalSlack } from "slackwater/testing"
import {
  answered,
  answers,
  connected,
  dm,
  eventually,
  startGateway,
  temporaryDirectory,
  withSlack
} from "./fixtures/gateway.ts"
import {
  type Act,
  alice,
  everything,
  general,
  gesture,
  ignored,
  isAckOf,
  onMessage,
  say,
  send,
  view
} from "./fixtures/people.ts"

const kinds: ReadonlyArray<readonly [what: string, act: Act, answer: string, channel?: string]> = [
  ["a message", say("hi"), "message hi plain alone"],
  ["a message with a file", say("see", { files: ["a.txt", "b.txt"] }), "message see file_share a.txt,b.txt"],
  [
    "a reply that is broadcast",
    onMessage(({ ts }) => say("all", { thread_ts: ts, broadcast: true })),
    "message all thread_broadcast alone"
  ],
  [
    "a mention",
    LocalSlack.use((slack) => slack.say({ ...general, text: "<@U0BOT> hi" })),
    "mention in C0GENERAL: hi",
    "C0GENERAL"
  ],
  [
    "an edit",
    onMessage((message) => gesture({ does: "edit", ...alice, ...message, text: "that" })),
    "changed it to that"
  ],
  ["a deletion", onMessage((message) => gesture({ does: "delete", ...alice, ...message })), "deleted it true"],
  [
    "another bot's message",
    send({ type: "message", subtype: "bot_message", bot_id: "B1", channel: "D0ALICE", ts: "1.000001", text: "red" }),
    "bot B1 said red"
  ],
  [
    "a reaction",
    onMessage((message) => gesture({ does: "react", ...alice, ...message, reaction: "eyes" })),
    "added eyes in D0ALICE"
  ],
  [
    "a reaction that is taken back",
    onMessage((message) =>
      Effect.andThen(
        gesture({ does: "react", ...alice, ...message, reaction: "eyes" }),
        gesture({ does: "unreact", ...alice, ...message, reaction: "eyes" })
      )
    ),
    "removed eyes"
  ],
  [
    "a slash command",
    LocalSlack.use((slack) => slack.command({ ...dm, command: "/do", text: "it" })),
    "command /do it"
  ],
  [
    "a button",
    onMessage((message) => gesture({ does: "press", ...alice, ...message, action_id: "go", value: "now" })),
    "pressed go now"
  ],
  ["a submitted modal", gesture({ does: "submit", ...alice, view }), "submitted Rome"],
  ["a closed modal", gesture({ does: "close", ...alice, view }), "closed ask false"],
  ["a shortcut", gesture({ does: "shortcut", ...alice, callback_id: "new" }), "shortcut new"],
  [
    "a shortcut on a message",
    onMessage((message) => gesture({ does: "messageShortcut", ...alice, ...message, callback_id: "keep" })),
    "shortcut keep on it"
  ],
  ["the opened home of the app", gesture({ does: "openHome", ...alice }), "home home"],
  [
    "somebody who joins",
    gesture({ does: "join", ...general }),
    "U0BOB joined C0GENERAL",
    "C0GENERAL"
  ],
  ["somebody who leaves", gesture({ does: "leave", ...general }), "U0BOB left C0GENERAL", "C0GENERAL"],
  ["an event that nobody knows", send({ type: "hologram_seen", ...dm, event_ts: "1.000001" }), "unknown true"]
]

describe("a route gets", () => {
  for (const [what, act, answer, channel = "D0ALICE"] of kinds) {
    it.live(`${what}, typed`, () =>
      withSlack(Effect.gen(function*() {
        yield* startGateway(yield* temporaryDirectory, everything)
        yield* connected
        yield* act
        yield* answered(channel, answer)
      })))
  }

  it.live("nothing of what the bot does itself", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dataDir = yield* temporaryDirectory
      yield* startGateway(dataDir, everything)
      yield* say("hi")
      yield* answered("D0ALICE", "message hi plain alone")
      const own = (yield* slack.messages("D0ALICE")).find((message) => message.bot_id !== undefined)
      const api = (method: string, body: Record<string, string>) =>
        Effect.promise(() =>
          fetch(`${slack.apiUrl}${method}`, {
            method: "POST",
            headers: { "content-type": "application/json", authorization: "Bearer xoxb-test" },
            body: JSON.stringify({ channel: "D0ALICE", ...body })
          })
        )
      const ts = own?.ts ?? ""
      yield* api("reactions.add", { timestamp: ts, name: "eyes" })
      yield* api("chat.update", { ts, text: "better" })
      yield* api("chat.delete", { ts })
      yield* eventually("all acked", Effect.map(slack.unacked, (ids) => ids.length === 0))
      assert.deepStrictEqual(yield* ignored(dataDir), Array.from({ length: 4 }, () => "own message"))
      assert.deepStrictEqual(yield* answers("D0ALICE"), [])
    })))
})

describe("one event is one turn", () => {
  it.live("however often Slack repeats it, on whichever connection", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      yield* startGateway(yield* temporaryDirectory, everything)
      const ts = yield* say("it")
      yield* answered("D0ALICE", "message it plain alone")
      yield* slack.faults({ dropAcks: true })
      yield* gesture({ does: "edit", ...dm, ts, text: "that" })
      yield* gesture({ does: "react", ...dm, ts, reaction: "eyes" })
      const thirdRetry = (type: string) => (entry: JournalEntry) =>
        entry._tag === "EnvelopeSent" && entry.type === type && entry.attempt === 3
      yield* slack.awaitJournal(thirdRetry("message"))
      const { envelopeId } = Object(yield* slack.awaitJournal(thirdRetry("reaction_added")))
      yield* slack.faults({ dropAcks: false })
      yield* slack.disconnect("refresh_requested")
      yield* eventually("another connection", Effect.map(slack.connections, (live) => live > 0))
      const { n } = (yield* slack.journal).at(-1) ?? { n: 0 }
      yield* slack.redeliver(envelopeId)
      yield* slack.awaitJournal(isAckOf(envelopeId), { after: n })
      yield* say("last")
      yield* answered("D0ALICE", "message last plain alone")
      assert.deepStrictEqual(yield* answers("D0ALICE"), [
        "message it plain alone",
        "changed it to that",
        "added eyes in D0ALICE",
        "message last plain alone"
      ])
    })))

  it.live("also where Slack Connect sends it under two teams", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      yield* startGateway(yield* temporaryDirectory, everything)
      yield* connected
      const reaction = { type: "reaction_added", reaction: "eyes", item: { type: "message", channel: "D0ALICE" } }
      const message = { type: "message", channel: "D0ALICE", channel_type: "im", text: "shared", ts: "1.000001" }
      for (const event of [message, { ...reaction, event_ts: "2.000001" }]) {
        for (const team of ["T0LOCAL", "T0OTHER"]) {
          const id = `${event.type} ${team}`
          const payload = { type: "event_callback", team_id: team, event_id: id, event: { ...event, ...alice } }
          yield* slack.sendRaw(JSON.stringify({ envelope_id: id, type: "events_api", payload }))
          yield* slack.awaitJournal(isAckOf(id))
        }
      }
      yield* answered("D0ALICE", "added eyes in D0ALICE")
      yield* say("last")
      yield* answered("D0ALICE", "message last plain alone")
      assert.lengthOf(yield* answers("D0ALICE"), 3)
    })))

  it.live("of kind mention, whichever of Slack's two events for it came first", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      yield* startGateway(yield* temporaryDirectory, everything)
      for (const mentionFirst of [false, true]) {
        yield* slack.faults({ mentionFirst })
        yield* slack.say({ ...general, text: `<@U0BOT> ${mentionFirst}` })
        yield* answered("C0GENERAL", `mention in C0GENERAL: ${mentionFirst}`)
      }
      yield* eventually("all acked", Effect.map(slack.unacked, (ids) => ids.length === 0))
      assert.lengthOf(yield* answers("C0GENERAL"), 2)
    })))
})

describe("a handler that is one function", () => {
  it.live("is not bothered with reactions, edits and joins, which are kept as ignored", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dataDir = yield* temporaryDirectory
      yield* startGateway(dataDir, Handler.make((turn) => turn.reply(turn.events.map(({ kind }) => kind).join())))
      const ts = yield* say("hi")
      yield* answered("D0ALICE", "message")
      yield* gesture({ does: "react", ...dm, ts, reaction: "eyes" })
      yield* gesture({ does: "edit", ...dm, ts, text: "ho" })
      yield* gesture({ does: "join", ...general })
      yield* gesture({ does: "openHome", ...alice })
      yield* eventually("all acked", Effect.map(slack.unacked, (ids) => ids.length === 0))
      const reasons = (yield* ignored(dataDir)).filter((reason) => reason !== "own message")
      // Of different channels either may be first.
      assert.sameMembers(reasons, [
        "event reaction_added",
        "message_changed",
        "event member_joined_channel",
        "event app_home_opened"
      ])
      yield* gesture({ does: "press", ...dm, ts, action_id: "go" })
      yield* answered("D0ALICE", "blockAction")
    })))

  it.live("gets what an activation of the user's own lets through, by kind and content", () => {
    const eyesToo: Activate = (message, context) => {
      const { body, kind } = eventOf(message)
      return kind === "reactionAdded" && body.reaction === "eyes"
        ? { _tag: "Turn" }
        : defaultActivation(message, context)
    }
    return withSlack(Effect.gen(function*() {
      const dataDir = yield* temporaryDirectory
      const handler = Handler.make((turn) => turn.reply(turn.events.map(({ kind }) => kind).join()))
      yield* startGateway(dataDir, handler, {}, { activate: eyesToo })
      const ts = yield* say("hi")
      yield* answered("D0ALICE", "message")
      yield* gesture({ does: "react", ...dm, ts, reaction: "wave" })
      yield* gesture({ does: "react", ...dm, ts, reaction: "eyes" })
      yield* answered("D0ALICE", "reactionAdded")
      assert.include(yield* ignored(dataDir), "event reaction_added")
    }))
  })
})
