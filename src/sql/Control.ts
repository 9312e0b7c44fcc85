/** What an operator does to the work, over SqlClient. Meaning and guarantees: `../Control.ts`. */
import { Effect, Layer, Option } from "effect"
import { SqlClient } from "effect/sql"
import { type Cancelled, cancelledByHand, Control, placesOf, shownOfText } from "../Control.ts"
import { ConversationKey, OwnerId, textOf, TurnId } from "../Message.ts"
import { traceparent } from "../traceContext.ts"
import { GroupCommit } from "./GroupCommit.ts"
import { decodeMessage } from "./messageJson.ts"
import { endStreams } from "./outboxInserts.ts"
import { endInterim } from "./outboxRows.ts"
import { statement } from "./transaction.ts"

/** Whether everything is paused. Where it is, a statement need not look at anything that waits. */
export const allPaused = "EXISTS (SELECT 1 FROM slackwater_pauses WHERE place = '')"

/** That nothing holds the conversation of a row; `conversation` names the column. */
export const freeOf = (conversation: string) =>
  `NOT EXISTS (SELECT 1 FROM slackwater_pauses WHERE place IN
    ('', substr(${conversation}, 1, instr(${conversation}, '/') - 1), ${conversation}))`
export const notPaused = (sql: SqlClient.SqlClient, conversation: string) => sql.literal(freeOf(conversation))

/** The same for a conversation that is known. */
export const isFree = (sql: SqlClient.SqlClient, conversation: ConversationKey) =>
  sql`NOT EXISTS (SELECT 1 FROM slackwater_pauses WHERE ${sql.in("place", placesOf(conversation))})`

interface TurnRow {
  readonly conversation: string
  readonly state: "running" | "waiting" | "done" | "failed" | "superseded"
  readonly error: string | null
  readonly finished_at: number | null
}

interface RunningRow {
  readonly id: string
  readonly conversation: string
  readonly attempt: number
  readonly startedAt: number
  readonly messages: number
  readonly first: string | null
  readonly status: string | null
  readonly owner: string
}

const shown = (first: string | null): string =>
  first === null
    ? ""
    : Option.match(decodeMessage(first), {
      onNone: () => "",
      onSome: (message) => textOf([message]).slice(0, shownOfText)
    })

export const layer = Layer.effect(
  Control,
  Effect.gen(function*() {
    const group = yield* GroupCommit
    const sql = yield* SqlClient.SqlClient

    const turnOf = Effect.fnUntraced(function*(turn: TurnId) {
      const [row] = yield* sql<
        TurnRow
      >`SELECT conversation, state, error, finished_at FROM slackwater_turns WHERE id = ${turn}`
      return row
    })

    const cancel = Effect.fn("Control.cancel")(function*(turn: TurnId, now: number) {
      const row = yield* turnOf(turn)
      if (row === undefined) return { _tag: "Unknown" } satisfies Cancelled
      const { state } = row
      // What was asked for again by hand has failed once, and would run.
      const isAsked = state === "failed" && row.finished_at === null
      if (state !== "running" && state !== "waiting" && !isAsked) {
        const byHand = state === "failed" && row.error === cancelledByHand
        return { _tag: "Ended", state, byHand } satisfies Cancelled
      }
      yield* sql`UPDATE slackwater_turns SET state = 'failed', owner = NULL, error = ${cancelledByHand},
        finished_at = ${now} WHERE id = ${turn} AND finished_at IS NULL`
      yield* sql`UPDATE slackwater_messages SET state = 'failed', reason = ${cancelledByHand}, finished_at = ${now}
        WHERE turn_id = ${turn} AND state IN ('processing', 'queued')`
      yield* endInterim(sql, sql`turn_id = ${turn} AND state = 'queued'`, now)
      yield* endStreams(sql, turn, now, yield* traceparent)
      const conversation = ConversationKey.make(row.conversation)
      return { _tag: "Cancelled", conversation, wasRunning: state === "running" } satisfies Cancelled
    }, group.write("cancel"))

    return Control.of({
      pause: (conversation, now, why) =>
        Effect.map(
          sql`INSERT INTO slackwater_pauses (place, since, why) VALUES (${conversation ?? ""}, ${now}, ${why ?? null})
            ON CONFLICT DO NOTHING RETURNING place`,
          (rows) => rows.length > 0
        ).pipe(group.write("pause")),
      resume: (conversation) =>
        Effect.map(
          sql`DELETE FROM slackwater_pauses WHERE place = ${conversation ?? ""} RETURNING place`,
          (rows) => rows.length > 0
        ).pipe(group.write("resume")),
      pauses: Effect.map(
        sql<{ readonly place: string; readonly since: number; readonly why: string | null }>`SELECT place, since, why
          FROM slackwater_pauses ORDER BY place <> '', since, place`,
        (rows) =>
          rows.map(({ place, since, why }) => ({
            conversation: place === "" ? null : ConversationKey.make(place),
            since,
            why
          }))
      ).pipe(statement("pauses")),
      cancel,
      wasCancelled: (turn) =>
        Effect.map(turnOf(turn), (row) => row?.state === "failed" && row.error === cancelledByHand).pipe(
          statement("wasCancelled")
        ),
      running: Effect.map(
        sql<RunningRow>`SELECT t.id, t.conversation, t.attempt, coalesce(t.started_at, t.created_at) AS startedAt,
            t.status, t.owner,
            (SELECT count(*) FROM slackwater_messages m WHERE m.turn_id = t.id AND m.state = 'processing') AS messages,
            (SELECT message FROM slackwater_messages m WHERE m.turn_id = t.id ORDER BY m.slack_ts, m.id LIMIT 1) AS first
          FROM slackwater_turns t WHERE t.state = 'running' ORDER BY t.due_at, t.id`,
        (rows) =>
          rows.map(({ conversation, first, id, owner, ...row }) => ({
            id: TurnId.make(id),
            conversation: ConversationKey.make(conversation),
            ...row,
            text: shown(first),
            owner: OwnerId.make(owner)
          }))
      ).pipe(statement("running"))
    })
  })
)
