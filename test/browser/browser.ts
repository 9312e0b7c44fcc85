/**
 * A real Chromium for tests of our pages: one for a whole file, a fresh profile for every page, closed with its scope.
 *
 * `inBrowser` runs the tests of a file with real time, or skips them where there is no Chromium; `open` shows an address.
 * What a page complains about (console errors, uncaught exceptions, violations of its content security policy, requests to
 * anybody else) fails its test when the page closes; `expected` names the complaints that belong to the test. Playwright
 * waits for what it acts on; whatever a test awaits has the deadline of `patience`.
 */
import { layer, type Vitest } from "@effect/vitest"
import { Context, Effect, Layer, type Scope } from "effect"
import { existsSync, mkdirSync, writeFileSync, writeSync } from "node:fs"
import { delimiter, join } from "node:path"
import { fileURLToPath } from "node:url"
import { type Browser as Chromium, chromium, type Page } from "playwright-core"
import { describe } from "vitest"

export type { Locator, Page } from "playwright-core"

/** How long a page may take for anything on a machine that has other things to do. */
export const patience = 30_000

/** What there is to run: the one that CHROMIUM names, or the first of the usual names on the PATH. */
const program = (): string | undefined => {
  const named = process.env["CHROMIUM"]
  if (named !== undefined && named !== "") return existsSync(named) ? named : undefined
  const folders = (process.env["PATH"] ?? "").split(delimiter)
  return ["chromium", "chromium-browser", "google-chrome"]
    .flatMap((name) => folders.map((folder) => join(folder, name)))
    .find((path) => existsSync(path))
}

export interface Look {
  readonly width: number
  readonly height: number
  /** A finger instead of a mouse. */
  readonly touch?: boolean
  readonly dark?: boolean
  /** Complaints of the page that belong to the test. */
  readonly expected?: ReadonlyArray<RegExp>
}

export const desktop: Look = { width: 1280, height: 800 }
export const phone: Look = { width: 360, height: 740, touch: true }

export class Browser extends Context.Service<Browser, {
  /** Shows an address in a profile of its own. Fails the test, at its end, with what the page complained about. */
  readonly open: (url: string, look?: Look) => Effect.Effect<Page, never, Scope.Scope>
}>()("slackwater/test/browser/Browser") {
  static readonly layer = Layer.effect(
    Browser,
    Effect.gen(function*() {
      const browser = yield* Effect.acquireRelease(
        Effect.promise(() =>
          chromium.launch({
            executablePath: program() ?? "chromium",
            // Chromium's own sandbox refuses to work for root.
            chromiumSandbox: process.getuid?.() !== 0,
            timeout: patience
          })
        ),
        (running) => Effect.ignore(Effect.timeoutOption(Effect.promise(() => running.close()), "10 seconds"))
      )
      return Browser.of({ open: (url, look) => open(browser, url, look) })
    })
  )
}

/** What every page is watched for; `securitypolicyviolation` is asked for before any script of the page runs. */
const watchPolicy = `addEventListener("securitypolicyviolation", (event) =>
  console.error("content security policy: " + event.violatedDirective + " " + event.blockedURI), true)`

const open = Effect.fn("Browser.open")(function*(browser: Chromium, url: string, look: Look = desktop) {
  const complaints: Array<string> = []
  const context = yield* Effect.acquireRelease(
    Effect.promise(() =>
      browser.newContext({
        viewport: { width: look.width, height: look.height },
        colorScheme: look.dark === true ? "dark" : "light",
        hasTouch: look.touch === true,
        isMobile: look.touch === true,
        reducedMotion: "reduce",
        locale: "en-GB",
        timezoneId: "UTC"
      })
    ),
    (opened) => Effect.ignore(Effect.timeoutOption(Effect.promise(() => opened.close()), "10 seconds"))
  )
  yield* Effect.addFinalizer(() => {
    const unexpected = complaints.filter((text) => look.expected?.some((pattern) => pattern.test(text)) !== true)
    return unexpected.length === 0
      ? Effect.void
      : Effect.die(new Error(`the page complains:\n${unexpected.join("\n")}`))
  })
  const page = yield* Effect.promise(() => context.newPage())
  page.setDefaultTimeout(patience)
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text())
  })
  page.on("pageerror", (error) => complaints.push(String(error.stack ?? error)))
  page.on("request", (request) => {
    const asked = new URL(request.url())
    if (asked.protocol.startsWith("http") && asked.origin !== new URL(url).origin) {
      complaints.push(`asks somebody else: ${asked.href}`)
    }
  })
  yield* Effect.promise(() => page.addInitScript({ content: watchPolicy }))
  yield* Effect.promise(() => page.goto(url, { waitUntil: "domcontentloaded" }))
  return page
})

/** Several steps in a page, in Playwright's words. */
export const inPage = <A>(page: Page, run: (page: Page) => Promise<A>): Effect.Effect<A> =>
  Effect.promise(() => run(page))

/** The tests of a file, over one browser; `it.effect` runs them with real time. */
export const inBrowser = (name: string, tests: (it: Vitest.MethodsNonLive<Browser>) => void): void => {
  const missing = program() === undefined
  // Past the runner, which shows nothing of what a skipped file prints.
  if (missing) writeSync(2, `${name}: skipped, no Chromium here; apt-get install chromium, or name one in CHROMIUM\n`)
  describe.skipIf(missing)("in a browser", () => {
    layer(Browser.layer, { excludeTestServices: true, timeout: "60 seconds" })(name, tests)
  })
}

const pictures = fileURLToPath(new URL("../../docs/screenshots/", import.meta.url))
const pictureLimit = 150 * 1024

/**
 * A picture for the documentation, `docs/screenshots/NAME.png`, of what the window shows. Taken only by
 * `npm run screenshots` (which sets SCREENSHOTS); other runs leave the pictures as they are.
 */
export const picture = (page: Page, name: string): Effect.Effect<void> =>
  process.env["SCREENSHOTS"] === undefined ? Effect.void : Effect.promise(async () => {
    const png = await page.screenshot({ animations: "disabled", caret: "hide" })
    if (png.length > pictureLimit) throw new Error(`${name}.png has ${png.length} bytes; it may have ${pictureLimit}`)
    mkdirSync(pictures, { recursive: true })
    writeFileSync(join(pictures, `${name}.png`), png)
  })
