/** The switches of the chat page: each does what it says, is seen to be on, and ends. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { LocalSlack } from "../../src/testing/index.ts"
import { dm, echo, startGateway, temporaryDirectory, withSlack } from "../fixtures/gateway.ts"
import { bareClient, greeted } from "../testing/bareClient.ts"
import { Browser, inBrowser, inPage, type Page } from "./browser.ts"

const call = (method: string, params: Readonly<Record<string, unknown>>, token = "xoxb-test") =>
  Effect.flatMap(LocalSlack, ({ apiUrl }) =>
    Effect.promise(async () => {
      try {
        const response = await fetch(`${apiUrl}${method}`, {
          method: "POST",
          headers: { authorization: `Bearer ${token}`, "content-type": "application/json", connection: "close" },
          body: JSON.stringify(params)
        })
        return { status: response.status, retryAfter: response.headers.get("retry-after") }
      } catch {
        return { status: 0, retryAfter: null }
      }
    }))
const post = call("chat.postMessage", { channel: "D0ALICE", text: "hi" })
const posted = Effect.flatMap(LocalSlack, (slack) => slack.messages("D0ALICE"))

const flip = (page: Page, name: string, on = true) =>
  inPage(page, async (page) => {
    const button = page.getByRole("switch", { name })
    await button.click()
    await page.locator(`[role=switch][aria-checked=${on}]`).filter({ hasText: name }).waitFor()
  })

const open = Effect.gen(function*() {
  const slack = yield* LocalSlack
  return { slack, page: yield* Browser.use((browser) => browser.open(slack.url)) }
})

/** What the client sees next that is no ping. */
const frame = (client: { readonly next: Effect.Effect<string> }): Effect.Effect<string> =>
  Effect.flatMap(client.next, (seen) => seen === "ping" ? frame(client) : Effect.succeed(seen))

