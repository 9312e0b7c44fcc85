/**
 * The life of a turn in the database: claimed, cut off, given back. How it ends is in `turnEnds.ts`.
 *
 * Every write to a turn names its owner and the state it leaves, so a former owner changes nothing. A conversation
 * with an unfinished turn gets no other: a unique index holds that, not this code.
 */
import { Effect, Option } from "effect"
import type { SqlClient } from "effect/sql"
import { type ConversationKey, type InboundMessage, type OwnerId, TurnId } from "../Message.ts"
import { type ClaimedTurn, type MessageStore, suspectAfter } from "../MessageStore.ts"
import type { TurnRun } from "../OutboxStore.ts"
import { isFree, notPaused } from "./Control.ts"
import type { GroupCommit } from "./GroupCommit.ts"
import { decodeMessage } from "./messageJson.ts"
import { requireRun } from "./outboxRows.ts"

interface OpenRow {
  readonly id: string
  readonly state: string
  readonly attempt: number
  readonly failures: number
  readonly crashes: number
  readonly interrupted: number
  readonly status: string | null
  readonly due_at: number
}

interface MessageRow {
  readonly id: number
  readonly message: string
  readonly received_at: number
  readonly trace: string | null
}

type Turns = Pick<
  MessageStore["Service"],
  | "claim"
  | "recover"
  | "releaseAll"
  | "saveStep"
  | "saveStatus"
  | "adopt"
>

