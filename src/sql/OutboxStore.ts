/**
 * The durable outbox over SqlClient. States and guarantees: `../OutboxStore.ts`.
 *
 * Every UPDATE names the states it may leave and, where a sender holds the row, the owner it expects; a late answer
 * therefore changes nothing that has ended.
 */
import { Effect, Layer, Option } from "effect"
import { SqlClient } from "effect/sql"
import { checkCutoffs } from "../Cutoff.ts"
import { fingerprint } from "../fingerprint.ts"
import type { OwnerId } from "../Message.ts"
import { OutboxStore } from "../OutboxStore.ts"
import { spanned } from "../spanned.ts"
import { textGrowing } from "../streamed.ts"
import { traceparent } from "../traceContext.ts"
import { BlankPayloads } from "./blanking.ts"
import { backlogOfReplies, countReplies } from "./counts.ts"
import { GroupCommit } from "./GroupCommit.ts"
import { makeDelivered, makeEnqueue } from "./outboxBatches.ts"
import { discard, list, retry } from "./outboxByHand.ts"
import { claim, claimUnknown, endUnreadable, nextDueAt } from "./outboxClaims.ts"
import { setBack } from "./outboxClock.ts"
import { importReplies } from "./outboxImport.ts"
import { cutOff, decodeDispatch, end, piecesOf, type Row, stored } from "./outboxRows.ts"
import { cutoffOfReplies, pruneReplies } from "./pruning.ts"
import { reading } from "./Reader.ts"
import { statement } from "./transaction.ts"

