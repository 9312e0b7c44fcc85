/**
 * Erases what a plan has found: texts, payloads, results of steps, state, replies, and who said it.
 *
 * Guarantees, also after `kill -9` in the middle: each step is one short transaction that looks again at what it may
 * touch, and messages go last, so the same command finds the rest; no row of a turn that has not ended, and none that is
 * being sent, is touched; a repetition of what was forgotten is recognised by the hash of its key, and not stored again.
 * What was erased is overwritten in the file (`secure_delete`), and the WAL is emptied, or it is said that it is not.
 * Does not: reach copies of the file, or what the disk itself keeps.
 */
import { Effect, Schedule } from "effect"
import { SqlClient } from "effect/sql"
import type { Plan } from "./forgetPlan.ts"
import { hashOfKey } from "./keyHash.ts"
import { statement, transaction } from "./transaction.ts"

/** Rows in one transaction. */
const together = 100
/** Between two of them, so that a gateway beside us gets its turn. */
const pause = "5 millis"
const emptiesWithin = "10 seconds"

export interface Forgotten {
  readonly messages: number
  readonly turns: number
  readonly replies: number
  readonly states: number
  readonly keys: number
  /** Names in the spool that no row needs any more. */
  readonly files: ReadonlyArray<string>
  /** Replies that were taken in hand meanwhile. */
  readonly left: ReadonlyArray<number>
}

/** Of a row's turn, that it will not ask for the row again. */
const turnHasEnded = (table: string) =>
  `NOT EXISTS (SELECT 1 FROM slackwater_turns t WHERE t.id = ${table}.turn_id AND t.finished_at IS NULL)`

/** The host's own key says that this was sent; nothing else of it stays. */
const blanked = `kind = 'Post', dispatch = '{"_tag":"Post","text":""}', lane = 'forgotten', channel = 'forgotten',
  thread_ts = NULL, slack_channel = NULL, slack_ts = NULL, remote = NULL, trace = NULL, newest = NULL, target_id = NULL,
  reason = CASE WHEN finished_at IS NULL THEN 'forgotten' END,
  error_class = CASE WHEN finished_at IS NULL THEN 'Discarded' ELSE error_class END,
  failed_at = CASE WHEN finished_at IS NULL THEN NOW ELSE failed_at END,
  state = CASE WHEN finished_at IS NULL THEN 'failed_terminal' ELSE state END, owner = NULL, held = 0,
  finished_at = coalesce(finished_at, NOW)`

const chunksOf = <A>(all: ReadonlyArray<A>): ReadonlyArray<ReadonlyArray<A>> =>
  Array.from({ length: Math.ceil(all.length / together) }, (_, n) => all.slice(n * together, (n + 1) * together))

