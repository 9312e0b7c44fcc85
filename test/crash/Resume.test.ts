/** A turn that `kill -9` cut off: it goes on, it looks alive in its thread, and its log line says what was left. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { LocalSlack } from "slackwater/testing"
import { temporaryDirectory, withSlack } from "../fixtures/gateway.ts"
import { connectGateway, ending, logged, stop, within } from "./harness.ts"

const note = "I was restarted and go on."
const settings = { SLACKWATER_RESUME_NOTE: note, SLACKWATER_SHUTDOWN_TIMEOUT: "2 seconds" }
const hanging = { ...settings, TEST_HANG: "1" }

describe("a turn that kill -9 cut off", () => {
  it.live("shows its last status again, notes that it goes on, and is counted by the start", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dataDir = yield* temporaryDirectory
      const busy = (after: number, gateway: Parameters<typeof stop>[0]) =>
        within(
          "the status is shown",
          slack.awaitJournal((entry) => entry._tag === "StatusSet" && entry.status === "is busy…", { after }),
          gateway
        )
      const first = yield* connectGateway(dataDir, hanging)
      assert.include(logged(first, "started")[0]?.["annotations"], { previousStop: "none", turns: 0 })
      const ts = yield* slack.say({ channel: "C0GENERAL", user: "U0ALICE", text: "<@U0BOT> m1 busy hang" })
      yield* busy(0, first)
      first.signal("SIGKILL")
      yield* ending(first)

      const after = (yield* slack.journal).at(-1)?.n ?? 0
      const second = yield* connectGateway(dataDir, hanging)
      assert.include(logged(second, "started")[0]?.["annotations"], { previousStop: "crash", turns: 1 })
      const noted = yield* within(
        "the note is posted",
        slack.awaitJournal((entry) => entry._tag === "MessagePosted" && entry.by === "U0BOT", { after }),
        second
      )
      // Slack took the status away with the note.
      yield* busy(noted.n, second)
      assert.deepStrictEqual(yield* slack.statuses, [
        { channel: "C0GENERAL", thread_ts: ts, status: "is busy…" }
      ])
      assert.strictEqual((yield* stop(second)).code, 0)

      const third = yield* connectGateway(dataDir, settings)
      assert.include(logged(third, "started")[0]?.["annotations"], { previousStop: "clean", turns: 0 })
      yield* within(
        "the answer is posted",
        Effect.gen(function*() {
          while (!(yield* slack.messages("C0GENERAL")).some(({ text }) => text === "ended m1")) {
            yield* Effect.sleep("5 millis")
          }
        }),
        third
      )
      const said = (yield* slack.messages("C0GENERAL")).filter((message) => message.bot_id !== undefined)
      // The same attempt went on after the stop in order, so it is noted once.
      assert.deepStrictEqual(said.map(({ text }) => text), ["began m1", note, "ended m1"])
      assert.deepStrictEqual(yield* slack.statuses, [])
    }).pipe(withSlack))
})
