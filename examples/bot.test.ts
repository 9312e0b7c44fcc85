/** A bot is tested with vitest, against a Slack on this machine; without Effect. */
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { start } from "slackwater/promise"
import { startLocalSlack } from "slackwater/testing"
import { expect, test } from "vitest"
import handler from "./promise.ts"

/** A Slack and a gateway of their own, for one test. */
const running = async () => {
  const slack = await startLocalSlack()
  const gateway = await start({
    handler,
    slackApiUrl: slack.apiUrl,
    appToken: "xapp-test",
    botToken: "xoxb-test",
    dataDir: mkdtempSync(join(tmpdir(), "bot-")),
    port: 0,
    debounce: "0 millis",
    log: false
  })
  return {
    slack,
    [Symbol.asyncDispose]: async () => {
      await gateway.close()
      await slack.close()
    }
  }
}

test("the bot thinks, then answers", async () => {
  await using bot = await running()
  await bot.slack.say({ channel: "D0ALICE", user: "U0ALICE", text: "Is it safe" })
  expect(await bot.slack.replies("D0ALICE", { count: 2 })).toEqual(["Let me think.", "Is it safe? I would say so."])
})

test("it answers once, though Slack cuts the connection after each post", async () => {
  await using bot = await running()
  await bot.slack.faults({ resetAfterCommit: { method: "chat.postMessage", times: 1 } })
  await bot.slack.say({ channel: "D0ALICE", user: "U0ALICE", text: "Is it safe" })
  const replies = await bot.slack.replies("D0ALICE", { count: 2, withinMs: 15_000 })
  expect(replies).toEqual(["Let me think.", "Is it safe? I would say so."])
})
