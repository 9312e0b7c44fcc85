/**
 * How a run of a turn ends in the database: completed, put off, failed, superseded.
 *
 * Every end names the owner of the turn and the state it leaves, so a former owner changes nothing (`TurnLost`). What a
 * turn answers, its messages and its own end are one transaction. Completions that come together share their
 * statements; `completeOne` is what each of them means, and does those that leave more than replies and a state.
 */
import { Effect, Exit } from "effect"
import type { SqlClient } from "effect/sql"
import type { OwnerId, TurnId } from "../Message.ts"
import type { Completed, Left, MessageStore } from "../MessageStore.ts"
import type { CommittedReply, NewReply } from "../OutboxStore.ts"
import { spanned } from "../spanned.ts"
import { TurnLost } from "../StoreError.ts"
import { traceparent } from "../traceContext.ts"
import type { Failure } from "./batch.ts"
import { blankReplies, blankTurn } from "./blanking.ts"
import type { GroupCommit } from "./GroupCommit.ts"
import { endStreams, insertReplies, makeInserts } from "./outboxInserts.ts"
import { preparedStatements } from "./preparedStatement.ts"

type TurnEnds = Pick<MessageStore["Service"], "complete" | "retryLater" | "fail" | "supersede">

/** One call of `complete`. */
interface Completion {
  readonly turn: TurnId
  readonly owner: OwnerId
  readonly replies: ReadonlyArray<NewReply>
  readonly now: number
  readonly left: Left
  readonly trace: string | null
}

type Ended = Exit.Exit<Completed, Failure>

const completed = (rows: ReadonlyArray<CommittedReply>, ended: number): Completed => ({
  begun: rows[0]?.begun ?? null,
  queued: ended > 0 || rows.some(({ state }) => state === "queued")
})

interface LeftTurn {
  readonly id: string
  readonly steps: number
  readonly streams: number
  readonly interim: number
}

/** Completions that leave nothing but replies and a state, in four statements where nothing else hangs on their turns. */
const makeCompletions = (sql: SqlClient.SqlClient) => {
  const { many } = preparedStatements(sql)
  const insert = makeInserts(sql)
  const leave = many(
    (repeat) =>
      `UPDATE slackwater_turns SET owner = NULL, state = 'done', crashes = 0, finished_at = v.column3
    FROM (VALUES ${repeat("(?, ?, ?)")}) AS v
    WHERE slackwater_turns.id = v.column1 AND slackwater_turns.owner = v.column2 AND slackwater_turns.state = 'running'
    RETURNING id,
      EXISTS (SELECT 1 FROM slackwater_steps s WHERE s.turn_id = slackwater_turns.id) AS steps,
      EXISTS (SELECT 1 FROM slackwater_outbox s WHERE s.turn_id = slackwater_turns.id
        AND s.kind = 'StreamStart') AS streams,
      EXISTS (SELECT 1 FROM slackwater_outbox i WHERE i.turn_id = slackwater_turns.id AND i.interim = 1
        AND i.state IN ('queued', 'sending')) AS interim`,
    { again: true }
  )
  const finish = many((repeat) =>
    `UPDATE slackwater_messages SET state = 'done', reason = NULL, finished_at = v.column2
    FROM (VALUES ${repeat("(?, ?)")}) AS v
    WHERE slackwater_messages.turn_id = v.column1 AND slackwater_messages.state = 'processing'`, { again: true })

  /** Each of another turn. */
  return Effect.fnUntraced(function*(completions: ReadonlyArray<Completion>) {
    const left = new Map(
      (yield* leave<LeftTurn>(completions.map(({ now, owner, turn }) => [turn, owner, now]))).map((
        row
      ) => [row.id, row])
    )
    const ours = completions.filter(({ turn }) => left.has(turn))
    yield* finish(ours.map(({ now, turn }) => [turn, now]))
    const rows = yield* insert(ours.map((completion) => ({
      ...completion,
      sender: completion.left.sender,
      hasInterim: left.get(completion.turn)?.interim === 1
    })))
    const exits = new Map<string, Ended>()
    for (const [index, { left: { state }, now, trace, turn }] of ours.entries()) {
      const { steps, streams } = left.get(turn) ?? { steps: 0, streams: 0 }
      const ended = streams === 1 ? yield* endStreams(sql, turn, now, trace) : 0
      if (state !== undefined) yield* keepState(sql, turn, state, now)
      if (steps === 1) yield* forgetSteps(sql, turn)
      exits.set(turn, Exit.succeed(completed(rows[index] ?? [], ended)))
    }
    return completions.map(({ turn }): Ended => exits.get(turn) ?? Exit.fail(new TurnLost({ turn })))
  })
}

const keepState = (sql: SqlClient.SqlClient, turn: TurnId, state: string, now: number) =>
  sql`INSERT INTO slackwater_conversations (conversation, state, changed_at)
    SELECT conversation, ${state}, ${now} FROM slackwater_turns WHERE id = ${turn}
    ON CONFLICT (conversation) DO UPDATE SET state = excluded.state, changed_at = excluded.changed_at`

