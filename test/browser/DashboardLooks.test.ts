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
  yield* gateway.until(
    "a dead letter and a word about it",
    ({ inbox, outbox }) => inbox.failed === 1 && outbox.delivered === 3
  )
  yield* gateway.slack.faults({ error: { method: "chat.postMessage", code: "channel_not_found", times: 1 } })
  yield* gateway.say("Please tell the team about the new rota")
  yield* gateway.until("a dead reply", ({ outbox }) => outbox.failed_terminal === 1)
  yield* in_("C0GENERAL", "<@U0BOT> hold the incident thread for the stand-up")
  yield* gateway.until("a turn that runs", ({ inbox }) => inbox.processing === 1)
  return gateway
})

const isPictured = process.env["SCREENSHOTS"] !== undefined

/** For the pictures the last hour is made up: no test runs for one. What the tests check is the gateway's own. */
const busyHour = (page: Page) =>
  inPage(page, async (page) => {
    await page.addInitScript({
      content: `const listen = EventSource.prototype.addEventListener
        const wave = (n, low, high) => low + (high - low) * (Math.sin(n / 23) + Math.sin(n / 7) / 2 + Math.sin(n * 12.9) / 2 + 2) / 4
        const some = (n, often) => Math.floor(Math.abs(Math.sin(n * 12.9898) * 43758.5453) % 1 + often)
        const series = (of) => Array.from({ length: 360 }, (_, n) => of(n))
        const made = {
          received: series((n) => some(n, wave(n, 0.2, 1.9))), turnsDone: series((n) => some(n + 1, wave(n - 2, 0.1, 1.7))),
          turnsFailed: series((n) => n % 97 === 40 ? 1 : 0), delivered: series((n) => some(n + 2, wave(n - 2, 0.2, 2.1))),
          ackMsP95: series((n) => wave(n * 2, 4, 19)), turnMsP95: series((n) => wave(n, 3000, 24000)),
          deliveryMsP95: series((n) => wave(n * 1.4, 120, 420)), inboxQueued: series((n) => Math.round(wave(n - n % 4, 0, 4))),
          outboxQueued: series((n) => Math.round(wave(70 + n - n % 9, 0, 2))), oldestQueuedAgeMs: series((n) => wave(n - n % 4, 0, 9000))
        }
        EventSource.prototype.addEventListener = function(name, heard) {
          return listen.call(this, name, name !== "activity" ? heard : (event) =>
            heard({ data: JSON.stringify({ ...JSON.parse(event.data), series: made }) }))
        }`
    })
    await page.reload()
  })

const pages = [
  ["overview", "#/", /^Overview/],
  ["inbox", "#/inbox", /^Inbox/],
  ["outbox", "#/outbox", /^Outbox/],
  ["message", "#/inbox/5", /^Message 5/],
  ["reply", "#/outbox/4", /^Reply 4/]
] as const

inBrowser("the dashboard's looks", (it) => {
  it.effect(
    "every page is without the faults that axe-core knows, in light and dark, and no wider than its window",
    () =>
      withSlack(Effect.gen(function*() {
        const gateway = yield* busy
        const faults: Array<string> = []
        for (const [device, look] of [["desktop", { ...desktop, width: 1_080 }], ["phone", phone]] as const) {
          for (const dark of [false, true]) {
            const scheme = dark ? "dark" : "light"
            // On a desktop the whole overview, with its plots.
            const page = yield* gateway.openAsAdmin("#/", {
              ...look,
              dark,
              height: device === "desktop" ? 1_060 : look.height
            })
            if (isPictured) yield* busyHour(page)
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
