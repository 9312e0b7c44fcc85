/** `slackwater/promise`: the gateway without a word of Effect. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type PromiseTurn, SlackwaterError, start, type StartOptions } from "slackwater/promise"
import { LocalSlack } from "slackwater/testing"
import { answered, answers, connected, dm, eventually, temporaryDirectory, withSlack } from "../fixtures/gateway.ts"

const echo = async (turn: PromiseTurn) => {
  await turn.reply(`You said: ${turn.text}`)
}

/** What a test gives, over what makes it quick. */
const optionsFor = Effect.fnUntraced(function*(given: Partial<StartOptions> = {}) {
  const slack = yield* LocalSlack
  return {
    handler: echo,
    appToken: "xapp-test",
    botToken: "xoxb-test",
    slackApiUrl: slack.apiUrl,
    dataDir: yield* temporaryDirectory,
    port: 0,
    debounce: "20 millis",
    paceInterval: "0 millis",
    shutdownTimeout: "10 seconds",
    log: false,
    ...given
  } satisfies StartOptions
})

/** Closed with the scope. */
const started = (options: StartOptions) =>
  Effect.acquireRelease(Effect.promise(() => start(options)), (gateway) => Effect.promise(gateway.close))

/** What it rejects with. */
const rejection = (call: () => Promise<unknown>) =>
  Effect.promise(() =>
    call().then(
      () => {
        throw new Error("it resolved")
      },
      (error: unknown) => error
    )
  )
const refusal = (options: StartOptions) => rejection(() => start(options))

