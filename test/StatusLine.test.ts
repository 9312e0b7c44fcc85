/** What a turn says it is doing: shown, shown again, kept for the next run, and taken away. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { SqlClient } from "effect/sql"
import { Handler } from "slackwater"
import { type JournalEntry, LocalSlack } from "slackwater/testing"
import type { Turn } from "../src/Handler.ts"
import { OwnerId } from "../src/Message.ts"
import { MessageStore } from "../src/MessageStore.ts"
import { Outbox } from "../src/Outbox.ts"
import { Credentials } from "../src/SlackApi.ts"
import { gated, inbox, say, test } from "./fixtures/conversationsRoom.ts"
import { answered, connected, startGateway, temporaryDirectory, withSlack } from "./fixtures/gateway.ts"
import { arrival, key } from "./fixtures/messages.ts"
import { post, test as outboxTest, unpaced } from "./fixtures/outboxRoom.ts"
import { advance, epoch, settle } from "./fixtures/rooms.ts"

const thread = "C1/1.000000"
const kept = Effect.flatMap(
  SqlClient.SqlClient,
  (sql) =>
    Effect.map(sql<{ readonly status: string | null }>`SELECT status FROM slackwater_turns`, (rows) => rows[0]?.status)
)

describe("turn.status", () => {
  test(
    "is shown at once, and again before Slack forgets it, until the run ends",
    (turn) => Effect.andThen(turn.status("is thinking…"), Effect.as(Effect.sleep("4 minutes"), "answer")),
    ({ statuses }) =>
      Effect.gen(function*() {
        yield* say(thread, "x")
        yield* settle
        assert.deepStrictEqual(statuses, ["is thinking…"])
        yield* advance("89 seconds")
        assert.strictEqual(statuses.length, 1)
        yield* advance("151 seconds", "1 second")
        const end = ["is thinking…", "is thinking…", "is thinking…", "(a post comes)"]
        assert.deepStrictEqual(statuses, end)
        yield* advance("10 minutes", "1 minute")
        assert.deepStrictEqual(statuses, end)
      })
  )

  const ends: ReadonlyArray<readonly [string, (turn: Turn) => Effect.Effect<string | void, unknown>, string]> = [
    ["is taken away by a turn that ends without an answer", () => Effect.void, ""],
    ["is left to the answer by a turn that answers", () => Effect.succeed("answer"), "(a post comes)"],
    ["is left to the reply by a turn that replied since", (turn) => Effect.asVoid(turn.reply("x")), "(a post comes)"],
    ["is left to the notice by a turn that fails for good", () => Effect.fail("boom"), "(a post comes)"]
  ]
  for (const [sentence, rest, last] of ends) {
    test(
      sentence,
      (turn) => turn.status("is thinking…").pipe(Effect.andThen(Effect.sleep("1 second")), Effect.andThen(rest(turn))),
      ({ statuses }) =>
        Effect.gen(function*() {
          yield* say(thread, "x")
          yield* advance("2 seconds", "1 second")
          assert.deepStrictEqual(statuses, ["is thinking…", last])
        }),
      { maxAttempts: 1 }
    )
  }

  test(
    "is taken away by a turn that fails for good where nobody is told",
    (turn) =>
      turn.status("is thinking…").pipe(Effect.andThen(Effect.sleep("1 second")), Effect.andThen(Effect.fail("boom"))),
    ({ statuses }) =>
      Effect.gen(function*() {
        yield* say(thread, "x")
        yield* advance("2 seconds", "1 second")
        assert.deepStrictEqual(statuses, ["is thinking…", ""])
      }),
    { maxAttempts: 1, failureNotice: null }
  )

  test("is shown when it is new, and the same again only after a reply took it away", (turn) =>
    Effect.gen(function*() {
      for (const text of ["a", "a", "b", "", "b"]) {
        yield* turn.status(text)
        yield* Effect.sleep("1 second")
      }
      yield* turn.reply("so far")
      yield* turn.status("b")
      return yield* Effect.never
    }), ({ statuses }) =>
    Effect.gen(function*() {
      yield* say(thread, "x")
      yield* advance("10 seconds", "1 second")
      assert.deepStrictEqual(statuses, ["a", "b", "", "b", "b"])
    }))

  test(
    "is written down once for each text, and cut where it is too long",
    (turn) => Effect.andThen(turn.status("x".repeat(9_000)), Effect.never),
    () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* sql`CREATE TABLE writes (status TEXT)`
        yield* sql`CREATE TRIGGER noted AFTER UPDATE OF status ON slackwater_turns
          BEGIN INSERT INTO writes VALUES (new.status); END`
        yield* say(thread, "x")
        yield* advance("10 minutes", "30 seconds")
        assert.deepStrictEqual((yield* sql`SELECT length(status) AS n FROM writes`).map((row) => row["n"]), [500])
      })
  )

  test("costs the handler nothing when the database is away or the text is none", (turn) =>
    Effect.gen(function*() {
      yield* turn.status("is thinking…")
      yield* turn.status(42 as never)
      yield* turn.status(undefined as never)
      return "answer"
    }), () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TRIGGER away BEFORE UPDATE OF status ON slackwater_turns WHEN new.status IS NOT NULL
        BEGIN SELECT RAISE(ABORT, 'away'); END`
      yield* say(thread, "x")
      yield* settle
      assert.strictEqual((yield* inbox).done, 1)
    }))

  const late: Array<Turn> = []
  test(
    "says nothing once the turn is over",
    (turn) => Effect.sync(() => void late.push(turn)),
    ({ statuses }) =>
      Effect.gen(function*() {
        yield* say(thread, "x")
        yield* settle
        yield* (late[0] as Turn).status("too late")
        yield* advance("3 minutes", "1 minute")
        assert.deepStrictEqual(statuses, [])
      })
  )

  it.live("is seen in Slack while an async function works, and gone with its answer", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const gate = Promise.withResolvers<void>()
      yield* startGateway(
        yield* temporaryDirectory,
        Handler.promise(async (turn) => {
          await turn.status("is thinking…")
          await gate.promise
          return "done"
        })
      )
      const ts = yield* slack.say({ channel: "C0GENERAL", user: "U0ALICE", text: "<@U0BOT> go" })
      yield* slack.awaitJournal((entry) => entry._tag === "StatusSet" && entry.status === "is thinking…")
      assert.deepStrictEqual(yield* slack.statuses, [
        { channel: "C0GENERAL", thread_ts: ts, status: "is thinking…" }
      ])
      gate.resolve()
      yield* answered("C0GENERAL", "done")
      assert.deepStrictEqual(yield* slack.statuses, [])
    }).pipe(withSlack))
})

describe("a status behind a reply that is not yet posted", () => {
  it.live("stays under the thread when the reply is there", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      const over = yield* Deferred.make<void>()
      const handler = Handler.make((turn) =>
        turn.reply("Let me think.").pipe(
          Effect.andThen(turn.status("is searching")),
          Effect.andThen(Deferred.await(over))
        )
      )
      yield* startGateway(yield* temporaryDirectory, handler)
      yield* connected
      yield* slack.say({ channel: "C0GENERAL", user: "U0BOB", text: "<@U0BOT> where is it" })
      yield* answered("C0GENERAL", "Let me think.")
      // Said before the post, taken away by it, and said again.
      const isSet = (entry: JournalEntry) => entry._tag === "StatusSet" && entry.status === "is searching"
      const posted = yield* slack.awaitJournal((entry) => entry._tag === "MessagePosted" && entry.by === "U0BOT")
      yield* slack.awaitJournal(isSet, { after: posted.n })
      assert.deepStrictEqual((yield* slack.statuses).map(({ status }) => status), ["is searching"])
      yield* Deferred.succeed(over, undefined)
    })))
})

describe("the status of a turn that was cut off", () => {
  const dead = OwnerId.make("dead")
  const left = (end: "crash" | "shutdown") =>
    Effect.gen(function*() {
      const store = yield* MessageStore
      yield* store.append(arrival({ conversation: key(thread), channel: "C1", threadTs: "1.000000" }))
      const { id } = yield* Effect.flatMap(store.claim(key(thread), dead, epoch), Effect.fromOption)
      yield* store.saveStatus({ turn: id, owner: dead, attempt: 1 }, "is searching…")
      if (end === "shutdown") yield* store.releaseAll(dead, epoch)
    })

  for (const end of ["crash", "shutdown"] as const) {
    test(
      `is shown again when it runs again after a ${end}, as long as that takes`,
      () => Effect.sleep("100 seconds"),
      ({ statuses }) =>
        Effect.gen(function*() {
          assert.deepStrictEqual(statuses, ["is searching…"])
          yield* advance("100 seconds", "1 second")
          assert.deepStrictEqual(statuses, ["is searching…", "is searching…", ""])
        }),
      {},
      { before: left(end) }
    )
  }

  const failing = gated()
  test(
    "is not shown when it runs again after a failure",
    (turn) => turn.attempt === 2 ? Effect.fail("boom") : failing.handler(turn),
    ({ statuses }) =>
      Effect.gen(function*() {
        yield* advance("10 seconds", "1 second")
        assert.deepStrictEqual(failing.texts(), ["hello"])
        assert.deepStrictEqual(statuses, ["is searching…"])
        assert.isNull(yield* kept)
      }),
    {},
    { before: left("crash") }
  )
})

describe("status calls", () => {
  const show = (text: string | null, threadTs?: string) =>
    Effect.flatMap(
      Outbox,
      (outbox) => outbox.status(threadTs === undefined ? { channel: "C1" } : { channel: "C1", threadTs }, text)
    )

  outboxTest("wait for nothing, and what fails is forgotten", (slack) =>
    Effect.gen(function*() {
      slack.statusGate.opens = yield* Deferred.make<void>()
      yield* show("refused", "1.0")
      yield* show("fine", "2.0")
      yield* settle
      assert.sameMembers(slack.statuses, ["C1/1.0 refused", "C1/2.0 fine"])
      yield* Deferred.succeed(slack.statusGate.opens, undefined)
      yield* advance("5 minutes", "1 minute")
      assert.strictEqual(slack.statuses.length, 2)
      yield* show("again", "1.0")
      yield* settle
      assert.strictEqual(slack.statuses.at(-1), "C1/1.0 again")
    }))

  outboxTest("are one at a time for a thread, and then the newest text", (slack) =>
    Effect.gen(function*() {
      slack.statusGate.opens = yield* Deferred.make<void>()
      for (const text of ["a", "b", "c"]) yield* show(text, "1.0")
      yield* settle
      assert.deepStrictEqual(slack.statuses, ["C1/1.0 a"])
      yield* Deferred.succeed(slack.statusGate.opens, undefined)
      yield* settle
      assert.deepStrictEqual(slack.statuses, ["C1/1.0 a", "C1/1.0 c"])
    }))

  outboxTest(
    "that are under way when a post comes are followed by an empty one, and only those",
    (slack) =>
      Effect.gen(function*() {
        slack.statusGate.opens = yield* Deferred.make<void>()
        yield* show("a", "1.0")
        yield* show(null, "1.0")
        yield* show(null, "2.0")
        yield* settle
        yield* Deferred.succeed(slack.statusGate.opens, undefined)
        yield* settle
        assert.deepStrictEqual(slack.statuses, ["C1/1.0 a", "C1/1.0 "])
      })
  )

  outboxTest("are at most sixteen at once; more are dropped", (slack) =>
    Effect.gen(function*() {
      slack.statusGate.opens = yield* Deferred.make<void>()
      for (let n = 0; n < 20; n++) yield* show("x", `${n}.0`)
      yield* settle
      assert.strictEqual(slack.statuses.length, 16)
      yield* Deferred.succeed(slack.statusGate.opens, undefined)
      yield* settle
      yield* show("x", "99.0")
      yield* settle
      assert.strictEqual(slack.statuses.length, 17)
    }))

  outboxTest("are not made where there is no thread, or while the token is refused", (slack) =>
    Effect.gen(function*() {
      yield* show("x")
      slack.script("refused", new Credentials({ code: "token_revoked" }))
      yield* post("refused")
      yield* settle
      yield* show("x", "1.0")
      yield* settle
      assert.deepStrictEqual(slack.statuses, [])
      yield* advance("31 seconds", "1 second")
      yield* show("x", "1.0")
      yield* settle
      assert.deepStrictEqual(slack.statuses, ["C1/1.0 x"])
    }), unpaced)
})
