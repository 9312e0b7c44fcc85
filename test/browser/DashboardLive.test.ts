/** The dashboard in a real browser, over a real gateway: it follows what happens, and changes what it may. */
import { assert } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { inBrowser, inPage, type Page } from "./browser.ts"
import { dashboard, tabTo, withSlack } from "./dashboard.ts"

/** Fails where the page was loaded anew since it was marked. */
const mark = (page: Page) => page.evaluate("isMarked = true")
const isMarked = (page: Page) => page.evaluate<boolean>("globalThis.isMarked === true")

inBrowser("the dashboard's inbox and overview", (it) => {
  it.effect("a message that comes while somebody looks appears by itself, and what becomes of it", () =>
    withSlack(Effect.gen(function*() {
      const gateway = yield* dashboard()
      yield* gateway.start
      const asked: Array<string> = []
      const page = yield* gateway.open("#/inbox")
      yield* inPage(page, async (page) => {
        await page.getByText("There is no message yet.").waitFor()
        await mark(page)
        page.on("request", (request) => asked.push(new URL(request.url()).pathname))
      })
      yield* gateway.say("first")
      yield* inPage(page, (page) => page.getByRole("row", { name: /done.*first/ }).waitFor())
      yield* gateway.say("second")
      yield* inPage(page, async (page) => {
        await page.getByRole("row", { name: /done.*second/ }).waitFor()
        assert.match(await page.getByRole("row").nth(1).innerText(), /second/)
        assert.isTrue(await isMarked(page))
      })
      // It was told, and did not ask.
      assert.notInclude(asked, "/api/status")
    })))

  it.effect("that nothing is wrong is said when the gateway has said so, and not before", () =>
    withSlack(Effect.gen(function*() {
      const gateway = yield* dashboard()
      yield* gateway.start
      const page = yield* gateway.open()
      yield* inPage(page, async (page) => {
        const claims = [
          "No alarms, no dead letters.",
          "No turn is running.",
          "No conversation is waiting.",
          "Nothing is paused."
        ]
        const visible = async () => {
          const text = await page.locator("body").innerText()
          return claims.filter((claim) => text.includes(claim))
        }
        for (const claim of claims) await page.getByText(claim).waitFor()
        // Only who one is, is answered from now on.
        await page.route(/\/api\/(?!session)/, () => undefined)
        await page.reload()
        await page.getByRole("heading", { name: "Overview" }).waitFor()
        assert.deepStrictEqual(await visible(), [])
      })
    })))

  it.effect("rows wait behind a button while somebody has chosen one below", () =>
    withSlack(Effect.gen(function*() {
      const gateway = yield* dashboard()
      yield* gateway.start
      yield* gateway.say("first")
      const page = yield* gateway.openAsAdmin("#/inbox")
      yield* inPage(page, async (page) => {
        await page.getByRole("row", { name: /done.*first/ }).waitFor()
        await page.getByRole("row", { name: /done.*first/ }).getByRole("checkbox").check()
      })
      yield* gateway.say("second")
      yield* inPage(page, async (page) => {
        const newer = page.getByRole("button", { name: /^Show \d+ newer$/ })
        await newer.waitFor()
        assert.strictEqual(await page.getByRole("row", { name: /second/ }).count(), 0)
        await newer.click()
        await page.getByRole("row", { name: /done.*second/ }).waitFor()
        assert.isTrue(await page.getByRole("row", { name: /done.*first/ }).getByRole("checkbox").isChecked())
      })
    })))

  it.effect("markup in a message, an error and a conversation's name is shown and never becomes part of the page", () =>
    withSlack(Effect.gen(function*() {
      const gateway = yield* dashboard()
      yield* gateway.start
      const hostile =
        `broken <script>document.title="owned"</script><img src=x onerror='document.title="owned"'><b>bold</b>`
      yield* gateway.say(hostile)
      const page = yield* gateway.open("#/inbox")
      const shown = yield* inPage(page, async (page) => {
        const row = page.getByRole("row", { name: /dead letter/ })
        await row.waitFor()
        const inList = await row.innerText()
        await row.getByRole("link", { name: /broken/ }).click()
        await page.getByRole("heading", { name: "Payload" }).waitFor()
        return { inList, whole: await page.getByRole("main").innerText() }
      })
      for (const text of Object.values(shown)) {
        assert.include(text, "<script>document.title=")
        assert.include(text, "<b>model</b>")
      }
      yield* inPage(page, async (page) => {
        assert.strictEqual(await page.locator("main script, main img, main b, tbody b").count(), 0)
        assert.match(await page.title(), /^Message \d+ · Slackwater$/)
      })
    })))

  it.effect("a dead letter is shown with its error and payload, and retried: it is answered while one looks", () =>
    withSlack(Effect.gen(function*() {
      const gateway = yield* dashboard()
      yield* gateway.start
      yield* gateway.say("broken today")
      const page = yield* gateway.openAsAdmin()
      yield* inPage(page, async (page) => {
        await page.getByRole("link", { name: "1 dead letter" }).click()
        await page.getByRole("link", { name: /broken today/ }).click()
        await page.getByRole("region", { name: "Error" }).getByText("is overloaded").waitFor()
        assert.include(await page.getByRole("region", { name: "Payload" }).innerText(), `"text": "broken today"`)
        await mark(page)
      })
      gateway.world.isBroken = false
      yield* inPage(page, async (page) => {
        await page.getByRole("button", { name: "Retry" }).click()
        await page.getByRole("status").getByText("1 message set to run again.").waitFor()
        await page.locator(".title .badge", { hasText: "done" }).waitFor()
        await page.getByText("retried by hand").waitFor()
        await page.getByRole("listitem").getByText("You said: broken today").waitFor()
        await page.getByRole("link", { name: "Overview" }).click()
        await page.getByText("No alarms, no dead letters.").waitFor()
        assert.isTrue(await isMarked(page))
      })
      assert.include(
        (yield* gateway.slack.messages("D0ALICE")).map(({ text }) => text),
        "You said: broken today"
      )
    })))

  it.effect("a turn that runs shows what it is doing, and is cancelled with the keyboard alone", () =>
    withSlack(Effect.gen(function*() {
      const gateway = yield* dashboard()
      yield* gateway.start
      const page = yield* gateway.openAsAdmin()
      yield* inPage(page, (page) => page.getByText("No turn is running.").waitFor())
      yield* gateway.say("hold on")
      yield* inPage(page, async (page) => {
        await page.getByRole("listitem").getByText("is reading the channel…").waitFor()
        await tabTo(page, "Cancel the turn of D0ALICE", "button")
        await page.keyboard.press("Enter")
        await page.getByRole("dialog").waitFor()
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await page.getByRole("status").getByText("The turn is cancelled.").waitFor()
        await page.getByText("No turn is running.").waitFor()
        await page.getByRole("link", { name: "1 dead letter" }).click()
        await page.getByRole("row", { name: /hold on.*cancelled by hand/ }).waitFor()
      })
    })))

  it.effect("everything is paused and resumed; what came in between waits where one can see it, and is answered", () =>
    withSlack(Effect.gen(function*() {
      const gateway = yield* dashboard()
      yield* gateway.start
      const page = yield* gateway.openAsAdmin()
      yield* inPage(page, async (page) => {
        await page.getByRole("button", { name: "Pause everything" }).click()
        await page.getByRole("dialog").getByRole("button", { name: "Pause everything" }).click()
        await page.getByRole("button", { name: "Resume everything" }).waitFor()
      })
      yield* gateway.say("later")
      yield* inPage(page, async (page) => {
        await page.getByRole("region", { name: "Conversations waiting" }).getByText("D0ALICE").waitFor()
        await page.getByRole("button", { name: "Resume everything" }).click()
        await page.getByText("No conversation is waiting.").waitFor()
        await page.getByText("Nothing is paused.").waitFor()
      })
    })))

  it.effect("it says when it lost the gateway, keeps what it shows, and goes on with the next one, logged out", () =>
    withSlack(Effect.gen(function*() {
      const gateway = yield* dashboard()
      const first = yield* Scope.make()
      yield* Scope.provide(gateway.start, first)
      yield* gateway.say("before")
      const page = yield* gateway.openAsAdmin("#/inbox", {
        width: 1280,
        height: 800,
        expected: [/ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY|ERR_NETWORK|503/]
      })
      yield* inPage(page, async (page) => {
        await page.getByRole("row", { name: /done.*before/ }).waitFor()
        await mark(page)
      })
      yield* Scope.close(first, Exit.void)
      yield* inPage(page, async (page) => {
        await page.getByRole("alert").getByText(/^The gateway does not answer since \d\d:\d\d:\d\d/).waitFor()
        await page.getByRole("row", { name: /done.*before/ }).waitFor()
      })
      yield* gateway.start
      yield* inPage(page, async (page) => {
        await page.getByText("live", { exact: true }).waitFor()
        // The next gateway knows nothing of the session.
        await page.getByText("Read only", { exact: true }).waitFor()
      })
      yield* gateway.say("after")
      yield* inPage(page, async (page) => {
        await page.getByRole("row", { name: /done.*after/ }).waitFor()
        assert.strictEqual(await page.getByRole("alert").getByText("does not answer").count(), 0)
        assert.isTrue(await isMarked(page))
      })
    })))
})
