/** Every shape that Slack puts on the wire, and everything it should not. */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { decode, type Decoded, type Envelope } from "../src/Envelope.ts"
import { key } from "./fixtures/messages.ts"

const at = 1_790_000_000_123
const envelope = (type: string, payload: unknown, id = "env-1"): Envelope => ({
  id,
  type,
  payload,
  retryNum: 0,
  retryReason: ""
})

const event = (inner: Record<string, unknown>, outer: Record<string, unknown> = {}): Decoded =>
  decode(
    envelope("events_api", {
      type: "event_callback",
      team_id: "T1",
      event_id: "Ev1",
      event_time: 1_790_000_000,
      event: inner,
      ...outer
    }),
    "U0BOT",
    at
  )

const message = { type: "message", user: "U1", text: "hi", ts: "1.000001", event_ts: "1.000001", channel: "C1" }

describe("messages", () => {
  it("in a channel begin a conversation of their own", () => {
    const { keys, message: decoded, undecodable } = event({ ...message, channel_type: "channel" })
    assert.isUndefined(undecodable)
    assert.deepInclude(decoded, {
      kind: "message",
      conversation: key("C1/1.000001"),
      channel: "C1",
      team: "T1",
      self: "U0BOT",
      direct: false,
      user: "U1",
      text: "hi",
      ts: "1.000001"
    })
    assert.deepStrictEqual(keys, ["event:Ev1", "message:C1/1.000001"])
    assert.notProperty(decoded, "threadTs")
  })

  it("in a thread belong to the thread", () => {
    const { message: decoded } = event({ ...message, thread_ts: "0.5", parent_user_id: "U2" })
    assert.deepInclude(decoded, { conversation: key("C1/0.5"), threadTs: "0.5" })
  })

  it("to the bot are one conversation per direct message channel", () => {
    const { message: decoded } = event({ ...message, channel: "D1", channel_type: "im" })
    assert.deepInclude(decoded, { conversation: key("D1"), direct: true })
  })

  it("in a thread of a direct message are a conversation of their own", () => {
    const { message: decoded } = event({ ...message, channel: "D1", channel_type: "im", thread_ts: "0.5" })
    assert.deepInclude(decoded, { conversation: key("D1/0.5"), direct: true, threadTs: "0.5" })
  })

  it("in a group conversation are not direct", () => {
    assert.isFalse(event({ ...message, channel: "G1", channel_type: "mpim" }).message.direct)
  })

  it("with a file, as broadcast or from a bot say so", () => {
    assert.strictEqual(
      event({ ...message, subtype: "file_share", files: [{ id: "F1" }] }).message.subtype,
      "file_share"
    )
    assert.strictEqual(event({ ...message, subtype: "thread_broadcast" }).message.subtype, "thread_broadcast")
    assert.strictEqual(event({ ...message, bot_id: "B1", app_id: "A1" }).message.bot, "B1")
    const { message: classic } = event({ ...message, user: undefined, subtype: "bot_message", bot_id: "B1" })
    assert.deepInclude(classic, { bot: "B1", subtype: "bot_message" })
    assert.notProperty(classic, "user")
  })

  it("keep Slack's payload, unknown fields included", () => {
    const { message: decoded } = event({ ...message, blocks: [{ type: "rich_text" }], brand_new: 1 })
    assert.nestedPropertyVal(decoded, "payload.event.brand_new", 1)
  })

  it("without text are empty and not undecodable", () => {
    assert.strictEqual(event({ ...message, text: null }).message.text, "")
  })
})

