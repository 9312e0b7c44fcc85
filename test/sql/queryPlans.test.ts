/**
 * What is read often must not grow with what is finished: the plans SQLite makes for the stores' own statements, taken
 * as they are executed, over a past of 100,000 messages, turns, keys and replies, and both without and with the
 * statistics that `ANALYZE` leaves.
 */
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import { SqlClient } from "effect/sql"
import { Control } from "../../src/Control.ts"
import { endedBefore } from "../../src/Cutoff.ts"
import { type ConversationKey, OwnerId } from "../../src/Message.ts"
import { MessageStore } from "../../src/MessageStore.ts"
import { OutboxStore } from "../../src/OutboxStore.ts"
import { Restart } from "../contract/Restart.ts"
import { arrival, at, failure, key, post } from "../fixtures/messages.ts"
import { past, present } from "../fixtures/past.ts"
import { stores } from "../fixtures/stores.ts"
import { epoch } from "../fixtures/time.ts"

const me = OwnerId.make("me")
const now = epoch
const finished = 100_000

interface Plan {
  readonly statement: string
  readonly steps: ReadonlyArray<string>
}

/** The plan of each statement that `run` executes, one line per step. */
const plans = Effect.fnUntraced(function*<A, E, R>(run: Effect.Effect<A, E, R>) {
  const sql = yield* SqlClient.SqlClient
  const seen: Array<readonly [string, ReadonlyArray<unknown>]> = []
  // On the connection itself: what is done for every message has its statements ready, and runs in the writer.
  const connection = yield* Effect.scoped(sql.reserve)
  const { execute } = connection
  yield* Effect.ensuring(
    Effect.suspend(() => {
      Object.assign(connection, {
        execute: (...given: Parameters<typeof execute>) => {
          seen.push([given[0], given[1]])
          return execute.apply(connection, given)
        }
      })
      return run
    }),
    Effect.sync(() => Object.assign(connection, { execute }))
  )
  const found: Array<Plan> = []
  for (const [statement, parameters] of seen) {
    if (/^\s*(?:BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)\b/.test(statement)) continue
    if (/^\s*INSERT INTO \w+\s+\([^)]*\)\s+VALUES/.test(statement)) continue
    const rows = yield* sql.unsafe<{ readonly parent: number; readonly detail: string }>(
      `EXPLAIN QUERY PLAN ${statement}`,
      parameters
    )
    const steps = rows.map(({ detail, parent }) => {
      if (!detail.includes("TEMP B-TREE")) return detail
      const sources = rows.filter((row) => row.parent === parent && /^(?:SCAN|SEARCH) /.test(row.detail))
      return `${detail} OF ${sources.map((row) => row.detail).join(", ")}`
    })
    found.push({ statement: statement.replace(/\s+/g, " ").trim(), steps })
  }
  return found
})

/** Indexes from which rows disappear once they are finished. */
const live = [
  "slackwater_messages_waiting",
  "slackwater_messages_window",
  "slackwater_turns_open",
  "slackwater_turns_waiting",
  "slackwater_turns_running",
  "slackwater_turns_asked",
  "slackwater_turns_asked_in",
  "slackwater_outbox_ready",
  "slackwater_outbox_lane",
  "slackwater_outbox_sending",
  "slackwater_outbox_unknown",
  "slackwater_outbox_interim",
  // Dead letters stay in it until they are pruned; they keep their bytes too.
  "slackwater_outbox_files"
]

/** Tables that stay small: a row for each start; what an operator paused; a row for each table. */
const small = /^(?:SCAN|SEARCH) (?:slackwater_(?:instances|pauses)|sqlite_sequence)\b/

/** What is read from start to end because it is what the statement was given: a list of values, by either of its names. */
const given = (statement: string): ReadonlyArray<string> =>
  [...statement.matchAll(/(\w+) \([^)]*\) AS \(\s*VALUES/g)].flatMap(([, name = ""]) => [
    `SCAN ${name}`,
    ...[...statement.matchAll(new RegExp(`\\b${name} (\\w+)`, "g"))].map(([, other]) => `SCAN ${other}`)
  ])

