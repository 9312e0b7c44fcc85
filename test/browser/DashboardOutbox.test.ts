/** The dashboard in a real browser, over a real gateway: logging in, and replies settled by hand. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { inBrowser, inPage } from "./browser.ts"
import { dashboard, tabTo, token, withSlack } from "./dashboard.ts"

const refused = { error: { method: "chat.postMessage", code: "channel_not_found" } }

inBrowser("the dashboard's door and outbox", (it) => {
  it.effect("a wrong token is refused with a sentence, the right one lets in and is nowhere to be found", () =>
    withSlack(Effect.gen(function*() {
      const gateway = yield* dashboard()
      yield* gateway.start
      const page = yield* gateway.open("#/login", { width: 1280, height: 800, expected: [/401/] })
      const kept = yield* inPage(page, async (page) => {
        await page.getByText("Read only").waitFor()
        await page.getByLabel("Admin token").fill("wrong")
        await page.keyboard.press("Enter")
        await page.getByRole("alert").getByText("This is not the gateway's admin token.").waitFor()
        await page.getByLabel("Admin token").fill(token)
        await page.keyboard.press("Enter")
        await page.getByRole("button", { name: "Log out" }).waitFor()
        await page.getByRole("heading", { name: "Overview" }).waitFor()
        return await page.evaluate<string>(
          "JSON.stringify([{ ...localStorage }, { ...sessionStorage }, location.href, document.cookie])"
        )
      })
      assert.notInclude(kept, token)
      const [cookie] = yield* inPage(page, (page) => page.context().cookies())
      assert.deepInclude(cookie, { httpOnly: true, sameSite: "Strict" })
      assert.notInclude(cookie?.value ?? token, token)
    })))

  it.effect("a link with the token logs in and wipes it from the address and the history; logging out locks again", () =>
    withSlack(Effect.gen(function*() {
      const gateway = yield* dashboard()
      yield* gateway.start
      const page = yield* gateway.openAsAdmin()
      yield* inPage(page, async (page) => {
        assert.notInclude(page.url(), token)
        await page.goBack().catch(() => null)
        assert.notInclude(page.url(), token)
      })
      yield* inPage(page, async (page) => {
        await page.goto(gateway.url)
        await page.getByRole("button", { name: "Log out" }).click()
        await page.getByText("Read only", { exact: true }).waitFor()
        assert.strictEqual(await page.getByRole("button", { name: "Pause everything" }).count(), 0)
      })
    })))

  it.effect("who is not logged in sees everything, can change nothing, and is told how", () =>
    withSlack(Effect.gen(function*() {
      const gateway = yield* dashboard()
      yield* gateway.start
      yield* gateway.slack.faults(refused)
      yield* gateway.say("hello")
      const page = yield* gateway.open("#/outbox")
      yield* inPage(page, async (page) => {
        await page.getByRole("row").getByText("dead letter").waitFor()
        assert.strictEqual(await page.getByRole("checkbox").count(), 0)
        await page.getByRole("link", { name: /You said: hello/ }).click()
        await page.getByText("Read only:").waitFor()
        assert.strictEqual(await page.getByRole("button", { name: "Discard" }).count(), 0)
        await page.getByRole("main").getByRole("link", { name: "log in" }).click()
        await page.getByLabel("Admin token").fill(token)
        await page.keyboard.press("Enter")
        await page.getByRole("button", { name: "Discard" }).waitFor()
      })
    })))

  it.effect("a dead reply is sent again by hand, and the page follows it to its delivery", () =>
    withSlack(Effect.gen(function*() {
      const gateway = yield* dashboard()
      yield* gateway.start
      yield* gateway.slack.faults(refused)
      yield* gateway.say("hello")
      const page = yield* gateway.openAsAdmin("#/outbox?state=failed_terminal")
      yield* inPage(page, async (page) => {
        await page.getByRole("link", { name: /You said: hello/ }).click()
        await page.getByText("channel_not_found").first().waitFor()
      })
      yield* gateway.slack.clearFaults
      yield* inPage(page, async (page) => {
        await page.getByRole("button", { name: "Retry" }).click()
        await page.getByRole("status").getByText("1 reply set to run again.").waitFor()
        await page.locator(".title .badge", { hasText: "delivered" }).waitFor()
        await page.getByText("retried by hand").waitFor()
      })
    })))

  it.effect("a dead reply is discarded after a question, with the keyboard alone", () =>
    withSlack(Effect.gen(function*() {
      const gateway = yield* dashboard()
      yield* gateway.start
      yield* gateway.slack.faults(refused)
      yield* gateway.say("hello")
      const page = yield* gateway.open()
      yield* inPage(page, async (page) => {
        await tabTo(page, "Log in", "link")
        await page.keyboard.press("Enter")
        await page.getByLabel("Admin token").waitFor()
        await page.keyboard.type(token)
        await page.keyboard.press("Enter")
        await page.getByRole("heading", { name: "Overview" }).waitFor()
        await tabTo(page, /^1 dead reply/, "link")
        await page.keyboard.press("Enter")
        await page.getByRole("heading", { name: "Outbox" }).waitFor()
        await tabTo(page, /You said: hello/, "link")
        await page.keyboard.press("Enter")
        await tabTo(page, "Discard", "button")
        await page.keyboard.press("Enter")
        const dialog = page.getByRole("dialog")
        await dialog.waitFor()
        await page.keyboard.press("Escape")
        await dialog.waitFor({ state: "detached" })
        await page.keyboard.press("Enter")
        await dialog.waitFor()
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await page.getByRole("status").getByText("1 reply discarded.").waitFor()
        await page.locator(".title .badge", { hasText: "discarded" }).waitFor()
        await page.getByRole("button", { name: "Discard" }).waitFor({ state: "detached" })
        await tabTo(page, "Overview", "link")
        await page.keyboard.press("Enter")
        await page.getByText("No alarms, no dead letters.").waitFor()
      })
    })))

  it.effect("chosen rows are discarded together", () =>
    withSlack(Effect.gen(function*() {
      const gateway = yield* dashboard()
      yield* gateway.start
      yield* gateway.slack.faults(refused)
      yield* gateway.say("one")
      const page = yield* gateway.openAsAdmin("#/outbox?state=failed_terminal")
      yield* inPage(page, (page) => page.getByRole("link", { name: /one/ }).waitFor())
      yield* gateway.say("two")
      yield* inPage(page, async (page) => {
        await page.getByRole("link", { name: /two/ }).waitFor()
        await page.getByRole("checkbox", { name: "Choose all rows" }).check()
        await page.getByRole("button", { name: "Discard 2" }).click()
        await page.getByRole("dialog").getByRole("button", { name: "Discard" }).click()
        await page.getByRole("status").getByText("2 replies discarded.").waitFor()
        await page.getByRole("row", { name: /discarded.*one/ }).waitFor()
        await page.getByRole("row", { name: /discarded.*two/ }).waitFor()
      })
    })))

  it.effect("a gateway that others reach shows nothing before the login, and everything after it", () =>
    withSlack(Effect.gen(function*() {
      const gateway = yield* dashboard({ host: "0.0.0.0" })
      yield* gateway.start
      const page = yield* gateway.open("", { width: 360, height: 740, expected: [/401/] })
      yield* inPage(page, async (page) => {
        await page.getByLabel("Admin token").waitFor()
        assert.strictEqual(await page.getByText("Overview").count(), 0)
        await page.getByLabel("Admin token").fill("wrong")
        await page.getByRole("button", { name: "Log in" }).click()
        await page.getByRole("alert").waitFor()
        await page.getByLabel("Admin token").fill(token)
        await page.getByRole("button", { name: "Log in" }).click()
        await page.getByRole("heading", { name: "Overview" }).waitFor()
        await page.getByText("live", { exact: true }).waitFor()
        await page.getByRole("button", { name: "Log out" }).click()
        await page.getByLabel("Admin token").waitFor()
        assert.strictEqual(await page.getByText("Connection", { exact: true }).count(), 0)
      })
    })))
})
