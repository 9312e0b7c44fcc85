/**
 * How a message is received by the database, by itself: new, a repetition, or another event about a message that is
 * known. Every rule of it is here; `arrivals.ts` knows the messages for which none of them matters.
 */
import { Effect, Option } from "effect"
import type { SqlClient, SqlError } from "effect/sql"
import type { InboundMessage } from "../Message.ts"
import { type Appended, heardLate, type NewMessage } from "../MessageStore.ts"
import { whenIgnored } from "./blanking.ts"
import { hashOfKey, isHash } from "./keyHash.ts"
import { limit } from "./limit.ts"
import { decodeMessage, encodeMessage } from "./messageJson.ts"

interface KnownRow {
  /** The one by which it was recognised. */
  readonly key: string
  readonly id: number
  readonly state: string
  readonly reason: string | null
  readonly turn_id: string | null
  readonly message: string
  /** 1 when the event itself was seen before, and not only its twin. */
  readonly repeated: number
}

/** What its row says of a message; nothing where that cannot be read, and then its twin says it. */
const knownOf = (twin: KnownRow): Partial<InboundMessage> => Option.getOrElse(decodeMessage(twin.message), () => ({}))

/** Runs in the writer's transaction. */
export const makeAppend = (sql: SqlClient.SqlClient, blanks: boolean) => {
  /** The first message that has one of the keys. */
  const known = Effect.fnUntraced(function*(keys: ReadonlyArray<string>) {
    // A pruned message leaves its keys behind: then it was handled.
    const [event = ""] = keys
    const [row] = yield* sql<KnownRow>`SELECT k.key, k.message_id AS id, coalesce(m.state, 'done') AS state, m.reason,
        m.turn_id, m.message,
        EXISTS (SELECT 1 FROM slackwater_message_keys WHERE key IN (${event}, ${hashOfKey(event)})) AS repeated
      FROM slackwater_message_keys k LEFT JOIN slackwater_messages m ON m.id = k.message_id
      WHERE ${sql.in("k.key", [...keys, ...keys.map(hashOfKey)])} ORDER BY k.message_id LIMIT 1`
    return row
  })

  const rememberKeys = (keys: ReadonlyArray<string>, id: number, now: number) =>
    Effect.forEach(
      keys,
      (key) =>
        sql`INSERT INTO slackwater_message_keys (key, message_id, seen_at) VALUES (${key}, ${id}, ${now})
        ON CONFLICT (key) DO NOTHING`,
      { discard: true }
    )

  /**
   * When a message is due: with what is due already in its conversation, or else at the end of its own window. And
   * whether it is the first there that is not ignored.
   */
  const placeOf = Effect.fnUntraced(function*({ dueAt, message, receivedAt }: NewMessage) {
    const [row] = yield* sql<{ readonly due: number | null; readonly isFirst: number }>`SELECT
        (SELECT min(due_at) FROM slackwater_messages WHERE conversation = ${message.conversation}
          AND state = 'queued' AND turn_id IS NULL AND due_at <= ${receivedAt}) AS due,
        NOT EXISTS (SELECT 1 FROM slackwater_messages WHERE conversation = ${message.conversation}
          AND state <> 'ignored') AS isFirst`
    return { due: row?.due ?? dueAt, isFirst: row?.isFirst === 1 }
  })

  /** A message moves the end of the quiet window for everything that waits in it; what is due keeps its place. */
  const moveWindow = ({ message, receivedAt }: NewMessage, due: number) =>
    sql`UPDATE slackwater_messages SET due_at = ${due}
      WHERE conversation = ${message.conversation} AND state = 'queued' AND turn_id IS NULL AND due_at > ${receivedAt}`

  /** Replies that came before the message they follow. The reason stands here as in their index. */
  const takeAlong = ({ message, receivedAt }: NewMessage, due: number) =>
    sql`UPDATE slackwater_messages SET state = 'queued', reason = NULL, finished_at = NULL, due_at = ${due}
      WHERE conversation = ${message.conversation} AND state = 'ignored' AND reason = 'not addressed'
        AND slack_ts > ${message.ts} AND received_at >= ${receivedAt - heardLate}`

  const isFull = (conversation: string, cap: number) =>
    Effect.map(
      sql<{ readonly n: number }>`SELECT count(*) AS n FROM (SELECT 1 FROM slackwater_messages
        WHERE conversation = ${conversation} AND state = 'queued' AND turn_id IS NULL ${limit(sql, cap)})`,
      ([row]) => row !== undefined && row.n >= cap
    )

  /** What a new message becomes: it waits, or it ends here and says why. */
  const reception = Effect.fnUntraced(function*(added: NewMessage) {
    const { cap, dueAt, ignored, message, receivedAt } = added
    if (ignored !== undefined) {
      return { state: "ignored", reason: ignored, finishedAt: receivedAt, due: dueAt, isFirst: false } as const
    }
    if (cap === undefined || !(yield* isFull(message.conversation, cap))) {
      return { state: "queued", reason: null, finishedAt: null, ...(yield* placeOf(added)) } as const
    }
    const reason = `more than ${cap} messages wait in this conversation`
    return { state: "failed", reason, finishedAt: receivedAt, due: dueAt, isFirst: false } as const
  })

  /** Another event about a message that is known. The very same event again changes nothing; a twin may say more. */
  const meet = Effect.fnUntraced(function*(twin: KnownRow, added: NewMessage) {
    const { conversation } = added.message
    // What is forgotten is not remembered again.
    if (!isHash(twin.key)) yield* rememberKeys(added.keys, twin.id, added.receivedAt)
    const isTwin = twin.repeated === 0
    if (isTwin && twin.state === "ignored" && twin.reason !== "discarded" && added.ignored === undefined) {
      const { due, finishedAt, isFirst, reason, state } = yield* reception(added)
      const message = encodeMessage({ ...knownOf(twin), ...added.message })
      yield* sql`UPDATE slackwater_messages SET state = ${state}, reason = ${reason}, finished_at = ${finishedAt},
        conversation = ${conversation}, slack_ts = ${added.message.ts}, message = ${message}, due_at = ${due}
        WHERE id = ${twin.id} AND state = 'ignored'`
      if (state === "failed") return { _tag: "Overflow" } as const
      yield* (isFirst ? takeAlong : moveWindow)(added, due)
      return { _tag: "Duplicate", revived: true } as const
    }
    if (isTwin && twin.state === "queued" && twin.turn_id === null) {
      // The first keeps its own fields and gets those that only its twin has.
      yield* sql`UPDATE slackwater_messages SET message = ${encodeMessage({ ...added.message, ...knownOf(twin) })}
        WHERE id = ${twin.id} AND state = 'queued' AND turn_id IS NULL`
    }
    return { _tag: "Duplicate", revived: false } as const
  })

  return Effect.fnUntraced(
    function*(added: NewMessage, trace: string | null): Effect.fn.Return<Appended, SqlError.SqlError> {
      const { conversation } = added.message
      const twin = yield* known(added.keys)
      if (twin !== undefined) return yield* meet(twin, added)
      const { due, finishedAt, isFirst, reason, state } = yield* reception(added)
      const kept = blanks && state === "ignored" ? whenIgnored(added.message, reason) : added.message
      const [row] = yield* sql<{ readonly id: number }>`INSERT INTO slackwater_messages
      (conversation, slack_ts, message, state, reason, due_at, received_at, finished_at, trace) VALUES
      (${conversation}, ${added.message.ts}, ${encodeMessage(kept)}, ${state}, ${reason},
       ${due}, ${added.receivedAt}, ${finishedAt}, ${trace}) RETURNING id`
      if (row === undefined) return yield* Effect.die(new Error("INSERT … RETURNING answered nothing"))
      yield* rememberKeys(added.keys, row.id, added.receivedAt)
      if (state === "ignored") return { _tag: "Ignored" } as const
      if (state === "failed") return { _tag: "Overflow" } as const
      yield* (isFirst ? takeAlong : moveWindow)(added, due)
      return { _tag: "Queued" } as const
    }
  )
}
