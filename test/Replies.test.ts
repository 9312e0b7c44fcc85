/** What a turn says besides a reply, through the whole gateway and Slack's real clients; and whose keys it uses. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Metric } from "effect"
import { type Gateway, Handler, type Turn } from "slackwater"
import { LocalSlack } from "slackwater/testing"
import { repliesDiverged } from "../src/Telemetry.ts"
import {
  answered,
  answers,
  eventually,
  startGateway,
  temporaryDirectory,
  withDatabase,
  withSlack
} from "./fixtures/gateway.ts"

const dm = { channel: "D0ALICE", user: "U0ALICE" }

const test = <A, E>(
  sentence: string,
  handler: Gateway.Options["handler"],
  body: (slack: LocalSlack["Service"], dataDir: string) => Effect.Effect<A, E, LocalSlack>
) =>
  it.live(sentence, () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dataDir = yield* temporaryDirectory
      yield* startGateway(dataDir, handler, { maxAttempts: 2 })
      return yield* body(slack, dataDir)
    })))

const ask = (slack: LocalSlack["Service"]) => Effect.asVoid(slack.say({ ...dm, text: "go" }))
const keysIn = (dataDir: string) =>
  withDatabase(
    dataDir,
    (database) =>
      database.prepare("SELECT key FROM slackwater_outbox ORDER BY id").all().map((row) => String(row["key"]))
  )

const settledRows = (dataDir: string, n: number) =>
  eventually(
    `${n} rows are settled`,
    Effect.map(
      withDatabase(dataDir, (database) =>
        database.prepare("SELECT count(*) AS n FROM slackwater_outbox WHERE finished_at IS NOT NULL").get()),
      (row) =>
        Number(row?.["n"]) === n
    )
  )

/** The same in both styles. */
const everything = {
  effect: Handler.make((turn: Turn) =>
    Effect.gen(function*() {
      yield* turn.react("eyes")
      const draft = yield* turn.reply("draft")
      const gone = yield* turn.reply("gone")
      yield* turn.update(draft, "better")
      yield* draft.react(":tada:")
      yield* turn.delete(gone)
      yield* turn.reply({ text: "psst", ephemeral: "U0ALICE" })
      yield* turn.react("eyes", undefined, { remove: true })
      yield* draft.delivered
    })
  ),
  promise: Handler.promise(async (turn) => {
    await turn.react("eyes")
    const draft = await turn.reply("draft")
    const gone = await turn.reply("gone")
    await turn.update(draft, "better")
    await draft.react(":tada:")
    await turn.delete(gone)
    await turn.reply({ text: "psst", ephemeral: "U0ALICE" })
    await turn.react("eyes", undefined, { remove: true })
    await draft.delivered()
  })
}

describe("a turn", () => {
  for (const [style, handler] of Object.entries(everything)) {
    test(
      `reacts, updates, deletes and whispers, in order (${style} style)`,
      handler,
      (slack, dataDir) =>
        Effect.gen(function*() {
          yield* ask(slack)
          yield* settledRows(dataDir, 8)
          const messages = yield* slack.messages("D0ALICE")
          assert.deepStrictEqual(
            messages.map(({ reactions = [], text }) => [text, reactions.map(({ name }) => name)]),
            [["go", []], ["better", ["tada"]]]
          )
          assert.include(yield* slack.awaitJournal(({ _tag }) => _tag === "EphemeralPosted"), { text: "psst" })
          const reacted = yield* slack.awaitJournal(({ _tag }) => _tag === "ReactionAdded")
          assert.include(reacted, { name: "eyes", ts: messages[0]?.ts ?? "" })
        })
    )
  }

  test(
    "answers a slash command at its response_url",
    Handler.make((turn) => Effect.asVoid(turn.respond({ text: `did ${turn.text}`, responseType: "in_channel" }))),
    (slack) =>
      Effect.gen(function*() {
        yield* eventually(
          "connected",
          Effect.map(
            Effect.exit(slack.command({
              channel: "C0GENERAL",
              user: "U0ALICE",
              command: "/do",
              text: "it"
            })),
            ({ _tag }) => _tag === "Success"
          )
        )
        yield* answered("C0GENERAL", "did it")
      })
  )

  test(
    "hears at once that there is no response_url, and that nothing was said",
    Handler.make((turn) =>
      Effect.gen(function*() {
        const none = yield* Effect.flip(turn.respond("x"))
        const empty = yield* Effect.flip(turn.reply(""))
        return `${none.message} / ${empty.message}`
      })
    ),
    (slack) =>
      Effect.gen(function*() {
        yield* ask(slack)
        const said = "this turn has no response_url: it is about no command and no button / " +
          "an empty reply: neither text nor blocks nor markdown"
        yield* answered("D0ALICE", said)
      })
  )
})

/** Says one thing in a step and one outside, and is run twice. */
const again = (first: (turn: Turn) => Effect.Effect<unknown, unknown>) =>
  Handler.make((turn) =>
    Effect.gen(function*() {
      yield* first(turn)
      if (turn.attempt === 1) return yield* Effect.fail("once more")
    })
  )

describe("a turn that is run again", () => {
  test(
    "posts nothing twice that it says again, and keeps what a step said with the step",
    again((turn) =>
      Effect.gen(function*() {
        // In the second run this comes first.
        if (turn.attempt === 2) yield* turn.reply({ text: "note", key: "note" })
        yield* turn.reply("hello")
        yield* turn.step("look: 1", turn.reply("looking").pipe(Effect.as("found")))
        yield* turn.step(`later ${turn.attempt}`, Effect.as(turn.reply("in another step"), null))
      })
    ),
    (slack, dataDir) =>
      Effect.gen(function*() {
        yield* ask(slack)
        yield* answered("D0ALICE", "note")
        yield* settledRows(dataDir, 5)
        const keys = yield* keysIn(dataDir)
        const places = keys.map((key) => key.replace(/^turn_[a-z0-9_]+:/, "").replace(/:[0-9a-f]{32}$/, ""))
        assert.deepStrictEqual(places, ["said", "step:look%3A 1", "step:later 1", "key:note", "step:later 2"])
        assert.deepStrictEqual((yield* answers("D0ALICE")).filter((text) => text === "hello"), ["hello"])
      })
  )

  test(
    "posts what it says differently at the same place, and counts it",
    again((turn) => turn.reply(`attempt ${turn.attempt}`)),
    (slack, dataDir) =>
      Effect.gen(function*() {
        const before = yield* Metric.value(repliesDiverged)
        yield* ask(slack)
        yield* answered("D0ALICE", "attempt 2")
        yield* settledRows(dataDir, 2)
        assert.deepStrictEqual(yield* answers("D0ALICE"), ["attempt 1", "attempt 2"])
        assert.strictEqual((yield* Metric.value(repliesDiverged)).count - before.count, 1)
      })
  )

  it.live("in the promise style, a step's replies belong to the turn it is given", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dataDir = yield* temporaryDirectory
      yield* startGateway(
        dataDir,
        Handler.promise(async (turn) => {
          await turn.step("look", async (inside) => {
            await inside.reply("looking")
          })
        })
      )
      yield* ask(slack)
      yield* answered("D0ALICE", "looking")
      assert.match((yield* keysIn(dataDir))[0] ?? "", /:step:look:[0-9a-f]{32}$/)
    })))
})
