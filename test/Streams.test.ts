/** Replies that grow, through a whole gateway with Slack's real client: in the end one message has the whole text. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { Handler, type Turn } from "slackwater"
import { type FaultPatch, LocalSlack, type LocalSlackOptions } from "slackwater/testing"
import { eventually, startGateway, temporaryDirectory, withDatabase, withSlack } from "./fixtures/gateway.ts"

const channel = "C0GENERAL"
const first = `${"one ".repeat(80)}\n\n`
const whole = `${first}and two`

const shown = Effect.flatMap(LocalSlack, (slack) =>
  Effect.map(
    Effect.all([slack.messages(channel), slack.messages("D0ALICE")]),
    (messages) => messages.flat().filter((message) => message.bot_id !== undefined)
  ))

/** Slack was asked for this, whatever became of it. */
const called = (method: string) =>
  Effect.flatMap(
    LocalSlack,
    (slack) => slack.awaitJournal((entry) => entry._tag === "ApiCall" && entry.method === method)
  )

/** Says one half, waits until Slack was asked for `method`, says the other half. */
const inHalves = (method: string) => (turn: Turn) =>
  Effect.gen(function*() {
    const stream = yield* turn.stream()
    yield* stream.append(first)
    yield* called(method)
    yield* stream.append("and two")
    yield* stream.stop()
  })

const settled = (dataDir: string) =>
  withDatabase(
    dataDir,
    (database) =>
      database.prepare(`SELECT 1 FROM slackwater_outbox WHERE kind IN ('StreamStop', 'StreamEnd', 'Post')`).all()
          .length >
        0 &&
      database.prepare(`SELECT 1 FROM slackwater_outbox WHERE state NOT IN ('delivered', 'failed_terminal')`).all()
          .length === 0
  )

const test = (
  sentence: string,
  handler: (turn: Turn) => Effect.Effect<unknown, unknown, LocalSlack>,
  check: (dataDir: string) => Effect.Effect<void, unknown, LocalSlack>,
  { faults = {}, text = "<@U0BOT> go", to = channel, ...options }: LocalSlackOptions & {
    readonly faults?: FaultPatch
    readonly text?: string
    readonly to?: string
  } = {}
) =>
  it.live(sentence, () =>
    withSlack(
      Effect.gen(function*() {
        const slack = yield* LocalSlack
        const dataDir = yield* temporaryDirectory
        yield* startGateway(dataDir, Handler.make((turn) => Effect.asVoid(handler(turn))))
        yield* slack.faults(faults)
        yield* slack.say({ channel: to, user: "U0ALICE", text })
        yield* eventually("everything is sent", settled(dataDir))
        yield* check(dataDir)
      }),
      options
    ))

/** One message has the whole text, and nothing is left hanging. */
const isWhole = Effect.gen(function*() {
  const messages = yield* shown
  assert.deepStrictEqual(messages.filter(({ text }) => text === whole).length, 1)
  assert.isFalse(messages.some(({ streaming }) => streaming === true))
})
const isAlone = Effect.andThen(isWhole, Effect.map(shown, (messages) => assert.strictEqual(messages.length, 1)))

const calls = (method: string) =>
  Effect.flatMap(
    LocalSlack,
    (slack) =>
      Effect.map(slack.journal, (entries) =>
        entries.filter((entry) => entry._tag === "ApiCall" && entry.method === method).length)
  )

