/** Modals: who may open one, and what becomes of one that is submitted. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { LocalSlack } from "../../src/testing/index.ts"
import { greeted } from "./bareClient.ts"

const withSlack = Effect.provide(LocalSlack.layer({ faults: { noPings: true } }))
const view = { type: "modal", title: { type: "plain_text", text: "T" }, blocks: [] }

const call = (method: string, params: Readonly<Record<string, unknown>>) =>
  Effect.flatMap(LocalSlack, ({ apiUrl }) =>
    Effect.promise(async () => {
      const response = await fetch(`${apiUrl}${method}`, {
        method: "POST",
        headers: { authorization: "Bearer xoxb-test", "content-type": "application/json" },
        body: JSON.stringify(params)
      })
      return await response.json() as {
        readonly ok: boolean
        readonly error?: string
        readonly view?: { readonly id: string }
      }
    }))

/** A shortcut of Alice's, as the app gets it. */
const shortcut = Effect.gen(function*() {
  const client = yield* greeted
  const slack = yield* LocalSlack
  yield* slack.gesture({ does: "shortcut", user: "U0ALICE", callback_id: "go" })
  const frame = JSON.parse(yield* client.next)
  return { client, slack, trigger: String(frame.payload.trigger_id) }
})

it.effect("a trigger opens one modal, for whom it belongs to", () =>
  Effect.gen(function*() {
    const { slack, trigger } = yield* shortcut
    const opened = yield* call("views.open", { trigger_id: trigger, view })
    assert.isTrue(opened.ok)
    const entry = yield* slack.awaitJournal((entry) => entry._tag === "ViewOpened")
    assert.deepInclude(entry, { view: opened.view?.id ?? "none", to: "U0ALICE" })
    assert.strictEqual((yield* call("views.open", { trigger_id: trigger, view })).error, "expired_trigger_id")
    assert.strictEqual(
      (yield* call("views.open", { trigger_id: "x", view: { type: "home" } })).error,
      "invalid_arguments"
    )
  }).pipe(withSlack))

it.effect("after three seconds a trigger is worth nothing", () =>
  Effect.gen(function*() {
    const { trigger } = yield* shortcut
    yield* TestClock.adjust("3 seconds")
    assert.strictEqual((yield* call("views.open", { trigger_id: trigger, view })).error, "expired_trigger_id")
  }).pipe(withSlack))

it.effect("what the ack of a submission says becomes of the modal", () =>
  Effect.gen(function*() {
    const { client, slack, trigger } = yield* shortcut
    const id = (yield* call("views.open", { trigger_id: trigger, view })).view?.id ?? ""
    const submit = Effect.fnUntraced(function*(payload: unknown) {
      yield* slack.gesture({ does: "submit", user: "U0ALICE", view: { id, state: { values: {} } } })
      const { envelope_id } = JSON.parse(yield* client.next)
      client.socket.send(JSON.stringify({ envelope_id, payload }))
    })
    yield* submit({ response_action: "errors", errors: { where: "no" } })
    const refused = yield* slack.awaitJournal((entry) => entry._tag === "ViewRefused")
    yield* submit({ response_action: "update", view })
    const updated = yield* slack.awaitJournal((entry) => entry._tag === "ViewOpened", { after: refused.n })
    yield* submit({})
    const closed = yield* slack.awaitJournal((entry) => entry._tag === "ViewClosed")
    assert.deepStrictEqual([updated, closed].map((entry) => "view" in entry && entry.view), [id, id])
    assert.strictEqual((yield* call("views.update", { view_id: id, view })).error, "not_found")
  }).pipe(withSlack))
