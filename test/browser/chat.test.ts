/** The chat page in a real browser, against the Slack that serves it. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { LocalSlack } from "../../src/testing/index.ts"
import { Browser, inBrowser, inPage } from "./browser.ts"

inBrowser("the chat page", (it) => {
  it.effect("what a person writes appears without a reload", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const page = yield* Browser.use((browser) => browser.open(slack.url))
      yield* inPage(page, async (page) => {
        await page.getByRole("textbox", { name: "Message" }).fill("hello <b>there</b>")
        await page.keyboard.press("Enter")
        await page.getByRole("list").getByText("hello <b>there</b>").waitFor()
      })
      const [message] = yield* slack.messages("D0ALICE")
      assert.strictEqual(message?.text, "hello &lt;b&gt;there&lt;/b&gt;")
    }).pipe(Effect.provide(LocalSlack.layer())))
})
