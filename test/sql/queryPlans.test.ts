/** What is read often must not grow with what is finished: the plans SQLite makes for the stores' statements. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import { SqlClient, Statement } from "effect/sql"
import { OwnerId } from "../../src/Message.ts"
import { MessageStore } from "../../src/MessageStore.ts"
import { OutboxStore } from "../../src/OutboxStore.ts"
import { arrival, failure, key, post } from "../fixtures/messages.ts"
import { stores } from "../fixtures/stores.ts"
import { epoch } from "../fixtures/time.ts"

const me = OwnerId.make("me")
const now = epoch

/** The plan of each statement that `run` executes, one line per step. */
const plans = Effect.fnUntraced(function*<A, E, R>(run: Effect.Effect<A, E, R>) {
  const sql = yield* SqlClient.SqlClient
  const seen: Array<readonly [string, ReadonlyArray<unknown>]> = []
  yield* Effect.provideService(run, Statement.CurrentTransformer, (self) =>
    Effect.sync(() => {
      seen.push(self.compile())
      return self
    }))
  const found: Array<{ readonly statement: string; readonly steps: ReadonlyArray<string> }> = []
  for (const [statement, parameters] of seen) {
    const rows = yield* sql.unsafe<{ readonly detail: string }>(`EXPLAIN QUERY PLAN ${statement}`, parameters)
    found.push({ statement: statement.replace(/\s+/g, " ").trim(), steps: rows.map((row) => row.detail) })
  }
  assert.isNotEmpty(found)
  return found
})

