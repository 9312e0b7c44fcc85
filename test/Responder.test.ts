/** Answers in the ack, in virtual time: what may be answered, and how long an answer may take. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import type { Event, EventBody } from "../src/Event.ts"
import { type Respond, Responder } from "../src/Responder.ts"
import type { AckPayload } from "../src/SlackConnection.ts"
import { logged } from "./fixtures/rooms.ts"

const command: EventBody<"slashCommand"> = { command: "/do", text: "it", user_id: "U1", channel_id: "C1" }
const slash: Event = { kind: "slashCommand", body: command }
const submission: Event = {
  kind: "viewSubmission",
  body: { user: { id: "U1" }, view: { id: "V1", state: { values: {} } } }
}
const search: Event = { kind: "blockSuggestion", body: { user: { id: "U1" }, action_id: "city", value: "Ro" } }
const plainText = { type: "plain_text", text: "Rome" } as const
const option = { text: plainText, value: "rome" }

/** What the ack will carry, and what was logged. The responder may be anything whatever, as in JavaScript. */
const answerTo = Effect.fnUntraced(function*(event: Event, respond: object, { age = 0 } = {}) {
  const log = logged()
  const answering = yield* Effect.flatMap(Responder, ({ answer }) => answer(event, -age)).pipe(
    Effect.provide(Responder.layer(respond as Respond).pipe(Layer.provideMerge(log.layer))),
    Effect.forkChild({ startImmediately: true })
  )
  return { answering, lines: log.lines }
})

const settled = Effect.fnUntraced(function*(event: Event, respond: object) {
  const { answering, lines } = yield* answerTo(event, respond)
  return { payload: yield* Fiber.join(answering), lines }
})

