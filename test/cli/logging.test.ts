/** How the command line logs: bounded, readable or JSON, at the level that is asked for, with the ids of a turn. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Repetitions } from "../../src/cli/logging.ts"
import { LocalSlack } from "../../src/testing/index.ts"
import { awaitReplies, gateway, startGateway } from "./gateway.ts"
import { echo, eventually, fixture, outcome, tokens } from "./process.ts"

const withSlack = Effect.provide(LocalSlack.layer())

describe("lines that say the same", () => {
  it("are written a hundred times a minute, and the next one says how many were left out", () => {
    const repetitions = new Repetitions()
    const written = Array.from({ length: 250 }, (_, n) => repetitions.admit("Error away", n))
    assert.strictEqual(written.filter((before) => before === 0).length, 100)
    assert.deepStrictEqual(repetitions.untold, [{ line: "Error away", leftOut: 150 }])
    assert.strictEqual(repetitions.admit("Error other", 300), 0)
    assert.strictEqual(repetitions.admit("Error away", 60_000), 150)
    assert.deepStrictEqual(repetitions.untold, [])
  })

  it("are told apart in bounded memory: lines beyond it are written", () => {
    const repetitions = new Repetitions()
    for (let n = 0; n < 5_000; n++) assert.strictEqual(repetitions.admit(`Error ${n}`, n), 0)
    for (let n = 0; n < 300; n++) assert.strictEqual(repetitions.admit("Error the newest", 6_000), 0)
  })
})

interface Line {
  readonly message: unknown
  readonly level: string
  readonly annotations: Readonly<Record<string, unknown>>
}

it.live("every line of a turn has its conversation, its id, its attempt and the ids of its messages", () =>
  Effect.gen(function*() {
    const { running, say } = yield* gateway(fixture("leaky"), {
      SLACKWATER_MAX_ATTEMPTS: "2",
      SLACKWATER_RETRY_DELAY: "10 millis"
    })
    yield* say("throw")
    yield* running.awaitOutput(/the turn failed for good/)
    const lines = running.stderr.split("\n").filter((line) => line.startsWith("{")).map((line): Line =>
      JSON.parse(line)
    )
    const ofTurn = lines.filter(({ message }) => String(message).startsWith("the turn failed"))
    assert.lengthOf(ofTurn, 2)
    for (const [n, { annotations }] of ofTurn.entries()) {
      assert.include(annotations, { conversation: "D0ALICE", attempt: n + 1, messages: "1" })
      assert.match(String(annotations["turn"]), /^turn_/)
    }
    assert.strictEqual(ofTurn[0]?.annotations["turn"], ofTurn[1]?.annotations["turn"])
  }).pipe(withSlack))

it.live("the format is a setting; pretty is one line, in which nothing of a stranger is obeyed", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const started = yield* gateway(echo, { SLACKWATER_LOG_FORMAT: "pretty" })
    yield* started.say("hello")
    yield* awaitReplies(started, 1)
    assert.match(
      started.running.stderr,
      /^\d\d:\d\d:\d\d\.\d{3} INFO {2}connected to Slack fiber=socket generation=1 connections=1$/m
    )

    yield* slack.faults({ error: { method: "chat.postMessage", code: "\u001b[31mevil\u202e" } })
    yield* started.say("again")
    yield* started.running.awaitOutput(/a reply may have arrived/)
    assert.notInclude(started.running.stderr, "\u001b")
    assert.notInclude(started.running.stderr, "\u202e")
  }).pipe(withSlack))

it.live("a level or a format that there is not is refused with 78 and the ones there are", () =>
  Effect.gen(function*() {
    for (const [name, one] of [["SLACKWATER_LOG_LEVEL", "warn"], ["SLACKWATER_LOG_FORMAT", "json"]] as const) {
      const { code, stderr } = yield* outcome(["run", echo], { env: { ...tokens, [name]: "loud" } })
      assert.strictEqual(code, 78)
      assert.match(stderr, new RegExp(`^slackwater: ${name} must be one of .*${one}`, "m"))
    }
  }))

it.live("with level none nothing is logged", () =>
  Effect.gen(function*() {
    const started = yield* startGateway(echo, { SLACKWATER_LOG_LEVEL: "none" })
    yield* eventually("ready", started.get("/readyz"), ({ status }) => status === 200, started.running)
    assert.strictEqual(started.running.stderr, "")
  }).pipe(withSlack))
