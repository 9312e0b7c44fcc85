import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { performGesture } from "../../src/testing/Gestures.ts"
import { Gesture, LocalSlack, LocalSlackError, SlackWorld } from "../../src/testing/index.ts"
import { connect } from "./clients.ts"

const at = 1_700_000_000_000
const general = { channel: "C0GENERAL", user: "U0ALICE" }
const withSlack = Effect.provide(LocalSlack.layer())

/** A world with one connection and one message of Alice's, and what is sent from then on. */
const room = () => {
  const world = new SlackWorld({ startedAt: at })
  world.open(world.ticket(), at)
  const said = world.say({ ...general, text: "it" }, at)
  const ts = said.ok ? said.ts : ""
  world.drain()
  const perform = (gesture: Gesture) => performGesture(world, gesture, "http://slack", at)
  const sent = () => world.drain().output.flatMap((one) => one._tag === "Frame" ? [JSON.parse(one.text)] : [])
  return { world, ts, perform, sent }
}

describe("a gesture", () => {
  it("on a message changes it and is an event about it", () => {
    const { perform, sent, ts, world } = room()
    perform({ does: "edit", ...general, ts, text: "that" })
    perform({ does: "react", ...general, user: "U0BOB", ts, reaction: "eyes" })
    assert.deepInclude(world.messages("C0GENERAL")[0], {
      text: "that",
      reactions: [{ name: "eyes", users: ["U0BOB"] }]
    })
    perform({ does: "unreact", ...general, user: "U0BOB", ts, reaction: "eyes" })
    perform({ does: "delete", ...general, ts })
    assert.deepStrictEqual(world.messages("C0GENERAL"), [])
    assert.deepStrictEqual(
      sent().map(({ payload: { event } }) => event.subtype ?? event.type),
      ["message_changed", "reaction_added", "reaction_removed", "message_deleted"]
    )
  })

  it("of one person cannot change another's message, nor what is not there", () => {
    const { perform, ts } = room()
    const code = (gesture: Gesture) => Reflect.get(perform(gesture), "error")
    const bob = { ...general, user: "U0BOB" }
    assert.strictEqual(code({ does: "edit", ...bob, ts, text: "no" }), "cant_update_message")
    assert.strictEqual(code({ does: "delete", ...bob, ts }), "cant_delete_message")
    assert.strictEqual(code({ does: "delete", ...general, ts: "1.0" }), "message_not_found")
    assert.strictEqual(code({ does: "unreact", ...general, ts, reaction: "eyes" }), "no_reaction")
    assert.strictEqual(code({ does: "join", ...general, channel: "C0NONE" }), "channel_not_found")
    assert.strictEqual(code({ does: "press", ...bob, channel: "D0ALICE", ts, action_id: "go" }), "not_in_channel")
    assert.strictEqual(code({ does: "openHome", user: "U0BOT" }), "user_not_found")
  })

  it("that is an interaction is an envelope that may be answered, with a trigger where Slack sends one", () => {
    const { perform, sent, ts } = room()
    const view = { callback_id: "ask", state: { values: {} } }
    const gestures: ReadonlyArray<Gesture> = [
      { does: "press", ...general, ts, action_id: "go", value: "v" },
      { does: "submit", user: "U0ALICE", view },
      { does: "close", user: "U0ALICE", view },
      { does: "search", user: "U0ALICE", action_id: "city", value: "Ro" },
      { does: "shortcut", user: "U0ALICE", callback_id: "new" },
      { does: "messageShortcut", ...general, ts, callback_id: "keep" }
    ]
    const ids = gestures.map((gesture) => Reflect.get(perform(gesture), "envelope_id"))
    const frames = sent()
    assert.deepStrictEqual(frames.map(({ envelope_id }) => envelope_id), ids)
    assert.isTrue(frames.every((frame) => frame.type === "interactive" && frame.accepts_response_payload === true))
    assert.deepStrictEqual(
      frames.map(({ payload }) => `${payload.type} ${payload.user.id} ${payload.trigger_id === undefined ? "-" : "t"}`),
      [
        "block_actions U0ALICE t",
        "view_submission U0ALICE t",
        "view_closed U0ALICE -",
        "block_suggestion U0ALICE -",
        "shortcut U0ALICE t",
        "message_action U0ALICE t"
      ]
    )
    assert.match(frames[0].payload.response_url, /^http:\/\/slack\/respond\//)
    assert.strictEqual(new Set(frames.map(({ payload }) => payload.trigger_id)).size, 5)
  })

  it.effect("of a person is done over HTTP too, and what is none is refused", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const socket = yield* connect
      const post = (body: unknown) =>
        Effect.promise(async () => {
          const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }
          return Object(await (await fetch(`${slack.url}/_local/gestures`, init)).json())
        })
      const done = yield* post({ does: "shortcut", user: "U0ALICE", callback_id: "new" })
      const delivered = yield* socket.delivered
      assert.strictEqual(delivered.envelope_id, done.envelope_id)
      yield* Effect.promise(() => delivered.ack({ text: "done" }))
      const acked = yield* slack.awaitJournal((entry) =>
        entry._tag === "AckReceived" && entry.envelopeId === done.envelope_id
      )
      assert.deepInclude(acked, { payload: { text: "done" } })
      assert.deepInclude(yield* post({ does: "dance", user: "U0ALICE" }), { ok: false, error: "invalid_body" })
      const gone = yield* Effect.flip(slack.gesture({ does: "delete", ...general, ts: "1.0" }))
      assert.instanceOf(gone, LocalSlackError)
      assert.isTrue(Schema.is(Gesture)({ does: "openHome", user: "U0ALICE" }))
    }).pipe(withSlack))
})

describe("the ack of a command", () => {
  const ask = Effect.gen(function*() {
    const slack = yield* LocalSlack
    const socket = yield* connect
    yield* slack.command({ ...general, command: "/do", text: "it" })
    return { slack, ack: (yield* socket.delivered).ack }
  })

  it.effect("may say something to the person alone", () =>
    Effect.gen(function*() {
      const { ack, slack } = yield* ask
      yield* Effect.promise(() => ack({ text: "psst" }))
      const shown = yield* slack.awaitJournal((entry) => entry._tag === "EphemeralPosted")
      assert.deepInclude(shown, { to: "U0ALICE", text: "psst" })
      assert.deepStrictEqual(yield* slack.messages("C0GENERAL"), [])
    }).pipe(withSlack))

  it.effect("may say something to everybody", () =>
    Effect.gen(function*() {
      const { ack, slack } = yield* ask
      yield* Effect.promise(() => ack({ text: "all", response_type: "in_channel" }))
      yield* slack.awaitJournal((entry) => entry._tag === "MessagePosted")
      assert.deepStrictEqual((yield* slack.messages("C0GENERAL")).map(({ text }) => text), ["all"])
    }).pipe(withSlack))
})

it("a person's files and a broadcast reply are events of their own shape", () => {
  const { sent, ts, world } = room()
  world.say({ ...general, text: "", files: ["a.txt"] }, at)
  world.say({ ...general, text: "all", thread_ts: ts, broadcast: true }, at)
  const events = sent().map(({ payload }) => payload.event)
  assert.deepStrictEqual(events.map(({ subtype }) => subtype), ["file_share", "thread_broadcast"])
  assert.strictEqual(events[0].files[0].name, "a.txt")
})