describe("a responder", () => {
  const good: ReadonlyArray<readonly [what: string, event: Event, respond: Respond, payload: AckPayload]> = [
    ["text for a command", slash, { slashCommand: ({ text }) => ({ text: `Doing ${text}.` }) }, { text: "Doing it." }],
    [
      "errors of a modal",
      submission,
      { viewSubmission: () => ({ response_action: "errors", errors: { city: "Which?" } }) },
      { response_action: "errors", errors: { city: "Which?" } }
    ],
    ["the end of a modal", submission, { viewSubmission: () => ({ response_action: "clear" }) }, {
      response_action: "clear"
    }],
    ["options", search, { blockSuggestion: () => ({ options: [option] }) }, { options: [option] }],
    [
      "groups of options",
      search,
      { blockSuggestion: () => ({ option_groups: [{ label: plainText, options: [option] }] }) },
      { option_groups: [{ label: plainText, options: [option] }] }
    ],
    ["a promise", slash, { slashCommand: () => Promise.resolve({ text: "later" }) }, { text: "later" }],
    ["an Effect", slash, { slashCommand: () => Effect.succeed({ text: "effective" }) }, { text: "effective" }]
  ]
  for (const [what, event, respond, payload] of good) {
    it.effect(`may answer ${what}`, () =>
      Effect.map(settled(event, respond), (answered) => assert.deepStrictEqual(answered, { payload, lines: [] })))
  }

  it.effect("may answer a whole view, with all that it has", () => {
    const view = { type: "modal", title: plainText, blocks: [{ type: "divider" }] }
    const respond = { viewSubmission: () => ({ response_action: "update", view }) }
    return Effect.map(
      settled(submission, respond),
      ({ payload }) => assert.deepStrictEqual(payload, { response_action: "update", view })
    )
  })

  it.effect("may have nothing to say", () =>
    Effect.gen(function*() {
      for (const nothing of [undefined, null, Promise.resolve(undefined), Effect.void]) {
        assert.deepStrictEqual(yield* settled(slash, { slashCommand: () => nothing }), {
          payload: undefined,
          lines: []
        })
      }
    }))

  it.effect("has the services it needs", () => {
    class City extends Context.Service<City, string>()("test/City") {}
    const respond = { slashCommand: () => Effect.map(City, (text) => ({ text })) }
    return Effect.flatMap(Responder, ({ answer }) => answer(slash, 0)).pipe(
      Effect.provide(Responder.layer(respond).pipe(Layer.provide(Layer.succeed(City, "Rome")))),
      Effect.map((payload) => assert.deepStrictEqual(payload, { text: "Rome" }))
    )
  })

  const circular: Record<string, unknown> = { text: "x" }
  circular["self"] = circular
  const bad: ReadonlyArray<readonly [what: string, answer: () => unknown]> = [
    ["that throws", () => {
      throw new Error("broken")
    }],
    ["that rejects", () => Promise.reject(new Error("broken"))],
    ["that rejects with nothing", () => Promise.reject(undefined)],
    ["that fails", () => Effect.fail("broken")],
    ["that dies", () => Effect.die(Object.create(null))],
    ["that interrupts itself", () => Effect.interrupt],
    ["that answers text", () => "done"],
    ["that answers a function", () => () => ({ text: "x" })],
    ["that answers something else", () => ({ txt: "done" })],
    ["that answers what JSON cannot say", () => circular],
    ["that answers a number too big for JSON", () => ({ text: "x", blocks: [1n] })]
  ]
  for (const [what, answer] of bad) {
    it.effect(`${what} is logged, and the ack is plain`, () =>
      Effect.gen(function*() {
        const { lines, payload } = yield* settled(slash, { slashCommand: answer })
        assert.isUndefined(payload)
        assert.deepStrictEqual(lines, ["Warn the responder has no answer; the ack is a plain one"])
      }))
  }

  const late: ReadonlyArray<readonly [what: string, answer: () => unknown]> = [
    ["an Effect that hangs", () => Effect.never],
    ["an Effect that cannot be interrupted", () => Effect.uninterruptible(Effect.never)],
    ["a promise that hangs", () => new Promise(() => {})]
  ]
  for (const [what, answer] of late) {
    it.effect(`has 2.5 s: ${what} is left alone then`, () =>
      Effect.gen(function*() {
        const { answering, lines } = yield* answerTo(slash, { slashCommand: answer })
        yield* TestClock.adjust("2499 millis")
        assert.isUndefined(answering.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        assert.isUndefined(yield* Fiber.join(answering))
        assert.lengthOf(lines, 1)
      }))
  }

  it.effect("has less time for an event that has waited, and is not asked when there is none left", () =>
    Effect.gen(function*() {
      let asked = 0
      const respond = {
        slashCommand: () => {
          asked += 1
          return Effect.never
        }
      }
      const waited = yield* answerTo(slash, respond, { age: 2_000 })
      yield* TestClock.adjust("500 millis")
      assert.isUndefined(yield* Fiber.join(waited.answering))
      const tooOld = yield* answerTo(slash, respond, { age: 3_000 })
      assert.isUndefined(yield* Fiber.join(tooOld.answering))
      assert.strictEqual(asked, 1)
    }))

  it.effect("is asked only for what it names", () =>
    Effect.gen(function*() {
      const { answers } = yield* Responder
      const envelope = (type: string, payload: unknown) => ({ id: "e", type, payload, retryNum: 0, retryReason: "" })
      assert.isTrue(answers(envelope("interactive", { type: "view_submission" })))
      assert.isFalse(answers(envelope("interactive", { type: "block_actions" })))
      assert.isFalse(answers(envelope("interactive", null)))
      assert.isFalse(answers(envelope("slash_commands", {})))
      assert.isFalse(answers(envelope("events_api", { type: "view_submission" })))
      const { payload } = yield* settled(slash, { viewSubmission: () => ({ response_action: "clear" }) })
      assert.isUndefined(payload)
    }).pipe(Effect.provide(Responder.layer({ viewSubmission: () => undefined }))))

  it.effect("is interrupted with the fiber that waits for it", () =>
    Effect.gen(function*() {
      let interrupted = false
      const hanging = Effect.onInterrupt(Effect.never, () =>
        Effect.sync(() => {
          interrupted = true
        }))
      const { answering } = yield* answerTo(slash, { slashCommand: () => hanging })
      yield* Fiber.interrupt(answering)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(answering)))
      assert.isTrue(interrupted)
    }))
})
