/**
 * A client that we did not write: what LocalSlack does is what Slack's own framework expects of Slack. Where a test of
 * the gateway shows something that is Slack's rather than ours, the same is shown here.
 */
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { type FaultPatch, LocalSlack } from "slackwater/testing"
import { bolt, boltApp } from "../fixtures/bolt.ts"
import { dm, eventually } from "../fixtures/gateway.ts"

const general = { channel: "C0GENERAL", user: "U0BOB" }

const allAcked = LocalSlack.use((slack) =>
  eventually("all is acked", Effect.map(slack.unacked, (ids) => ids.length === 0))
)

/** Notes the texts of messages. */
const listener = boltApp((app, note) => {
  app.message(async ({ message }) => note("text" in message ? message.text : undefined))
})

describe("Bolt receives and acks", () => {
  bolt(
    "a message",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const { noted } = yield* listener
      yield* slack.say({ ...dm, text: "hello" })
      assert.strictEqual(yield* noted, "hello")
      yield* allAcked
    })
  )

  bolt(
    "a mention, as a message and as an app_mention with the same ts",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const { noted } = yield* boltApp((app, note) => {
        app.message(async ({ message }) => note(`message ${message.ts}`))
        app.event("app_mention", async ({ event }) => note(`app_mention ${event.ts}`))
      })
      const ts = yield* slack.say({ ...general, text: "<@U0BOT> hello" })
      assert.deepStrictEqual(
        new Set([yield* noted, yield* noted]),
        new Set([`message ${ts}`, `app_mention ${ts}`])
      )
      yield* allAcked
    })
  )

  bolt(
    "a slash command, answered in the ack and once more at its response_url",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      yield* boltApp((app) => {
        app.command("/do", async ({ ack, command, respond }) => {
          await ack({ response_type: "in_channel", text: `doing ${command.text}` })
          await respond({ response_type: "in_channel", text: "done" })
        })
      })
      yield* slack.command({ ...general, command: "/do", text: "it" })
      const texts = Effect.map(slack.messages("C0GENERAL"), (messages) => messages.map(({ text }) => text))
      yield* eventually("both answers", Effect.map(texts, (all) => all.length === 2))
      assert.deepStrictEqual(yield* texts, ["doing it", "done"])
    })
  )

  bolt(
    "a button that is pressed",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const { app, noted } = yield* boltApp((app, note) => {
        app.action("go", async ({ ack, action, body }) => {
          await ack()
          note(["value" in action && action.value, body.user.id])
        })
      })
      const elements = [{
        type: "button" as const,
        action_id: "go",
        value: "7",
        text: { type: "plain_text" as const, text: "Go" }
      }]
      const { ts = "" } = yield* Effect.promise(() =>
        app.client.chat.postMessage({ channel: "C0GENERAL", text: "Go?", blocks: [{ type: "actions", elements }] })
      )
      const envelope = yield* slack.gesture({ does: "press", ...general, ts, action_id: "go", value: "7" })
      assert.deepStrictEqual(yield* noted, ["7", "U0BOB"])
      yield* slack.awaitJournal((entry) => entry._tag === "AckReceived" && entry.envelopeId === envelope)
    })
  )

  bolt(
    "a modal that is submitted, with errors in the ack",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      yield* boltApp((app) => {
        app.view("form", async ({ ack, view }) => {
          const name = view.state.values["name"]?.["input"]?.value
          await ack({ response_action: "errors", errors: { name: `not ${name}` } })
        })
      })
      const values = { name: { input: { type: "plain_text_input", value: "that" } } }
      const view = { callback_id: "form", state: { values } }
      const envelope = yield* slack.gesture({ does: "submit", user: "U0BOB", view })
      const acked = yield* slack.awaitJournal((entry) => entry._tag === "AckReceived" && entry.envelopeId === envelope)
      assert.deepInclude(acked, { payload: { response_action: "errors", errors: { name: "not that" } } })
    })
  )

  bolt(
    "what somebody types into a menu, with the options in the ack",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const options = [{ text: { type: "plain_text" as const, text: "Berlin" }, value: "ber" }]
      yield* boltApp((app) => {
        app.options("city", async ({ ack }) => {
          await ack({ options })
        })
      })
      const envelope = yield* slack.gesture({ does: "search", user: "U0BOB", action_id: "city", value: "be" })
      const acked = yield* slack.awaitJournal((entry) => entry._tag === "AckReceived" && entry.envelopeId === envelope)
      assert.deepInclude(acked, { payload: { options } })
    })
  )
})

