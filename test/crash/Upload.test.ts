/** The process is killed at each step of an upload: in the end the file is there once. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, readdirSync, utimesSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { LocalSlack } from "slackwater/testing"
import { temporaryDirectory, withSlack } from "../fixtures/gateway.ts"
import { connectGateway, count, ending, query, stop, until, within } from "./harness.ts"

const channel = "C0GENERAL"

describe("an upload cut by kill -9", () => {
  for (
    const [method, remembered] of [
      ["files.getUploadURLExternal", false],
      ["upload", false],
      ["files.completeUploadExternal", true]
    ] as const
  ) {
    it.live(`is there once, and its spool empty: at ${method}`, () =>
      Effect.gen(function*() {
        const slack = yield* LocalSlack
        const dataDir = yield* temporaryDirectory
        yield* slack.faults({ delayMs: { method, times: 1, ms: 5_000 } })
        const first = yield* connectGateway(dataDir, {}, "uploading")
        yield* slack.say({ channel, user: "U0ALICE", text: "<@U0BOT> fish" })
        yield* within(
          "Slack was asked",
          slack.awaitJournal((entry) => entry._tag === "ApiCall" && entry.method === method),
          first
        )
        first.signal("SIGKILL")
        yield* ending(first)
        const [row] = query(dataDir, "SELECT state, remote FROM slackwater_outbox")
        assert.strictEqual(row?.["state"], "sending")
        assert.strictEqual(row?.["remote"] !== null, remembered)
        const stray = join(dataDir, "spool", "stray")
        writeFileSync(stray, "of a row that was never committed, two minutes ago")
        utimesSync(stray, Date.now() / 1_000 - 120, Date.now() / 1_000 - 120)
        const second = yield* connectGateway(dataDir, {}, "uploading")
        yield* until(
          "it is delivered",
          () => count(dataDir, "SELECT count(*) FROM slackwater_outbox WHERE state = 'delivered'") === 1,
          second
        )
        const messages = (yield* slack.messages(channel)).filter(({ bot_id }) => bot_id !== undefined)
        assert.strictEqual(messages.length, 1)
        const id = messages[0]?.files?.[0]?.id ?? ""
        const text = yield* Effect.promise(() =>
          fetch(`${slack.url}/_local/files/${id}`).then((answer) => answer.text())
        )
        assert.strictEqual(text, "about fish")
        assert.strictEqual((yield* stop(second)).code, 0)
        const spool = join(dataDir, "spool")
        assert.isEmpty(existsSync(spool) ? readdirSync(spool) : [])
      }).pipe(withSlack))
  }
})
