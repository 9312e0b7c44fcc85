/**
 * Messages that are stored together: all that wait for the writer at one moment, by few statements.
 *
 * For most messages no rule matters: nobody has heard of them, nothing of their conversation waits, and nothing that
 * came too early waits for them. Those are looked up together and inserted together, in the order in which they came,
 * and where their caller wants to begin them and may, with the running turn that has them. The first of them for which
 * a rule does matter is received by itself (`append.ts`), and what comes behind it is looked at anew.
 * Guarantees: each gets what it would get alone, to the last id.
 */
import { Effect, Exit } from "effect"
import type { SqlClient, SqlError } from "effect/sql"
import { TurnId } from "../Message.ts"
import type { Appended, NewMessage } from "../MessageStore.ts"
import { spanned } from "../spanned.ts"
import { traceparent } from "../traceContext.ts"
import { makeAppend } from "./append.ts"
import { whenIgnored } from "./blanking.ts"
import type { GroupCommit } from "./GroupCommit.ts"
import { hashOfKey } from "./keyHash.ts"
import { encodeMessage } from "./messageJson.ts"
import { firstRun, isTaken, turnName } from "./newTurn.ts"
import { preparedStatements, type Value } from "./preparedStatement.ts"

interface Arrival {
  readonly added: NewMessage
  readonly trace: string | null
}

/** What the database knows that concerns a message: its conversation, and what all of them need. */
interface Known {
  readonly n: number
  /** Something waits in its conversation, or came too early and follows it. */
  readonly matters: number
  /** Something of its conversation is unfinished or asked for, or it is paused. */
  readonly busy: number
  /** The last id that was given to a message. */
  readonly last: number | null
  /** Keys of forgotten messages are kept, and as hashes. */
  readonly hashes: number
}

const nobody: Known = { n: -1, matters: 1, busy: 1, last: null, hashes: 0 }

/** The first messages of these that have nothing in common: neither a conversation nor a key. */
const unrelated = (arrivals: ReadonlyArray<Arrival>): ReadonlyArray<Arrival> => {
  const seen = new Set<string>()
  const related = arrivals.findIndex(({ added: { keys, message } }) => {
    const names = [`in ${message.conversation}`, ...keys.map((key) => `key ${key}`)]
    if (names.some((name) => seen.has(name))) return true
    for (const name of names) seen.add(name)
    return false
  })
  return related < 0 ? arrivals : arrivals.slice(0, related)
}

const wantsToBegin = ({ claim, dueAt, ignored, receivedAt }: NewMessage) =>
  claim !== undefined && ignored === undefined && dueAt <= receivedAt

