/** `slackwater dev` in a real browser: the page kills the gateway, and shows how the message survives. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { chatOf, request } from "../cli/http.ts"
import { connected, directory, fixture, slackwater } from "../cli/process.ts"
import { freePort } from "../fixtures/ask.ts"
import { Browser, desktop, inBrowser, inPage, type Look, type Page } from "./browser.ts"

/** The page of a `dev` whose handler says "one moment" and goes on when the gate is opened. */
const gated = Effect.fnUntraced(function*(look?: Look) {
  const cwd = yield* directory
  const gate = join(cwd, "gate")
  const env = { GATE: gate, SLACKWATER_PORT: String(yield* freePort) }
  const dev = yield* slackwater(["dev", fixture("gated")], { cwd, env })
  const { url } = yield* chatOf(dev)
  yield* dev.awaitOutput(connected)
  const page = yield* Browser.use((browser) => browser.open(url, look))
  return { dev, url, page, open: Effect.sync(() => writeFileSync(gate, "")) }
})

const say = async (page: Page, text: string) => {
  await page.locator("#text").fill(text)
  await page.keyboard.press("Enter")
}
const step = (page: Page, kind: string) => page.locator(`.way [data-kind=${kind}]`)
const bubble = (page: Page, text: string) => page.locator("#messages").getByText(text, { exact: true })

inBrowser("killing the gateway", (it) => {
  it.effect("SIGKILL in the middle of a slow turn: the message survives and is answered once", () =>
    Effect.gen(function*() {
      const { dev, open, page } = yield* gated()
      yield* inPage(page, async (page) => {
        await say(page, "what is up?")
        await bubble(page, "one moment").waitFor()
        await page.getByRole("button", { name: "Kill it now" }).click()
        await step(page, "killed").waitFor()
        await step(page, "restarted").waitFor()
        await page.getByText(/running, pid \d+, start number 2/).waitFor()
      })
      yield* open
      yield* inPage(page, async (page) => {
        await bubble(page, "here it is: what is up?").waitFor()
        await step(page, "good").getByText("2 replies, each once").waitFor()
        assert.strictEqual(await bubble(page, "one moment").count(), 1)
        assert.strictEqual(await bubble(page, "here it is: what is up?").count(), 1)
      })
      assert.strictEqual(dev.count(/^Gateway: +ended \(SIGKILL\)/), 1)
    }))

  it.effect("SIGTERM in the middle of a slow turn: it finishes, stops in order, and is there again", () =>
    Effect.gen(function*() {
      const { dev, open, page } = yield* gated()
      yield* inPage(page, async (page) => {
        await say(page, "what is up?")
        await bubble(page, "one moment").waitFor()
        await page.getByRole("button", { name: "Ask it to stop" }).click()
        await step(page, "asked").waitFor()
      })
      yield* open
      yield* dev.awaitOutput(/^Gateway: +ended \(0\)/)
      yield* inPage(page, async (page) => {
        await bubble(page, "here it is: what is up?").waitFor()
        await page.getByText(/running, pid \d+, start number 2/).waitFor()
        await step(page, "good").getByText("2 replies, each once").waitFor()
        assert.strictEqual(await bubble(page, "here it is: what is up?").count(), 1)
      })
    }))

  it.effect("a kill right after the ack, when Slack believes that all is well, costs nothing", () =>
    Effect.gen(function*() {
      const { open, page } = yield* gated()
      yield* open
      yield* inPage(page, async (page) => {
        const button = page.getByRole("button", { name: "Kill it right after the next ack" })
        await button.click()
        await page.locator("#kill-ack[aria-pressed=true]").waitFor()
        await say(page, "are you there?")
        await step(page, "killed").waitFor()
        await page.locator("#kill-ack[aria-pressed=false]").waitFor()
        await bubble(page, "here it is: are you there?").waitFor()
        await step(page, "good").waitFor()
        assert.strictEqual(await bubble(page, "here it is: are you there?").count(), 1)
      })
    }))

  it.effect("the page links to the gateway's dashboard, with what opens it", () =>
    Effect.gen(function*() {
      const { page } = yield* gated()
      const href = yield* inPage(page, (page) => page.getByRole("link", { name: "dashboard" }).getAttribute("href"))
      const { hash, origin } = new URL(href ?? "")
      assert.match(hash, /^#token=.{20,}$/)
      const token = decodeURIComponent(hash.replace("#token=", ""))
      const login = yield* Effect.promise(() =>
        fetch(`${origin}/login`, {
          method: "POST",
          headers: { "content-type": "application/json", connection: "close" },
          body: JSON.stringify({ token }),
          redirect: "manual"
        })
      )
      assert.include([200, 204, 302, 303], login.status)
    }))

  it.effect("nobody else can kill it: not without the page's secret, not another site, not another process", () =>
    Effect.gen(function*() {
      const { dev, page, url } = yield* gated({ ...desktop, expected: [/status of 40[03]/] })
      const path = `${url}/_local/gateway`
      const body = JSON.stringify({ signal: "SIGKILL" })
      const send = (init: RequestInit) =>
        Effect.map(request(path, { method: "POST", body, ...init }), ({ status }) => status)
      assert.strictEqual(yield* send({}), 403)
      const asPage = (headers: Record<string, string>, sent = body) =>
        inPage(page, (page) =>
          page.evaluate(
            `fetch("/_local/gateway", { method: "POST", headers: ${JSON.stringify(headers)}, body: ${
              JSON.stringify(sent)
            } })
              .then((response) => response.status)`
          ))
      assert.strictEqual(yield* asPage({}), 403)
      assert.strictEqual(yield* asPage({ "x-local-secret": "guessed" }), 403)
      const secret = yield* inPage(page, (page) => page.locator("meta[name=local-secret]").getAttribute("content"))
      assert.strictEqual(yield* asPage({ "x-local-secret": secret ?? "" }, `{"signal":"SIGSEGV"}`), 400)
      assert.strictEqual(yield* asPage({ "x-local-secret": secret ?? "" }, `{"signal":"SIGKILL","pid":1}`), 400)
      assert.strictEqual(dev.count(/^Gateway: +ended/), 0)
    }))
})