/** Steps that read finished rows: a walk through a table, or through an index that keeps them. */
const grows = (step: string) => {
  const index = /USING (?:COVERING )?INDEX (\w+)/.exec(step)?.[1]
  if (step.startsWith("SCAN slackwater_") || /^SCAN [a-z]\b/.test(step)) {
    return index === undefined || !bounded.has(index)
  }
  return /USING INTEGER PRIMARY KEY \(rowid[<>]/.test(step)
}

/** Indexes from which rows disappear once they are finished. */
const bounded = new Set([
  "slackwater_messages_waiting",
  "slackwater_messages_window",
  "slackwater_turns_open",
  "slackwater_turns_waiting",
  "slackwater_turns_running",
  "slackwater_outbox_ready",
  "slackwater_outbox_lane",
  "slackwater_outbox_sending",
  "slackwater_outbox_unknown",
  "slackwater_outbox_interim",
  // Dead letters stay in it until they are pruned; they keep their bytes too.
  "slackwater_outbox_files"
])

/** A whole conversation's past. */
const history = /INDEX slackwater_(messages_addressed|outbox_by_lane)/

const assertSteady = (found: ReadonlyArray<{ readonly statement: string; readonly steps: ReadonlyArray<string> }>) => {
  for (const { statement, steps } of found) {
    assert.deepStrictEqual(steps.filter((step) => grows(step) || history.test(step)), [], statement)
  }
}

const stepsOf = (found: ReadonlyArray<{ readonly steps: ReadonlyArray<string> }>) =>
  found.flatMap(({ steps }) => steps).join("\n")

/** A database with some past, so that plans are made as in real life. */
const seeded = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
    INSERT INTO slackwater_messages (conversation, slack_ts, message, state, turn_id, due_at, received_at, finished_at)
    SELECT 'D1', i, '{}', 'done', 't' || i, i, i, i FROM n`
  yield* sql`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
    INSERT INTO slackwater_outbox
      (key, lane, channel, kind, dispatch, state, due_at, enqueued_at, lives_from, finished_at)
    SELECT 'k' || i, 'D1', 'D1', 'Post', '{}', 'delivered', i, i, i, i FROM n`
})

describe("query plans", () => {
  const test = <A, E>(
    sentence: string,
    body: (
      messages: MessageStore["Service"],
      outbox: OutboxStore["Service"]
    ) => Effect.Effect<A, E, SqlClient.SqlClient>
  ) =>
    it.effect(sentence, () =>
      Effect.gen(function*() {
        yield* seeded
        yield* body(yield* MessageStore, yield* OutboxStore)
      }).pipe(Effect.provide(Layer.fresh(stores))))

  test("ready and nextDueAt of the inbox read what waits and nothing else", (messages) =>
    Effect.gen(function*() {
      const found = yield* plans(Effect.andThen(messages.ready(now, 10), messages.nextDueAt(now)))
      assertSteady(found)
      assert.match(found.flatMap(({ steps }) => steps).join("\n"), /slackwater_messages_(waiting|window)/)
      assert.include(found.flatMap(({ steps }) => steps).join("\n"), "slackwater_turns_open")
    }))

  test("append does not walk through the conversation's history", (messages) =>
    Effect.flatMap(plans(messages.append(arrival())), (found) => Effect.sync(() => assertSteady(found))))

  test("claiming a turn does not walk through the conversation's history", (messages) =>
    Effect.gen(function*() {
      yield* messages.append(arrival())
      assertSteady(yield* plans(messages.claim(key("D1"), me, now)))
    }))

  test("completing and releasing a turn touch its own rows", (messages) =>
    Effect.gen(function*() {
      yield* messages.append(arrival())
      const turn = Option.getOrThrow(yield* messages.claim(key("D1"), me, now))
      assertSteady(yield* plans(messages.releaseAll(OwnerId.make("nobody"), now)))
      assertSteady(yield* plans(messages.complete(turn.id, me, [post("x")], now)))
    }))

  test("participates stops at the first row, however many replies were sent", (messages) =>
    Effect.flatMap(plans(messages.participates(key("C1/1.0"))), (found) =>
      Effect.sync(() => {
        for (const { statement, steps } of found) {
          assert.deepStrictEqual(steps.filter(grows), [], statement)
        }
      })))

  test(
    "what a stream shows, and which files are needed, is read from their own rows",
    (_messages, outbox) =>
      Effect.gen(function*() {
        assertSteady(yield* plans(Effect.andThen(outbox.streamed(1), outbox.spooled)))
      })
  )

  test("claiming replies looks only at rows that are not settled", (_messages, outbox) =>
    Effect.gen(function*() {
      yield* outbox.enqueue([post("a"), post("b")], null, now)
      const found = yield* plans(
        outbox.claim({ owner: me, now, limit: 1, exclude: ["C9"], admit: () => true, expireBefore: 0 })
      )
      assertSteady(found)
      assert.include(found.flatMap(({ steps }) => steps).join("\n"), "slackwater_outbox_lane")
    }))

  test(
    "nextDueAt and claimUnknown of the outbox look only at rows that are not settled",
    (_messages, outbox) =>
      Effect.gen(function*() {
        assertSteady(yield* plans(Effect.andThen(outbox.nextDueAt(now, ["C9"], [1]), outbox.claimUnknown(now, 5))))
      })
  )

  test("what waits, steps, state and adoption touch their own rows", (messages) =>
    Effect.gen(function*() {
      yield* messages.append(arrival())
      const { attempt, id: turn } = Option.getOrThrow(yield* messages.claim(key("D1"), me, now))
      const run = { turn, owner: me, attempt }
      yield* messages.append(arrival())
      const waiting = yield* plans(messages.waiting(key("D1"), now))
      assertSteady(waiting)
      assert.include(stepsOf(waiting), "slackwater_messages_window")
      assertSteady(yield* plans(messages.saveStep(run, "a", "1", now)))
      assertSteady(yield* plans(Effect.andThen(messages.steps(turn), messages.state(key("D1")))))
      assertSteady(yield* plans(messages.adopt(run, 501)))
      assertSteady(yield* plans(messages.supersede(turn, me, now)))
    }))

  test("history reads the end of a conversation backwards, not all of it", (messages) =>
    Effect.gen(function*() {
      const found = yield* plans(messages.history(key("D2"), 10))
      const steps = found.flatMap(({ steps }) => steps)
      assert.isTrue(steps.some((step) => /SEARCH slackwater_messages USING INDEX \w+ \(conversation=\?\)/.test(step)))
      assert.isTrue(steps.some((step) => /SEARCH slackwater_outbox USING INDEX \w+ \(lane=\?\)/.test(step)))
      // What is sorted is the few that were found, and not the conversation.
      const sorted = steps.flatMap((step, n) => step.includes("TEMP B-TREE") ? [steps[n - 1]] : [])
      for (const source of sorted) assert.match(source ?? "", /^SCAN \(subquery/)
    }))

  test("pruning finds the oldest by index, without a sort", (messages, outbox) =>
    Effect.gen(function*() {
      const found = [
        ...(yield* plans(messages.prune({ finishedBefore: 100, keysBefore: 100, most: 5 }))),
        ...(yield* plans(outbox.prune({ finishedBefore: 100, most: 5 })))
      ]
      assertSteady(found)
      assert.notInclude(stepsOf(found), "TEMP B-TREE")
      for (const index of ["messages_finished", "turns_finished", "message_keys_seen", "outbox_finished"]) {
        assert.include(stepsOf(found), `slackwater_${index}`)
      }
    }))

  test(
    "rows that change others, and that are only progress, are found by index",
    (messages, outbox) =>
      Effect.gen(function*() {
        yield* messages.append(arrival())
        const { attempt, id: turn } = Option.getOrThrow(yield* messages.claim(key("D1"), me, now))
        const run = { turn, owner: me, attempt }
        const [first] = yield* outbox.enqueue([post("a", "D1", { interim: true })], run, now)
        const update = post("b", "D1", { target: first?.id ?? 0, dispatch: { _tag: "Update", text: "b" } })
        assertSteady(yield* plans(outbox.enqueue([update], run, now)))
        assertSteady(
          yield* plans(outbox.claim({ owner: me, now, limit: 1, exclude: [], admit: () => true, expireBefore: 0 }))
        )
        assertSteady(yield* plans(outbox.failed(first?.id ?? 0, me, failure("x"), now)))
      })
  )

  test(
    "looking for a place in a re-run, and for what an operator mends, reads few rows",
    (_messages, outbox) =>
      Effect.gen(function*() {
        assertSteady(yield* plans(outbox.keysAt("turn_1:0:")))
        assertSteady(yield* plans(outbox.held))
        const expired = yield* plans(outbox.list({ states: ["expired"], error: "Credentials" }, { limit: 10 }))
        assert.include(stepsOf(expired), "slackwater_outbox_ended")
        const waiting = yield* plans(outbox.list({ states: ["failed_retryable"], error: "Credentials" }, { limit: 1 }))
        assert.include(stepsOf(waiting), "slackwater_outbox_ready")
        assertSteady(yield* plans(outbox.retry({ ids: [1, 2] }, now)))
        assertSteady(yield* plans(outbox.expire(0, failure("old"), now)))
      })
  )

  test(
    "releasing what a sender holds does not read what was sent",
    (_messages, outbox) =>
      Effect.flatMap(plans(outbox.releaseAll(me, now)), (found) => Effect.sync(() => assertSteady(found)))
  )
})