describe("identities", () => {
  const shared = (one: Decoded, two: Decoded) => one.keys.filter((key) => two.keys.includes(key))

  it("of a mention that has an event_ts and no ts meet those of its message", () => {
    const { ts, ...rest } = message
    const mention = event({ ...rest, type: "app_mention", event_ts: ts }, { event_id: "Ev2" })
    assert.includeMembers(mention.keys as Array<string>, event(message).keys.slice(1))
  })

  it("of message and app_mention of one mention meet", () => {
    const mention = event({ ...message, type: "app_mention" }, { event_id: "Ev2" })
    assert.strictEqual(mention.message.kind, "app_mention")
    assert.strictEqual(mention.message.conversation, "C1/1.000001")
    assert.deepStrictEqual(shared(event(message), mention), ["message:C1/1.000001"])
  })

  it("of one message under two teams meet", () => {
    assert.isNotEmpty(shared(event(message), event(message, { event_id: "Ev2", team_id: "T2" })))
  })

  it("of an event and its repetition meet, whatever the envelope", () => {
    assert.include(shared(event(message), event(message)), "event:Ev1")
  })

  it("of an event without an id are those of its envelope", () => {
    const nameless = decode(envelope("events_api", { event: { type: "team_join", user: { id: "U9" } } }), "U0BOT", at)
    assert.deepStrictEqual(nameless.keys, ["envelope:env-1"])
  })

  for (const subtype of ["message_changed", "message_deleted", "message_replied"]) {
    const change = { ...message, subtype, hidden: true, ts: "9.000001", event_ts: "9.000001" }
    it(`of a ${subtype} are its own and not the message's`, () => {
      const { keys } = event({ ...change, message: { ts: "1.000001" } }, { event_id: "Ev2" })
      assert.deepStrictEqual(keys, ["event:Ev2", `happened:${subtype}/C1/U1/9.000001`])
    })
  }

  it("of two edits of one message do not meet", () => {
    const edit = (ts: string, id: string) =>
      event({ ...message, subtype: "message_changed", ts, event_ts: ts, message: { ts: "1.000001" } }, { event_id: id })
    assert.isEmpty(shared(edit("9.000001", "Ev2"), edit("9.000002", "Ev3")))
  })

  it("of an edit or a reaction under two teams meet", () => {
    const edit = { ...message, subtype: "message_changed", event_ts: "9.0", message: { ts: "1.000001" } }
    const reaction = { type: "reaction_added", user: "U1", reaction: "eyes", event_ts: "9.0", item: { channel: "C1" } }
    for (const inner of [edit, reaction]) {
      assert.isNotEmpty(shared(event(inner), event(inner, { event_id: "Ev2", team_id: "T2" })))
    }
  })

  it("do not depend on how often Slack has tried, or on which connection", () => {
    const payload = { event_id: "Ev1", event: message }
    const attempts = [0, 1, 2, 3, 0].map((retryNum, n) =>
      decode({ ...envelope("events_api", payload, `env-${n}`), retryNum, retryReason: "timeout" }, "U0BOT", at)
    )
    for (const { keys } of attempts) assert.deepStrictEqual(keys, ["event:Ev1", "message:C1/1.000001"])
  })

  const interaction = (body: Record<string, unknown>, id = "env-1") =>
    decode(envelope("interactive", { user: { id: "U1" }, ...body }, id), "U0BOT", at).keys

  it("of an interaction are its envelope and its trigger", () => {
    const shapes = ["block_actions", "view_submission", "shortcut", "message_action"]
    for (const type of shapes) {
      assert.deepStrictEqual(interaction({ type, trigger_id: "t" }), ["envelope:env-1", "trigger:t"])
    }
  })

  it("of an action without a trigger are its envelope and its time", () => {
    const actions = [{ action_id: "go", action_ts: "3.0" }]
    assert.deepStrictEqual(interaction({ type: "block_actions", actions }), ["envelope:env-1", "action:U1/go/3.0"])
  })

  it("of a modal that is submitted again after errors do not meet, though id and hash are the same", () => {
    const submitted = (id: string) => interaction({ type: "view_submission", view: { id: "V1", hash: "h" } }, id)
    assert.isEmpty(submitted("env-1").filter((key) => submitted("env-2").includes(key)))
  })

  it("of a modal that was closed meet", () => {
    const closed = (id: string) => interaction({ type: "view_closed", view: { id: "V1" } }, id)
    assert.deepStrictEqual(closed("env-2"), ["envelope:env-2", "closed:V1"])
  })
})

