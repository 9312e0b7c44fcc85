/** The chat page in a real browser: people write, press and fill in; a real gateway answers. */
import { assert } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { Handler } from "slackwater"
import { LocalSlack } from "../../src/testing/index.ts"
import { eventually } from "../cli/process.ts"
import { startGateway, temporaryDirectory, withSlack } from "../fixtures/gateway.ts"
import { Browser, desktop, inBrowser, inPage, type Look, type Page, phone } from "./browser.ts"

const buttons = [
  { type: "section", text: { type: "mrkdwn", text: "Shall I?" } },
  {
    type: "actions",
    elements: [{ type: "button", action_id: "form", value: "v1", text: { type: "plain_text", text: "Open the form" } }]
  }
]
const form = {
  type: "modal",
  title: { type: "plain_text", text: "Travel" },
  submit: { type: "plain_text", text: "Go" },
  blocks: [{
    type: "input",
    block_id: "where",
    label: { type: "plain_text", text: "City" },
    element: { type: "plain_text_input", action_id: "city" }
  }]
}

const openForm = Effect.fnUntraced(function*(trigger_id: string) {
  const { apiUrl } = yield* LocalSlack
  yield* Effect.promise(() =>
    fetch(`${apiUrl}views.open`, {
      method: "POST",
      headers: { authorization: "Bearer xoxb-test", "content-type": "application/json" },
      body: JSON.stringify({ trigger_id, view: form })
    })
  )
})

/** Answers by what is asked: buttons, a file, a status that stays, or an echo. */
const handler = Handler.route({
  message: (turn) =>
    turn.text.includes("buttons")
      ? turn.reply({ text: "Shall I?", blocks: buttons })
      : turn.text.includes("file")
      ? turn.upload({ filename: "notes.txt", content: "what was said\n" })
      : turn.text.includes("think")
      ? Effect.andThen(turn.status("is thinking…"), Effect.never)
      : turn.reply(`You said: ${turn.text}`),
  blockAction: (turn, { actions: [action], trigger_id, user }) =>
    Effect.as(openForm(trigger_id ?? ""), `<@${user.id}> pressed ${action.action_id} ${action.value}`).pipe(
      Effect.flatMap((text) => turn.reply(text))
    ),
  viewSubmission: (turn, { view }) => turn.reply(`${view.state.values["where"]?.["city"]?.value} it is.`)
})
const respond = {
  viewSubmission: (
    { view }: { readonly view: { readonly state: { readonly values: Readonly<Record<string, unknown>> } } }
  ) =>
    JSON.stringify(view.state.values).includes("Rome")
      ? undefined
      : { response_action: "errors" as const, errors: { where: "All roads lead to Rome." } }
}

/** The page, with a gateway that is connected. */
const chat = Effect.fnUntraced(function*(look?: Look) {
  const slack = yield* LocalSlack
  yield* startGateway(yield* temporaryDirectory, handler, { shutdownTimeout: Duration.seconds(1) }, { respond })
  const page = yield* Browser.use((browser) => browser.open(slack.url, look))
  yield* inPage(page, (page) => page.getByText("bot connected").waitFor())
  return { slack, page }
})

const say = async (page: Page, text: string) => {
  await page.locator("#text").fill(text)
  await page.keyboard.press("Enter")
}
const texts = (slack: LocalSlack["Service"], channel: string) =>
  Effect.map(slack.messages(channel), (messages) => messages.map(({ text }) => text))

