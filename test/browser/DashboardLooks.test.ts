/**
 * How the dashboard looks and reads: on a phone, for a screen reader, while it changes. Takes the pictures of
 * docs/dashboard.md when asked (`npm run screenshots`).
 */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { desktop, inBrowser, inPage, type Page, phone, picture } from "./browser.ts"
import { dashboard, goTo, withSlack } from "./dashboard.ts"

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8")

/** What axe-core finds wrong, one line each. */
const faultsOf = async (page: Page): Promise<ReadonlyArray<string>> => {
  await page.evaluate(axe)
  return await page.evaluate(`axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) =>
    violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => id + " " + target + ": " + failureSummary)))`)
}

/** A gateway that has something of everything to show. */
const busy = Effect.gen(function*() {
  const gateway = yield* dashboard({ unknownPolicy: "hold" })
  yield* gateway.start
  const in_ = (channel: string, text: string) => gateway.slack.say({ channel, user: "U0ALICE", text })
  for (const text of ["What is blocking the release of 2.4?", "Thanks! And who can review the migration?"]) {
    yield* gateway.say(text)
    yield* gateway.answered(text)
  }
  yield* gateway.say("broken <b>link</b> in the <script>handbook</script>, can you mend it?")
  yield* gateway.until("a dead letter", ({ inbox }) => inbox.failed === 1)
  yield* gateway.slack.faults({ error: { method: "chat.postMessage", code: "channel_not_found", times: 1 } })
  yield* gateway.say("Please tell the team about the new rota")
  yield* gateway.until("a dead reply", ({ outbox }) => outbox.failed_terminal === 1)
  yield* in_("C0GENERAL", "<@U0BOT> hold the incident thread for the stand-up")
  yield* gateway.until("a turn that runs", ({ inbox }) => inbox.processing === 1)
  return gateway
})

const pages = [
  ["overview", "#/", /^Overview/],
  ["inbox", "#/inbox", /^Inbox/],
  ["outbox", "#/outbox", /^Outbox/],
  ["message", "#/inbox/3", /^Message 3/],
  ["reply", "#/outbox/3", /^Reply/]
] as const

inBrowser("the dashboard's looks", (it) => {
  it.effect(
    "every page is without the faults that axe-core knows, in light and dark, and no wider than its window",
    () =>
      withSlack(Effect.gen(function*() {
        const gateway = yield* busy
        const faults: Array<string> = []
        for (const [device, look] of [["desktop", desktop], ["phone", phone]] as const) {
          for (const dark of [false, true]) {
            const scheme = dark ? "dark" : "light"
            const page = yield* gateway.openAsAdmin("#/", { ...look, dark })
            for (const [name, hash, title] of pages) {
              yield* inPage(page, async (page) => {
                await goTo(page, hash)
                await page.getByRole("heading", { level: 1, name: title }).waitFor()
                await page.locator(name === "overview" ? ".u-wrap" : name.endsWith("box") ? "tbody tr" : "pre").first()
                  .waitFor()
                faults.push(...(await faultsOf(page)).map((fault) => `${name}, ${device}, ${scheme}: ${fault}`))
                const [wide, window] = await page.evaluate<readonly [number, number]>(
                  "[document.documentElement.scrollWidth, innerWidth]"
                )
                assert.isAtMost(wide, window, `${name}, ${device}`)
              })
              yield* picture(page, `dashboard-${name}-${device}-${scheme}`)
            }
            const stranger = yield* gateway.open("#/login", { ...look, dark })
            yield* inPage(stranger, async (page) => {
              await page.getByLabel("Admin token").waitFor()
              faults.push(...(await faultsOf(page)).map((fault) => `login, ${device}, ${scheme}: ${fault}`))
            })
            yield* picture(stranger, `dashboard-login-${device}-${scheme}`)
          }
        }
      })),
    300_000
  )

  it.effect("nothing moves while messages come and turns run", () =>
    withSlack(Effect.gen(function*() {
      const gateway = yield* dashboard()
      yield* gateway.start
      const page = yield* gateway.open()
      yield* inPage(page, async (page) => {
        await page.locator(".u-wrap").first().waitFor()
        await page.getByText("No turn is running.").waitFor()
        await page.evaluate(`moved = []
          new PerformanceObserver((list) => moved.push(...list.getEntries().map((entry) => JSON.stringify(entry))))
            .observe({ type: "layout-shift", buffered: false })`)
      })
      yield* gateway.say("hello")
      yield* gateway.answered("hello")
      yield* gateway.say("hold on")
      yield* inPage(page, async (page) => {
        await page.getByRole("listitem").getByText("hold on").waitFor()
        assert.deepStrictEqual(await page.evaluate("moved"), [])
      })
    })))
})