describe("other events", () => {
  it("on a message belong to that message's conversation", () => {
    const { keys, message: decoded } = event({
      type: "reaction_added",
      user: "U1",
      reaction: "eyes",
      item: { type: "message", channel: "C1", ts: "1.000001" },
      item_user: "U2",
      event_ts: "2.000001"
    })
    assert.deepInclude(decoded, {
      kind: "event",
      subtype: "reaction_added",
      conversation: key("C1/1.000001"),
      channel: "C1",
      threadTs: "1.000001",
      ts: "2.000001"
    })
    assert.deepStrictEqual(keys, ["event:Ev1", "happened:reaction_added/C1/U1/2.000001"])
  })

  it("about a message are said by its author in its conversation", () => {
    const change = { type: "message", channel: "C1", ts: "9.0", event_ts: "9.0" }
    const edited = { user: "U2", bot_id: "B2", text: "better", ts: "1.000001", thread_ts: "0.5" }
    const { message: changed } = event({ ...change, subtype: "message_changed", message: edited })
    assert.deepInclude(changed, {
      conversation: key("C1/0.5"),
      threadTs: "0.5",
      user: "U2",
      bot: "B2",
      text: "better",
      ts: "9.0"
    })
    const { message: deleted } = event({
      ...change,
      subtype: "message_deleted",
      deleted_ts: "1.000001",
      previous_message: { user: "U2", text: "gone", ts: "1.000001" }
    })
    assert.deepInclude(deleted, { conversation: key("C1/1.000001"), threadTs: "1.000001", user: "U2", text: "" })
  })

  it("about a direct message belong to that conversation", () => {
    const inner = { ...message, channel: "D1", subtype: "message_changed", message: { ts: "1.0" } }
    const { message: changed } = event(inner)
    assert.deepInclude(changed, { conversation: key("D1"), direct: true })
    assert.notProperty(changed, "threadTs")
  })

  it("without a channel belong to their user", () => {
    const { message: decoded } = event({ type: "app_home_opened", user: "U1", tab: "home", event_ts: "2.0" })
    assert.deepInclude(decoded, { kind: "event", conversation: key("U1"), subtype: "app_home_opened" })
    assert.notProperty(decoded, "channel")
  })

  it("with whole objects for user and channel are read by their ids", () => {
    assert.strictEqual(event({ type: "team_join", user: { id: "U9", name: "new" } }).message.user, "U9")
    const { message: created } = event({ type: "channel_created", channel: { id: "C9", name: "new" }, event_ts: "2.0" })
    assert.strictEqual(created.channel, "C9")
  })

  it("without any time get the time of their arrival", () => {
    assert.strictEqual(event({ type: "team_join", user: "U1" }).message.ts, "1790000000.123000")
  })
})

describe("commands and buttons", () => {
  const command = {
    team_id: "T1",
    channel_id: "C1",
    user_id: "U1",
    command: "/ask",
    text: "why",
    response_url: "https://hooks.slack.com/x",
    trigger_id: "trig-1"
  }

  it("read a slash command as one conversation per person and channel", () => {
    const { keys, message: decoded } = decode(envelope("slash_commands", command), "U0BOT", at)
    assert.deepInclude(decoded, {
      kind: "slash_command",
      conversation: key("C1/U1"),
      channel: "C1",
      user: "U1",
      text: "why"
    })
    assert.deepStrictEqual(keys, ["envelope:env-1", "trigger:trig-1"])
  })

  const pressed = {
    type: "block_actions",
    team: { id: "T1" },
    user: { id: "U1" },
    trigger_id: "trig-1",
    container: { type: "message", message_ts: "1.000001", channel_id: "C1" },
    channel: { id: "C1" },
    message: { ts: "1.000001" },
    actions: [{ action_id: "go", block_id: "b", type: "button", value: "v", action_ts: "3.000001" }]
  }

  it("read a button under a message as part of that message's thread", () => {
    const { keys, message: decoded } = decode(envelope("interactive", pressed), "U0BOT", at)
    assert.deepInclude(decoded, {
      kind: "interactive",
      subtype: "block_actions",
      conversation: key("C1/1.000001"),
      threadTs: "1.000001",
      ts: "3.000001"
    })
    assert.deepStrictEqual(keys, ["envelope:env-1", "trigger:trig-1"])
  })

  it("read a button inside a thread as part of the thread", () => {
    const inThread = { ...pressed, message: { ts: "1.000001", thread_ts: "0.5" } }
    const { message: decoded } = decode(envelope("interactive", inThread), "U0BOT", at)
    assert.deepInclude(decoded, { conversation: key("C1/0.5"), threadTs: "0.5" })
  })

  it("read a button in a direct message as part of that conversation", () => {
    const direct = { ...pressed, channel: { id: "D1" }, container: { message_ts: "1.000001", channel_id: "D1" } }
    const { message: decoded } = decode(envelope("interactive", direct), "U0BOT", at)
    assert.deepInclude(decoded, { conversation: key("D1"), direct: true })
  })

  it("read a modal, which has no channel, as a conversation with its user", () => {
    const view = { type: "view_submission", user: { id: "U1" }, team: { id: "T1" }, view: { id: "V1", hash: "h" } }
    const { message: decoded } = decode(envelope("interactive", { ...view, channel: null, actions: null }), "U0BOT", at)
    assert.deepInclude(decoded, {
      kind: "interactive",
      subtype: "view_submission",
      conversation: key("U1"),
      team: "T1"
    })
  })
})

