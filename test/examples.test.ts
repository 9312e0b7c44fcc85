/** The examples run, and what the pages show of them is what they are. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import { exec } from "node:child_process"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { LocalSlack } from "slackwater/testing"
import { sell, shop } from "../examples/transactional-outbox.ts"
import { loadHandler } from "../src/cli/handlerModule.ts"
import { version } from "../src/version.ts"
import { has } from "./cli/process.ts"
import { startExec } from "./fixtures/exec.ts"
import {
  answered,
  answers,
  connected,
  dm,
  echo,
  eventually,
  settingsFor,
  startGateway,
  temporaryDirectory,
  withSlack
} from "./fixtures/gateway.ts"

const root = new URL("../", import.meta.url)
const read = (path: string) => readFileSync(new URL(path, root), "utf8")

const load = (name: string) =>
  Effect.map(loadHandler(`${fileURLToPath(root)}examples/${name}`), ({ handler }) => handler)

const asks = (name: string, question: string, expected: ReadonlyArray<string>) =>
  withSlack(Effect.gen(function*() {
    const slack = yield* LocalSlack
    yield* startGateway(yield* temporaryDirectory, yield* load(name))
    yield* slack.say({ channel: "D0ALICE", user: "U0ALICE", text: question })
    yield* answered("D0ALICE", expected.at(-1) ?? "")
    assert.deepStrictEqual(yield* answers("D0ALICE"), expected)
  }))

describe("examples", () => {
  it.live("echo.ts answers what was said", () => asks("echo.ts", "hello", ["You said: hello"]))

  it.live("promise.ts answers with what its promise returns", () =>
    asks("promise.ts", "Is it safe", ["Let me think.", "Is it safe? I would say so."]))

  it.live("agent.ts asks its model and uses its tools once each, and remembers it for the next question", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      yield* startGateway(yield* temporaryDirectory, yield* load("agent.ts"))
      const first = "tea: 3 euros; tea is ordered. Orders so far: 1"
      yield* slack.say({ ...dm, text: "tea" })
      yield* answered("D0ALICE", first)
      const second = "salt: 3 euros; salt is ordered. Orders so far: 2"
      yield* slack.say({ ...dm, text: "salt" })
      yield* answered("D0ALICE", second)
      assert.deepStrictEqual(yield* answers("D0ALICE"), [first, second])
    })))

  it.effect("slow.ts replies at once and answers ten seconds later", () =>
    Effect.gen(function*() {
      const handler = yield* load("slow.ts")
      const said: Array<unknown> = []
      const turn = { text: "why", attempt: 1, reply: (text: unknown) => Effect.sync(() => said.push(text)) }
      const run = yield* Effect.forkChild(handler.run(turn as never), { startImmediately: true })
      assert.deepStrictEqual(said, ["Let me think about that for ten seconds."])
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* Fiber.join(run), "I thought about it (attempt 1): why")
    }))

  it.live("routes.ts answers a command twice, a button, a reaction, and a modal with errors until it is right", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      const { handler, respond } = yield* loadHandler(`${fileURLToPath(root)}examples/routes.ts`)
      yield* startGateway(yield* temporaryDirectory, handler, {}, respond === undefined ? {} : { respond })
      yield* connected
      yield* slack.command({ ...dm, command: "/deploy", text: "it" })
      yield* answered("D0ALICE", "/deploy it: shall I?")
      yield* slack.awaitJournal((entry) => entry._tag === "EphemeralPosted" && entry.text === "Looking into it …")
      const ts = (yield* slack.messages("D0ALICE")).at(-1)?.ts ?? ""
      yield* slack.gesture({ does: "press", ...dm, ts, action_id: "approve", value: "yes" })
      yield* answered("D0ALICE", "<@U0ALICE> pressed approve.")
      yield* slack.gesture({ does: "react", ...dm, ts, reaction: "eyes" })
      yield* answered("D0ALICE", "Thank you for the :eyes:")
      const submit = (value: string) =>
        slack.gesture({
          does: "submit",
          user: "U0ALICE",
          view: { state: { values: { where: { city: { type: "plain_text_input", value } } } } }
        })
      const refused = yield* submit("Paris")
      const ack = yield* slack.awaitJournal((entry) => entry._tag === "AckReceived" && entry.envelopeId === refused)
      assert.nestedPropertyVal(ack, "payload.errors.where", "All roads lead to Rome.")
      yield* submit("Rome")
      yield* answered("D0ALICE", "Rome it is.")
      assert.notInclude(yield* answers("D0ALICE"), "Paris it is.")
    })))

  it.live("activation.ts answers a question that nobody asked it, and nothing else in a channel", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      const { activate, handler } = yield* loadHandler(`${fileURLToPath(root)}examples/activation.ts`)
      yield* startGateway(yield* temporaryDirectory, handler, {}, activate === undefined ? {} : { activate })
      const general = { channel: "C0GENERAL", user: "U0BOB" }
      yield* slack.say({ ...general, text: "It is noon." })
      yield* slack.say({ ...general, text: "Is it noon?" })
      yield* answered("C0GENERAL", "A good question: Is it noon?")
      yield* slack.say({ ...dm, text: "hello" })
      yield* answered("D0ALICE", "A good question: hello")
      assert.deepStrictEqual(yield* answers("C0GENERAL"), ["A good question: Is it noon?"])
    })))

  const commands: ReadonlyArray<readonly [file: string, command: string, wants: string, answer: RegExp]> = [
    ["bot.py", "python3 examples/bot.py", "python3", /^Letters: 2 2 2 3$/],
    ["bot.sh", "examples/bot.sh", "sh", /^You said: to be "or" not$/]
  ]
  for (const [file, command, wants, answer] of commands) {
    it.live.skipIf(!has(wants))(
      `${file} answers, as a command${has(wants) ? "" : ` (skipped: no ${wants})`}`,
      () =>
        withSlack(Effect.gen(function*() {
          const slack = yield* LocalSlack
          yield* startExec(command, { env: { BOT_COMMAND: "echo \"a 'quoted' answer\"" } })
          yield* slack.say({ ...dm, text: file === "bot.sh" ? "to be \"or\" not" : "to be or not" })
          yield* eventually(
            "the answer",
            Effect.map(answers("D0ALICE"), (texts) => texts.some((text) => answer.test(text)))
          )
          if (file === "bot.sh") yield* answered("D0ALICE", "a 'quoted' answer ")
        }))
    )
  }

  it.live("transactional-outbox.ts tells once of each order, and not of what could not be sold", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      const directory = yield* temporaryDirectory
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const refused = (order: string, item: string) => Effect.map(Effect.flip(sell(order, item)), ({ _tag }) => _tag)
        const left = Effect.map(sql<{ readonly pieces: number }>`SELECT pieces FROM stock`, ([row]) => row?.pieces)
        yield* sql`INSERT INTO stock VALUES ('lamp', 2)`
        yield* sell("1", "lamp")
        yield* sell("1", "lamp")
        assert.strictEqual(yield* left, 1)
        assert.strictEqual(yield* refused("2", "unicorn"), "SoldOut")
        yield* sell("3", "lamp")
        assert.strictEqual(yield* refused("4", "lamp"), "SoldOut")
        // What was refused left no order behind, so it can be tried again.
        yield* sql`UPDATE stock SET pieces = 1`
        yield* sell("4", "lamp")
        const told = ["1", "3", "4"].map((order) => `Order ${order}: one lamp`)
        yield* answered("C0GENERAL", told.at(-1) ?? "")
        assert.deepStrictEqual(yield* answers("C0GENERAL"), told)
      }).pipe(Effect.provide(shop(join(directory, "shop.db"), settingsFor(slack, directory)), { local: true }))
    })))

  it("are at most 60 lines each", () => {
    for (const name of readdirSync(new URL("examples/", root))) {
      assert.isAtMost(read(`examples/${name}`).split("\n").length, 60, name)
    }
  })
})

const pages = [
  "README.md",
  "CONTRIBUTING.md",
  ...readdirSync(new URL("docs/", root)).filter((name) => name.endsWith(".md")).map((name) => `docs/${name}`)
]
const shownOn = (page: string) => [
  ...read(page).matchAll(/```(?:ts|python|sh)\n(?:\/\/|#) (examples\/\S+)\n([\s\S]*?)```/g)
]
/** Without what it says about itself first. */
const bodyOf = (path: string) => read(path).replace(/^\/\*\*[\s\S]*?\*\/\n|^(?:#.*\n)+/, "")

describe("the pages", () => {
  it("show examples", () => {
    const shown = pages.flatMap(shownOn).map(([, path]) => path)
    // Except for those to be run and killed.
    for (
      const name of readdirSync(new URL("examples/", root)).filter((name) => name !== "slow.ts" && name !== "demo.ts")
    ) {
      assert.include(shown, `examples/${name}`)
    }
  })

  for (const page of pages) {
    it(`${page} shows them as they are`, () => {
      for (const [, path, code] of shownOn(page)) {
        assert.strictEqual(code, bodyOf(path ?? ""), path)
      }
    })

    it(`${page} links only to what is there`, () => {
      for (const [, path] of read(page).matchAll(/\]\((?!https?:|#)([^)#\s]+)[^)\s]*\)/g)) {
        assert.isTrue(existsSync(new URL(path ?? "", new URL(page, root))), path)
      }
    })
  }
})

describe("README", () => {
  it.live.skipIf(!has("curl"))(
    "shows commands for the local Slack that it takes",
    () =>
      withSlack(Effect.gen(function*() {
        const { url } = yield* LocalSlack
        yield* startGateway(yield* temporaryDirectory, echo)
        yield* connected
        const commands = [...read("README.md").matchAll(/^curl .*$/gm)].map(([command]) => command)
        assert.lengthOf(commands, 3)
        const said = yield* Effect.forEach(commands, (command) =>
          Effect.promise(() =>
            promisify(exec)(command.replace("http://127.0.0.1:8788", url).replace(/^curl/, "curl -sf"))
          ))
        assert.deepStrictEqual(
          said.slice(0, 2).map(({ stdout }) =>
            Object(JSON.parse(stdout)).ok
          ),
          [true, true]
        )
        assert.nestedPropertyVal(JSON.parse(said[2]?.stdout ?? ""), "messages[0].text", "hello")
      }))
  )
})

describe("version", () => {
  it("is the one of package.json", () => {
    const manifest = JSON.parse(read("package.json")) as { readonly version: string }
    assert.strictEqual(version, manifest.version)
  })
})
