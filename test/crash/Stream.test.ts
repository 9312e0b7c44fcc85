/** The process is killed in the middle of a stream: the next one finishes the same message. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { LocalSlack } from "slackwater/testing"
import { temporaryDirectory, withSlack } from "../fixtures/gateway.ts"
import { connectGateway, count, ending, stop, until, within } from "./harness.ts"

const channel = "C0GENERAL"
const half = "one ".repeat(100)

const posted = Effect.flatMap(
  LocalSlack,
  (slack) =>
    Effect.map(slack.messages(channel), (messages) => messages.filter((message) => message.bot_id !== undefined))
)

describe("a stream cut by kill -9", () => {
  for (
    const [what, text, method, whole, lifetime] of [
      ["goes on and ends as one message", "go", "chat.appendStream", `${half}and two`, null],
      ["begins again where it had only begun", "go", "chat.startStream", `${half}and two`, null],
      ["that says something else has that in its place", "other", "chat.appendStream", "another end", null],
      ["that Slack ended meanwhile is set right", "go", "chat.appendStream", `${half}and two`, 0]
    ] as const
  ) {
    it.live(what, () =>
      Effect.gen(function*() {
        const slack = yield* LocalSlack
        const dataDir = yield* temporaryDirectory
        yield* slack.faults({ streamLifetimeMs: lifetime })
        const first = yield* connectGateway(dataDir, {}, "streaming")
        yield* slack.say({ channel, user: "U0ALICE", text: `<@U0BOT> ${text}` })
        yield* within(
          "Slack was asked",
          slack.awaitJournal((entry) => entry._tag === "ApiCall" && entry.method === method),
          first
        )
        first.signal("SIGKILL")
        yield* ending(first)
        const second = yield* connectGateway(dataDir, {}, "streaming")
        yield* until(
          "everything is sent",
          () =>
            count(dataDir, "SELECT count(*) FROM slackwater_outbox WHERE kind = 'StreamStop'") === 1 &&
            count(
                dataDir,
                "SELECT count(*) FROM slackwater_outbox WHERE state NOT IN ('delivered', 'failed_terminal')"
              ) === 0,
          second
        )
        assert.deepStrictEqual((yield* posted).map(({ streaming, text }) => ({ streaming, text })), [
          { streaming: undefined, text: whole }
        ])
        assert.strictEqual((yield* stop(second)).code, 0)
      }).pipe(withSlack))
  }
})
