/** A run that begins again, in whatever order it says things, and however often it has to try. */
import { assert, describe } from "@effect/vitest"
import { Effect, Latch } from "effect"
import { SqlClient } from "effect/sql"
import type { Turn } from "../src/Handler.ts"
import { replies, say, test } from "./fixtures/conversationsRoom.ts"
import { advance, settle } from "./fixtures/rooms.ts"

/** The first run is cut off behind its replies, as by a crash; the second goes to its end. */
const cutOff = (turn: Turn) => turn.attempt === 1 ? Effect.fail("cut off") : Effect.void
const twoRuns = Effect.gen(function*() {
  yield* say("D1", "go", 1)
  yield* settle
  yield* advance("1 minute", "1 second")
})

describe("a re-run repeats no reply", () => {
  test(
    "that was made behind a finished step which replied too",
    (turn) =>
      turn.step("search", Effect.as(turn.reply("searching"), 1)).pipe(
        Effect.andThen(turn.reply("answer")),
        Effect.andThen(cutOff(turn))
      ),
    () =>
      Effect.gen(function*() {
        yield* twoRuns
        assert.deepStrictEqual(yield* replies, ["searching", "answer"])
      })
  )

  const second = Latch.makeUnsafe()
  test(
    "made by steps side by side that ended in another order than they began",
    (turn) =>
      Effect.forEach(["a", "b"], (name) =>
        turn.step(name, name === "a" ? second.await : Effect.void).pipe(
          Effect.andThen(turn.reply(`found ${name}`)),
          Effect.andThen(name === "b" ? second.open : Effect.void)
        ), { concurrency: "unbounded" }).pipe(Effect.andThen(cutOff(turn))),
    () =>
      Effect.gen(function*() {
        yield* twoRuns
        assert.deepStrictEqual((yield* replies).toSorted(), ["found a", "found b"])
      })
  )

  test(
    "that the database took at the second try",
    (turn) =>
      Effect.gen(function*() {
        const tried = yield* Effect.exit(turn.reply("answer"))
        if (tried._tag === "Failure") {
          yield* drop
          yield* turn.reply("answer")
        }
        yield* cutOff(turn)
      }),
    () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        drop = Effect.orDie(Effect.asVoid(sql.unsafe("DROP TRIGGER refuse")))
        yield* sql.unsafe(
          "CREATE TRIGGER refuse BEFORE INSERT ON slackwater_outbox BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
        yield* twoRuns
        assert.deepStrictEqual(yield* replies, ["answer"])
      })
  )
})
let drop: Effect.Effect<void> = Effect.void