const makeReceive = (sql: SqlClient.SqlClient, blanks: boolean) => {
  const { many } = preparedStatements(sql)
  const alone = makeAppend(sql, blanks)

  const knownKeys = many((repeat) => `SELECT key FROM slackwater_message_keys WHERE key IN (${repeat("?")})`, {
    again: true
  })
  const known = many(
    (repeat) =>
      `WITH arrival (n, conversation, ts, begins) AS (VALUES ${repeat("(?, ?, ?, ?)")})
      SELECT n,
        EXISTS (SELECT 1 FROM slackwater_messages m WHERE m.conversation = v.conversation
          AND m.state = 'queued' AND m.turn_id IS NULL)
        OR EXISTS (SELECT 1 FROM slackwater_messages m WHERE m.conversation = v.conversation
          AND m.state = 'ignored' AND m.reason = 'not addressed' AND m.slack_ts > v.ts) AS matters,
        CASE WHEN v.begins = 0 THEN 1 ELSE
          ${isTaken("v.conversation")} END AS busy,
        (SELECT seq FROM sqlite_sequence WHERE name = 'slackwater_messages') AS last,
        EXISTS (SELECT 1 FROM slackwater_message_keys WHERE key >= 'sha256:' AND key < 'sha256;') AS hashes
      FROM arrival v`,
    { again: true }
  )
  // Their ids are given here and not by the table: the names of their turns are made of them.
  const insertMessages = many((repeat) =>
    `INSERT INTO slackwater_messages (id, conversation, slack_ts, message, state, reason, turn_id, due_at, received_at,
      finished_at, trace) VALUES ${repeat("(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")}`
  )
  const insertKeys = many((repeat) =>
    `INSERT INTO slackwater_message_keys (key, message_id, seen_at) VALUES ${repeat("(?, ?, ?)")}
      ON CONFLICT (key) DO NOTHING`
  )
  const insertTurns = many((repeat) =>
    `INSERT INTO slackwater_turns (id, conversation, state, owner, attempt, due_at, created_at, started_at)
      VALUES ${repeat("(?, ?, 'running', ?, 1, ?, ?, ?)")}`
  )

  /** How many of them, from the first on, are strangers for whom no rule matters; and what is known for each. */
  const strangers = Effect.fnUntraced(function*(arrivals: ReadonlyArray<Arrival>) {
    const found = yield* known<Known>(arrivals.map(({ added }, n) => [
      n,
      // What is ignored meets nobody.
      added.ignored === undefined ? added.message.conversation : null,
      added.message.ts,
      wantsToBegin(added) ? 1 : 0
    ]))
    const all = arrivals.map(() => nobody)
    for (const one of found) all[one.n] = one
    const keys = arrivals.flatMap(({ added }) => added.keys)
    const sought = all[0]?.hashes === 1 ? [...keys, ...keys.map(hashOfKey)] : keys
    const seen = new Set((yield* knownKeys<{ readonly key: string }>(sought.map((key) => [key]))).map(({ key }) => key))
    const isSeen = (key: string) => seen.has(key) || (seen.size > 0 && seen.has(hashOfKey(key)))
    const first = arrivals.findIndex(({ added }, n) =>
      all[n]?.matters === 1 || (added.cap ?? 1) < 1 || (seen.size > 0 && added.keys.some(isSeen))
    )
    return { all, count: first < 0 ? arrivals.length : first }
  })

  const insert = Effect.fnUntraced(function*(arrivals: ReadonlyArray<Arrival>, all: ReadonlyArray<Known>) {
    const messages: Array<ReadonlyArray<Value>> = []
    const keys: Array<ReadonlyArray<Value>> = []
    const turns: Array<ReadonlyArray<Value>> = []
    const exits: Array<Exit.Exit<Appended>> = []
    let id = all[0]?.last ?? 0
    for (const [n, { added, trace }] of arrivals.entries()) {
      id++
      const { claim, dueAt, ignored, message, receivedAt } = added
      const { conversation } = message
      const begins = claim !== undefined && all[n]?.busy === 0
      const turn = begins ? TurnId.make(turnName(receivedAt, id)) : null
      const kept = blanks && ignored !== undefined ? whenIgnored(message, ignored) : message
      const state = ignored !== undefined ? "ignored" : begins ? "processing" : "queued"
      const ended = ignored === undefined ? null : receivedAt
      messages.push([
        id,
        conversation,
        message.ts,
        encodeMessage(kept),
        state,
        ignored ?? null,
        turn,
        dueAt,
        receivedAt,
        ended,
        trace
      ])
      for (const key of added.keys) keys.push([key, id, receivedAt])
      if (turn === null || claim === undefined) {
        exits.push(Exit.succeed({ _tag: ignored === undefined ? "Queued" : "Ignored" }))
        continue
      }
      turns.push([turn, conversation, claim, receivedAt, receivedAt, receivedAt])
      exits.push(Exit.succeed({
        _tag: "Queued",
        claimed: {
          id: turn,
          conversation,
          ...firstRun,
          unreadable: null,
          messages: [message],
          ids: [id],
          traces: trace === null ? [] : [trace],
          receivedAt,
          hasOthers: false
        }
      }))
    }
    yield* insertMessages(messages)
    yield* insertKeys(keys)
    if (turns.length > 0) yield* insertTurns(turns)
    return exits
  })

  return Effect.fnUntraced(function*(arrivals: ReadonlyArray<Arrival>) {
    const exits: Array<Exit.Exit<Appended, SqlError.SqlError>> = []
    while (exits.length < arrivals.length) {
      const next = unrelated(exits.length === 0 ? arrivals : arrivals.slice(exits.length))
      const { all, count } = yield* strangers(next)
      if (count > 0) exits.push(...yield* insert(count === next.length ? next : next.slice(0, count), all))
      const one = next[count]
      if (one !== undefined) exits.push(Exit.succeed(yield* alone(one.added, one.trace)))
    }
    return exits
  })
}

export const makeArrivals = (sql: SqlClient.SqlClient, group: GroupCommit["Service"], blanks: boolean) => {
  const append = group.batched("append", "appends", makeReceive(sql, blanks))
  return (added: NewMessage) =>
    spanned("MessageStore.append")(Effect.flatMap(traceparent, (trace) => append({ added, trace })))
}
