/**
 * The durable inbox over SqlClient. States and guarantees: `../MessageStore.ts`.
 *
 * Here is what is read, and how old rows go. How messages are received is in `arrivals.ts`, the life of a turn in
 * `turns.ts`, its end in `turnEnds.ts`.
 */
import { Clock, Effect, Layer, Option } from "effect"
import { SqlClient } from "effect/sql"
import { checkCutoffs } from "../Cutoff.ts"
import { textOf } from "../Dispatch.ts"
import { ConversationKey } from "../Message.ts"
import { type HistoryEntry, MessageStore } from "../MessageStore.ts"
import { makeArrivals } from "./arrivals.ts"
import { BlankPayloads, blankUnaddressed } from "./blanking.ts"
import { isFree } from "./Control.ts"
import { backlogOfMessages, countMessages } from "./counts.ts"
import { GroupCommit } from "./GroupCommit.ts"
import { discard, list, retry, show } from "./inboxByHand.ts"
import { decodeMessage } from "./messageJson.ts"
import { decodeDispatch, saidIn } from "./outboxRows.ts"
import { preparedStatements } from "./preparedStatement.ts"
import { cutoffOfMessages, pruneMessages } from "./pruning.ts"
import { reading } from "./Reader.ts"
import { nextDueAtText, readyText } from "./readyTexts.ts"
import { statement } from "./transaction.ts"
import { makeTurnEnds } from "./turnEnds.ts"
import { makeTurns } from "./turns.ts"

/** Turns of one conversation, on average, that a look at recent conversations reads. */
const turnsEach = 10

interface HistoryRow {
  readonly kind: string
  readonly at: number
  readonly body: string
  readonly ts: string | null
}

/** A line of the past; none where it cannot be read any more. */
const lineOf = ({ at, body, kind, ts }: HistoryRow): ReadonlyArray<HistoryEntry> =>
  kind === "message"
    ? Option.toArray(Option.map(decodeMessage(body), (message) => ({ _tag: "Message", at, message })))
    : Option.toArray(
      Option.map(decodeDispatch(body), (dispatch) => ({ _tag: "Reply", at, text: textOf(dispatch), ts }))
    )