/** A walk over the past: through a table, through an index that keeps what is finished, or from one end of it on. */
const walks = (step: string) => {
  if (!/^(?:SCAN|SEARCH) /.test(step) || small.test(step) || /^SCAN (?:\(|CONSTANT ROW|v$)/.test(step)) return false
  const index = /USING (?:COVERING )?INDEX (\w+)/.exec(step)?.[1]
  if (step.startsWith("SCAN ")) return index === undefined || !live.includes(index)
  // A range that is open to the present; one that ends in the past is cut off by its LIMIT.
  return /\((?:rowid|finished_at|seen_at)>\?\)$|\(rowid[<>]/.test(step)
}

/** All of one conversation's past. */
const pastOfOne = /INDEX slackwater_(messages_addressed|outbox_by_lane)/

/** Whether there is anything in it: stops at the first row. */
const firstOfOne = /INDEX slackwater_messages_addressed \(conversation=\?\)$/

/** What may be sorted: what waits in one conversation (it has a cap), one turn's messages and replies, an event's two
 * keys, what was found already, the few starts. */
const sortable = new RegExp(
  [
    "slackwater_messages_window \\(conversation=\\?",
    "slackwater_messages_turn \\(turn_id=\\?\\)",
    "slackwater_outbox USING INDEX sqlite_autoindex_slackwater_outbox_1 \\(key>\\? AND key<\\?\\)",
    "SEARCH k USING PRIMARY KEY \\(key=\\?\\)",
    "SCAN \\(subquery",
    "SCAN slackwater_instances",
    "SCAN slackwater_pauses",
    "SEARCH m USING INDEX slackwater_messages_turn \\(turn_id=\\?\\)"
  ].map((source) => `OF .*${source}`).join("|")
)

const sorts = (steps: ReadonlyArray<string>) =>
  steps.filter((step) => step.includes("TEMP B-TREE") && !sortable.test(step))

const assertSteady = (found: ReadonlyArray<Plan>, allowed?: RegExp) => {
  assert.isNotEmpty(found)
  for (const { statement, steps } of found) {
    const values = given(statement)
    const bad = steps.filter((step) => walks(step) || pastOfOne.test(step)).filter((step) =>
      !values.includes(step) && allowed?.test(step) !== true
    )
    assert.deepStrictEqual([...bad, ...sorts(steps)], [], statement)
  }
}

const stepsOf = (found: ReadonlyArray<Plan>) => found.flatMap(({ steps }) => steps).join("\n")

const assertUses = (found: ReadonlyArray<Plan>, ...indexes: ReadonlyArray<string>) => {
  for (const index of indexes) assert.include(stepsOf(found), `INDEX slackwater_${index}`)
}

const seeded = (analyzed: boolean) =>
  Layer.effectDiscard(
    Effect.andThen(
      Effect.andThen(past(finished), present(75, now * 3)),
      analyzed ? Effect.flatMap(SqlClient.SqlClient, (sql) => sql`ANALYZE`) : Effect.void
    )
  ).pipe(Layer.provideMerge(stores), Layer.orDie, Layer.fresh)

for (const analyzed of [false, true]) {
  layer(seeded(analyzed), { timeout: 60_000 })(`plans ${analyzed ? "with" : "without"} statistics`, (it) => {
    let tests = 0
    /** Each test has a conversation of its own in which a lot has been said. */
    const test = <A, E>(
      sentence: string,
      body: (
        messages: MessageStore["Service"],
        outbox: OutboxStore["Service"],
        conversation: ConversationKey
      ) => Effect.Effect<A, E, Control | SqlClient.SqlClient | Restart>
    ) => {
      const conversation = key(`D${++tests % 10}`)
      it.effect(
        sentence,
        () => Effect.flatMap(Effect.all([MessageStore, OutboxStore]), ([m, o]) => body(m, o, conversation))
      )
    }

    test("there is a past of 100,000, and what waits beside it", (messages, outbox) =>
      Effect.gen(function*() {
        const inbox = yield* messages.counts
        assert.deepStrictEqual([inbox.done + inbox.failed + inbox.ignored, inbox.queued], [finished, 150])
        assert.strictEqual((yield* outbox.counts).delivered, finished)
        const sql = yield* SqlClient.SqlClient
        for (const table of ["turns WHERE finished_at IS NOT NULL", "message_keys"]) {
          const [row] = yield* sql.unsafe<{ readonly n: number }>(`SELECT count(*) AS n FROM slackwater_${table}`)
          assert.isAtLeast(row?.n ?? 0, finished, table)
        }
      }))

    test("ready and nextDueAt of the inbox read what waits and nothing else", (messages) =>
      Effect.gen(function*() {
        const ready = yield* plans(messages.ready(now, 10))
        assertSteady(ready)
        assertUses(ready, "messages_waiting", "messages_window", "turns_open", "turns_waiting")
        const next = yield* plans(messages.nextDueAt)
        assertSteady(next)
        assertUses(next, "messages_waiting", "turns_open", "turns_waiting")
      }))

    test(
      "append finds a key by itself, and the conversation's window without its past",
      (messages, _, conversation) =>
        Effect.gen(function*() {
          const keys = ["event:a", "message:a"]
          const first = yield* plans(messages.append(arrival({ conversation }, { keys, cap: 10 })))
          assertSteady(first, firstOfOne)
          assertUses(first, "messages_window")
          assert.match(stepsOf(first), /SEARCH slackwater_message_keys USING PRIMARY KEY \(key=\?\)/)
          const other = { conversation: key(`C1/${analyzed}`) }
          const found = yield* plans(messages.append(arrival(other)))
          assertSteady(found, firstOfOne)
          assertUses(found, "messages_ignored (conversation=? AND slack_ts>?)")
          const twin = arrival({ conversation }, { keys: ["event:b", "message:a"] })
          assertSteady(yield* plans(messages.append(twin)))
          assertSteady(yield* plans(messages.append(twin)))
        })
    )

    test(
      "claiming a turn, new or again, does not read the conversation's past",
      (messages, _, conversation) =>
        Effect.gen(function*() {
          yield* messages.append(arrival({ conversation }))
          const first = yield* plans(messages.claim(conversation, me, now))
          assertSteady(first)
          assertUses(first, "turns_open", "turns_asked_in", "messages_window")
          yield* (yield* Restart).crash
          yield* messages.recover([OwnerId.make("next")], now * 2, 9)
          const again = yield* plans(messages.claim(conversation, me, now * 2))
          assertSteady(again)
          assertUses(again, "turns_open", "turns_suspect", "messages_turn")
        })
    )

    test(
      "completing, failing, retrying and releasing a turn touch its own rows",
      (messages, _, conversation) =>
        Effect.gen(function*() {
          const claimed = Effect.gen(function*() {
            yield* messages.append(arrival({ conversation }))
            return Option.getOrThrow(yield* messages.claim(conversation, me, now)).id
          })
          const released = yield* plans(messages.releaseAll(OwnerId.make("nobody"), now))
          assertSteady(released)
          assertUses(released, "turns_running")
          const left = { state: "1", unseen: [1] }
          assertSteady(yield* plans(messages.complete(yield* claimed, me, [post("x", conversation)], now, left)))
          assertSteady(yield* plans(messages.retryLater(yield* claimed, me, "boom", now)))
          assertSteady(yield* plans(messages.fail(yield* claimed, me, "boom", [], now)))
        })
    )

    test(
      "what waits, steps, state and adoption touch their own rows",
      (messages, _, conversation) =>
        Effect.gen(function*() {
          yield* messages.append(arrival({ conversation }))
          const { attempt, id: turn } = Option.getOrThrow(yield* messages.claim(conversation, me, now))
          const run = { turn, owner: me, attempt }
          yield* messages.append(arrival({ conversation }))
          const waiting = yield* plans(messages.waiting(conversation, now))
          assertSteady(waiting)
          assertUses(waiting, "messages_window")
          const [next] = yield* messages.waiting(conversation, now)
          assertSteady(yield* plans(messages.saveStep(run, "a", "1", now)))
          assertSteady(yield* plans(Effect.andThen(messages.steps(turn), messages.state(conversation))))
          assertSteady(yield* plans(messages.adopt(run, next?.id ?? 0)))
          assertSteady(yield* plans(messages.supersede(turn, me, now)))
        })
    )

    test("ending the quiet windows reads what waits", (messages, _, conversation) =>
      Effect.gen(function*() {
        const some = yield* plans(messages.makeDue([conversation, key("D0")], now))
        assertSteady(some)
        assertUses(some, "messages_window")
        const all = yield* plans(messages.nearer(now * 3, { messages: 1, turns: 1 }))
        assertSteady(all)
        assertUses(all, "messages_waiting", "turns_waiting")
      }))

    test(
      "participates stops at the first row, however much was said and answered",
      (messages, _, conversation) =>
        Effect.gen(function*() {
          const found = yield* plans(messages.participates(conversation))
          assertSteady(found, pastOfOne)
          assert.match(stepsOf(found), /SEARCH slackwater_messages USING (?:COVERING )?INDEX \w+ \(conversation=\?\)/)
          assert.match(stepsOf(found), /SEARCH slackwater_outbox USING (?:COVERING )?INDEX \w+ \(lane=\?\)/)
        })
    )

    test(
      "history reads the end of a conversation backwards, not all of it",
      (messages, _, conversation) =>
        Effect.gen(function*() {
          const found = yield* plans(messages.history(conversation, 10))
          assertSteady(found, pastOfOne)
          assert.match(stepsOf(found), /SEARCH slackwater_messages USING INDEX \w+ \(conversation=\?\)/)
          assert.match(stepsOf(found), /SEARCH slackwater_outbox USING INDEX \w+ \(lane=\?\)/)
        })
    )

    test(
      "claiming replies looks only at rows that are not settled",
      (_, outbox, conversation) =>
        Effect.gen(function*() {
          yield* outbox.enqueue([post(`a${analyzed}`, conversation), post(`b${analyzed}`, conversation)], null, now)
          for (const exclude of [[], ["C9"]]) {
            const claim = { owner: me, now, limit: 1, exclude, admit: () => true, expireBefore: 0 }
            const found = yield* plans(outbox.claim(claim))
            assertSteady(found)
            assertUses(found, "outbox_ready", "outbox_lane")
          }
        })
    )

    test(
      "nextDueAt and claimUnknown of the outbox look only at rows that are not settled",
      (_, outbox) =>
        Effect.gen(function*() {
          for (const [exclude, inHand] of [[[], []], [["C9"], [1]]] as const) {
            const next = yield* plans(outbox.nextDueAt(now, exclude, inHand))
            assertSteady(next)
            assertUses(next, "outbox_ready", "outbox_lane", "outbox_unknown")
          }
          const unknown = yield* plans(outbox.claimUnknown(now, 5))
          assertSteady(unknown)
          assertUses(unknown, "outbox_unknown")
          assert.notInclude(stepsOf(unknown), "TEMP B-TREE")
        })
    )

    test(
      "a key seen before, and what became of a reply, are one look",
      (_, outbox, conversation) =>
        Effect.gen(function*() {
          assertSteady(yield* plans(outbox.enqueue([post("k7", conversation)], null, now)))
          assertSteady(yield* plans(outbox.find(7)))
          assertSteady(yield* plans(outbox.delivered(7, me, at("1.1"), now)))
          assertSteady(yield* plans(outbox.releaseAll(me, now)))
        })
    )

    test(
      "rows that change others, are later parts of a text, or only progress, are found by index",
      (messages, outbox, conversation) =>
        Effect.gen(function*() {
          yield* messages.append(arrival({ conversation }))
          const { attempt, id: turn } = Option.getOrThrow(yield* messages.claim(conversation, me, now * 2))
          const run = { turn, owner: me, attempt }
          const [first] = yield* outbox.enqueue([post("progress", conversation, { interim: true })], run, now)
          const id = first?.id ?? 0
          const update = post("update", conversation, { target: id, dispatch: { _tag: "Update", text: "b" } })
          const enqueued = yield* plans(outbox.enqueue([update, post("part", conversation, { part: 1 })], run, now))
          assertSteady(enqueued)
          assertUses(enqueued, "outbox_interim")
          const options = { owner: me, now, limit: 9, exclude: [], admit: () => true, expireBefore: 0 }
          assertSteady(yield* plans(outbox.claim(options)))
          const failed = yield* plans(outbox.failed(id + 1, me, failure("x"), now))
          assertSteady(failed)
          assertUses(failed, "outbox_parts")
          yield* messages.complete(turn, me, [], now)
        })
    )

    test(
      "looking for a place in a re-run, and for what an operator mends, reads few rows",
      (_, outbox) =>
        Effect.gen(function*() {
          assertSteady(yield* plans(outbox.keysAt("turn_1:0:")))
          const held = yield* plans(outbox.held)
          assertSteady(held)
          assertUses(held, "outbox_unknown")
          const expired = yield* plans(outbox.list({ states: ["expired"], error: "Credentials" }, { limit: 10 }))
          assertUses(expired, "outbox_ended")
          const waiting = yield* plans(
            outbox.list({ states: ["queued", "failed_retryable"], error: "Credentials" }, { limit: 1 })
          )
          assertUses(waiting, "outbox_ready")
          const states = ["queued", "failed_retryable", "sending", "unknown", "failed_terminal", "expired"] as const
          const open = yield* plans(outbox.list({ states, channel: "C1" }, { limit: 10 }))
          assertUses(open, "outbox_ready", "outbox_sending", "outbox_unknown", "outbox_ended")
          assert.notMatch(stepsOf(open), /PRIMARY KEY|B-TREE.*(ready|ended)/)
          // The newest first, as the page shows them.
          assertUses(yield* plans(outbox.list({ states: ["expired"] }, { before: 9, limit: 10 })), "outbox_ended")
          const said = yield* plans(outbox.list({ lane: key("D1") }, { before: 9, limit: 10 }))
          assertUses(said, "outbox_by_lane")
          assert.notMatch(stepsOf(said), /B-TREE.*by_lane/)
          assertSteady(yield* plans(outbox.retry({ ids: [1, 2] }, now)))
          assertSteady(yield* plans(outbox.discard({ ids: [1, 2] }, now)))
          assertSteady(yield* plans(outbox.expire(1, failure("old"), now)))
          assertSteady(yield* plans(outbox.refused(failure("old"), now)))
        })
    )

    test(
      "a start counts what was left running, and gives back the rest, without reading the past",
      (messages, outbox, conversation) =>
        Effect.gen(function*() {
          yield* messages.append(arrival({ conversation }))
          yield* messages.claim(conversation, me, now * 2)
          yield* outbox.enqueue([post(`orphan${analyzed}`, "Z1")], null, now)
          yield* outbox.claim({ owner: me, now: now * 2, limit: 9, exclude: [], admit: () => true, expireBefore: 0 })
          const found = yield* plans((yield* Restart).crash)
          assertSteady(found)
          assertUses(found, "turns_running", "outbox_sending", "outbox_ready", "messages_waiting")
        })
    )

    test(
      "recovery takes the longest waiting by index, without a sort",
      (messages, _, conversation) =>
        Effect.gen(function*() {
          yield* messages.append(arrival({ conversation }))
          yield* messages.claim(conversation, me, now * 2)
          const found = yield* plans(messages.recover([OwnerId.make("next")], now * 2, 3))
          assertSteady(found)
          assertUses(found, "turns_running")
          assert.notInclude(stepsOf(found), "TEMP B-TREE")
        })
    )

    test(
      "what a stream shows, and which files are needed, is read from their own rows",
      (_, outbox) =>
        Effect.gen(function*() {
          const found = yield* plans(Effect.andThen(outbox.streamed(1), outbox.spooled))
          assertSteady(found)
          assertUses(found, "outbox_target", "outbox_files")
        })
    )

    test("saving a status touches its own turn", (messages, _, conversation) =>
      Effect.gen(function*() {
        yield* messages.append(arrival({ conversation }))
        const { attempt, id: turn } = Option.getOrThrow(yield* messages.claim(conversation, me, now * 2))
        assertSteady(yield* plans(messages.saveStatus({ turn, owner: me, attempt }, "busy")))
        yield* messages.complete(turn, me, [], now)
      }))

    test(
      "pruning finds the oldest by index, without a sort and without reading what stays",
      (messages, outbox) =>
        Effect.gen(function*() {
          const options = { finishedBefore: endedBefore(100), keysBefore: 100, most: 5 }
          const found = [...(yield* plans(messages.prune(options))), ...(yield* plans(outbox.prune(options)))]
          assertSteady(found)
          assert.notInclude(stepsOf(found), "TEMP B-TREE")
          assertUses(
            found,
            "messages_finished (finished_at>? AND finished_at<?)",
            "turns_finished (finished_at>? AND finished_at<?)",
            "message_keys_seen (seen_at<?)",
            "outbox_answered (finished_at>? AND finished_at<?)",
            "outbox_posted (finished_at>? AND finished_at<?)"
          )
        })
    )

    test("the end of what is kept by number is found in the index alone", (messages, outbox) =>
      Effect.gen(function*() {
        const found = yield* plans(Effect.all([messages.cutoffKeeping(1_000), outbox.cutoffKeeping(1_000)]))
        assertSteady(found, /USING COVERING INDEX slackwater_(messages_finished|outbox_answered|outbox_posted) /)
        assert.notInclude(stepsOf(found), "TEMP B-TREE")
      }))

    test(
      "counting reads the past in an index alone, and of the rest what is not finished",
      (messages, outbox) =>
        Effect.gen(function*() {
          const found = yield* plans(Effect.all([messages.counts, outbox.counts]))
          assertSteady(found, /USING COVERING INDEX slackwater_(messages_finished|outbox_answered|outbox_posted) /)
          assert.notInclude(stepsOf(found), "TEMP B-TREE")
        })
    )

    test("what waits is counted without reading what has ended", (messages, outbox) =>
      Effect.gen(function*() {
        const found = yield* plans(Effect.all([messages.backlog, outbox.backlog]))
        assertSteady(found)
        assert.notMatch(stepsOf(found), /messages_finished|outbox_answered|outbox_posted/)
      }))

    test(
      "what a person asked for again is found by itself, and in its conversation",
      (messages, _, conversation) =>
        Effect.gen(function*() {
          yield* messages.append(arrival({ conversation }))
          const { id: turn } = Option.getOrThrow(yield* messages.claim(conversation, me, now * 2))
          yield* messages.fail(turn, me, "boom", [], now)
          const [row] = yield* messages.list({ turns: [turn] }, { limit: 1 })
          const ids = [row?.id ?? 0]
          assertSteady(yield* plans(messages.show(ids[0] ?? 0)))
          assertSteady(yield* plans(messages.retry({ ids }, now)))
          const ready = yield* plans(messages.ready(now, 10))
          assertSteady(ready)
          assertUses(ready, "turns_asked", "turns_asked_in")
          const claim = yield* plans(messages.claim(conversation, me, now * 2))
          assertSteady(claim)
          assertUses(claim, "turns_asked_in")
          yield* messages.fail(turn, me, "boom", [], now)
          yield* messages.retry({ ids }, now)
          assertSteady(yield* plans(messages.discard({ ids }, now)))
        })
    )

    test(
      "what an operator looks at is found by its state or its conversation",
      (messages, _, conversation) =>
        Effect.gen(function*() {
          const page = { limit: 10 }
          const live = yield* plans(messages.list({ states: ["queued", "processing", "failed"] }, page))
          assertSteady(live, /INDEX slackwater_messages_failed/)
          assertUses(live, "messages_waiting", "turns_open", "turns_asked", "messages_failed")
          const said = yield* plans(messages.list({ states: ["done"], conversation }, page))
          assertUses(said, "messages_addressed (conversation=?")
          const unheard = yield* plans(messages.list({ states: ["ignored"], conversation }, page))
          assertUses(unheard, "messages_ignored (conversation=?")
        })
    )

    test("recent conversations are read from the end of what is finished, and no more than is asked for", (messages) =>
      Effect.gen(function*() {
        const found = yield* plans(messages.recentConversations(1, 5))
        assertSteady(found, /turns USING INDEX slackwater_turns_finished \(finished_at>\?\)$/)
        assertUses(found, "turns_open", "turns_finished (finished_at>?)")
        assert.lengthOf(yield* messages.recentConversations(1, 5), 5)
      }))

    test(
      "what is paused, what runs and a cancel read their own rows",
      (messages) =>
        Effect.gen(function*() {
          const conversation = key(`D1/${analyzed}`)
          const control = yield* Control
          yield* messages.append(arrival({ conversation }))
          const { id } = Option.getOrThrow(yield* messages.claim(conversation, me, now))
          const running = yield* plans(Effect.andThen(control.running, control.wasCancelled(id)))
          assertSteady(running)
          assertUses(running, "turns_running", "messages_turn")
          assertSteady(yield* plans(control.cancel(id, now)))
          const held = key(`W1/${analyzed}`)
          assertSteady(yield* plans(Effect.andThen(control.pause(held, now), control.pauses)))
          assertSteady(yield* plans(Effect.andThen(messages.ready(now, 10), messages.nextDueAt)))
          assertSteady(yield* plans(control.resume(held, now)))
        })
    )
  })
}
