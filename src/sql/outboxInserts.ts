/**
 * How replies get into the outbox: those of several commits together where they are plain, one by one otherwise.
 *
 * Runs inside whatever transaction is open. `insertReplies` is the truth; `makeInserts` says the same in two statements
 * for commits of plain posts (`mayGoAtOnce`) whose keys are new, each in a lane of its own. Rows get their ids in the
 * order of the commits, whatever way they come.
 */
import { Effect } from "effect"
import type { SqlClient } from "effect/sql"
import type { OwnerId } from "../Message.ts"
import { type ClaimedReply, type CommittedReply, mayGoAtOnce, type NewReply } from "../OutboxStore.ts"
import { claimed, decodeSent, encodeDispatch, endInterim, type Row, stored } from "./outboxRows.ts"
import { preparedStatements, type Value } from "./preparedStatement.ts"

/** What is committed at once: the replies of a turn, or of the host. */
export interface Commit {
  readonly replies: ReadonlyArray<NewReply>
  readonly turn: string | null
  readonly now: number
  /** The span that commits it. */
  readonly trace: string | null
  /** Who sends the first one at once, where it may go. */
  readonly sender?: OwnerId | undefined
}

/** The first of its commit goes at once if nothing of its lane is unsettled. */
const begin = Effect.fnUntraced(
  function*(sql: SqlClient.SqlClient, row: Row, reply: NewReply, { now, sender }: Commit) {
    if (sender === undefined || !mayGoAtOnce(reply)) return undefined
    const [other] = yield* sql`SELECT 1 AS yes FROM slackwater_outbox WHERE lane = ${row.lane}
    AND state IN ('queued', 'failed_retryable', 'sending', 'unknown') AND id <> ${row.id} LIMIT 1`
    if (other !== undefined) return undefined
    const [begun] = yield* sql<Row>`UPDATE slackwater_outbox SET state = 'sending', owner = ${sender}, sent_at = ${now},
    tries = 1 WHERE id = ${row.id} RETURNING *`
    return begun
  }
)

/** Answers them in order; a known key answers its first row. */
export const insertReplies = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, commit: Commit) {
  const { now, replies, trace, turn } = commit
  const rows: Array<CommittedReply> = []
  let first: number | null = null
  for (const [index, reply] of replies.entries()) {
    let [row] = yield* sql<Row>`SELECT * FROM slackwater_outbox WHERE key = ${reply.key}`
    let begun: Row | undefined
    if (row === undefined) {
      const { channel, threadTs = null } = reply.destination
      const interim = reply.interim === true
      const dueAt = Math.max(now, Math.round(reply.notBefore ?? now))
      row = (yield* sql<Row>`INSERT INTO slackwater_outbox
        (key, lane, channel, thread_ts, kind, dispatch, state, interim, turn_id, target_id, part_of,
         due_at, enqueued_at, lives_from, trace) VALUES
        (${reply.key}, ${reply.lane}, ${channel}, ${threadTs}, ${reply.dispatch._tag},
         ${encodeDispatch(reply.dispatch)}, 'queued', ${interim ? 1 : 0}, ${turn}, ${reply.target ?? null},
         ${reply.part === undefined ? null : first}, ${dueAt}, ${now}, ${dueAt}, ${trace}) RETURNING *`)[0]
      if (row !== undefined && !interim && turn !== null) {
        yield* endInterim(sql, sql`turn_id = ${turn} AND state = 'queued' AND id < ${row.id}`, now)
      }
      if (row !== undefined && index === 0) begun = yield* begin(sql, row, reply, commit)
    }
    if (row === undefined) continue
    if (reply.part === undefined) first = row.id
    rows.push(
      begun === undefined
        ? stored(row)
        : { ...stored(begun), begun: claimed(begun, decodeSent(reply.dispatch, begun.dispatch)) }
    )
  }
  return rows
})

/** With its turn, every stream ends: what nobody stopped is stopped as it is. Answers how many. */
export const endStreams = Effect.fnUntraced(function*(
  sql: SqlClient.SqlClient,
  turn: string,
  now: number,
  trace: string | null
) {
  const open = yield* sql<Row>`SELECT s.* FROM slackwater_outbox s
    WHERE s.turn_id = ${turn} AND s.kind = 'StreamStart' AND s.state NOT IN ('failed_terminal', 'expired')
      AND NOT EXISTS (SELECT 1 FROM slackwater_outbox e WHERE e.target_id = s.id
        AND e.kind IN ('StreamStop', 'StreamEnd', 'Post')) ORDER BY s.id`
  const ends = open.map((row): NewReply => {
    const { destination, key, lane } = claimed(row, { _tag: "StreamEnd" })
    return { key: `${key}:end`, lane, destination, dispatch: { _tag: "StreamEnd" }, target: row.id }
  })
  yield* insertReplies(sql, { replies: ends, turn, now, trace })
  return ends.length
})

/** A row as it is added, and how it began. */
interface Adding {
  readonly reply: NewReply
  readonly values: ReadonlyArray<Value>
  readonly begun: Omit<ClaimedReply, "id"> | undefined
}

