/**
 * How turns are claimed: a new one of what is due in its conversation, the unfinished one again, or one that was asked
 * for by hand.
 *
 * All claims that wait for the writer share their statements where nothing but due messages is in the conversation, which
 * is how most of them are; the others are claimed one by one behind them. Every rule is in `alone`.
 * A conversation with an unfinished turn gets no other: a unique index holds that, not this code.
 */
import { Effect, Exit, Option } from "effect"
import type { SqlClient, SqlError } from "effect/sql"
import { type ConversationKey, type InboundMessage, type OwnerId, TurnId } from "../Message.ts"
import { type ClaimedTurn, suspectAfter } from "../MessageStore.ts"
import { spanned } from "../spanned.ts"
import { isFree } from "./Control.ts"
import type { GroupCommit } from "./GroupCommit.ts"
import { boundLimit } from "./limit.ts"
import { decodeMessage } from "./messageJson.ts"
import { firstRun, isTaken, turnName } from "./newTurn.ts"
import { preparedStatements, type Value } from "./preparedStatement.ts"

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

interface Claim {
  readonly conversation: ConversationKey
  readonly owner: OwnerId
  readonly now: number
  /** A new turn takes at most this many messages. */
  readonly most: number | undefined
}

type Found = Option.Option<ClaimedTurn>

/** What a turn is given, as its rows have it. */
const given = (rows: ReadonlyArray<MessageRow>) => {
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
}

const waitsThere = `state = 'queued' AND turn_id IS NULL`
const columns = `id, message, received_at, trace`

const makeAlone = (sql: SqlClient.SqlClient) => {
  const { one } = preparedStatements(sql)
  const openTurn = one<OpenRow>(
    `SELECT * FROM slackwater_turns WHERE conversation = ? AND state IN ('running', 'waiting')`
  )
  // Asked for again by hand: in its turn among what waits, and nothing else of the conversation runs.
  const askedFor = one<OpenRow>(
    `SELECT * FROM slackwater_turns t WHERE conversation = ? AND state = 'failed' AND finished_at IS NULL AND due_at <= ?
      AND NOT EXISTS (SELECT 1 FROM slackwater_messages m WHERE m.conversation = t.conversation
        AND m.state = 'queued' AND m.turn_id IS NULL AND m.due_at < t.due_at)
      ORDER BY due_at, created_at, id LIMIT 1`
  )
  const due = one<MessageRow>(
    `SELECT ${columns} FROM slackwater_messages WHERE conversation = ? AND ${waitsThere} AND due_at <= ?
      ORDER BY slack_ts, id ${boundLimit}`
  )
  const messagesOf = one<MessageRow>(
    `SELECT ${columns} FROM slackwater_messages WHERE turn_id = ? AND state = 'processing' ORDER BY slack_ts, id`
  )
  const insertTurn = one(
    `INSERT INTO slackwater_turns (id, conversation, state, owner, attempt, due_at, created_at, started_at)
      VALUES (?, ?, 'running', ?, 1, ?, ?, ?) ON CONFLICT (id) DO NOTHING RETURNING id`
  )

  /** A message opens a second turn when its first one is superseded, maybe in the same millisecond. */
  const begin = Effect.fnUntraced(function*({ conversation, now, owner }: Claim, wanted: string) {
    for (let n = 1;; n++) {
      const id = n === 1 ? wanted : `${wanted}_${n}`
      if ((yield* insertTurn([id, conversation, owner, now, now, now])).length > 0) return TurnId.make(id)
    }
  })

  /** A suspect runs apart from every turn that was in flight at a crash; it is asked for again a little later. */
  const mustWait = Effect.fnUntraced(function*(open: OpenRow, { now, owner }: Claim) {
    if (open.crashes === 0) return false
    const apartFrom = open.crashes >= suspectAfter ? 1 : suspectAfter
    // What dead owners left is `running` too until it is recovered, and runs nowhere: there may be any number of it.
    // The first of the two bounds stands here as in the index.
    const [other] = yield* sql`SELECT 1 AS yes FROM slackwater_turns
      WHERE state = 'running' AND crashes > 0 AND owner = ${owner} AND crashes >= ${apartFrom} LIMIT 1`
    if (other === undefined) return false
    yield* sql`UPDATE slackwater_turns SET due_at = ${now + 1_000} WHERE id = ${open.id} AND state = 'waiting'`
    return true
  })

  const again = Effect.fnUntraced(function*(claim: Claim, open: OpenRow) {
    const { conversation, now, owner } = claim
    if (open.state === "running" || open.due_at > now) return Option.none<ClaimedTurn>()
    if (yield* mustWait(open, claim)) return Option.none<ClaimedTurn>()
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
      ...given(yield* messagesOf([open.id])),
      hasOthers: true
    })
  })

  /** Paused. In the transaction of the claim, so that none slips through. */
  const isHeld = (conversation: ConversationKey) =>
    Effect.map(sql`SELECT 1 AS yes WHERE ${isFree(sql, conversation)}`, (rows) => rows.length === 0)

  const alone = Effect.fnUntraced(function*(claim: Claim): Effect.fn.Return<Found, SqlError.SqlError> {
    const { conversation, most = Number.MAX_SAFE_INTEGER, now } = claim
    if (yield* isHeld(conversation)) return Option.none()
    const [open] = yield* openTurn([conversation])
    if (open !== undefined) return yield* again(claim, open)
    const [asked] = yield* askedFor([conversation, now])
    if (asked !== undefined) return yield* again(claim, asked)
    const rows = yield* due([conversation, now, most])
    const [first] = rows
    if (first === undefined) return Option.none()
    const id = yield* begin(claim, turnName(now, first.id))
    for (const row of rows) {
      yield* sql`UPDATE slackwater_messages SET state = 'processing', turn_id = ${id} WHERE id = ${row.id}`
    }
    return Option.some({ id, conversation, ...firstRun, ...given(rows), hasOthers: true })
  })

  return { alone, begin }
}

