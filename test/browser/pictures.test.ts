/** The pictures of the chat page in the documentation, as a visitor sees it: `npm run screenshots` takes them again. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { chatOf } from "../cli/http.ts"
import { checkout, connected, slackwater } from "../cli/process.ts"
import { freePort } from "../fixtures/ask.ts"
import { Browser, desktop, inBrowser, inPage, type Look, phone, picture, pictureFile } from "./browser.ts"

const pictures: ReadonlyArray<readonly [name: string, look: Look]> = [
  ["chat-desktop-light", desktop],
  ["chat-desktop-dark", { ...desktop, dark: true }],
  ["chat-phone-light", phone],
  ["chat-phone-dark", { ...phone, dark: true }]
]

inBrowser("pictures of the chat page", (it) => {
  it.effect("examples/demo.ts is killed while it thinks, and each look fits its window", () =>
    Effect.gen(function*() {
      const demo = join(checkout, "examples/demo.ts")
      const env = { SLACKWATER_PORT: String(yield* freePort) }
      const dev = yield* slackwater(["dev", demo], { env })
      const { url } = yield* chatOf(dev)
      yield* dev.awaitOutput(connected)
      const first = yield* Browser.use((browser) => browser.open(url))
      yield* inPage(first, async (page) => {
        const say = async (text: string) => {
          await page.locator("#text").fill(text)
          await page.keyboard.press("Enter")
        }
        await say("What is for lunch?")
        await page.getByRole("button", { name: "Order lunch" }).waitFor()
        await page.locator(".way [data-kind=good]").waitFor()
        await say("Will you survive a *kill -9*?")
        await page.locator(".way [data-kind=handling]").waitFor()
        await page.getByRole("button", { name: "Kill it now" }).click()
        await page.locator("#messages").getByText("I thought about it in 3 steps").waitFor()
        await page.locator(".way [data-kind=good]").nth(1).waitFor()
        await page.getByRole("switch", { name: "Drop acks" }).click()
      })
      for (const [name, look] of pictures) {
        const page = yield* Browser.use((browser) => browser.open(url, look))
        yield* inPage(page, async (page) => {
          await page.locator(".way [data-kind=good]").nth(1).waitFor()
          await page.getByText("Trouble is on: Drop acks").waitFor()
          assert.isAtMost(Number(await page.evaluate("document.documentElement.scrollWidth")), look.width)
        })
        yield* picture(page, name)
        assert.isTrue(existsSync(pictureFile(name)), `${name} is missing: npm run screenshots`)
      }
    }))
})