const adding = (commit: Commit, reply: NewReply, goes: boolean): Adding => {
  const { now, sender, trace, turn } = commit
  const { channel, threadTs } = reply.destination
  const dispatch = encodeDispatch(reply.dispatch)
  const owner = goes && sender !== undefined ? sender : null
  return {
    reply,
    values: [
      reply.key,
      reply.lane,
      channel,
      threadTs ?? null,
      dispatch,
      owner === null ? "queued" : "sending",
      owner,
      turn,
      owner === null ? null : now,
      owner === null ? 0 : 1,
      now,
      now,
      now,
      trace
    ],
    begun: owner === null ? undefined : {
      key: reply.key,
      lane: reply.lane,
      destination: threadTs === undefined ? { channel } : { channel, threadTs },
      dispatch: decodeSent(reply.dispatch, dispatch),
      interim: false,
      remote: null,
      attempts: 0,
      enqueuedAt: now,
      livesFrom: now,
      trace
    }
  }
}

/** A commit, and whether progress of its turn waits to be sent, which the commit ends. */
export interface Pending extends Commit {
  readonly hasInterim: boolean
}

const isPlain = ({ hasInterim, replies }: Pending) => !hasInterim && replies.every(mayGoAtOnce)

export const makeInserts = (sql: SqlClient.SqlClient) => {
  const { many } = preparedStatements(sql)
  const look = many((repeat) =>
    `SELECT v.column1 AS key,
      EXISTS (SELECT 1 FROM slackwater_outbox o WHERE o.key = v.column1) AS known,
      EXISTS (SELECT 1 FROM slackwater_outbox o WHERE o.lane = v.column2
        AND o.state IN ('queued', 'failed_retryable', 'sending', 'unknown')) AS busy
    FROM (VALUES ${repeat("(?, ?)")}) AS v`, { again: true })
  const insert = many((repeat) =>
    `INSERT INTO slackwater_outbox (key, lane, channel, thread_ts, kind, dispatch, state, owner, turn_id, sent_at, tries,
      due_at, enqueued_at, lives_from, trace)
    VALUES ${repeat("(?, ?, ?, ?, 'Post', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")} RETURNING id, key`
  )

  /** Plain commits, no two of which share a key or a lane. */
  const together = Effect.fnUntraced(function*(commits: ReadonlyArray<Pending>) {
    const replies = commits.flatMap(({ replies }) => replies)
    if (replies.length === 0) return commits.map((): ReadonlyArray<CommittedReply> => [])
    const seen = yield* look<{ readonly key: string; readonly known: number; readonly busy: number }>(
      replies.map(({ key, lane }) => [key, lane])
    )
    const found = new Map(seen.map((row) => [row.key, row]))
    const answers: Array<ReadonlyArray<CommittedReply>> = []
    let waiting: Array<ReadonlyArray<Adding>> = []
    const flush = Effect.suspend(() => {
      const rows = waiting
      waiting = []
      return Effect.map(
        insert<{ readonly id: number; readonly key: string }>(rows.flat().map(({ values }) => values)),
        (added) => {
          const ids = new Map(added.map(({ id, key }) => [key, id]))
          for (const commit of rows) answers.push(commit.map((row) => committed(row, ids.get(row.reply.key) ?? 0)))
        }
      )
    })
    for (const commit of commits) {
      if (commit.replies.some(({ key }) => found.get(key)?.known === 1)) {
        yield* flush
        answers.push(yield* insertReplies(sql, commit))
      } else {
        waiting.push(
          commit.replies.map((reply, index) => adding(commit, reply, index === 0 && found.get(reply.key)?.busy === 0))
        )
      }
    }
    yield* flush
    return answers
  })

  /** Answers the rows of each commit, in its order. */
  return Effect.fnUntraced(function*(commits: ReadonlyArray<Pending>) {
    const answers: Array<ReadonlyArray<CommittedReply>> = []
    let plain: Array<Pending> = []
    const taken = new Set<string>()
    const flush = Effect.suspend(() => {
      const group = plain
      plain = []
      taken.clear()
      return group.length === 0 ? Effect.void : Effect.map(together(group), (rows) => void answers.push(...rows))
    })
    for (const commit of commits) {
      const own = new Set(commit.replies.flatMap(({ key, lane }) => [`key ${key}`, `lane ${lane}`]))
      const keys = new Set(commit.replies.map(({ key }) => key))
      if (!isPlain(commit) || keys.size < commit.replies.length) {
        yield* flush
        answers.push(yield* insertReplies(sql, commit))
        continue
      }
      if ([...own].some((name) => taken.has(name))) yield* flush
      for (const name of own) taken.add(name)
      plain.push(commit)
    }
    yield* flush
    return answers
  })
}

const committed = ({ begun, reply }: Adding, id: number): CommittedReply => ({
  id,
  state: begun === undefined ? "queued" : "sending",
  channel: reply.destination.channel,
  ts: null,
  reason: null,
  interim: false,
  held: false,
  ...(begun === undefined ? {} : { begun: { id, ...begun } })
})