describe("a stream", () => {
  test(
    "grows in its thread, is stopped, and is never edited",
    inHalves("chat.appendStream"),
    () =>
      Effect.gen(function*() {
        yield* isAlone
        const [message] = yield* shown
        assert.isDefined(message?.thread_ts)
        assert.notProperty(message, "edited")
        assert.strictEqual(yield* calls("chat.appendStream"), 1)
      })
  )

  test(
    "takes a stream of text, and its handle changes what it became",
    (turn) =>
      Effect.gen(function*() {
        const handle = yield* turn.streamFrom(Stream.make(first, "and", " two"))
        yield* handle.delivered
        yield* handle.update("better")
      }),
    () =>
      eventually("it is better", Effect.map(shown, (messages) => messages.map(({ text }) => text).join() === "better"))
  )

  test(
    "that nobody stops is stopped with what was appended, when its turn is done",
    (turn) => Effect.flatMap(turn.stream(), ({ append }) => append(whole)),
    () => isAlone
  )

  test(
    "goes on in further messages when it is longer than one",
    (turn) => turn.streamFrom(Stream.make("a\n\n".repeat(4_500))),
    () =>
      Effect.map(shown, (messages) => {
        assert.strictEqual(messages.length, 2)
        assert.strictEqual(messages.map(({ text }) => text).join("").replaceAll("\n", ""), "a".repeat(4_500))
      })
  )

  test(
    "outside of a thread is one post of the whole text",
    (turn) => turn.streamFrom(Stream.make(first, "and two")),
    () => Effect.andThen(isAlone, Effect.map(calls("chat.startStream"), (n) => assert.strictEqual(n, 0))),
    { to: "D0ALICE", text: "go" }
  )

  test(
    "of a run that failed goes on in the next one, and is never edited",
    (turn) =>
      Effect.gen(function*() {
        const stream = yield* turn.stream()
        yield* stream.append(first)
        yield* called("chat.appendStream")
        if (turn.attempt === 1) return yield* Effect.fail("not yet")
        yield* stream.append("and two")
        yield* stream.stop()
      }),
    () =>
      Effect.gen(function*() {
        yield* isAlone
        assert.notProperty((yield* shown)[0], "edited")
      })
  )

  it.live("and a file come from an async function too", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      const words = async function*() {
        yield first
        yield "and two"
      }
      yield* startGateway(
        yield* temporaryDirectory,
        Handler.promise(async (turn) => {
          const early = await turn.stream()
          await early.append("early")
          await (await early.stop()).delivered()
          await turn.streamFrom(words())
          await turn.upload({ filename: "a.txt", content: "a" })
        })
      )
      yield* slack.say({ channel, user: "U0ALICE", text: "<@U0BOT> go" })
      yield* eventually(
        "all three",
        Effect.map(
          shown,
          ([a, b, c]) => a?.text === "early" && b?.text === whole && b.streaming === undefined && c?.files !== undefined
        )
      )
    })))

  test(
    "that says nothing leaves nothing",
    (turn) => Effect.flatMap(turn.stream(), ({ stop }) => stop()),
    () => Effect.map(shown, (messages) => assert.isEmpty(messages))
  )

  for (const [how, method, patch] of faultsOf()) {
    test(
      `has its whole text in one message, whatever happens: ${how} at ${method}`,
      inHalves(
        method === "chat.startStream" ? method : "chat.appendStream"
      ),
      () => isAlone,
      { faults: patch }
    )
  }

  test(
    "that Slack ended by itself gets its text by an edit",
    inHalves("chat.appendStream"),
    () => Effect.andThen(isAlone, Effect.map(shown, ([message]) => assert.property(message, "edited"))),
    { faults: { streamLifetimeMs: 0 } }
  )

  test(
    "that can be neither stopped nor edited goes as a post of its own",
    inHalves("chat.appendStream"),
    () => isWhole,
    {
      faults: {
        streamLifetimeMs: 0,
        error: { method: "chat.update", code: "edit_window_closed" }
      }
    }
  )
})

function faultsOf(): ReadonlyArray<readonly [how: string, method: string, patch: FaultPatch]> {
  return ["chat.startStream", "chat.appendStream", "chat.stopStream"].flatMap((method) => {
    const once = { method, times: 1 }
    return [
      ["a rate limit", method, { rateLimit: { ...once, retryAfterSeconds: 1 } }],
      ["a reset before it takes effect", method, { resetBeforeCommit: once }],
      ["a reset after it took effect", method, { resetAfterCommit: once }],
      ["an answer that comes too late", method, { delayMs: { ...once, ms: 2_500 } }],
      ["a 502 after it took effect", method, { httpStatus: { ...once, status: 502, afterCommit: true } }],
      ...(method === "chat.stopStream"
        ? []
        : [["a refusal", method, { error: { ...once, code: "channel_type_not_supported" } }] as const])
    ] as const
  })
}
