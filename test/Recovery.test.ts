/** What the next instance does with turns that were cut off: as slots free up, fairly, and not for ever. */
import { assert, describe } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { SqlClient } from "effect/sql"
import { Conversations } from "../src/Conversations.ts"
import { fingerprint } from "../src/fingerprint.ts"
import type { Turn } from "../src/Handler.ts"
import { OwnerId } from "../src/Message.ts"
import { MessageStore } from "../src/MessageStore.ts"
import { gated, inbox, replies, say, test } from "./fixtures/conversationsRoom.ts"
import { arrival, key } from "./fixtures/messages.ts"
import { advance, epoch, settle } from "./fixtures/rooms.ts"

const dead = OwnerId.make("dead")

/** Turns that an instance was running when it died, with so many crashes before. */
const left = (names: ReadonlyArray<string>, crashes = 0) =>
  Effect.gen(function*() {
    const store = yield* MessageStore
    const sql = yield* SqlClient.SqlClient
    for (const [index, name] of names.entries()) {
      yield* store.append(
        arrival({ conversation: key(name), channel: name, text: name }, { dueAt: epoch - 100 + index })
      )
      yield* store.claim(key(name), dead, epoch - 100 + index)
    }
    yield* sql`UPDATE slackwater_turns SET crashes = ${crashes} WHERE owner = ${dead}`
  })

/** Messages that wait when the room is opened. */
const waiting = (names: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    for (const name of names) {
      yield* (yield* MessageStore).append(arrival({ conversation: key(name), channel: name, text: name }))
    }
  })

const orphans = Effect.flatMap(SqlClient.SqlClient, (sql) =>
  Effect.map(
    sql`SELECT 1 FROM slackwater_turns WHERE state = 'running' AND owner = ${dead}`,
    (rows) => rows.length
  ))

describe("turns that a dead instance left", () => {
  const chunked = gated()
  test(
    "are taken as slots free up, the longest waiting first",
    chunked.handler,
    () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(chunked.texts(), ["R1", "R2"])
        assert.strictEqual(yield* orphans, 3)
        yield* chunked.release("R2")
        assert.deepStrictEqual(chunked.texts(), ["R1", "R2", "R3"])
        assert.strictEqual(yield* orphans, 2)
        for (const text of ["R1", "R3", "R4", "R5"]) yield* chunked.release(text)
        assert.strictEqual((yield* inbox).done, 5)
        assert.isTrue(chunked.started.every(({ attempt }) => attempt === 2))
      }),
    { concurrency: 2 },
    { before: left(["R1", "R2", "R3", "R4", "R5"]) }
  )

  const once = gated()
  test("are not looked for again once there were none", once.handler, () =>
    Effect.gen(function*() {
      yield* settle
      yield* left(["late"])
      yield* say("D1", "other")
      yield* once.release("other")
      yield* advance("3 minutes", "1 minute")
      assert.deepStrictEqual(once.texts(), ["other"])
    }))

  const fresh = gated()
  test(
    "run before what came to their conversation since",
    fresh.handler,
    () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(fresh.texts(), ["R1"])
        yield* fresh.release("R1")
        assert.deepStrictEqual(fresh.texts(), ["R1", "since"])
      }),
    {},
    {
      before: Effect.gen(function*() {
        yield* left(["R1"])
        yield* (yield* MessageStore).append(arrival({ conversation: key("R1"), text: "since" }))
      })
    }
  )

  const away = gated()
  test(
    "are taken once a database that is away at the start is back",
    away.handler,
    () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        assert.deepStrictEqual(away.texts(), [])
        yield* sql`DROP TRIGGER away`
        yield* advance("2 seconds", "1 second")
        assert.deepStrictEqual(away.texts(), ["R1"])
      }),
    {},
    {
      before: Effect.andThen(
        left(["R1"]),
        Effect.flatMap(
          SqlClient.SqlClient,
          (sql) => sql`CREATE TRIGGER away BEFORE UPDATE ON slackwater_turns BEGIN SELECT RAISE(ABORT, 'away'); END`
        )
      )
    }
  )

  const draining = gated()
  test(
    "stay where they are while this instance drains",
    draining.handler,
    ({ close }) =>
      Effect.gen(function*() {
        yield* Effect.all([close, Effect.andThen(settle, draining.release("R1"))], { concurrency: 2 })
        assert.deepStrictEqual(draining.texts(), ["R1"])
        assert.strictEqual(yield* orphans, 1)
      }),
    { concurrency: 1 },
    { before: left(["R1", "R2"]) }
  )
})

