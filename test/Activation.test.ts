/** Which messages start a turn, as a table. */
import { assert, describe, it } from "@effect/vitest"
import { type ActivationContext, defaultActivation } from "../src/Activation.ts"
import type { EventKind } from "../src/Event.ts"
import type { InboundMessage } from "../src/Message.ts"
import { inbound, key } from "./fixtures/messages.ts"

const context: ActivationContext = { botUser: "U0BOT", botId: "B0BOT", participates: false }
const inChannel: Partial<InboundMessage> = { channel: "C1", conversation: key("C1/1.0"), direct: false }
const inThread: Partial<InboundMessage> = { ...inChannel, threadTs: "1.0" }

/** A message, what it becomes: undefined for a turn, else the reason; whether the bot takes part in its thread. */
const table: ReadonlyArray<
  readonly [sentence: string, message: Partial<InboundMessage>, reason: string | undefined, participates?: boolean]
> = [
  ["a direct message starts a turn", {}, undefined],
  ["a direct message with a file starts a turn", { subtype: "file_share" }, undefined],
  ["a /me message to the bot starts a turn", { subtype: "me_message" }, undefined],
  ["a mention in a channel starts a turn", { ...inChannel, text: "hi <@U0BOT>" }, undefined],
  ["an app_mention starts a turn", { ...inChannel, kind: "app_mention" }, undefined],
  ["a mention of somebody else starts none", { ...inChannel, text: "hi <@U1>" }, "not addressed"],
  ["a message in a channel starts none", inChannel, "not addressed"],
  ["a message in a channel starts none though the bot takes part elsewhere", inChannel, "not addressed", true],
  ["a reply in a thread of others starts none", inThread, "not addressed"],
  ["a reply in a thread that the bot takes part in starts a turn", inThread, undefined, true],
  ["a broadcast reply in such a thread starts a turn", { ...inThread, subtype: "thread_broadcast" }, undefined, true],
  ["a slash command starts a turn", { ...inChannel, kind: "slash_command" }, undefined],
  ["a button starts a turn", { ...inChannel, kind: "interactive", subtype: "block_actions" }, undefined],
  ["the bot's own message starts none", { user: "U0BOT" }, "own message"],
  ["the bot's own message under its bot id starts none", { bot: "B0BOT" }, "own message"],
  ["the bot's own mention of itself starts none", { ...inChannel, user: "U0BOT", text: "<@U0BOT>" }, "own message"],
  ["another bot's message starts none", { bot: "B1" }, "bot message"],
  ["another bot's mention starts none", { ...inChannel, kind: "app_mention", bot: "B1" }, "bot message"],
  ["an edit starts none", { subtype: "message_changed", text: "<@U0BOT>" }, "message_changed"],
  ["a deletion starts none", { subtype: "message_deleted" }, "message_deleted"],
  ["somebody joining starts none", { ...inChannel, subtype: "channel_join" }, "channel_join"],
  ["a reaction starts none", { ...inChannel, kind: "event", subtype: "reaction_added" }, "event reaction_added"],
  ["an event without a name starts none", { kind: "event" }, "event unknown"],
  ["what could not be understood starts none", { kind: "undecodable" }, "undecodable"]
]

describe("the default activation", () => {
  for (const [sentence, message, reason, participates = false] of table) {
    it(`decides that ${sentence}`, () => {
      assert.deepStrictEqual(
        defaultActivation(inbound(message), { ...context, participates }),
        reason === undefined ? { _tag: "Turn" } : { _tag: "Ignore", reason }
      )
    })
  }

  const handling = (...kinds: ReadonlyArray<EventKind>): ActivationContext => ({ ...context, handles: new Set(kinds) })
  const event: Partial<InboundMessage> = { ...inChannel, kind: "event" }

  /** What starts a turn only where the handler names it. */
  const named: ReadonlyArray<readonly [kind: EventKind, message: Partial<InboundMessage>]> = [
    ["reactionAdded", { ...event, subtype: "reaction_added" }],
    ["reactionRemoved", { ...event, subtype: "reaction_removed" }],
    ["appHomeOpened", { ...event, subtype: "app_home_opened" }],
    ["memberJoinedChannel", { ...event, subtype: "member_joined_channel" }],
    ["memberLeftChannel", { ...event, subtype: "member_left_channel" }],
    ["messageChanged", { ...inChannel, subtype: "message_changed" }],
    ["messageDeleted", { ...inChannel, subtype: "message_deleted" }],
    ["botMessage", { ...inChannel, bot: "B1" }],
    ["botMessage", { ...inChannel, subtype: "bot_message", bot: "B1" }],
    ["unknown", { ...event, subtype: "channel_archive" }]
  ]
  for (const [kind, message] of named) {
    it(`starts a turn for ${message.subtype ?? kind} where the handler names ${kind}, and only there`, () => {
      assert.strictEqual(defaultActivation(inbound(message), handling(kind))._tag, "Turn")
      assert.strictEqual(defaultActivation(inbound(message), handling("message"))._tag, "Ignore")
      assert.strictEqual(defaultActivation(inbound(message), context)._tag, "Ignore")
    })
  }

  it("never starts a turn for what the bot did itself, whatever the handler names", () => {
    const own: ReadonlyArray<Partial<InboundMessage>> = [
      { ...event, subtype: "reaction_added", user: "U0BOT" },
      { ...inChannel, subtype: "message_changed", user: "U0BOT", bot: "B0BOT" },
      { ...inChannel, subtype: "message_deleted", bot: "B0BOT" },
      { ...inChannel, subtype: "bot_message", bot: "B0BOT" }
    ]
    const all = handling("reactionAdded", "messageChanged", "messageDeleted", "botMessage", "message")
    for (const message of own) {
      assert.deepStrictEqual(defaultActivation(inbound(message), all), { _tag: "Ignore", reason: "own message" })
    }
  })

  it("tells a handler that names it when the bot itself was taken into a channel", () => {
    const joined = inbound({ ...event, subtype: "member_joined_channel", user: "U0BOT" })
    assert.strictEqual(defaultActivation(joined, handling("memberJoinedChannel"))._tag, "Turn")
  })

  it("starts no turn for a command or a message that no entry is for", () => {
    const command = inbound({ ...inChannel, kind: "slash_command" })
    assert.deepStrictEqual(defaultActivation(command, handling("message")), {
      _tag: "Ignore",
      reason: "no entry for slashCommand"
    })
    assert.deepStrictEqual(defaultActivation(inbound(), handling("slashCommand")), {
      _tag: "Ignore",
      reason: "no entry for message"
    })
  })

  it("never takes a missing bot id for its own", () => {
    const decided = defaultActivation(inbound(), { ...context, botId: "" })
    assert.deepStrictEqual(decided, { _tag: "Turn" })
  })
})