export const makeTurns = (sql: SqlClient.SqlClient, group: GroupCommit["Service"]): Turns => {
  const messagesOf = Effect.fnUntraced(function*(turn: string) {
    const rows = yield* sql<MessageRow>`SELECT id, message, received_at, trace
      FROM slackwater_messages WHERE turn_id = ${turn} AND state = 'processing' ORDER BY slack_ts, id`
    const messages: Array<InboundMessage> = []
    let unreadable: string | null = null
    for (const { id, message } of rows) {
      const decoded = decodeMessage(message)
      if (Option.isSome(decoded)) messages.push(decoded.value)
      else unreadable ??= `message ${id} cannot be read: a newer release wrote it, or it is damaged`
    }
    return {
      messages,
      unreadable,
      ids: rows.map(({ id }) => id),
      traces: rows.flatMap(({ trace }) => trace ?? []),
      receivedAt: Math.min(...rows.map(({ received_at }) => received_at))
    }
  })

  /** A message opens a second turn when its first one is superseded, maybe in the same millisecond. */
  const openTurn = Effect.fnUntraced(
    function*(wanted: string, conversation: ConversationKey, owner: OwnerId, now: number) {
      for (let n = 1;; n++) {
        const id = TurnId.make(n === 1 ? wanted : `${wanted}_${n}`)
        const made = yield* sql`INSERT INTO slackwater_turns
          (id, conversation, state, owner, attempt, due_at, created_at, started_at)
          VALUES (${id}, ${conversation}, 'running', ${owner}, 1, ${now}, ${now}, ${now})
          ON CONFLICT (id) DO NOTHING RETURNING id`
        if (made.length > 0) return id
      }
    }
  )

  /** A suspect runs apart from every turn that was in flight at a crash; it is asked for again a little later. */
  const mustWait = Effect.fnUntraced(function*(open: OpenRow, owner: OwnerId, now: number) {
    if (open.crashes === 0) return false
    const apartFrom = open.crashes >= suspectAfter ? 1 : suspectAfter
    // What dead owners left is `running` too until it is recovered, and runs nowhere.
    const [other] = yield* sql`SELECT 1 AS yes FROM slackwater_turns
      WHERE state = 'running' AND owner = ${owner} AND crashes >= ${apartFrom} LIMIT 1`
    if (other === undefined) return false
    yield* sql`UPDATE slackwater_turns SET due_at = ${now + 1_000} WHERE id = ${open.id} AND state = 'waiting'`
    return true
  })

  const claimAgain = Effect.fnUntraced(
    function*(conversation: ConversationKey, open: OpenRow, owner: OwnerId, now: number) {
      if (open.state === "running" || open.due_at > now) return Option.none<ClaimedTurn>()
      if (yield* mustWait(open, owner, now)) return Option.none<ClaimedTurn>()
      yield* sql`UPDATE slackwater_turns SET state = 'running', owner = ${owner}, attempt = attempt + 1,
        started_at = ${now} WHERE id = ${open.id} AND state = ${open.state}`
      yield* sql`UPDATE slackwater_messages SET state = 'processing' WHERE turn_id = ${open.id} AND state = 'queued'`
      return Option.some<ClaimedTurn>({
        id: TurnId.make(open.id),
        conversation,
        attempt: open.attempt + 1,
        failures: open.failures,
        crashes: open.crashes,
        interrupted: open.interrupted === 1,
        status: open.status,
        ...(yield* messagesOf(open.id))
      })
    }
  )

  /** Paused. In the transaction of the claim, so that none slips through. */
  const isHeld = (conversation: ConversationKey) =>
    Effect.map(sql`SELECT 1 AS yes WHERE ${isFree(sql, conversation)}`, (rows) => rows.length === 0)

  const claim = Effect.fn("MessageStore.claim")(
    function*(conversation: ConversationKey, owner: OwnerId, now: number, most = Number.MAX_SAFE_INTEGER) {
      if (yield* isHeld(conversation)) return Option.none<ClaimedTurn>()
      const [open] = yield* sql<OpenRow>`SELECT * FROM slackwater_turns
        WHERE conversation = ${conversation} AND state IN ('running', 'waiting')`
      if (open !== undefined) return yield* claimAgain(conversation, open, owner, now)
      // Asked for again by hand: in its turn among what waits, and nothing else of the conversation runs.
      const [asked] = yield* sql<OpenRow>`SELECT * FROM slackwater_turns t
        WHERE conversation = ${conversation} AND state = 'failed' AND finished_at IS NULL AND due_at <= ${now}
          AND NOT EXISTS (SELECT 1 FROM slackwater_messages m WHERE m.conversation = ${conversation}
            AND m.state = 'queued' AND m.turn_id IS NULL AND m.due_at < t.due_at)
        ORDER BY due_at, created_at, id LIMIT 1`
      if (asked !== undefined) return yield* claimAgain(conversation, asked, owner, now)
      const [first] = yield* sql<{ readonly id: number }>`SELECT id FROM slackwater_messages
        WHERE conversation = ${conversation} AND state = 'queued' AND turn_id IS NULL AND due_at <= ${now}
        ORDER BY slack_ts, id LIMIT 1`
      if (first === undefined) return Option.none<ClaimedTurn>()
      const id = yield* openTurn(`turn_${now.toString(36)}_${first.id}`, conversation, owner, now)
      yield* sql`UPDATE slackwater_messages SET state = 'processing', turn_id = ${id} WHERE id IN (
        SELECT id FROM slackwater_messages
        WHERE conversation = ${conversation} AND state = 'queued' AND turn_id IS NULL AND due_at <= ${now}
        ORDER BY slack_ts, id LIMIT ${most})`
      const fresh = { attempt: 1, failures: 0, crashes: 0, interrupted: false, status: null }
      return Option.some<ClaimedTurn>({ id, conversation, ...fresh, ...(yield* messagesOf(id)) })
    },
    group.write("claim")
  )

  const recover = Effect.fn("MessageStore.recover")(
    function*(living: ReadonlyArray<OwnerId>, now: number, limit: number) {
      const turns = yield* sql<{ readonly id: string }>`SELECT id FROM slackwater_turns
      WHERE state = 'running' AND NOT ${sql.in("owner", living)} ORDER BY due_at, id LIMIT ${limit}`
      for (const { id } of turns) {
        // Whoever waited longest before the crash does so after it.
        yield* sql`UPDATE slackwater_turns SET state = 'waiting', owner = NULL, crashes = crashes + 1, interrupted = 1,
        due_at = min(due_at, ${now}) WHERE id = ${id} AND state = 'running'`
        yield* sql`UPDATE slackwater_messages SET state = 'queued' WHERE turn_id = ${id} AND state = 'processing'`
      }
      return turns.length
    },
    group.write("recover")
  )

  return {
    claim,
    recover,
    releaseAll: Effect.fn("MessageStore.releaseAll")(function*(owner, now) {
      const turns = yield* sql<{ readonly id: string }>`UPDATE slackwater_turns SET state = 'waiting', owner = NULL,
        attempt = attempt - 1, crashes = 0, interrupted = 1, due_at = ${now}
        WHERE owner = ${owner} AND state = 'running' RETURNING id`
      for (const { id } of turns) {
        yield* sql`UPDATE slackwater_messages SET state = 'queued' WHERE turn_id = ${id} AND state = 'processing'`
      }
      return turns.length
    }, group.write("releaseAll")),
    saveStep: Effect.fn("MessageStore.saveStep")(function*(run, name, result, now) {
      yield* requireRun(sql, run)
      yield* sql`INSERT INTO slackwater_steps (turn_id, name, result, finished_at)
        VALUES (${run.turn}, ${name}, ${result}, ${now}) ON CONFLICT DO NOTHING`
    }, group.write("saveStep")),
    saveStatus: Effect.fn("MessageStore.saveStatus")(function*(run: TurnRun, status: string) {
      yield* requireRun(sql, run)
      yield* sql`UPDATE slackwater_turns SET status = ${status} WHERE id = ${run.turn} AND state = 'running'`
    }, group.write("saveStatus")),
    adopt: Effect.fn("MessageStore.adopt")(function*(run, message) {
      yield* requireRun(sql, run)
      const rows = yield* sql`UPDATE slackwater_messages SET state = 'processing', turn_id = ${run.turn}
        WHERE id = ${message} AND state = 'queued' AND turn_id IS NULL
          AND conversation = (SELECT conversation FROM slackwater_turns WHERE id = ${run.turn})
          AND ${notPaused(sql, "conversation")} RETURNING id`
      return rows.length > 0
    }, group.write("adopt"))
  }
}
