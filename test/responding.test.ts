/** What a responder puts into the ack, and what becomes of the event, over real sockets. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import type { AckAnswer, Respond } from "slackwater"
import { LocalSlack } from "slackwater/testing"
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
import { ackOf, alice, everything, gesture, ignored, isAckOf, say, view } from "./fixtures/people.ts"

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