describe("start", () => {
  it.live("answers with an async function, tells its status, and posts through its outbox once per key", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      const gateway = yield* started(yield* optionsFor())
      yield* slack.say({ ...dm, text: "hello" })
      yield* answered("D0ALICE", "You said: hello")
      const post = { channel: "C0GENERAL", text: "the build is green", key: "build-1" }
      const reply = yield* Effect.promise(() => gateway.outbox.enqueue(post))
      const again = yield* Effect.promise(() => gateway.outbox.enqueue(post))
      assert.strictEqual(again.id, reply.id)
      const { channel, ts } = yield* Effect.promise(reply.delivered)
      assert.match(ts, /^\d+\.\d{6}$/)
      assert.strictEqual(channel, "C0GENERAL")
      yield* Effect.promise(async () => await (await reply.update("the build is red")).delivered())
      assert.deepStrictEqual(yield* answers("C0GENERAL"), ["the build is red"])
      const status = yield* Effect.promise(gateway.status)
      assert.strictEqual(status.phase, "running")
      assert.strictEqual(status.inbox.done, 1)
    })))

  it.live("takes an object of functions by kind, and an activation of its own", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      yield* started(
        yield* optionsFor({
          handler: { slashCommand: (_, { command }) => `${command} it is`, message: echo },
          activate: (message) => message.text.includes("quiet") ? { _tag: "Ignore", reason: "quiet" } : { _tag: "Turn" }
        })
      )
      yield* connected
      yield* slack.say({ ...dm, text: "quiet please" })
      yield* slack.command({ ...dm, command: "/deploy", text: "" })
      yield* answered("D0ALICE", "/deploy it is")
      yield* slack.say({ ...dm, text: "hello" })
      yield* answered("D0ALICE", "You said: hello")
      assert.notInclude(yield* answers("D0ALICE"), "You said: quiet please")
    })))

  it.live("close lets a running turn finish and send, installs no signal handler, and may be called twice", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      const listeners = process.listenerCount("SIGTERM")
      let begun = () => {}
      let finish = () => {}
      const running = new Promise<void>((resolve) => (begun = resolve))
      const release = new Promise<void>((resolve) => (finish = resolve))
      const handler = async (turn: PromiseTurn) => {
        begun()
        await release
        return `at last: ${turn.text}`
      }
      const gateway = yield* started(yield* optionsFor({ handler }))
      yield* slack.say({ ...dm, text: "slow" })
      yield* Effect.promise(() => running)
      assert.strictEqual(process.listenerCount("SIGTERM"), listeners)
      const closing = gateway.close()
      assert.strictEqual(gateway.close(), closing)
      yield* slack.awaitJournal((entry) => entry._tag === "ConnectionClosed")
      finish()
      yield* Effect.promise(() => closing)
      yield* Effect.promise(() => gateway.ended)
      assert.deepStrictEqual(yield* answers("D0ALICE"), ["at last: slow"])
      assert.strictEqual(yield* slack.connections, 0)
      const error = yield* rejection(gateway.status)
      assert.instanceOf(error, SlackwaterError)
      assert.propertyVal(error, "code", "Closed")
    })))

  it.live("whoever waits for a delivery when it is closed is told so, and does not wait for ever", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      const gateway = yield* started(yield* optionsFor({ shutdownTimeout: "1 second" }))
      yield* slack.faults({ apiDown: true })
      const reply = yield* Effect.promise(() => gateway.outbox.enqueue({ channel: "C0GENERAL", text: "later" }))
      const outcome = reply.delivered().then(() => "delivered", (error: unknown) => error)
      yield* Effect.promise(gateway.close)
      const error = yield* Effect.promise(() => outcome)
      assert.instanceOf(error, SlackwaterError)
    })))

  it.live("rejects with a code, a reason and an exit code, and leaves nothing open", () =>
    withSlack(Effect.gen(function*() {
      const options = yield* optionsFor()
      const check = (error: unknown, code: string, reason: string | undefined, exitCode: number, message: RegExp) => {
        assert.instanceOf(error, SlackwaterError)
        assert.deepInclude(error as object, { code, reason, exitCode })
        assert.match((error as Error).message, message)
      }
      const token = yield* refusal({ ...options, botToken: "5ecret" })
      check(token, "GatewayConfigError", undefined, 78, /^SLACK_BOT_TOKEN must be set to a token/)
      assert.notInclude(JSON.stringify([token, String(token), (token as Error).stack]), "5ecret")
      check(
        yield* refusal({ ...options, debounce: "soon" as "1 second" }),
        "GatewayConfigError",
        undefined,
        78,
        /_DEBOUNCE must be/
      )
      check(
        yield* refusal({ ...options, debonce: "1 second" } as StartOptions),
        "GatewayConfigError",
        undefined,
        78,
        /^debonce is no setting/
      )
      check(yield* refusal({ ...options, handler: {} }), "HandlerError", undefined, 78, /^handler must be/)
      yield* started(options)
      check(yield* refusal(options), "DatabaseError", "Owned", 73, /another gateway owns/)
    })))

  it.live("refuses a post that says nothing with a code, and goes on", () =>
    withSlack(Effect.gen(function*() {
      const gateway = yield* started(yield* optionsFor())
      const error = yield* rejection(() => gateway.outbox.enqueue({ channel: "C0GENERAL" }))
      assert.deepInclude(error as object, { code: "TurnError", reason: "ReplyFailed" })
      yield* Effect.promise(() => gateway.outbox.enqueue({ channel: "C0GENERAL", text: "still here" }))
      yield* answered("C0GENERAL", "still here")
    })))

  it.live("a gateway that gives up closes itself, and ended says why", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      yield* slack.faults({ error: { method: "apps.connections.open", code: "invalid_auth" } })
      const gateway = yield* started(yield* optionsFor())
      const error = yield* rejection(() => gateway.ended)
      assert.deepInclude(error as object, { code: "GaveUp", exitCode: 78 })
      yield* eventually("it is closed", Effect.map(slack.connections, (count) => count === 0))
    })))

  it.live("gives its log line by line, without a token", () =>
    withSlack(Effect.gen(function*() {
      const lines: Array<string> = []
      yield* started(yield* optionsFor({ log: (line) => lines.push(line) }))
      yield* eventually(
        "it says that it is connected",
        Effect.sync(() => lines.some((line) => line.includes("connected to Slack")))
      )
      assert.isTrue(lines.every((line) => typeof JSON.parse(line) === "object"))
      assert.notMatch(lines.join("\n"), /xapp-test|xoxb-test/)
    })))
})