export const layer = Layer.effect(
  OutboxStore,
  Effect.gen(function*() {
    const group = yield* GroupCommit
    const sql = yield* SqlClient.SqlClient
    const reader = yield* reading
    const blanks = yield* BlankPayloads

    const enqueue = group.batched("enqueue", "ends", makeEnqueue(sql))
    const delivered = group.batched("delivered", "ends", makeDelivered(sql, blanks))
    const sentBy = (owner: OwnerId) => sql`state = 'sending' AND owner = ${owner}`

    return OutboxStore.of({
      enqueue: Effect.fnUntraced(function*(replies, from, now, sender) {
        return yield* enqueue({ replies, from, now, trace: yield* traceparent, sender })
      }, spanned("OutboxStore.enqueue")),
      import: (groups, now) => group.write("import")(importReplies(sql, groups, now)),
      keysAt: (place) =>
        Effect.map(
          // Up to the next text of the same length: a range of the index, whatever the place contains.
          sql<{ readonly key: string }>`SELECT key FROM slackwater_outbox
            WHERE key >= ${place} AND key < ${`${place}\u{10FFFF}`} ORDER BY key`,
          (rows) => rows.map(({ key }) => key)
        ).pipe(statement("keysAt")),
      streamed: (start) =>
        Effect.flatMap(
          sql<Row>`SELECT * FROM slackwater_outbox WHERE id = ${start}`,
          ([row]) => Effect.map(piecesOf(sql, start), (pieces) => textGrowing(row?.state, pieces))
        ).pipe(statement("streamed")),
      // Nothing to claim is the common case, and it must not write.
      claim: (options) =>
        Effect.flatMap(
          statement("claim")(
            sql`SELECT 1 AS yes FROM slackwater_outbox
              WHERE state IN ('queued', 'failed_retryable') AND due_at <= ${options.now} LIMIT 1`
          ),
          (rows) =>
            rows.length === 0
              ? Effect.succeed({ claimed: [], expired: [], ended: [] })
              : group.write("claim")(claim(sql, options))
        ),
      claimUnknown: (now, limit) =>
        Effect.flatMap(
          statement("claimUnknown")(claimUnknown(sql, now, limit)),
          ({ replies, unreadable }) =>
            unreadable.length === 0
              ? Effect.succeed(replies)
              : Effect.as(group.write("claimUnknown")(endUnreadable(sql, unreadable, now)), replies)
        ),
      nextDueAt: (now, exclude, inHand) => statement("nextDueAt")(nextDueAt(sql, now, exclude, inHand)),
      remember: (id, owner, remote, now) =>
        Effect.asVoid(sql`UPDATE slackwater_outbox SET remote = ${remote}, sent_at = ${now}
          WHERE id = ${id} AND ${sentBy(owner)}`).pipe(group.write("remember")),
      spooled: Effect.flatMap(
        sql<{ readonly key: string; readonly dispatch: string }>`SELECT key, dispatch FROM slackwater_outbox
          WHERE kind = 'Upload' AND state <> 'delivered' AND coalesce(error_class, '') <> 'Discarded'`,
        (rows) =>
          Effect.forEach(rows, ({ dispatch: json, key }) => {
            const dispatch = Option.getOrUndefined(decodeDispatch(json))
            // One that cannot be read keeps its file, which has its name from the key.
            return dispatch?._tag === "Upload" ? Effect.succeed(dispatch.spool) : fingerprint(key)
          })
      ).pipe(statement("spooled")),
      delivered: (id, owner, at, now) => delivered({ id, owner, at, now }),
      notSent: (id, owner, { error, reason }, { countAttempt, degrade, dueAt, now }) =>
        Effect.asVoid(sql`UPDATE slackwater_outbox SET state = 'failed_retryable', owner = NULL, error_class = ${error},
          reason = ${reason}, failed_at = ${now}, due_at = ${Math.round(dueAt)},
          attempts = attempts + ${countAttempt ? 1 : 0}, degraded = max(degraded, ${degrade === true ? 1 : 0})
          WHERE id = ${id} AND interim = 0 AND ${sentBy(owner)}`).pipe(group.write("notSent")),
      unknown: (id, owner, { error, reason }, { late, lookAt, now }) =>
        Effect.asVoid(sql`UPDATE slackwater_outbox SET state = 'unknown', owner = NULL, error_class = ${error},
          reason = ${reason}, failed_at = ${now}, unknown_since = ${now}, late = ${late ? 1 : 0}, looks = 0,
          newest = NULL, held = 0, due_at = ${Math.round(lookAt)}
          WHERE id = ${id} AND interim = 0 AND ${sentBy(owner)}`).pipe(group.write("unknown")),
      looked: (id, { counts, held, lookAt, newest, since }) =>
        Effect.asVoid(sql`UPDATE slackwater_outbox SET due_at = ${Math.round(lookAt)},
          looks = looks + ${counts ? 1 : 0}, newest = coalesce(newest, ${newest}), held = ${held ? 1 : 0},
          unknown_since = ${since === undefined ? sql`unknown_since` : sql`${since}`}
          WHERE id = ${id} AND state = 'unknown'`).pipe(group.write("looked")),
      absent: (id, now, { free = false, sentAt } = {}) =>
        Effect.asVoid(
          sql`UPDATE slackwater_outbox SET state = 'failed_retryable', attempts = attempts + ${free ? 0 : 1},
          due_at = ${now}, unknown_since = NULL, held = 0
          WHERE id = ${id} AND state = 'unknown' AND ${sentAt === undefined ? sql`1` : sql`sent_at = ${sentAt}`}`
        ).pipe(
          group.write("absent")
        ),
      failed: (id, owner, failure, now) =>
        Effect.asVoid(
          end(sql, sql`id = ${id} AND (${sentBy(owner)} OR state = 'unknown')`, "failed_terminal", failure, now)
        ).pipe(group.write("failed")),
      refused: ({ error, reason }, now) =>
        Effect.asVoid(sql`UPDATE slackwater_outbox SET error_class = ${error}, reason = ${reason}, failed_at = ${now}
          WHERE state IN ('queued', 'failed_retryable') AND interim = 0 AND error_class IS NULL AND due_at <= ${now}`)
          .pipe(group.write("refused")),
      expire: (before, failure, now) =>
        Effect.map(
          end(
            sql,
            sql`state IN ('queued', 'failed_retryable') AND interim = 0 AND lives_from < ${before}`,
            "expired",
            failure,
            now
          ),
          (rows) => rows.length
        ).pipe(group.write("expire")),
      setBack: (by, now) => group.write("setBack")(setBack(sql, by, now)),
      releaseAll: (owner, now) =>
        cutOff(sql, sql`owner = ${owner}`, "cut off by the shutdown", now).pipe(group.write("releaseAll")),
      cutoffKeeping: (newest) => statement("cutoffKeeping")(cutoffOfReplies(sql, newest)),
      prune: (options) =>
        Effect.andThen(
          checkCutoffs("prune", { finishedBefore: options.finishedBefore.at, keysBefore: options.keysBefore }),
          group.write("prune")(pruneReplies(sql, options))
        ),
      find: (id) =>
        Effect.map(
          sql<Row>`SELECT * FROM slackwater_outbox WHERE id = ${id}`,
          ([row]) => row === undefined ? null : stored(row)
        ).pipe(statement("find")),
      list: (which, page) => statement("list")(list(reader, which, page)),
      retry: (which, now) => group.write("retry")(retry(sql, which, now)),
      discard: (which, now) => group.write("discard")(discard(sql, which, now)),
      counts: statement("counts")(countReplies(reader)),
      backlog: statement("backlog")(backlogOfReplies(reader)),
      held: Effect.map(
        sql<{ readonly n: number }>`SELECT count(*) AS n FROM slackwater_outbox WHERE state = 'unknown' AND held = 1`,
        ([row]) => row?.n ?? 0
      ).pipe(statement("held"))
    })
  })
)