describe("recovered turns and others", () => {
  const shared = gated()
  test(
    "share the slots: recovered ones take at most half while others wait",
    shared.handler,
    () =>
      Effect.gen(function*() {
        assert.sameMembers(shared.texts(), ["R1", "R2", "F1", "F2"])
        yield* shared.release("F1")
        assert.strictEqual(shared.texts().at(-1), "F3")
        yield* shared.release("R2")
        assert.strictEqual(shared.texts().at(-1), "R3")
        // Nobody else waits any more.
        yield* shared.release("F2")
        assert.strictEqual(shared.texts().at(-1), "R4")
        yield* say("F4", "F4")
        yield* shared.release("R1")
        assert.strictEqual(shared.texts().at(-1), "F4")
      }),
    { concurrency: 4 },
    {
      before: Effect.andThen(left(["R1", "R2", "R3", "R4", "R5", "R6"]), waiting(["F1", "F2", "F3"]))
    }
  )

  const alone = gated()
  test(
    "do not share when nothing else waits: recovered ones take all slots",
    alone.handler,
    () => Effect.sync(() => assert.sameMembers(alone.texts(), ["R1", "R2", "R3", "R4"])),
    { concurrency: 4 },
    {
      before: left(["R1", "R2", "R3", "R4"])
    }
  )

  const single = gated()
  test(
    "take turns where there is one slot",
    single.handler,
    () =>
      Effect.gen(function*() {
        const order = ["R1", "F1", "R2", "F2", "R3", "F3"]
        for (const text of order) yield* single.release(text)
        assert.deepStrictEqual(single.texts(), order)
      }),
    { concurrency: 1 },
    { before: Effect.andThen(left(["R1", "R2", "R3"]), waiting(["F1", "F2", "F3"])) }
  )

  const runs: Array<string> = []
  test(
    "are not held up by an orphan that hangs or one that fails",
    (turn) =>
      Effect.suspend(() => {
        runs.push(turn.text)
        return turn.text === "hangs" ? Effect.never : turn.text === "fails" ? Effect.fail("always") : Effect.void
      }),
    () =>
      Effect.gen(function*() {
        for (let n = 0; n < 20; n++) yield* say(`F${n}`, `F${n}`)
        yield* settle
        // Without any time passing: nobody waited for the failing one's pauses or the hanging one's timeout.
        assert.strictEqual((yield* inbox).done, 30)
        assert.strictEqual(runs.filter((text) => text === "fails").length, 1)
        assert.strictEqual(new Set(runs).size, runs.length)
      }),
    { concurrency: 4, retryDelay: Duration.minutes(1) },
    {
      before: left(["hangs", "fails", ...Array.from({ length: 10 }, (_, n) => `R${n}`)])
    }
  )

  const again = gated()
  test(
    "change sides when they fail: a retry is like any other",
    (turn) => turn.text === "R1" && turn.attempt === 2 ? Effect.fail("boom") : again.handler(turn),
    () =>
      Effect.gen(function*() {
        // The slot that recovered turns have is R2's; R1 waits for its retry among the others.
        yield* advance("1 second")
        assert.deepStrictEqual(again.texts(), ["F1", "R2"])
        yield* again.release("F1")
        assert.deepStrictEqual(again.texts(), ["F1", "R2", "R1"])
      }),
    { concurrency: 2, retryDelay: Duration.millis(500) },
    {
      before: Effect.andThen(left(["R1", "R2", "R3"]), waiting(["F1"]))
    }
  )
})