/** `progressed` hears how many rows were dealt with. */
export const forget = Effect.fn("forget")(function*(
  plan: Plan,
  now: number,
  progressed: (rows: number) => Effect.Effect<void> = () => Effect.void
) {
  const sql = yield* SqlClient.SqlClient
  const counted = { messages: 0, turns: 0, replies: 0, states: 0, keys: 0 }
  const files: Array<string> = []
  const left: Array<number> = []

  const each = <A, E, R>(all: ReadonlyArray<A>, erase: (some: ReadonlyArray<A>) => Effect.Effect<void, E, R>) =>
    Effect.forEach(
      chunksOf(all),
      (some) => Effect.andThen(erase(some), Effect.andThen(progressed(some.length), Effect.sleep(pause))),
      { discard: true }
    )
  const atOnce = transaction(sql, "forget")

  yield* each(plan.replies, (ids) =>
    Effect.gen(function*() {
      const free = sql`${sql.in("id", ids)} AND state <> 'sending' AND ${
        sql.literal(turnHasEnded("slackwater_outbox"))
      }`
      const spooled = yield* sql<{ readonly name: string | null }>`SELECT CASE WHEN json_valid(dispatch)
        THEN json_extract(dispatch, '$.spool') END AS name FROM slackwater_outbox WHERE kind = 'Upload' AND ${free}`
      for (const { name } of spooled) if (name !== null) files.push(name)
      const kept = yield* sql<{ readonly id: number }>`UPDATE slackwater_outbox
        SET ${sql.literal(blanked.replaceAll("NOW", String(Math.floor(now))))}
        WHERE ${free} AND key LIKE 'host:key:%' RETURNING id`
      const gone = yield* sql<{ readonly id: number }>`DELETE FROM slackwater_outbox
        WHERE ${free} AND key NOT LIKE 'host:key:%' RETURNING id`
      counted.replies += kept.length + gone.length
      const blank = kept.map(({ id }) => id)
      const there = yield* sql<{ readonly id: number }>`SELECT id FROM slackwater_outbox WHERE ${sql.in("id", ids)}`
      for (const { id } of there) if (!blank.includes(id)) left.push(id)
    }).pipe(atOnce))

  yield* each(plan.turns, (ids) =>
    Effect.gen(function*() {
      const ended = sql`${sql.in("id", ids)} AND finished_at IS NOT NULL`
      yield* sql`DELETE FROM slackwater_steps WHERE turn_id IN (SELECT id FROM slackwater_turns WHERE ${ended})`
      yield* sql`UPDATE slackwater_turns SET status = NULL, error = NULL WHERE ${ended}`
      // What went wrong may say what it was about, also to others whose message it was.
      yield* sql`UPDATE slackwater_messages SET reason = 'forgotten' WHERE state = 'failed'
        AND turn_id IN (SELECT id FROM slackwater_turns WHERE ${ended})`
      yield* sql`UPDATE slackwater_by_hand SET reason = 'forgotten' WHERE reason IS NOT NULL AND message_id IN
        (SELECT m.id FROM slackwater_messages m JOIN slackwater_turns t ON t.id = m.turn_id
          WHERE ${sql.in("t.id", ids)} AND t.finished_at IS NOT NULL)`
    }).pipe(atOnce))

  yield* each(plan.states, (conversations) =>
    Effect.map(
      sql`DELETE FROM slackwater_conversations WHERE ${sql.in("conversation", conversations)}
        AND NOT EXISTS (SELECT 1 FROM slackwater_turns t WHERE t.conversation = slackwater_conversations.conversation
          AND t.finished_at IS NULL) RETURNING conversation`,
      (rows) => {
        counted.states += rows.length
      }
    ).pipe(atOnce))

  yield* each(plan.keys, (keys) =>
    Effect.gen(function*() {
      for (const key of keys) {
        yield* sql`INSERT INTO slackwater_message_keys (key, message_id, seen_at)
          SELECT ${hashOfKey(key)}, message_id, seen_at FROM slackwater_message_keys WHERE key = ${key}
          ON CONFLICT DO NOTHING`
      }
      const gone = yield* sql`DELETE FROM slackwater_message_keys WHERE ${sql.in("key", keys)} RETURNING key`
      counted.keys += gone.length
    }).pipe(atOnce))

  yield* each([...plan.messages.keys()], (ids) =>
    Effect.gen(function*() {
      const gone = yield* sql<{ readonly id: number }>`DELETE FROM slackwater_messages
        WHERE ${sql.in("id", ids)} AND state <> 'processing' AND ${sql.literal(turnHasEnded("slackwater_messages"))}
        RETURNING id`
      counted.messages += gone.length
      yield* sql`DELETE FROM slackwater_by_hand WHERE ${sql.in("message_id", gone.map(({ id }) => id))}`
    }).pipe(atOnce))

  // What is left of their turns says when, and about whom.
  yield* each(plan.turns, (ids) =>
    Effect.map(
      sql`DELETE FROM slackwater_turns WHERE ${sql.in("id", ids)} AND finished_at IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM slackwater_messages m WHERE m.turn_id = slackwater_turns.id) RETURNING id`,
      (rows) => {
        counted.turns += rows.length
      }
    ).pipe(atOnce))

  return { ...counted, files, left } satisfies Forgotten
})

/** Empties the WAL, in which pages are as they were. False while somebody else reads or writes all the time. */
export const emptyWal = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const checkpoint = Effect.map(
    statement("checkpoint")(sql<{ readonly busy: number }>`PRAGMA wal_checkpoint(TRUNCATE)`),
    ([row]) => row?.busy === 0
  )
  return yield* Effect.repeat(Effect.orElseSucceed(checkpoint, () => false), {
    until: (isEmpty) => isEmpty,
    schedule: Schedule.spaced("100 millis").pipe(Schedule.upTo({ duration: emptiesWithin }))
  })
})
