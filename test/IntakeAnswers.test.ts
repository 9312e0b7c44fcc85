/** Intake where the ack may carry an answer: over the real store, in virtual time. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import { defaultActivation } from "../src/Activation.ts"
import { Conversations } from "../src/Conversations.ts"
import { Debouncer } from "../src/Debouncer.ts"
import type { Settings } from "../src/GatewayConfig.ts"
import { Handler } from "../src/Handler.ts"
import { Intake } from "../src/Intake.ts"
import { type Respond, Responder } from "../src/Responder.ts"
import type { AckPayload } from "../src/SlackConnection.ts"
import { ground, inRooms, settle } from "./fixtures/rooms.ts"
import { epoch } from "./fixtures/time.ts"

const me = { team: "T1", user: "U0BOT", bot: "B0BOT" }
const errors = { response_action: "errors", errors: { city: "Which?" } } as const

const debouncer = Layer.succeed(Debouncer, {
  window: (_message, now) => Effect.succeed({ openedAt: now, endsAt: now }),
  opened: () => Effect.void,
  flushAll: Effect.succeed(0)
})

const test = <A, E>(
  sentence: string,
  respond: Respond,
  body: Effect.Effect<A, E, Intake | SqlClient.SqlClient>,
  given: Partial<Settings> = {}
) =>
  it.effect(sentence, () =>
    inRooms(
      Intake.layerWith(defaultActivation).pipe(
        Layer.provide([
          Layer.mock(Conversations)({ promise: () => undefined }),
          debouncer,
          Handler.layer(Handler.make(() => Effect.void)),
          Responder.layer(respond)
        ]),
        Layer.provideMerge(ground(given))
      )
    )(body))

/** Hands an envelope to Intake; what it is acked with is noted. */
const bring = Effect.fnUntraced(function*(id: string, type: string, payload: unknown) {
  const acks: Array<AckPayload | undefined> = []
  const incoming = {
    envelope: { id, type, payload, retryNum: 0, retryReason: "" },
    arrivedAt: epoch,
    ack: (payload?: AckPayload) => Effect.sync(() => void acks.push(payload))
  }
  const accepting = yield* Effect.forkChild(Effect.flatMap(Intake, (intake) => intake.accept(incoming, me)), {
    startImmediately: true
  })
  yield* settle
  return { acks, accepting }
})

const submit = (id: string) =>
  bring(id, "interactive", {
    type: "view_submission",
    user: { id: "U1" },
    view: { id: "V1", hash: "h", state: { values: {} } }
  })
const command = bring("c", "slash_commands", { command: "/do", text: "", user_id: "U1", channel_id: "C1" })

const rows = Effect.flatMap(SqlClient.SqlClient, (sql) =>
  Effect.map(
    sql<{ readonly state: string; readonly reason: string | null }>`SELECT state, reason FROM slackwater_messages
      ORDER BY id`,
    (found) => found.map(({ reason, state }) => reason === null ? state : `${state}: ${reason}`)
  ))

describe("an answer in the ack", () => {
  test(
    "goes out with the ack, and the event is a turn's all the same",
    { slashCommand: () => ({ text: "Doing it." }) },
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* command).acks, [{ text: "Doing it." }])
      assert.deepStrictEqual(yield* rows, ["queued"])
    })
  )

  test(
    "that hangs is a plain ack after 2.5 s, and the event is kept",
    { slashCommand: () => Effect.never },
    Effect.gen(function*() {
      const { acks } = yield* command
      yield* TestClock.adjust("2499 millis")
      yield* settle
      assert.deepStrictEqual([acks, yield* rows], [[], []])
      yield* TestClock.adjust("1 millis")
      yield* settle
      assert.deepStrictEqual(acks, [undefined])
      assert.deepStrictEqual(yield* rows, ["queued"])
    })
  )

  test(
    "that a stop cuts short is a plain ack, and the event is kept",
    { slashCommand: () => Effect.never },
    Effect.gen(function*() {
      const { accepting, acks } = yield* command
      yield* Fiber.interrupt(accepting)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(accepting)))
      assert.deepStrictEqual(acks, [undefined])
      assert.deepStrictEqual(yield* rows, ["queued"])
    })
  )

  test(
    "does not go out where the commit fails",
    { slashCommand: () => ({ text: "Doing it." }), viewSubmission: () => errors },
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TRIGGER refuse BEFORE INSERT ON slackwater_messages BEGIN SELECT RAISE(ABORT, 'refused'); END`
      assert.deepStrictEqual((yield* command).acks, [])
      assert.deepStrictEqual((yield* submit("v")).acks, [])
    })
  )

  test(
    "with errors is no submission: it is kept as ignored",
    { viewSubmission: () => errors },
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* submit("v")).acks, [errors])
      assert.deepStrictEqual(yield* rows, ["ignored: answered with errors"])
    })
  )

  let asked = 0
  test(
    "with errors, then without, for the same envelope or the next, is one submission each",
    { viewSubmission: () => asked++ < 2 ? errors : undefined },
    Effect.gen(function*() {
      // Slack has not got the first answer and asks again.
      assert.deepStrictEqual((yield* submit("v")).acks, [errors])
      assert.deepStrictEqual((yield* submit("v")).acks, [errors])
      assert.deepStrictEqual(yield* rows, ["ignored: answered with errors"])
      assert.deepStrictEqual((yield* submit("v")).acks, [undefined])
      assert.deepStrictEqual((yield* submit("v")).acks, [undefined])
      assert.deepStrictEqual(yield* rows, ["ignored: answered with errors", "queued"])
      assert.deepStrictEqual((yield* submit("w")).acks, [undefined])
      assert.deepStrictEqual(yield* rows, ["ignored: answered with errors", "queued", "queued"])
    })
  )

  test(
    "is given again to a repetition, which is no second turn",
    { slashCommand: () => ({ text: "Doing it." }) },
    Effect.gen(function*() {
      yield* command
      assert.deepStrictEqual((yield* command).acks, [{ text: "Doing it." }])
      assert.deepStrictEqual(yield* rows, ["queued"])
    })
  )

  test(
    "is not even thought of for somebody who is not allowed",
    { slashCommand: () => ({ text: "asked all the same" }) },
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* command).acks, [undefined])
      assert.deepStrictEqual(yield* rows, ["ignored: user not allowed"])
    }),
    { allowUsers: ["U2"] }
  )

  const search = bring("s", "interactive", {
    type: "block_suggestion",
    user: { id: "U1" },
    action_id: "city",
    value: "Ro"
  })
  test(
    "is all that a search for options is about: it starts no turn",
    { blockSuggestion: () => ({ options: [] }) },
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* search).acks, [{ options: [] }])
      assert.deepStrictEqual(yield* rows, ["ignored: asks for options"])
    })
  )

  test(
    "that nobody gives leaves a search for options ignored too",
    {},
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* search).acks, [undefined])
      assert.deepStrictEqual(yield* rows, ["ignored: asks for options"])
    })
  )
})
