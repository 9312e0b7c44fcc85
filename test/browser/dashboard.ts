/** A gateway with its dashboard, for tests in a browser: what it is told, it answers, holds on to, or fails at. */
import { Effect, Redacted } from "effect"
import { Handler, type Settings } from "slackwater"
import type { Snapshot } from "../../src/GatewayStatus.ts"
import { LocalSlack } from "../../src/testing/index.ts"
import { ask, freePort } from "../fixtures/ask.ts"
import {
  answered,
  connected,
  dm,
  eventually,
  startGateway,
  temporaryDirectory,
  withSlack
} from "../fixtures/gateway.ts"
import { Browser, inPage, type Look, type Page } from "./browser.ts"

export const token = "5ecret-admin-token"

/** Whether the handler fails at what says "broken"; a test mends it. */
export const handler = () => {
  const world = { isBroken: true }
  return {
    world,
    handler: Handler.make((turn) =>
      Effect.gen(function*() {
        if (turn.text.startsWith("hold")) {
          yield* turn.status("is reading the channel…")
          return yield* Effect.never
        }
        if (turn.text.startsWith("broken") && world.isBroken) {
          return yield* Effect.die("the <b>model</b> is overloaded")
        }
        yield* turn.reply(`You said: ${turn.text}`)
      })
    )
  }
}

/** A gateway in the present scope, and its pages in a browser. */
export const dashboard = Effect.fnUntraced(function*(given: Partial<Settings> = {}) {
  const slack = yield* LocalSlack
  const { handler: answers, world } = handler()
  const port = yield* freePort
  const dataDir = yield* temporaryDirectory
  const start = startGateway(dataDir, answers, { port, adminToken: Redacted.make(token), maxAttempts: 1, ...given })
  const url = `http://127.0.0.1:${port}/`
  const status = Effect.map(
    ask(port, "/api/status"),
    ({ body, status }): Snapshot | undefined => status === 200 ? JSON.parse(body) : undefined
  )
  return {
    slack,
    world,
    url,
    start: Effect.andThen(start, connected),
    say: (text: string) => slack.say({ ...dm, text }),
    /** Waits until the gateway says so of itself. */
    until: (what: string, isSo: (status: Snapshot) => boolean) =>
      eventually(what, Effect.map(status, (snapshot) => snapshot !== undefined && isSo(snapshot))),
    answered: (text: string) => answered(dm.channel, `You said: ${text}`),
    open: (hash = "", look?: Look) => Browser.use((browser) => browser.open(url + hash, look)),
    /** As whoever follows the link that `dev` prints. */
    openAsAdmin: (hash = "#/", look?: Look) =>
      Effect.tap(
        Browser.use((browser) => browser.open(`${url}#token=${token}`, look)),
        (page) =>
          inPage(page, async (page) => {
            await page.getByRole("button", { name: "Log out" }).waitFor()
            await goTo(page, hash)
          })
      )
  }
})

export { dm, withSlack }

/** Another part of the page, as a link in it would lead there. */
export const goTo = (page: Page, hash: string) => page.evaluate(`location.assign(${JSON.stringify(hash)})`)

/** Presses Tab until this has the focus. */
export const tabTo = async (page: Page, name: string | RegExp, role: "link" | "button" | "textbox" | "checkbox") => {
  const wanted = page.getByRole(role, { name }).first()
  await wanted.waitFor()
  for (let n = 0; n < 60; n++) {
    await page.keyboard.press("Tab")
    if (await wanted.evaluate((node) => node === node.ownerDocument.activeElement)) return
  }
  throw new Error(`Tab never came to ${role} ${name}`)
}
