/** Events of every kind, from what a person does in Slack to the entry of a route and back, over real sockets. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { type AckAnswer, type Activate, defaultActivation, eventOf, Handler, type Respond } from "slackwater"
import { type Gesture, type JournalEntry, LocalSlack } from "slackwater/testing"
import {
  answered,
  answers,
  connected,
  dm,
  eventually,
  startGateway,
  temporaryDirectory,
  withDatabase,
  withSlack
} from "./fixtures/gateway.ts"

const alice = { user: "U0ALICE" }
const general = { channel: "C0GENERAL", user: "U0BOB" }

const isAckOf = (id: string | undefined) => (entry: JournalEntry) =>
  entry._tag === "AckReceived" && entry.envelopeId === id
/** What this envelope was acked with. */
const ackOf = (id: string | undefined) =>
  Effect.flatMap(LocalSlack, (slack) =>
    Effect.map(
      Effect.timeout(slack.awaitJournal(isAckOf(id)), "10 seconds"),
      (entry) => "payload" in entry ? entry.payload : undefined
    ))

const ignored = (dataDir: string) =>
  Effect.map(
    withDatabase(dataDir, (database) =>
      database.prepare("SELECT reason FROM slackwater_messages WHERE state = 'ignored' ORDER BY id").all()),
    (rows) =>
      rows.map((row) => row["reason"])
  )

/** Says of each event what only an event of that kind has. */
const everything = Handler.route({
  message: (turn, { files, subtype, text }) =>
    turn.reply(`message ${text} ${subtype ?? "plain"} ${files?.map(({ name }) => name).join() ?? "alone"}`),
  appMention: (turn, { channel }) => turn.reply(`mention in ${channel}: ${turn.text}`),
  messageChanged: (turn, { message, previous_message }) =>
    turn.reply(`changed ${previous_message?.text} to ${message.text}`),
  messageDeleted: (turn, { deleted_ts, previous_message }) =>
    turn.reply(`deleted ${previous_message?.text} ${previous_message?.ts === deleted_ts}`),
  botMessage: (turn, { bot_id, text }) => turn.reply(`bot ${bot_id} said ${text}`),
  reactionAdded: (turn, { item, reaction }) => turn.reply(`added ${reaction} in ${item.channel}`),
  reactionRemoved: (turn, { reaction }) => turn.reply(`removed ${reaction}`),
  slashCommand: (turn, { command, text }) => turn.reply(`command ${command} ${text}`),
  blockAction: (turn, { actions: [{ action_id, value }] }) => turn.reply(`pressed ${action_id} ${value}`),
  viewSubmission: (turn, { view }) => turn.reply(`submitted ${view.state.values["where"]?.["city"]?.value}`),
  viewClosed: (turn, { is_cleared, view }) => turn.reply(`closed ${view.callback_id} ${is_cleared}`),
  shortcut: (turn, { callback_id }) => turn.reply(`shortcut ${callback_id}`),
  messageShortcut: (turn, { callback_id, message }) => turn.reply(`shortcut ${callback_id} on ${message.text}`),
  appHomeOpened: (turn, { tab }) => turn.reply(`home ${tab}`),
  memberJoinedChannel: (turn, { channel, user }) => turn.reply(`${user} joined ${channel}`),
  memberLeftChannel: (turn, { channel, user }) => turn.reply(`${user} left ${channel}`),
  unknown: (turn, body) => turn.reply(`unknown ${JSON.stringify(body).length > 2}`)
})

type Act<A = unknown> = Effect.Effect<A, unknown, LocalSlack>
const say = (text: string, more: object = {}) => LocalSlack.use((slack) => slack.say({ ...dm, text, ...more }))
const gesture = (gesture: Gesture) => LocalSlack.use((slack) => slack.gesture(gesture))
const send = (event: Record<string, unknown>) => LocalSlack.use((slack) => slack.sendEvent(event))
/** Something that is said first, and answered, before somebody does something to it. */
const onMessage = (act: (message: { readonly channel: string; readonly ts: string }) => Act) =>
  Effect.gen(function*() {
    const ts = yield* say("it")
    yield* answered("D0ALICE", "message it plain alone")
    yield* act({ channel: dm.channel, ts })
  })