export const layer = Layer.effect(
  MessageStore,
  Effect.gen(function*() {
    const group = yield* GroupCommit
    const sql = yield* SqlClient.SqlClient
    const reader = yield* reading
    const blanks = yield* BlankPayloads
    const { one } = preparedStatements(sql)
    const askReady = one<{ readonly conversation: string; readonly recovered: number }>(readyText)
    const askNextDueAt = one<{ readonly due: number | null }>(nextDueAtText)

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
        askReady([now, limit, now, limit, now, limit, limit, now, limit]),
        (rows) =>
          rows.map((row) => ({
            conversation: ConversationKey.make(row.conversation),
            recovered: row.recovered === 1
          }))
      ).pipe(statement("ready"))

    const nextDueAt = Effect.map(askNextDueAt([]), ([row]) => row?.due ?? null).pipe(statement("nextDueAt"))

    const history = (conversation: ConversationKey, limit: number) =>
      Effect.map(
        sql<HistoryRow>`SELECT * FROM (
            SELECT * FROM (SELECT 'message' AS kind, id, received_at AS at, message AS body, slack_ts AS ts
              FROM slackwater_messages WHERE conversation = ${conversation} AND state <> 'ignored'
              ORDER BY id DESC LIMIT ${limit})
            UNION ALL
            SELECT * FROM (SELECT 'reply' AS kind, id, enqueued_at AS at, dispatch AS body, slack_ts AS ts
              FROM slackwater_outbox WHERE lane = ${conversation} AND ${saidIn(sql)}
              ORDER BY id DESC LIMIT ${limit})
          ) ORDER BY at DESC, kind DESC, id DESC LIMIT ${limit}`,
        (rows) => rows.flatMap(lineOf).toReversed()
      ).pipe(statement("history"))

    /** Both from an index, and no more than so many turns of each kind: a conversation may have had many. */
    const recentConversations = (since: number, limit: number) =>
      Effect.map(
        sql<{ readonly conversation: string }>`SELECT conversation FROM (
            SELECT * FROM (SELECT conversation, 9e15 AS ended FROM slackwater_turns
              WHERE state IN ('running', 'waiting') LIMIT ${limit * turnsEach})
            UNION ALL
            SELECT * FROM (SELECT conversation, 9e15 AS ended FROM slackwater_turns
              WHERE state = 'failed' AND finished_at IS NULL LIMIT ${limit * turnsEach})
            UNION ALL
            SELECT * FROM (SELECT conversation, finished_at AS ended FROM slackwater_turns
              WHERE finished_at >= ${since} ORDER BY finished_at DESC LIMIT ${limit * turnsEach})
          ) GROUP BY conversation ORDER BY max(ended) DESC LIMIT ${limit}`,
        (rows) => rows.map(({ conversation }) => ConversationKey.make(conversation))
      ).pipe(statement("recentConversations"))

    return MessageStore.of({
      append: makeArrivals(sql, group, blanks),
      ...makeTurns(sql, group),
      ...makeTurnEnds(sql, group, blanks),
      participates,
      ready,
      nextDueAt,
      steps: (turn) =>
        Effect.map(
          sql<{ readonly name: string; readonly result: string }>`SELECT name, result FROM slackwater_steps
            WHERE turn_id = ${turn}`,
          (rows) => new Map(rows.map((row) => [row.name, row.result]))
        ).pipe(statement("steps")),
      state: (conversation) =>
        Effect.map(
          sql<
            { readonly state: string }
          >`SELECT state FROM slackwater_conversations WHERE conversation = ${conversation}`,
          ([row]) => row?.state ?? null
        ).pipe(statement("state")),
      history,
      recentConversations,
      waiting: (conversation, now) =>
        Effect.map(
          sql<{ readonly id: number; readonly message: string }>`SELECT id, message FROM slackwater_messages
            WHERE conversation = ${conversation} AND state = 'queued' AND turn_id IS NULL AND due_at <= ${now}
              AND ${isFree(sql, conversation)}
            ORDER BY slack_ts, id`,
          (rows) =>
            rows.flatMap(({ id, message }) =>
              Option.toArray(Option.map(decodeMessage(message), (message) => ({ id, message })))
            )
        ).pipe(statement("waiting")),
      cutoffKeeping: (newest) => statement("cutoffKeeping")(cutoffOfMessages(sql, newest)),
      prune: (options) =>
        Effect.andThen(
          checkCutoffs("prune", { finishedBefore: options.finishedBefore.at, keysBefore: options.keysBefore }),
          group.write("prune")(Effect.gen(function*() {
            if (blanks) yield* blankUnaddressed(sql, yield* Clock.currentTimeMillis, options.most)
            return yield* pruneMessages(sql, options)
          }))
        ),
      nearer: (now, atMost) =>
        Effect.asVoid(Effect.all([
          sql`UPDATE slackwater_messages SET due_at = ${now + atMost.messages}
            WHERE state = 'queued' AND turn_id IS NULL AND due_at > ${now + atMost.messages}`,
          sql`UPDATE slackwater_turns SET due_at = ${now} + (1 - interrupted) * ${atMost.turns}
            WHERE state = 'waiting' AND due_at > ${now} + (1 - interrupted) * ${atMost.turns}`,
          sql`UPDATE slackwater_turns SET due_at = ${now + atMost.turns}
            WHERE state = 'failed' AND finished_at IS NULL AND due_at > ${now + atMost.turns}`
        ])).pipe(group.write("nearer")),
      makeDue: (conversations, now) =>
        Effect.asVoid(
          sql`UPDATE slackwater_messages SET due_at = ${now} WHERE state = 'queued' AND turn_id IS NULL
            AND due_at > ${now} AND ${sql.in("conversation", conversations)}`
        ).pipe(group.write("makeDue")),
      list: (which, page) => statement("list")(list(reader, which, page)),
      show: (id) => statement("show")(show(reader, id)),
      retry: (which, now) => group.write("retry")(retry(sql, which, now)),
      discard: (which, now) => group.write("discard")(discard(sql, which, now)),
      counts: statement("counts")(countMessages(reader)),
      backlog: statement("backlog")(backlogOfMessages(reader))
    })
  })
)