describe("what makes no sense", () => {
  const nonsense: ReadonlyArray<readonly [string, string, unknown, RegExp]> = [
    [
      "an envelope without an event",
      "events_api",
      { type: "app_rate_limited", team_id: "T1" },
      /no event.*app_rate_limited/
    ],
    ["a null payload", "events_api", null, /no event/],
    ["no payload", "events_api", undefined, /no event/],
    ["a payload that is text", "events_api", "event", /no event/],
    ["a null event", "events_api", { event: null }, /no event/],
    ["an event that is a list", "events_api", { event: [] }, /./],
    ["an event without a type", "events_api", { event: { text: "x" } }, /type/],
    ["a text that is a number", "events_api", { event: { ...message, text: 7 } }, /text/],
    ["a type that cannot be printed", "events_api", { type: { toString: 1, valueOf: 1 } }, /no event/],
    ["a type far too long", "events_api", { event: { type: "x".repeat(300) } }, /./],
    ["a command without a name", "slash_commands", { user_id: "U1" }, /command/],
    ["a command that is null", "slash_commands", null, /./],
    ["a button without a user", "interactive", { type: "block_actions" }, /user/],
    ["an envelope type nobody knows", "hologram", { event: message }, /unknown envelope type hologram/]
  ]
  for (const [what, type, payload, reason] of nonsense) {
    it(`is kept with its reason: ${what}`, () => {
      const { keys, message: decoded, undecodable } = decode(envelope(type, payload), "U0BOT", at)
      assert.match(undecodable ?? "", reason)
      assert.isAtMost(undecodable?.length ?? 0, 600)
      assert.strictEqual(decoded.kind, "undecodable")
      assert.deepStrictEqual(decoded.payload, payload ?? null)
      assert.deepStrictEqual(keys, ["envelope:env-1"])
    })
  }

  const Anything = Schema.fromJsonString(Schema.Unknown)
  const Wild = Schema.Union([
    Schema.Json,
    Schema.Struct({ event: Schema.Json }),
    Schema.Record(Schema.String, Schema.Json)
  ])
  const types = Schema.Literals(["events_api", "slash_commands", "interactive", "x"])

  it.prop("never makes decode throw", [types, Wild], ([type, payload]) => {
    const decoded = decode(envelope(type, payload), "U0BOT", at)
    assert.isNotEmpty(decoded.keys)
    assert.isString(decoded.message.conversation)
    assert.isDefined(Schema.encodeSync(Anything)(decoded.message))
  }, { arbitrary: { runs: 300 } })

  const Field = Schema.Union([Schema.Json, Schema.String, Schema.Null])
  const Inner = Schema.Record(
    Schema.Literals([
      "subtype",
      "channel",
      "channel_type",
      "user",
      "bot_id",
      "text",
      "ts",
      "event_ts",
      "thread_ts",
      "item"
    ]),
    Field
  )

  it.prop("never makes decode throw where only some fields are wrong", [Inner], ([fields]) => {
    const decoded = event({ ...fields, type: "message" })
    assert.include(["message", "undecodable"], decoded.message.kind)
  }, { arbitrary: { runs: 300 } })
})