const view = {
  callback_id: "ask",
  state: { values: { where: { city: { type: "plain_text_input", value: "Rome" } } } }
}

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
      assert.deepStrictEqual(reasons, [
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

const withResponder = <A, E>(
  respond: Respond,
  body: (dataDir: string) => Effect.Effect<A, E, LocalSlack>
) =>
  withSlack(Effect.gen(function*() {
    const dataDir = yield* temporaryDirectory
    yield* startGateway(dataDir, everything, {}, { respond })
    yield* connected
    return yield* body(dataDir)
  }))

describe("a responder", () => {
  const errors: AckAnswer<"viewSubmission"> = { response_action: "errors", errors: { where: "No such city." } }
  it.live("answers a modal with errors, and no turn begins until it is submitted without", () =>
    withResponder(
      {
        viewSubmission: (submitted) =>
          submitted.view.state.values["where"]?.["city"]?.value === "Rome" ? undefined : errors
      },
      (dataDir) =>
        Effect.gen(function*() {
          const wrong = { ...view, state: { values: { where: { city: { type: "plain_text_input", value: "?" } } } } }
          assert.deepStrictEqual(yield* ackOf(yield* gesture({ does: "submit", ...alice, view: wrong })), errors)
          assert.deepStrictEqual(yield* ignored(dataDir), ["answered with errors"])
          assert.deepStrictEqual(yield* ackOf(yield* gesture({ does: "submit", ...alice, view })), {})
          yield* answered("D0ALICE", "submitted Rome")
          assert.deepStrictEqual(yield* answers("D0ALICE"), ["submitted Rome"])
        })
    ))

  it.live("gives options to a select menu, which is no turn", () =>
    withResponder(
      {
        blockSuggestion: async ({ value }) => ({
          options: [{ text: { type: "plain_text", text: `${value}me` }, value: "rome" }]
        })
      },
      (dataDir) =>
        Effect.gen(function*() {
          const id = yield* gesture({ does: "search", ...alice, action_id: "city", value: "Ro" })
          assert.deepStrictEqual(yield* ackOf(id), {
            options: [{ text: { type: "plain_text", text: "Rome" }, value: "rome" }]
          })
          assert.deepStrictEqual(yield* ignored(dataDir), ["asks for options"])
        })
    ))

  it.live("answers a command at once, and its turn comes too", () =>
    withResponder(
      { slashCommand: ({ text }) => Effect.succeed({ text: `Doing ${text}.` }) },
      () =>
        Effect.gen(function*() {
          const slack = yield* LocalSlack
          const id = yield* slack.command({ ...dm, command: "/do", text: "it" })
          assert.deepStrictEqual(yield* ackOf(id), { text: "Doing it." })
          const shown = yield* slack.awaitJournal((entry) => entry._tag === "EphemeralPosted")
          assert.deepInclude(shown, { to: "U0ALICE", text: "Doing it." })
          yield* answered("D0ALICE", "command /do it")
        })
    ))

  it.live("answers again where Slack has not got the first ack, and the turn is one", () => {
    let asked = 0
    return withResponder({ slashCommand: () => ({ text: `answer ${++asked}` }) }, () =>
      Effect.gen(function*() {
        const slack = yield* LocalSlack
        const id = yield* slack.command({ ...dm, command: "/do", text: "it" })
        const { n } = yield* slack.awaitJournal(isAckOf(id))
        assert.isTrue(yield* slack.redeliver(id))
        const again = yield* slack.awaitJournal(isAckOf(id), { after: n })
        assert.deepInclude(again, { payload: { text: "answer 2" } })
        yield* say("after")
        yield* answered("D0ALICE", "message after plain alone")
        assert.deepStrictEqual(yield* answers("D0ALICE"), ["command /do it", "message after plain alone"])
      }))
  })

  it.live("that takes its time holds up no other ack and no other conversation", () => {
    const gate = Deferred.makeUnsafe<{ readonly text: string }>()
    return withResponder({ slashCommand: () => Deferred.await(gate) }, () =>
      Effect.gen(function*() {
        const slack = yield* LocalSlack
        const id = yield* slack.command({ ...dm, command: "/do", text: "it" })
        yield* say("behind it")
        yield* eventually("acked", Effect.map(slack.unacked, (ids) => ids.length === 0))
        yield* answered("D0ALICE", "message behind it plain alone")
        assert.isUndefined((yield* slack.journal).find(isAckOf(id)))
        yield* Deferred.succeed(gate, { text: "done" })
        assert.deepStrictEqual(yield* ackOf(id), { text: "done" })
      }))
  })

  it.live("that is broken leaves a plain ack, and the turn comes", () =>
    withResponder(
      {
        slashCommand: () => {
          throw new Error("broken")
        }
      },
      () =>
        Effect.gen(function*() {
          const id = yield* LocalSlack.use((slack) => slack.command({ ...dm, command: "/do", text: "it" }))
          assert.deepStrictEqual(yield* ackOf(id), {})
          yield* answered("D0ALICE", "command /do it")
        })
    ))
})
