/** What a handler is told a message is, and what of Slack's JSON it gets. */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { decode } from "../src/Envelope.ts"
import { eventKinds, eventOf, kindOf } from "../src/Event.ts"
import { inbound } from "./fixtures/messages.ts"

const messageOf = (type: string, payload: unknown) =>
  decode({ id: "env-1", type, payload, retryNum: 0, retryReason: "" }, "U0BOT", 1_790_000_000_000).message
const event = (inner: Record<string, unknown>) => messageOf("events_api", { event_id: "Ev1", event: inner })
const interactive = (body: Record<string, unknown>) => messageOf("interactive", { user: { id: "U1" }, ...body })

const said = { type: "message", channel: "C1", channel_type: "channel", user: "U1", text: "hi", ts: "1.0" }
const change = { type: "message", channel: "C1", ts: "9.0" }
const view = {
  id: "V1",
  type: "modal",
  state: { values: { where: { city: { type: "plain_text_input", value: "Rome" } } } }
}
const trigger = { trigger_id: "t" }

const samples = {
  message: [
    event(said),
    event({ ...said, thread_ts: "0.5" }),
    event({ ...said, subtype: "thread_broadcast", thread_ts: "0.5" }),
    event({ ...said, subtype: "file_share", files: [{ id: "F1", name: "a.txt", size: 3 }] }),
    event({ ...said, channel: "D1", channel_type: "im", text: "<@U0BOT> hi" })
  ],
  appMention: [event({ ...said, type: "app_mention" }), event({ ...said, text: "hi <@U0BOT>" })],
  botMessage: [
    event({ ...said, bot_id: "B1" }),
    event({ ...said, user: null, subtype: "bot_message", bot_id: "B1" }),
    event({ ...said, type: "app_mention", bot_id: "B1" })
  ],
  messageChanged: [event({ ...change, subtype: "message_changed", message: said, previous_message: said })],
  messageDeleted: [event({ ...change, subtype: "message_deleted", deleted_ts: "1.0", previous_message: said })],
  reactionAdded: [
    event({ type: "reaction_added", user: "U1", reaction: "eyes", item: { type: "message", channel: "C1", ts: "1.0" } })
  ],
  reactionRemoved: [event({ type: "reaction_removed", user: "U1", reaction: "eyes", item: { type: "file" } })],
  slashCommand: [messageOf("slash_commands", { command: "/do", text: "", user_id: "U1", channel_id: "C1" })],
  blockAction: [
    interactive({ type: "block_actions", ...trigger, actions: [{ type: "button", action_id: "go", value: "v" }] })
  ],
  viewSubmission: [interactive({ type: "view_submission", view })],
  viewClosed: [interactive({ type: "view_closed", view, is_cleared: false })],
  shortcut: [interactive({ type: "shortcut", ...trigger, callback_id: "new" })],
  messageShortcut: [
    interactive({ type: "message_action", ...trigger, callback_id: "keep", channel: { id: "C1" }, message: said })
  ],
  blockSuggestion: [interactive({ type: "block_suggestion", action_id: "city", value: "Ro" })],
  appHomeOpened: [event({ type: "app_home_opened", user: "U1", channel: "D1", tab: "home" })],
  memberJoinedChannel: [event({ type: "member_joined_channel", user: "U1", channel: "C1" })],
  memberLeftChannel: [event({ type: "member_left_channel", user: "U1", channel: "C1" })],
  unknown: [
    event({ type: "team_join", user: { id: "U9" } }),
    event({ ...said, subtype: "channel_join" }),
    interactive({ type: "interactive_message" }),
    event({ type: "constructor" }),
    messageOf("hologram", { any: 1 })
  ]
}

describe("an event", () => {
  for (const kind of eventKinds) {
    it(`of kind ${kind} is recognised, and keeps what its schema does not know`, () => {
      assert.isNotEmpty(samples[kind])
      for (const message of samples[kind]) {
        const found = eventOf(message)
        assert.strictEqual(found.kind, kind)
        const wrapped = ["message", "app_mention", "event"].includes(message.kind)
        // The very JSON that is stored, and not a copy of what the schema names.
        assert.strictEqual(found.body, wrapped ? Reflect.get(Object(message.payload), "event") : message.payload)
      }
    })
  }

  it("of a known kind that looks different is unknown, with all it has", () => {
    const odd = interactive({ type: "block_actions", actions: [] })
    assert.strictEqual(kindOf(odd), "blockAction")
    assert.deepStrictEqual(eventOf(odd), { kind: "unknown", body: odd.payload })
    const files = event({ ...said, files: "none" })
    assert.strictEqual(eventOf(files).kind, "unknown")
  })

  it("may leave out, or send as null, whatever Slack does", () => {
    const bare = event({ type: "message", channel: "C1", ts: "1.0", text: null, files: null, thread_ts: null })
    assert.strictEqual(eventOf(bare).kind, "message")
  })

  it.prop("is found for any JSON, whatever it is called", [
    Schema.Literals(["message", "app_mention", "slash_command", "interactive", "event", "undecodable"]),
    Schema.String,
    Schema.Json
  ], ([kind, subtype, payload]) => {
    for (const body of [payload, { event: payload }]) {
      assert.include(eventKinds, eventOf(inbound({ kind, subtype, payload: body })).kind)
    }
  }, { arbitrary: { runs: 300 } })
})
