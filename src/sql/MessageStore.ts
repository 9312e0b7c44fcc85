/**
 * The durable inbox over SqlClient. States and guarantees: `../MessageStore.ts`.
 *
 * Every write to a turn names its owner and the state it leaves, so a former owner changes nothing. A conversation
 * with an unfinished turn gets no other: a unique index holds that, not this code.
 */
import { Effect, Layer, Option, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { textOf } from "../Dispatch.ts"
import { ConversationKey, InboundMessage, type OwnerId, TurnId } from "../Message.ts"
import { type ClaimedTurn, type HistoryEntry, MessageStore, type NewMessage, suspectAfter } from "../MessageStore.ts"
import { TurnLost } from "../StoreError.ts"
import { GroupCommit } from "./GroupCommit.ts"
import { decodeDispatch, endStreams, insertReplies, requireRun, saidIn } from "./outboxRows.ts"
import { statement } from "./transaction.ts"

const MessageJson = Schema.fromJsonString(InboundMessage)
const encodeMessage = Schema.encodeSync(MessageJson)
const decodeMessage = Schema.decodeUnknownSync(MessageJson)

interface KnownRow {
  readonly id: number
  readonly state: string
  readonly reason: string | null
  readonly turn_id: string | null
  readonly message: string
  /** 1 when the event itself was seen before, and not only its twin. */
  readonly repeated: number
}

interface TurnRow {
  readonly id: string
  readonly attempt: number
  readonly failures: number
}

export const layer = Layer.effect(
  MessageStore,
  Effect.gen(function*() {
    const group = yield* GroupCommit
    const sql = yield* SqlClient.SqlClient

    /** The first message that has one of the keys. */
    const known = Effect.fnUntraced(function*(keys: ReadonlyArray<string>) {
      // A pruned message leaves its keys behind: then it was handled.
      const [row] = yield* sql<KnownRow>`SELECT k.message_id AS id, coalesce(m.state, 'done') AS state, m.reason,
          m.turn_id, m.message,
          EXISTS (SELECT 1 FROM slackwater_message_keys WHERE key = ${keys[0] ?? ""}) AS repeated
        FROM slackwater_message_keys k LEFT JOIN slackwater_messages m ON m.id = k.message_id
        WHERE ${sql.in("k.key", keys)} ORDER BY k.message_id LIMIT 1`
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

    /** A message moves the end of the quiet window for everything that waits with it. */
    const moveWindow = (conversation: string, dueAt: number) =>
      sql`UPDATE slackwater_messages SET due_at = ${dueAt}
        WHERE conversation = ${conversation} AND state = 'queued' AND turn_id IS NULL`

    const isFull = (conversation: string, cap: number) =>
      Effect.map(
        sql<{ readonly n: number }>`SELECT count(*) AS n FROM (SELECT 1 FROM slackwater_messages
          WHERE conversation = ${conversation} AND state = 'queued' AND turn_id IS NULL LIMIT ${cap})`,
        ([row]) => row !== undefined && row.n >= cap
      )

    /** What a new message becomes: it waits, or it ends here and says why. */
    const reception = Effect.fnUntraced(function*({ cap, ignored, message, receivedAt }: NewMessage) {
      if (ignored !== undefined) return { state: "ignored", reason: ignored, finishedAt: receivedAt } as const
      if (cap === undefined || !(yield* isFull(message.conversation, cap))) {
        return { state: "queued", reason: null, finishedAt: null } as const
      }
      const reason = `more than ${cap} messages wait in this conversation`
      return { state: "failed", reason, finishedAt: receivedAt } as const
    })

    const append = Effect.fn("MessageStore.append")(function*(added: NewMessage) {
      const { conversation } = added.message
      const twin = yield* known(added.keys)
      if (twin !== undefined) {
        yield* rememberKeys(added.keys, twin.id, added.receivedAt)
        // The very same event again changes nothing. Another event about the same message may say more.
        const isTwin = twin.repeated === 0
        const merged = () => encodeMessage({ ...decodeMessage(twin.message), ...added.message })
        if (isTwin && twin.state === "ignored" && twin.reason !== "discarded" && added.ignored === undefined) {
          const { finishedAt, reason, state } = yield* reception(added)
          yield* sql`UPDATE slackwater_messages SET state = ${state}, reason = ${reason}, finished_at = ${finishedAt},
            conversation = ${conversation}, slack_ts = ${added.message.ts}, message = ${merged()}, due_at = ${added.dueAt}
            WHERE id = ${twin.id} AND state = 'ignored'`
          if (state === "failed") return { _tag: "Overflow" } as const
          yield* moveWindow(conversation, added.dueAt)
          return { _tag: "Duplicate", revived: true } as const
        }
        if (isTwin && twin.state === "queued" && twin.turn_id === null) {
          // The first keeps its own fields and gets those that only its twin has.
          yield* sql`UPDATE slackwater_messages
            SET message = ${encodeMessage({ ...added.message, ...decodeMessage(twin.message) })}
            WHERE id = ${twin.id} AND state = 'queued' AND turn_id IS NULL`
        }
        return { _tag: "Duplicate", revived: false } as const
      }
      const { finishedAt, reason, state } = yield* reception(added)
      const [row] = yield* sql<{ readonly id: number }>`INSERT INTO slackwater_messages
        (conversation, slack_ts, message, state, reason, due_at, received_at, finished_at) VALUES
        (${conversation}, ${added.message.ts}, ${encodeMessage(added.message)}, ${state}, ${reason},
         ${added.dueAt}, ${added.receivedAt}, ${finishedAt}) RETURNING id`
      if (row === undefined) return yield* Effect.die(new Error("INSERT … RETURNING answered nothing"))
      yield* rememberKeys(added.keys, row.id, added.receivedAt)
      if (state === "ignored") return { _tag: "Ignored" } as const
      if (state === "failed") return { _tag: "Overflow" } as const
      yield* moveWindow(conversation, added.dueAt)
      return { _tag: "Queued" } as const
    }, group.write("append"))

    const participates = (conversation: ConversationKey) =>
      Effect.map(
        sql`SELECT 1 AS yes WHERE EXISTS (SELECT 1 FROM slackwater_messages
            WHERE conversation = ${conversation} AND state <> 'ignored')
          OR EXISTS (SELECT 1 FROM slackwater_outbox WHERE lane = ${conversation})`,
        (rows) => rows.length > 0
      ).pipe(statement("participates"))

    /** Due work: turns to run again, and messages whose conversation has no unfinished turn. */
    const ready = (now: number, limit: number) =>
      Effect.map(
        // The first waiting message of each conversation, found by index: what it costs depends on the limit, not on how
        // much waits.
        sql<{ readonly conversation: string }>`SELECT conversation FROM (
            SELECT * FROM (SELECT conversation, due_at AS due FROM slackwater_turns
              WHERE state = 'waiting' AND due_at <= ${now} ORDER BY due_at LIMIT ${limit})
            UNION ALL
            SELECT * FROM (SELECT conversation, due_at AS due FROM slackwater_messages m
              WHERE state = 'queued' AND turn_id IS NULL AND due_at <= ${now}
                AND NOT EXISTS (SELECT 1 FROM slackwater_turns t
                  WHERE t.conversation = m.conversation AND t.state IN ('running', 'waiting'))
                AND NOT EXISTS (SELECT 1 FROM slackwater_messages e
                  WHERE e.conversation = m.conversation AND e.state = 'queued' AND e.turn_id IS NULL
                    AND (e.due_at, e.id) < (m.due_at, m.id))
              ORDER BY due_at, id LIMIT ${limit})
          ) ORDER BY due LIMIT ${limit}`,
        (rows) => rows.map((row) => ConversationKey.make(row.conversation))
      ).pipe(statement("ready"))

    const nextDueAt = (_now: number) =>
      Effect.map(
        sql<{ readonly due: number | null }>`SELECT min(due) AS due FROM (
            SELECT min(due_at) AS due FROM slackwater_turns WHERE state = 'waiting'
            UNION ALL
            SELECT min(due_at) AS due FROM slackwater_messages m
              WHERE state = 'queued' AND turn_id IS NULL AND NOT EXISTS (
                SELECT 1 FROM slackwater_turns t
                WHERE t.conversation = m.conversation AND t.state IN ('running', 'waiting')))`,
        ([row]) => row?.due ?? null
      ).pipe(statement("nextDueAt"))

    const messagesOf = (turn: string) =>
      Effect.map(
        sql<{ readonly message: string }>`SELECT message FROM slackwater_messages
          WHERE turn_id = ${turn} ORDER BY slack_ts, id`,
        (rows) => rows.map((row) => decodeMessage(row.message))
      )

    /** A message opens a second turn when its first one is superseded, maybe in the same millisecond. */
    const openTurn = Effect.fnUntraced(
      function*(wanted: string, conversation: ConversationKey, owner: OwnerId, now: number) {
        for (let n = 1;; n++) {
          const id = TurnId.make(n === 1 ? wanted : `${wanted}_${n}`)
          const made = yield* sql`INSERT INTO slackwater_turns
            (id, conversation, state, owner, attempt, due_at, created_at)
            VALUES (${id}, ${conversation}, 'running', ${owner}, 1, ${now}, ${now})
            ON CONFLICT (id) DO NOTHING RETURNING id`
          if (made.length > 0) return id
        }
      }
    )

    const claim = Effect.fn("MessageStore.claim")(
      function*(conversation: ConversationKey, owner: OwnerId, now: number, most = Number.MAX_SAFE_INTEGER) {
        const [open] = yield* sql<
          TurnRow & { readonly state: string; readonly due_at: number; readonly crashes: number }
        >`
          SELECT id, state, attempt, failures, crashes, due_at FROM slackwater_turns
          WHERE conversation = ${conversation} AND state IN ('running', 'waiting')`
        if (open !== undefined) {
          if (open.state === "running" || open.due_at > now) return Option.none<ClaimedTurn>()
          if (open.crashes > 0) {
            const apartFrom = open.crashes >= suspectAfter ? 1 : suspectAfter
            const [other] = yield* sql`SELECT 1 AS yes FROM slackwater_turns
              WHERE state = 'running' AND crashes >= ${apartFrom} LIMIT 1`
            if (other !== undefined) {
              yield* sql`UPDATE slackwater_turns SET due_at = ${now + 1_000}
                WHERE id = ${open.id} AND state = 'waiting'`
              return Option.none<ClaimedTurn>()
            }
          }
          yield* sql`UPDATE slackwater_turns SET state = 'running', owner = ${owner}, attempt = attempt + 1
            WHERE id = ${open.id} AND state = 'waiting'`
          yield* sql`UPDATE slackwater_messages SET state = 'processing' WHERE turn_id = ${open.id} AND state = 'queued'`
          return Option.some<ClaimedTurn>({
            id: TurnId.make(open.id),
            conversation,
            attempt: open.attempt + 1,
            failures: open.failures,
            messages: yield* messagesOf(open.id)
          })
        }
        const [first] = yield* sql<{ readonly id: number }>`SELECT id FROM slackwater_messages
          WHERE conversation = ${conversation} AND state = 'queued' AND turn_id IS NULL AND due_at <= ${now}
          ORDER BY slack_ts, id LIMIT 1`
        if (first === undefined) return Option.none<ClaimedTurn>()
        const id = yield* openTurn(`turn_${now.toString(36)}_${first.id}`, conversation, owner, now)
        yield* sql`UPDATE slackwater_messages SET state = 'processing', turn_id = ${id} WHERE id IN (
          SELECT id FROM slackwater_messages
          WHERE conversation = ${conversation} AND state = 'queued' AND turn_id IS NULL AND due_at <= ${now}
          ORDER BY slack_ts, id LIMIT ${most})`
        return Option.some<ClaimedTurn>({
          id,
          conversation,
          attempt: 1,
          failures: 0,
          messages: yield* messagesOf(id)
        })
      },
      group.write("claim")
    )

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

    const history = (conversation: ConversationKey, limit: number) =>
      Effect.map(
        sql<{
          readonly kind: string
          readonly at: number
          readonly body: string
          readonly ts: string | null
        }>`SELECT * FROM (
            SELECT * FROM (SELECT 'message' AS kind, id, received_at AS at, message AS body, slack_ts AS ts
              FROM slackwater_messages WHERE conversation = ${conversation} AND state <> 'ignored'
              ORDER BY id DESC LIMIT ${limit})
            UNION ALL
            SELECT * FROM (SELECT 'reply' AS kind, id, enqueued_at AS at, dispatch AS body, slack_ts AS ts
              FROM slackwater_outbox WHERE lane = ${conversation} AND ${saidIn(sql)}
              ORDER BY id DESC LIMIT ${limit})
          ) ORDER BY at DESC, kind DESC, id DESC LIMIT ${limit}`,
        (rows) =>
          rows.map((row): HistoryEntry =>
            row.kind === "message"
              ? { _tag: "Message", at: row.at, message: decodeMessage(row.body) }
              : { _tag: "Reply", at: row.at, text: textOf(decodeDispatch(row.body)), ts: row.ts }
          ).toReversed()
      ).pipe(statement("history"))

    const counts = Effect.gen(function*() {
      const rows = yield* sql<{ readonly state: string; readonly n: number; readonly oldest: number | null }>`
        SELECT state, count(*) AS n, min(CASE WHEN state = 'queued' THEN received_at END) AS oldest
        FROM slackwater_messages GROUP BY state`
      const of = (state: string) => rows.find((row) => row.state === state)?.n ?? 0
      return {
        queued: of("queued"),
        processing: of("processing"),
        done: of("done"),
        failed: of("failed"),
        ignored: of("ignored"),
        oldestQueuedAt: rows.find((row) => row.state === "queued")?.oldest ?? null
      }
    }).pipe(statement("counts"))

    return MessageStore.of({
      append,
      participates,
      ready,
      nextDueAt,
      claim,
      complete: Effect.fn("MessageStore.complete")(function*(turn, owner, replies, now, state) {
        yield* leave(turn, owner, "state = 'done', crashes = 0, finished_at = ?", [now])
        yield* finishMessages(turn, "done", null, now)
        yield* insertReplies(sql, replies, turn, now)
        yield* endStreams(sql, turn, now)
        if (state !== undefined) {
          yield* sql`INSERT INTO slackwater_conversations (conversation, state, changed_at)
            SELECT conversation, ${state}, ${now} FROM slackwater_turns WHERE id = ${turn}
            ON CONFLICT (conversation) DO UPDATE SET state = excluded.state, changed_at = excluded.changed_at`
        }
        yield* sql`DELETE FROM slackwater_steps WHERE turn_id = ${turn}`
      }, group.write("complete")),
      steps: (turn) =>
        Effect.map(
          sql<{ readonly name: string; readonly result: string }>`SELECT name, result FROM slackwater_steps
            WHERE turn_id = ${turn}`,
          (rows) => new Map(rows.map((row) => [row.name, row.result]))
        ).pipe(statement("steps")),
      saveStep: Effect.fn("MessageStore.saveStep")(function*(run, name, result, now) {
        yield* requireRun(sql, run)
        yield* sql`INSERT INTO slackwater_steps (turn_id, name, result, finished_at)
          VALUES (${run.turn}, ${name}, ${result}, ${now}) ON CONFLICT DO NOTHING`
      }, group.write("saveStep")),
      state: (conversation) =>
        Effect.map(
          sql<
            { readonly state: string }
          >`SELECT state FROM slackwater_conversations WHERE conversation = ${conversation}`,
          ([row]) => row?.state ?? null
        ).pipe(statement("state")),
      history,
      waiting: (conversation, now) =>
        Effect.map(
          sql<{ readonly id: number; readonly message: string }>`SELECT id, message FROM slackwater_messages
            WHERE conversation = ${conversation} AND state = 'queued' AND turn_id IS NULL AND due_at <= ${now}
            ORDER BY slack_ts, id`,
          (rows) => rows.map((row) => ({ id: row.id, message: decodeMessage(row.message) }))
        ).pipe(statement("waiting")),
      adopt: Effect.fn("MessageStore.adopt")(function*(run, message) {
        yield* requireRun(sql, run)
        const rows = yield* sql`UPDATE slackwater_messages SET state = 'processing', turn_id = ${run.turn}
          WHERE id = ${message} AND state = 'queued' AND turn_id IS NULL
            AND conversation = (SELECT conversation FROM slackwater_turns WHERE id = ${run.turn}) RETURNING id`
        return rows.length > 0
      }, group.write("adopt")),
      supersede: Effect.fn("MessageStore.supersede")(function*(turn, owner, now) {
        yield* leave(turn, owner, "state = 'superseded', finished_at = ?", [now])
        // Whoever waits in a quiet window is waited for: they go on together.
        yield* sql`UPDATE slackwater_messages SET state = 'queued', turn_id = NULL, due_at = max(${now}, coalesce((
            SELECT max(due_at) FROM slackwater_messages WHERE state = 'queued' AND turn_id IS NULL
              AND conversation = (SELECT conversation FROM slackwater_turns WHERE id = ${turn})), 0))
          WHERE turn_id = ${turn} AND state = 'processing'`
        yield* sql`DELETE FROM slackwater_steps WHERE turn_id = ${turn}`
        yield* endStreams(sql, turn, now)
      }, group.write("supersede")),
      prune: Effect.fn("MessageStore.prune")(function*({ finishedBefore, keysBefore, most }) {
        // A key outlives its message where it must: without its row it still says "seen".
        const rows = yield* sql`DELETE FROM slackwater_messages WHERE id IN (SELECT id FROM slackwater_messages
          WHERE finished_at IS NOT NULL AND finished_at < ${finishedBefore} ORDER BY finished_at LIMIT ${most}) RETURNING id`
        const turns = yield* sql<{ readonly id: string }>`DELETE FROM slackwater_turns WHERE id IN (
          SELECT id FROM slackwater_turns WHERE finished_at IS NOT NULL AND finished_at < ${finishedBefore}
          ORDER BY finished_at LIMIT ${most}) RETURNING id`
        // Those that failed may be tried again by hand and kept what they had done.
        for (const turn of turns) yield* sql`DELETE FROM slackwater_steps WHERE turn_id = ${turn.id}`
        const keys =
          yield* sql`DELETE FROM slackwater_message_keys WHERE key IN (SELECT key FROM slackwater_message_keys
          WHERE seen_at < ${keysBefore} ORDER BY seen_at LIMIT ${most}) RETURNING key`
        return Math.max(rows.length, turns.length, keys.length)
      }, group.write("prune")),
      retry: Effect.fn("MessageStore.retry")(function*(turn, owner, error, dueAt) {
        yield* leave(
          turn,
          owner,
          "state = 'waiting', failures = failures + 1, crashes = 0, error = ?, due_at = ?",
          [error, Math.round(dueAt)]
        )
        yield* sql`UPDATE slackwater_messages SET state = 'queued' WHERE turn_id = ${turn} AND state = 'processing'`
      }, group.write("retry")),
      fail: Effect.fn("MessageStore.fail")(function*(turn, owner, error, replies, now) {
        yield* leave(turn, owner, "state = 'failed', failures = failures + 1, error = ?, finished_at = ?", [error, now])
        yield* finishMessages(turn, "failed", error, now)
        yield* insertReplies(sql, replies, turn, now)
        yield* endStreams(sql, turn, now)
      }, group.write("fail")),
      releaseAll: Effect.fn("MessageStore.releaseAll")(function*(owner, now) {
        yield* sql`UPDATE slackwater_messages SET state = 'queued' WHERE state = 'processing' AND turn_id IN
          (SELECT id FROM slackwater_turns WHERE owner = ${owner} AND state = 'running')`
        const rows = yield* sql`UPDATE slackwater_turns SET state = 'waiting', owner = NULL, attempt = attempt - 1,
          crashes = 0, due_at = ${now} WHERE owner = ${owner} AND state = 'running' RETURNING id`
        return rows.length
      }, group.write("releaseAll")),
      makeDue: (conversations, now) =>
        Effect.asVoid(
          conversations === "all"
            ? sql`UPDATE slackwater_messages SET due_at = ${now} WHERE state = 'queued' AND turn_id IS NULL AND due_at > ${now}`
            : sql`UPDATE slackwater_messages SET due_at = ${now} WHERE state = 'queued' AND turn_id IS NULL AND due_at > ${now}
              AND ${sql.in("conversation", conversations)}`
        ).pipe(group.write("makeDue")),
      counts
    })
  })
)