const forgetSteps = (sql: SqlClient.SqlClient, turn: TurnId) =>
  sql`DELETE FROM slackwater_steps WHERE turn_id = ${turn}`

export const makeTurnEnds = (sql: SqlClient.SqlClient, group: GroupCommit["Service"], blanks: boolean): TurnEnds => {
  /** Moves a turn we hold; nobody else's. */
  const leave = Effect.fnUntraced(
    function*(turn: TurnId, owner: OwnerId, set: string, values: ReadonlyArray<unknown>) {
      const rows = yield* sql.unsafe(
        `UPDATE slackwater_turns SET owner = NULL, ${set} WHERE id = ? AND owner = ? AND state = 'running' RETURNING id`,
        [...values, turn, owner]
      )
      if (rows.length === 0) return yield* new TurnLost({ turn })
    }
  )

  const finishMessages = (turn: TurnId, state: "done" | "failed", reason: string | null, now: number) =>
    sql`UPDATE slackwater_messages SET state = ${state}, reason = ${reason}, finished_at = ${now}
      WHERE turn_id = ${turn} AND state = 'processing'`

  const completeOne = Effect.fnUntraced(function*({ left, now, owner, replies, trace, turn }: Completion) {
    const { sender, state, unseen = [] } = left
    yield* leave(turn, owner, "state = 'done', crashes = 0, finished_at = ?", [now])
    for (const id of unseen) {
      yield* sql`UPDATE slackwater_messages SET state = 'queued', turn_id = NULL, due_at = ${now}
        WHERE id = ${id} AND turn_id = ${turn} AND state = 'processing'`
    }
    yield* finishMessages(turn, "done", null, now)
    const rows = yield* insertReplies(sql, { replies, turn, now, trace, sender })
    const ended = yield* endStreams(sql, turn, now, trace)
    if (state !== undefined) yield* keepState(sql, turn, state, now)
    yield* forgetSteps(sql, turn)
    if (blanks) yield* blankTurn(sql, turn)
    return completed(rows, ended)
  })

  const completeTogether = makeCompletions(sql)
  const isPlain = ({ left: { unseen = [] } }: Completion) => !blanks && unseen.length === 0

  const completeAll = Effect.fnUntraced(function*(completions: ReadonlyArray<Completion>) {
    const exits: Array<Ended> = []
    const waiting = new Map<string, Completion>()
    const flush = Effect.suspend(() => {
      const plain = [...waiting.values()]
      waiting.clear()
      return plain.length === 0
        ? Effect.void
        : Effect.map(completeTogether(plain), (ended) => void exits.push(...ended))
    })
    for (const completion of completions) {
      if (!isPlain(completion)) {
        yield* flush
        exits.push(yield* Effect.exit(completeOne(completion)))
        continue
      }
      if (waiting.has(completion.turn)) yield* flush
      waiting.set(completion.turn, completion)
    }
    yield* flush
    return exits
  })
  const complete = group.batched("complete", "ends", completeAll)

  return {
    complete: Effect.fnUntraced(function*(turn, owner, replies, now, left = {}) {
      return yield* complete({ turn, owner, replies, now, left, trace: yield* traceparent })
    }, spanned("MessageStore.complete")),
    retryLater: Effect.fn("MessageStore.retryLater")(function*(turn, owner, error, dueAt) {
      yield* leave(
        turn,
        owner,
        `state = 'waiting', failures = failures + 1, crashes = 0, interrupted = 0, status = NULL, error = ?, due_at = ?`,
        [error, Math.round(dueAt)]
      )
      yield* sql`UPDATE slackwater_messages SET state = 'queued' WHERE turn_id = ${turn} AND state = 'processing'`
    }, group.write("retryLater")),
    fail: Effect.fn("MessageStore.fail")(function*(turn, owner, error, replies, now) {
      yield* leave(turn, owner, "state = 'failed', failures = failures + 1, error = ?, finished_at = ?", [error, now])
      yield* finishMessages(turn, "failed", error, now)
      const trace = yield* traceparent
      yield* insertReplies(sql, { replies, turn, now, trace })
      yield* endStreams(sql, turn, now, trace)
    }, group.write("fail")),
    supersede: Effect.fn("MessageStore.supersede")(function*(turn, owner, now) {
      yield* leave(turn, owner, "state = 'superseded', finished_at = ?", [now])
      // Whoever waits in a quiet window is waited for: they go on together.
      yield* sql`UPDATE slackwater_messages SET state = 'queued', turn_id = NULL, due_at = max(${now}, coalesce((
          SELECT max(due_at) FROM slackwater_messages WHERE state = 'queued' AND turn_id IS NULL
            AND conversation = (SELECT conversation FROM slackwater_turns WHERE id = ${turn})), 0))
        WHERE turn_id = ${turn} AND state = 'processing'`
      yield* sql`DELETE FROM slackwater_steps WHERE turn_id = ${turn}`
      yield* endStreams(sql, turn, now, yield* traceparent)
      if (blanks) yield* blankReplies(sql, turn)
    }, group.write("supersede"))
  }
}