inBrowser("what can go wrong", (it) => {
  it.effect("Drop acks: an ack is not heard, and the event comes again", () =>
    withSlack(Effect.gen(function*() {
      const { page, slack } = yield* open
      yield* flip(page, "Drop acks")
      const client = yield* greeted
      yield* slack.say({ ...dm, text: "hello" })
      const first = JSON.parse(yield* frame(client))
      client.socket.send(JSON.stringify({ envelope_id: first.envelope_id }))
      const again = JSON.parse(yield* frame(client))
      assert.deepStrictEqual([again.retry_attempt, again.payload.event_id], [1, first.payload.event_id])
      yield* inPage(page, (page) => page.locator(".way [data-kind=ackLost]").waitFor())
    })))

  it.effect("Lose events while the bot is away: what is said then never comes", () =>
    withSlack(Effect.gen(function*() {
      const { page, slack } = yield* open
      yield* flip(page, "Lose events")
      yield* slack.say({ ...dm, text: "lost" })
      const client = yield* greeted
      yield* slack.say({ ...dm, text: "kept" })
      assert.strictEqual(JSON.parse(yield* frame(client)).payload.event.text, "kept")
    })))

  it.effect("Refuse connections: nobody gets one", () =>
    withSlack(Effect.gen(function*() {
      const { page } = yield* open
      yield* flip(page, "Refuse connections")
      assert.strictEqual(yield* (yield* bareClient).next, "refused 503")
      yield* flip(page, "Refuse connections", false)
      yield* greeted
    })))

  it.effect("Go silent: the connection stays and nothing is answered", () =>
    withSlack(Effect.gen(function*() {
      const { page, slack } = yield* open
      const client = yield* greeted
      yield* flip(page, "Go silent")
      client.socket.ping()
      yield* slack.say({ ...dm, text: "hello" })
      // Switched off, the connection is reset; nothing came before.
      yield* flip(page, "Go silent", false)
      assert.strictEqual(yield* frame(client), "close")
    })))

  it.effect("Answer 429: a post is refused, with the time to wait", () =>
    withSlack(Effect.gen(function*() {
      const { page } = yield* open
      yield* flip(page, "Answer 429")
      assert.deepStrictEqual(yield* post, { status: 429, retryAfter: "2" })
      assert.lengthOf(yield* posted, 0)
      yield* flip(page, "Answer 429", false)
      assert.strictEqual((yield* post).status, 200)
    })))

  it.effect("Slow API: an answer is late, what was asked is done at once", () =>
    withSlack(Effect.gen(function*() {
      const { page, slack } = yield* open
      yield* flip(page, "Slow API")
      const answered = yield* Effect.forkChild(post)
      yield* slack.awaitJournal((entry) => entry._tag === "MessagePosted")
      assert.isUndefined(answered.pollUnsafe())
      yield* inPage(page, (page) => page.locator("#messages").getByText("hi").waitFor())
    })))

  it.effect("Reset after commit: the post is there and the caller saw a reset", () =>
    withSlack(Effect.gen(function*() {
      const { page } = yield* open
      yield* flip(page, "Reset after commit")
      assert.strictEqual((yield* post).status, 0)
      assert.lengthOf(yield* posted, 1)
    })))

  it.effect("Reset before commit: the caller saw a reset and nothing is there", () =>
    withSlack(Effect.gen(function*() {
      const { page } = yield* open
      yield* flip(page, "Reset before commit")
      assert.strictEqual((yield* post).status, 0)
      assert.lengthOf(yield* posted, 0)
    })))

  it.effect("Answer 503: whatever is asked", () =>
    withSlack(Effect.gen(function*() {
      const { page } = yield* open
      yield* flip(page, "Answer 503")
      assert.strictEqual((yield* post).status, 503)
      assert.strictEqual((yield* call("auth.test", {})).status, 503)
    })))

  it.effect("Outage: connections are cut, none comes, and the API does not answer, until it ends", () =>
    withSlack(Effect.gen(function*() {
      const { page } = yield* open
      const client = yield* greeted
      yield* flip(page, "Outage")
      assert.strictEqual(yield* frame(client), "close")
      assert.strictEqual((yield* post).status, 0)
      yield* inPage(page, async (page) => {
        await page.getByText("Trouble is on: Outage").waitFor()
        assert.strictEqual(await page.getByRole("switch", { name: "Refuse connections", checked: true }).count(), 0)
        await page.getByRole("button", { name: "End all" }).click()
        await page.locator("#trouble").waitFor({ state: "hidden" })
      })
      assert.strictEqual((yield* post).status, 200)
    })))

  it.effect("Kill the socket resets the connection; asking the bot to reconnect tells it to go", () =>
    withSlack(Effect.gen(function*() {
      const { page } = yield* open
      const told = yield* greeted
      yield* inPage(page, (page) => page.getByRole("button", { name: "Ask the bot to reconnect" }).click())
      assert.strictEqual(JSON.parse(yield* frame(told)).reason, "refresh_requested")
      const cut = yield* greeted
      yield* inPage(page, (page) => page.getByRole("button", { name: "Kill the socket" }).click())
      assert.strictEqual(yield* frame(cut), "close")
    })))

  it.effect("what is on is said to everybody who looks, also what no switch knows, and one click ends all of it", () =>
    withSlack(Effect.gen(function*() {
      const { page, slack } = yield* open
      const other = yield* Browser.use((browser) => browser.open(slack.url))
      yield* slack.faults({ historyLagMs: 1_000, rateLimit: { method: "chat.postMessage", times: 1 } })
      yield* inPage(other, (page) => page.getByText("Trouble is on: historyLagMs, rateLimit").waitFor())
      yield* post
      yield* flip(page, "Drop acks")
      yield* inPage(other, async (page) => {
        // What is used up is off.
        await page.getByText("Trouble is on: Drop acks, historyLagMs", { exact: true }).waitFor()
        await page.getByRole("button", { name: "End all" }).click()
        await page.locator("#trouble").waitFor({ state: "hidden" })
      })
      yield* inPage(page, (page) => page.locator("#trouble").waitFor({ state: "hidden" }))
    })))

  it.effect("with a real gateway every message is answered once through resets, 429 and lost acks", () =>
    withSlack(Effect.gen(function*() {
      const { page, slack } = yield* open
      yield* startGateway(yield* temporaryDirectory, echo)
      for (const name of ["Drop acks", "Reset after commit"]) yield* flip(page, name)
      yield* inPage(page, async (page) => {
        await page.locator("#text").fill("once, please")
        await page.keyboard.press("Enter")
        await page.locator("#messages").getByText("You said: once, please").waitFor()
        await page.locator(".way [data-kind=sentAgain]").first().waitFor()
        await page.getByRole("button", { name: "End all" }).click()
        await page.locator("#text").fill("and again")
        await page.keyboard.press("Enter")
        await page.locator("#messages").getByText("You said: and again").waitFor()
      })
      const answers = (yield* slack.messages("D0ALICE")).filter(({ bot_id }) => bot_id !== undefined)
      assert.deepStrictEqual(answers.map(({ text }) => text), ["You said: once, please", "You said: and again"])
    })))
})