inBrowser("the chat page", (it) => {
  it.effect("a message is answered, and both appear without a reload", () =>
    withSlack(Effect.gen(function*() {
      const { page } = yield* chat()
      yield* inPage(page, async (page) => {
        await say(page, "hello")
        await page.locator("#messages").getByText("You said: hello").waitFor()
      })
    })))

  it.effect("typing @ offers the people, and the chosen one is mentioned", () =>
    withSlack(Effect.gen(function*() {
      const { page, slack } = yield* chat()
      yield* inPage(page, async (page) => {
        await page.getByRole("button", { name: "general" }).click()
        await page.locator("#text").pressSequentially("@b")
        await page.getByRole("option", { name: "@bot" }).waitFor()
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("ArrowUp")
        await page.keyboard.press("Enter")
        await page.keyboard.type("are you there?")
        await page.keyboard.press("Enter")
        await page.locator("#replies, #messages").getByText("You said: are you there?").first().waitFor()
      })
      assert.strictEqual((yield* texts(slack, "C0GENERAL"))[0], "<@U0BOT> are you there?")
    })))

  it.effect("a thread is opened and answered in, and its status is shown while the bot works", () =>
    withSlack(Effect.gen(function*() {
      const { page, slack } = yield* chat()
      yield* inPage(page, async (page) => {
        await page.getByRole("button", { name: "general" }).click()
        await say(page, "@bot hello")
        await page.getByRole("button", { name: /1 reply/ }).click()
        await page.locator("#reply").fill("and now think")
        await page.keyboard.press("Enter")
        await page.locator("#replies").getByText("and now think").waitFor()
        await page.locator("#reply-busy").getByText("is thinking…").waitFor()
      })
      const [root, , reply] = yield* slack.messages("C0GENERAL")
      assert.strictEqual(reply?.thread_ts, root?.ts)
    })))

  it.effect("a button is pressed, a modal opens, is refused once, and is submitted", () =>
    withSlack(Effect.gen(function*() {
      const { page } = yield* chat()
      yield* inPage(page, async (page) => {
        await say(page, "buttons, please")
        await page.getByRole("button", { name: "Open the form" }).click()
        const modal = page.getByRole("dialog", { name: "Travel" })
        await modal.getByLabel("City").fill("Paris")
        await modal.getByRole("button", { name: "Go" }).click()
        await modal.getByText("All roads lead to Rome.").waitFor()
        await modal.getByLabel("City").fill("Rome <i>")
        await page.keyboard.press("Enter")
        await modal.waitFor({ state: "hidden" })
        await page.locator("#messages").getByText("Rome <i> it is.").waitFor()
        await page.locator("#messages").getByText("pressed form v1").waitFor()
      })
    })))

  it.effect("files go both ways", () =>
    withSlack(Effect.gen(function*() {
      const { page, slack } = yield* chat()
      const content = yield* inPage(page, async (page) => {
        await page.locator("#file").setInputFiles({
          name: "plan<1>.txt",
          mimeType: "text/plain",
          buffer: Buffer.from("x")
        })
        await page.locator("#files").getByText("plan<1>.txt").waitFor()
        await say(page, "a file, please")
        await page.locator("#messages").getByText("plan<1>.txt").waitFor()
        const link = page.getByRole("link", { name: "notes.txt" })
        await link.waitFor()
        const [download] = await Promise.all([page.waitForEvent("download"), link.click()])
        const parts: Array<Buffer> = []
        for await (const part of await download.createReadStream()) parts.push(Buffer.from(part))
        return Buffer.concat(parts).toString()
      })
      assert.strictEqual(content, "what was said\n")
      assert.strictEqual((yield* slack.messages("D0ALICE"))[0]?.files?.[0]?.title, "plan<1>.txt")
    })))

  it.effect("one's own message is edited, reacted to and deleted, another's is not", () =>
    withSlack(Effect.gen(function*() {
      const { page, slack } = yield* chat()
      yield* inPage(page, async (page) => {
        await page.getByRole("button", { name: "general" }).click()
        await say(page, "frist")
        const mine = page.locator("#messages > li").first()
        await mine.hover()
        await mine.getByLabel("React, edit, delete").click()
        await mine.getByRole("button", { name: "Edit" }).click()
        await page.keyboard.press("ControlOrMeta+a")
        await page.keyboard.type("first")
        await page.keyboard.press("Enter")
        await mine.getByText("(edited)").waitFor()
        await page.getByLabel("Bob").check({ force: true })
        await mine.hover()
        await mine.getByLabel("React, edit, delete").click()
        assert.strictEqual(await mine.getByRole("button", { name: "Delete" }).count(), 0)
        await mine.getByRole("button", { name: "React with eyes" }).click()
        await mine.getByRole("button", { name: "eyes, 1" }).waitFor()
        await page.getByLabel("Alice").check({ force: true })
        await mine.hover()
        await mine.getByLabel("React, edit, delete").click()
        await mine.getByRole("button", { name: "Delete" }).click()
      })
      yield* eventually("it is gone", slack.messages("C0GENERAL"), (messages) => messages.length === 0)
    })))

  it.effect("a new channel is there at once, for everybody who looks", () =>
    withSlack(Effect.gen(function*() {
      const { page, slack } = yield* chat({ ...desktop, expected: [/status of 400/] })
      const other = yield* Browser.use((browser) => browser.open(slack.url))
      yield* inPage(page, async (page) => {
        await page.getByRole("button", { name: "+ New channel" }).click()
        await page.getByRole("textbox", { name: "Name" }).fill("No Good")
        await page.keyboard.press("Enter")
        await page.getByText("Small letters, digits").waitFor()
        await page.getByRole("textbox", { name: "Name" }).fill("plans")
        await page.keyboard.press("Enter")
        await page.getByRole("heading", { name: "# plans" }).waitFor()
        await say(page, "@bot hello")
        await page.locator("#messages").getByText("You said: hello").first().waitFor()
      })
      yield* inPage(other, (page) => page.getByRole("button", { name: "plans" }).waitFor())
    })))

  it.effect("nothing that is written becomes markup, wherever it is shown", () =>
    withSlack(Effect.gen(function*() {
      const { page, slack } = yield* chat()
      const evil = "<script>document.title='x'</script><img src=x onerror=\"document.title='x'\">"
      const escaped = evil.replaceAll("<", "&lt;").replaceAll(">", "&gt;")
      const root = yield* slack.say({ channel: "C0GENERAL", user: "U0BOB", text: evil, files: [evil] })
      yield* slack.say({ channel: "C0GENERAL", user: "U0BOB", text: "<javascript:alert(1)|click>", thread_ts: root })
      yield* inPage(page, async (page) => {
        await page.getByRole("button", { name: "general" }).click()
        await say(page, `@bot ${evil}`)
        await page.locator("#messages").getByText(`You said: ${evil}`).first().waitFor()
        await page.getByRole("button", { name: /1 reply Bob/ }).click()
        assert.strictEqual(
          await page.locator("#messages script, #messages img, #replies script, #replies img").count(),
          0
        )
        assert.strictEqual(await page.locator("a[href^='javascript']").count(), 0)
        assert.strictEqual(await page.title(), "LocalSlack")
      })
      assert.include(yield* texts(slack, "C0GENERAL"), `<@U0BOT> ${escaped}`)
    })))

  it.effect("everything can be done with the keyboard alone", () =>
    withSlack(Effect.gen(function*() {
      const { page, slack } = yield* chat()
      yield* inPage(page, async (page) => {
        const tabTo = async (name: string) => {
          for (let presses = 0; presses < 60; presses++) {
            const label = `document.activeElement === document.body ? ""
            : document.activeElement.getAttribute("aria-label") || document.activeElement.innerText`
            if (String(await page.evaluate(label)).trim().startsWith(name)) return
            await page.keyboard.press("Tab")
          }
          throw new Error(`Tab never reaches ${name}`)
        }
        await tabTo("Skip to the message field")
        await page.keyboard.press("Enter")
        await page.keyboard.type("hello")
        await page.keyboard.press("Enter")
        await page.locator("#messages").getByText("You said: hello").waitFor()
        await tabTo("Drop acks")
        await page.keyboard.press("Space")
        await page.getByText("Trouble is on: Drop acks").waitFor()
        await page.locator("#text").focus()
        await page.keyboard.press("Shift+Tab")
        await page.keyboard.press("Shift+Tab")
        await tabTo("React, edit, delete")
        await page.keyboard.press("Enter")
        await tabTo("React with heart")
        await page.keyboard.press("Enter")
      })
      yield* eventually(
        "the reaction",
        slack.messages("D0ALICE"),
        (messages) => messages.some(({ reactions }) => reactions?.[0]?.name === "heart")
      )
    })))

  it.effect("it fits a phone of 360 points, threads and trouble included", () =>
    withSlack(Effect.gen(function*() {
      const { page } = yield* chat(phone)
      yield* inPage(page, async (page) => {
        const fits = async (what: string) =>
          assert.isAtMost(Number(await page.evaluate("document.documentElement.scrollWidth")), 360, what)
        await say(page, "a word of forty letters: " + "x".repeat(40))
        await page.locator("#messages").getByText("You said: a word").waitFor()
        await fits("the conversation")
        await page.getByRole("button", { name: "general" }).tap()
        await say(page, "@bot hello")
        await page.getByRole("button", { name: /1 reply/ }).tap()
        await page.locator("#replies").getByText("You said: hello").waitFor()
        await fits("a thread")
        await page.getByRole("button", { name: "Close the thread" }).tap()
        await page.getByRole("button", { name: "Trouble" }).tap()
        await page.getByRole("switch", { name: "Slow API" }).tap()
        await fits("what can go wrong")
        await page.getByRole("button", { name: "Close", exact: true }).tap()
        await page.getByText("Trouble is on: Slow API").waitFor()
        await fits("with trouble")
      })
    })))
})
