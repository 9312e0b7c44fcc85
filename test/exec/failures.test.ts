/** What a command may do wrong: each fails the run of its turn, in a sentence that names the line. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { join } from "node:path"
import { LocalSlack } from "slackwater/testing"
import { program, startExec } from "../fixtures/exec.ts"
import {
  answered,
  answers,
  dm,
  eventually,
  settingsFor,
  temporaryDirectory,
  withDatabase,
  withSlack
} from "../fixtures/gateway.ts"

/** Runs it as the handler of one message, with one attempt; answers the error of the dead letter. */
const errorOf = Effect.fnUntraced(function*(command: string) {
  const slack = yield* LocalSlack
  const dataDir = yield* temporaryDirectory
  const settings = { maxAttempts: 1, ...settingsFor(slack, dataDir) }
  yield* startExec(command, { settings })
  yield* slack.say({ ...dm, text: "go" })
  yield* answered("D0ALICE", "Sorry, I could not answer this. Please try again, or ask whoever runs me.")
  const rows = yield* withDatabase(
    dataDir,
    (database) => database.prepare("SELECT error FROM slackwater_turns WHERE state = 'failed'").all()
  )
  assert.lengthOf(rows, 1)
  return String(rows[0]?.["error"])
})

const rows: ReadonlyArray<readonly [what: string, source: string, error: RegExp]> = [
  ["a line that is not JSON", `raw("hello"); await hear()`, /^line 1 of the command's output is not JSON: "hello"$/],
  ["a line that is no object", `raw(""); raw("[1]"); await hear()`, /^line 2 .* is no object with a type: "\[1\]"$/],
  [
    "a type that nobody knows",
    `say({ type: "shout" })`,
    /^line 1 .* has a type that is none of reply, .*: "\{\\"type\\":\\"shout\\"\}"$/
  ],
  ["a name that every object has", `say({ type: "toString" })`, /^line 1 .* has a type that is none of/],
  ["a field of the wrong type", `say({ type: "reply", text: 7 })`, /^line 1 .* is no reply \(.*"text".*\)/],
  ["a reply that says nothing, without a request", `say({ type: "reply" })`, /^line 1 .* was refused \(/],
  [
    "a step that is ended and was not begun",
    `say({ type: "step", name: "x", result: 1 })`,
    /^line 1 .* ends the step "x", which was not begun/
  ],
  ["a question for a step without a request", `say({ type: "step", name: "x" })`, /^line 1 .* needs a request/],
  [
    "words about another turn",
    `await hear(); say({ type: "status", turn: "t0", text: "" })`,
    /^line 1 .* speaks of another turn/
  ],
  [
    "a line that never ends",
    `raw("x".repeat(1_200_000)); await hear()`,
    /^line 1 .* is longer than 1000000 characters: "x{120}…"$/
  ],
  [
    "output after done",
    `await hear(); say({ type: "done" }); say({ type: "status", text: "late" })`,
    /^line 2 .* comes after done: /
  ],
  ["an end without done", `await hear(); process.exit(0)`, /^the command ended with code 0 before it said done$/],
  [
    "an exit code, with what it said on standard error",
    `await hear(); console.error("first\\nno key\\u001b[31m"); process.exit(3)`,
    /^the command ended with code 3 before it said done; at last it said on standard error: first\nno key/
  ],
  [
    "a signal",
    `await hear(); process.kill(process.pid, "SIGKILL")`,
    /^the command ended by SIGKILL before it said done$/
  ],
  ["an error in its own words", `say({ type: "error", message: "no model" })`, /^no model$/]
]

describe("a command's mistake is the error of its dead letter:", () => {
  for (const [what, source, error] of rows) {
    it.live(what, () =>
      withSlack(Effect.gen(function*() {
        assert.match(yield* errorOf(yield* program(source)), error)
      })))
  }

  it.live("a program that is not there any more", () =>
    withSlack(Effect.gen(function*() {
      const error = yield* errorOf(`"${join(yield* temporaryDirectory, "gone")}"`)
      assert.match(error, /^the command ended with code 127 before it said done; .*gone: not found/)
    })))
})

it.live("a command that closes its input and goes on is not waited for when it is answered", () =>
  withSlack(Effect.gen(function*() {
    const slack = yield* LocalSlack
    yield* startExec(
      yield* program(`
      await hear()
      process.stdin.destroy()
      for (let n = 0; n < 200; n++) say({ type: "history", request: n })
      say({ type: "done", reply: "deaf" })
    `)
    )
    yield* slack.say({ ...dm, text: "go" })
    yield* answered("D0ALICE", "deaf")
  })))

it.live("a command that answers with more than one gets it all in, and one turn's failure is no other's", () =>
  withSlack(Effect.gen(function*() {
    const slack = yield* LocalSlack
    yield* startExec(
      yield* program(`
      const turn = await hear()
      if (turn.text === "bad" && turn.attempt === 1) raw("nonsense")
      else say({ type: "done", reply: turn.text + " in run " + turn.attempt })
    `),
      { settings: { retryDelay: Duration.millis(20) } }
    )
    yield* slack.say({ ...dm, text: "bad" })
    yield* slack.say({ channel: "D0BOB", user: "U0BOB", text: "good" })
    yield* answered("D0BOB", "good in run 1")
    yield* eventually("both", Effect.map(answers("D0ALICE"), (texts) => texts.includes("bad in run 2")))
  })))
