/**
 * What is done to the outbox for every message, for all callers that wait together: replies are added, and are delivered.
 *
 * Runs inside whatever transaction is open; a caller whose run of a turn is over fails alone (`TurnLost`).
 */
import { Effect, Exit } from "effect"
import type { SqlClient } from "effect/sql"
import type { SlackMessage } from "../Dispatch.ts"
import type { OwnerId } from "../Message.ts"
import type { CommittedReply, TurnRun } from "../OutboxStore.ts"
import { TurnLost } from "../StoreError.ts"
import type { Failure } from "./batch.ts"
import { blankReply } from "./blanking.ts"
import { type Commit, makeInserts } from "./outboxInserts.ts"
import { preparedStatements } from "./preparedStatement.ts"

/** One call of `enqueue`. */
interface Enqueued extends Omit<Commit, "turn"> {
  readonly from: TurnRun | null
}

interface Run {
  readonly id: string
  readonly owner: string
  readonly attempt: number
  readonly interim: number
}

export const makeEnqueue = (sql: SqlClient.SqlClient) => {
  const insert = makeInserts(sql)
  const running = preparedStatements(sql).many(
    (repeat) =>
      `SELECT id, owner, attempt, EXISTS (SELECT 1 FROM slackwater_outbox i WHERE i.turn_id = slackwater_turns.id
        AND i.interim = 1 AND i.state IN ('queued', 'sending')) AS interim
    FROM slackwater_turns WHERE state = 'running' AND id IN (${repeat("?")})`,
    { again: true }
  )

  return Effect.fnUntraced(function*(calls: ReadonlyArray<Enqueued>) {
    const turns = new Set(calls.flatMap(({ from }) => from?.turn ?? []))
    const runs = new Map((yield* running<Run>([...turns].map((turn) => [turn]))).map((run) => [run.id, run]))
    const runOf = ({ from }: Enqueued) => {
      const run = from === null ? undefined : runs.get(from.turn)
      return run?.owner === from?.owner && run?.attempt === from?.attempt ? run : undefined
    }
    const ours = calls.filter((call) => call.from === null || runOf(call) !== undefined)
    // An interim row among the calls is progress that the next of them may end.
    const progress = new Set(
      ours.flatMap(({ from, replies }) => replies.some(({ interim }) => interim === true) ? from?.turn ?? [] : [])
    )
    const rows = yield* insert(ours.map((call) => ({
      ...call,
      turn: call.from?.turn ?? null,
      hasInterim: runOf(call)?.interim === 1 || (call.from !== null && progress.has(call.from.turn))
    })))
    let next = 0
    return calls.map((call): Exit.Exit<ReadonlyArray<CommittedReply>, Failure> =>
      call.from !== null && runOf(call) === undefined
        ? Exit.fail(new TurnLost({ turn: call.from.turn }))
        : Exit.succeed(rows[next++] ?? [])
    )
  })
}

/** One call of `delivered`. */
interface Delivered {
  readonly id: number
  readonly owner: OwnerId
  readonly at: SlackMessage
  readonly now: number
}

export const makeDelivered = (sql: SqlClient.SqlClient, blanks: boolean) => {
  const deliver = preparedStatements(sql).many((repeat) =>
    `UPDATE slackwater_outbox SET state = 'delivered', owner = NULL, held = 0, slack_channel = v.column3,
      slack_ts = v.column4, finished_at = v.column5
    FROM (VALUES ${repeat("(?, ?, ?, ?, ?)")}) AS v
    WHERE slackwater_outbox.id = v.column1 AND ((slackwater_outbox.state = 'sending'
      AND slackwater_outbox.owner = v.column2) OR slackwater_outbox.state = 'unknown')`
  )

  return Effect.fnUntraced(function*(calls: ReadonlyArray<Delivered>) {
    // Said twice of one row, the first counts, as it does when they come one after the other.
    const first = new Map<number, Delivered>()
    const later: Array<Delivered> = []
    for (const call of calls) {
      if (first.has(call.id)) later.push(call)
      else first.set(call.id, call)
    }
    for (const group of [[...first.values()], ...later.map((call) => [call])]) {
      yield* deliver(group.map(({ at, id, now, owner }) => [id, owner, at.channel, at.ts, now]))
    }
    if (blanks) { for (const { id } of calls) yield* blankReply(sql, id) }
    return calls.map(() => Exit.void)
  })
}