interface Look extends MessageRow {
  readonly n: number
  /** There is more to its conversation than due messages, or it is paused. */
  readonly special: number
}

const makeClaim = (sql: SqlClient.SqlClient) => {
  const { alone, begin } = makeAlone(sql)
  const { many } = preparedStatements(sql)

  const look = many((repeat) =>
    `WITH claim (n, conversation, now) AS (VALUES ${repeat("(?, ?, ?)")})
      SELECT n, ${isTaken("v.conversation")} AS special,
        m.id, m.message, m.received_at, m.trace
      FROM claim v LEFT JOIN slackwater_messages m ON m.conversation = v.conversation AND m.due_at <= v.now
        AND m.state = 'queued' AND m.turn_id IS NULL
      ORDER BY n, slack_ts, id`
  )
  const insertTurns = many((repeat) =>
    `INSERT INTO slackwater_turns (id, conversation, state, owner, attempt, due_at, created_at, started_at)
      VALUES ${repeat("(?, ?, 'running', ?, 1, ?, ?, ?)")} ON CONFLICT (id) DO NOTHING RETURNING id`
  )
  const take = many((repeat) =>
    `WITH taken (id, turn) AS (VALUES ${repeat("(?, ?)")})
      UPDATE slackwater_messages SET state = 'processing', turn_id = v.turn FROM taken v
      WHERE slackwater_messages.id = v.id`
  )

  return Effect.fnUntraced(function*(claims: ReadonlyArray<Claim>) {
    const found: Array<Found | undefined> = claims.map(() => undefined)
    const seen = new Set<ConversationKey>()
    const shared: Array<ReadonlyArray<Value>> = []
    for (const [n, { conversation, most, now }] of claims.entries()) {
      // The rest of a long queue need not be read for one of it.
      if (most !== undefined || seen.has(conversation)) continue
      seen.add(conversation)
      shared.push([n, conversation, now])
    }
    const rows = Map.groupBy(yield* look<Look>(shared), ({ n }) => n)
    const begun: Array<readonly [n: number, claim: Claim, id: string, rows: ReadonlyArray<Look>]> = []
    for (const [n, claim] of claims.entries()) {
      const [first] = rows.get(n) ?? []
      if (first === undefined || first.special === 1) continue
      // A row of the look-up that met no message has none.
      if (Number.isInteger(first.id)) begun.push([n, claim, turnName(claim.now, first.id), rows.get(n) ?? []])
      else found[n] = Option.none()
    }
    const made = yield* insertTurns<{ readonly id: string }>(
      begun.map(([, { conversation, now, owner }, id]) => [id, conversation, owner, now, now, now])
    )
    const free = new Set(made.map(({ id }) => id))
    const taken: Array<ReadonlyArray<Value>> = []
    for (const [n, claim, wanted, rows] of begun) {
      const id = free.has(wanted) ? TurnId.make(wanted) : yield* begin(claim, wanted)
      for (const row of rows) taken.push([row.id, id])
      found[n] = Option.some({ id, conversation: claim.conversation, ...firstRun, ...given(rows), hasOthers: false })
    }
    yield* take(taken)
    const exits: Array<Exit.Exit<Found, SqlError.SqlError>> = []
    for (const [n, claim] of claims.entries()) exits.push(Exit.succeed(found[n] ?? (yield* alone(claim))))
    return exits
  })
}

export const makeClaims = (sql: SqlClient.SqlClient, group: GroupCommit["Service"]) => {
  const claim = group.batched("claim", "claims", makeClaim(sql))
  return (conversation: ConversationKey, owner: OwnerId, now: number, most?: number) =>
    spanned("MessageStore.claim")(claim({ conversation, owner, now, most }))
}