describe("a turn in whose middle the process ended", () => {
  const notice = /^Sorry, I could not answer this/

  const poison = gated()
  test(
    "again and again is a dead letter without another run; the person is told, and the conversation goes on",
    poison.handler,
    () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(poison.texts(), [])
        const sql = yield* SqlClient.SqlClient
        const [row] = yield* sql`SELECT state, reason FROM slackwater_messages`
        assert.strictEqual(row?.["state"], "failed")
        assert.match(String(row?.["reason"]), /the process ended/)
        assert.strictEqual((yield* replies).length, 1)
        assert.match((yield* replies)[0] ?? "", notice)
        yield* say("P", "next")
        yield* settle
        assert.deepStrictEqual(poison.texts(), ["next"])
      }),
    {},
    { before: left(["P"], 3) }
  )

  const spared = gated()
  test(
    "one time less runs again",
    spared.handler,
    () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(spared.texts(), ["P"])
        assert.deepStrictEqual(yield* replies, [])
      }),
    {},
    { before: left(["P"], 2) }
  )

  const stubborn = gated()
  test(
    "runs for ever where crashes are not counted",
    stubborn.handler,
    () => Effect.sync(() => assert.deepStrictEqual(stubborn.texts(), ["P"])),
    { maxCrashes: 0 },
    { before: left(["P"], 50) }
  )

  const silent = gated()
  test(
    "tells nobody where the notice is switched off",
    silent.handler,
    () =>
      Effect.gen(function*() {
        assert.strictEqual((yield* inbox).failed, 1)
        assert.deepStrictEqual(yield* replies, [])
      }),
    { failureNotice: null },
    { before: left(["P"], 3) }
  )
})

describe("the note to the thread", () => {
  const answer = (turn: Turn) => turn.text === "R1" && turn.attempt === 2 ? Effect.fail("boom") : Effect.succeed("done")

  test(
    "says that a turn goes on which a restart had cut off, and not that one runs again after a failure",
    answer,
    () =>
      Effect.gen(function*() {
        yield* advance("10 seconds", "1 second")
        yield* say("D1", "new")
        yield* settle
        assert.deepStrictEqual(yield* replies, ["back again", "done", "done"])
      }),
    { resumeNote: "back again" },
    { before: left(["R1"]) }
  )

  test(
    "is made once for an attempt, however often that is given back",
    () => Effect.never,
    () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* replies, ["back again"])
      }),
    { resumeNote: "back again" },
    {
      before: Effect.gen(function*() {
        yield* left(["R1"])
        const store = yield* MessageStore
        const sql = yield* SqlClient.SqlClient
        const [turn] = yield* sql<{ readonly id: string }>`SELECT id FROM slackwater_turns`
        // As an instance left it that said so and was stopped in order.
        const hash = yield* fingerprint(JSON.stringify([{ dispatch: { _tag: "Post", text: "back again" } }]))
        yield* sql`INSERT INTO slackwater_outbox
          (key, lane, channel, kind, dispatch, state, due_at, enqueued_at, lives_from)
          VALUES (${`${turn?.id}:resume:1:0:${hash}`}, 'R1', 'R1', 'Post', '{"_tag":"Post","text":"back again"}',
            'delivered', 0, 0, 0)`
        yield* store.releaseAll(dead, epoch)
      })
    }
  )

  test(
    "is not made unless it is asked for",
    () => Effect.succeed("done"),
    () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* replies, ["done"])
      }),
    {},
    { before: left(["R1"]) }
  )

  test("is not made before a first run", () => Effect.succeed("done"), () =>
    Effect.gen(function*() {
      yield* say("D1", "new")
      yield* (yield* Conversations).wake(key("D1"))
      yield* settle
      assert.deepStrictEqual(yield* replies, ["done"])
    }), { resumeNote: "back again" })
})