bolt(
  "Bolt answers with say, in the thread",
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    yield* boltApp((app) => {
      app.event("app_mention", async ({ event, say }) => {
        await say({ text: "here I am", thread_ts: event.ts })
      })
    })
    const ts = yield* slack.say({ ...general, text: "<@U0BOT> are you there?" })
    const replies = Effect.map(slack.messages("C0GENERAL"), (messages) => messages.filter(({ bot_id }) => bot_id))
    yield* eventually("the reply", Effect.map(replies, (all) => all.length > 0))
    assert.deepInclude((yield* replies)[0], { text: "here I am", thread_ts: ts })
  })
)

bolt(
  "an event whose ack Slack did not see comes again, as a retry, until it is acked",
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const { more, noted } = yield* boltApp((app, note) => {
      app.message(async ({ body, context }) => note([body.event_id, context.retryNum, context.retryReason]))
    })
    yield* slack.faults({ dropAcks: true, retryDelaysMs: [200, 60_000] })
    yield* slack.say({ ...dm, text: "hello" })
    const [id] = (yield* noted) as [string]
    yield* slack.awaitJournal((entry) => entry._tag === "AckReceived" && entry.ignored)
    yield* slack.faults({ dropAcks: null })
    assert.deepStrictEqual(yield* noted, [id, 1, "timeout"])
    yield* allAcked
    assert.strictEqual(yield* more, 0)
  })
)

describe("Bolt connects again after", () => {
  /** It ends; then a new connection is there and brings what came meanwhile. */
  const again = (ends: Effect.Effect<unknown, never, LocalSlack>) =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const { noted } = yield* listener
      const last = (yield* slack.journal).at(-1)?.n ?? 0
      yield* ends
      yield* slack.awaitJournal((entry) => entry._tag === "ConnectionClosed" && entry.connection === "c1")
      yield* slack.say({ ...dm, text: "meanwhile" })
      yield* slack.awaitJournal((entry) => entry._tag === "ConnectionOpened", { after: last })
      assert.strictEqual(yield* noted, "meanwhile")
      yield* allAcked
      assert.strictEqual(yield* slack.connections, 1)
    })

  for (const reason of ["warning", "refresh_requested", "link_disabled", "too_many_websockets"]) {
    bolt(`a disconnect frame that says ${reason}`, again(LocalSlack.use((slack) => slack.disconnect(reason))))
  }
  bolt("a reset", again(LocalSlack.use((slack) => slack.dropConnections)))

  const faults: ReadonlyArray<readonly [what: string, fault: FaultPatch]> = [
    ["pings without an answer", { noPongs: true }],
    ["a peer that is silent", { silentPeer: "open" }]
  ]
  for (const [what, fault] of faults) {
    bolt(
      what,
      Effect.gen(function*() {
        const slack = yield* LocalSlack
        const { noted } = yield* listener
        yield* slack.faults(fault)
        yield* slack.awaitJournal((entry) => entry._tag === "ConnectionOpened" && entry.connection === "c2")
        yield* slack.clearFaults
        yield* eventually("one connection", Effect.map(slack.connections, (live) => live === 1))
        yield* slack.say({ ...dm, text: "after" })
        assert.strictEqual(yield* noted, "after")
      })
    )
  }

  const refusals: ReadonlyArray<readonly [what: string, fault: FaultPatch]> = [
    ["upgrades that are answered with 404", { refuseWebSocket: 404 }],
    ["trouble of Slack's own", { openError: "internal_error" }],
    ["ten connections of somebody else", { ghosts: 10 }]
  ]
  for (const [what, fault] of refusals) {
    bolt(
      what,
      Effect.gen(function*() {
        const slack = yield* LocalSlack
        const { noted } = yield* listener
        yield* slack.faults(fault)
        const last = (yield* slack.journal).at(-1)?.n ?? 0
        yield* slack.dropConnections
        const asked = (after: number) =>
          slack.awaitJournal((entry) => entry._tag === "ApiCall" && entry.method === "apps.connections.open", { after })
        yield* asked((yield* asked(last)).n)
        yield* slack.clearFaults
        yield* slack.say({ ...dm, text: "after" })
        assert.strictEqual(yield* noted, "after")
      })
    )
  }
})
