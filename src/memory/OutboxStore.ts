/**
 * The durable outbox in memory: what `../OutboxStore.ts` promises, said as plainly as can be. The SQL adapter is
 * measured against it. See `Database.ts` for what it is for, and what not.
 */
import { Effect, Layer } from "effect"
import { checkCutoffs, earlier, endedBefore } from "../Cutoff.ts"
import { aimedAt, asPost, type Dispatch, isChange, isMessage } from "../Dispatch.ts"
import type { OwnerId, TurnId } from "../Message.ts"
import {
  type ClaimedReply,
  type ClaimOptions,
  type Failure,
  holdLaneFor,
  interimReason,
  type OutboxCounts,
  OutboxStore,
  type ReplyState,
  unavailable
} from "../OutboxStore.ts"
import { textGrowing, withShown } from "../streamed.ts"
import { call, cutoffKeeping, Database, heldTurn, least, oldest, type ReplyRow, tracedCall } from "./Database.ts"
import { discard, list, retry } from "./outboxByHand.ts"
import { importReplies } from "./outboxImport.ts"
import {
  cancelledBy,
  checkReplies,
  claimed,
  cutOff,
  end,
  endInterim,
  insertReplies,
  isUnbidden,
  isUnsettled,
  piecesOf,
  setBack,
  stored,
  waits
} from "./outboxRows.ts"

/** It will never be sent, and why; `quiet` where that loses nothing, since it was about progress that was never sent. */
interface Over {
  readonly over: string
  readonly quiet: boolean
}
const over = (why: string, quiet = false): Over => ({ over: why, quiet })

const tooOld: Failure = { error: "Expired", reason: "older than its time to live" }

export const layer = Layer.effect(
  OutboxStore,
  Effect.gen(function*() {
    const data = yield* Database
    const rows = () => [...data.replies.values()]

    const waitsForTarget = ({ target }: ReplyRow) => target !== null && isUnsettled(data.replies.get(target))

    /** It may have arrived with our key in it; what we did not send ourselves has none. */
    const isFindable = ({ sentAt, state }: ReplyRow) => state === "unknown" && sentAt !== null

    const holdsLane = (row: ReplyRow, now: number) =>
      row.state === "unknown" && (row.unknownSince ?? 0) > now - holdLaneFor

    /** Whether this row keeps another one of its lane from being sent. */
    const holdsUp = (row: ReplyRow, behind: ReplyRow, now: number) => {
      if (row.state === "sending") return true
      if (row.id > behind.id) return false
      if (holdsLane(row, now)) return true
      if (!waits(row) || (row.state === "queued" && row.dueAt > now && !isUnbidden(row))) return false
      return (!row.interim || behind.interim) && !waitsForTarget(row)
    }

    /** Heads of lanes: nothing stands before them, and what they change is settled. */
    const heads = (now: number, exclude: ReadonlyArray<string>) =>
      rows().filter((row) =>
        waits(row) && !(row.dispatch._tag === "Post" && exclude.includes(row.destination.channel)) &&
        !waitsForTarget(row) &&
        !rows().some((other) => other.lane === row.lane && other !== row && holdsUp(other, row, now))
      )

    /** What becomes of a row that changes another one: the message to change, a call of its own, or why it is over. */
    const resolve = ({ degraded, dispatch, interim, target }: ReplyRow): Dispatch | Over => {
      if (target === null || !isChange(dispatch._tag)) return dispatch
      if (dispatch._tag === "StreamStop" && degraded) return asPost(dispatch)
      const aim = data.replies.get(target)
      if (aim === undefined) return over("the message it changes is no longer kept")
      // An interim message that was never sent may have been replaced by a post since.
      const there = aim.state === "delivered"
        ? aim
        : rows().findLast((row) => row.target === target && row.dispatch._tag === "Post" && row.state === "delivered")
      if (there !== undefined && there.at !== null) {
        return isMessage(there.dispatch._tag)
          ? withShown(aimedAt(dispatch, there.at), piecesOf(data, target))
          : over("what it changes cannot be changed")
      }
      if (dispatch._tag === "StreamStop") return asPost(dispatch)
      if (dispatch._tag === "Update" && aim.interim && !interim) return { ...dispatch, _tag: "Post" }
      return over(`the message it changes was not sent (${aim.reason ?? aim.state})`, aim.interim)
    }

    /** The part that will never be there, and so ends what stands behind it. */
    const brokenOff = ({ id, partOf, retriedAt }: ReplyRow) =>
      partOf === null || retriedAt !== null ?
        undefined :
        rows().find((row) =>
          (row.id === partOf || row.partOf === partOf) && row.id < id &&
          (row.state === "failed_terminal" || row.state === "expired")
        )

    const claim = ({ admit, exclude, excludeKinds = [], expireBefore, limit, now, owner }: ClaimOptions) => {
      const taken: Array<ClaimedReply> = []
      const expired: Array<number> = []
      const ended: Array<number> = []
      const lanes = new Set<string>()
      for (const row of heads(now, exclude).filter(({ dueAt }) => dueAt <= now)) {
        if (excludeKinds.includes(row.dispatch._tag)) continue
        // A row that ended a moment ago may have taken this one with it.
        if (lanes.has(row.lane) || !waits(row)) continue
        const isIt = (other: ReplyRow) => other === row && waits(row)
        if (row.livesFrom < expireBefore) {
          if (row.interim) ended.push(...end(data, isIt, "failed_terminal", tooOld, now))
          else expired.push(...end(data, isIt, "expired", tooOld, now))
          continue
        }
        const broken = brokenOff(row)
        if (broken !== undefined) {
          ended.push(...end(data, isIt, "failed_terminal", cancelledBy(broken.id), now))
          continue
        }
        const dispatch = resolve(row)
        if ("over" in dispatch) {
          ended.push(...end(data, isIt, "failed_terminal", { error: "Target", reason: dispatch.over }, now))
          if (dispatch.quiet) Object.assign(row, { interim: true, reason: interimReason })
          continue
        }
        if (taken.length >= limit || !admit(row.destination.channel, dispatch._tag)) continue
        lanes.add(row.lane)
        if (!row.interim) {
          const isOvertaken = ({ id, lane, state }: ReplyRow) => lane === row.lane && id < row.id && state === "queued"
          ended.push(...endInterim(data, isOvertaken, now))
        }
        if (dispatch._tag !== row.dispatch._tag) row.dispatch = dispatch
        Object.assign(row, { state: "sending", owner, sentAt: now, tries: row.tries + 1 })
        taken.push(claimed(row, dispatch))
      }
      return { claimed: taken, expired, ended }
    }

    /** Changes the row if it is in one of these states and, being sent, held by this owner. */
    const change = (
      id: number,
      owner: OwnerId | null,
      from: ReadonlyArray<ReplyState>,
      to: (row: ReplyRow) => Partial<ReplyRow>
    ) => {
      const row = data.replies.get(id)
      if (row === undefined || !from.includes(row.state) || (row.state === "sending" && row.owner !== owner)) return
      Object.assign(row, { owner: null, ...to(row) })
    }
    /** As `change`, for what only a final row can become. */
    const changeFinal = (id: number, owner: OwnerId, to: (row: ReplyRow) => Partial<ReplyRow>) => {
      if (data.replies.get(id)?.interim === false) change(id, owner, ["sending"], to)
    }

    return OutboxStore.of({
      enqueue: (replies, from, now, sender) =>
        tracedCall("enqueue")((trace) => {
          if (from !== null) heldTurn(data, from.turn, from.owner, from.attempt)
          checkReplies(replies)
          return insertReplies(data, replies, from?.turn ?? null, now, trace, sender)
        }),
      import: (groups, now) => call("import")(() => importReplies(data, groups, now)),
      keysAt: (place) =>
        call("keysAt")(() => rows().map(({ key }) => key).filter((key) => key.startsWith(place)).toSorted()),

      streamed: (start) => call("streamed")(() => textGrowing(data.replies.get(start)?.state, piecesOf(data, start))),

      claim: (options) => call("claim")(() => claim(options)),

      claimUnknown: (now, limit) =>
        call("claimUnknown")(() =>
          rows().filter((row) => isFindable(row) && row.dueAt <= now)
            .toSorted((a, b) => a.dueAt - b.dueAt || a.id - b.id)
            .slice(0, limit)
            .map((row) => ({
              ...claimed(row),
              sentAt: row.sentAt ?? row.enqueuedAt,
              unknownSince: row.unknownSince ?? row.enqueuedAt,
              late: row.late,
              looks: row.looks,
              newest: row.newest,
              held: row.held,
              isFree: row.error === unavailable
            }))
        ),

      nextDueAt: (now, exclude, inHand) =>
        call("nextDueAt")(() => {
          const unknown = rows().filter(({ state }) => state === "unknown")
          // A lane held by an unknown row may go on when the hold ends.
          const holds = unknown.filter((row) => holdsLane(row, now)).map((row) => (row.unknownSince ?? 0) + holdLaneFor)
          return {
            send: least([...heads(now, exclude).map(({ dueAt }) => dueAt), ...holds]),
            look: least(unknown.filter(isFindable).filter(({ id }) => !inHand.includes(id)).map(({ dueAt }) => dueAt)),
            behind: rows().some((row) =>
              waits(row) && rows().some(({ lane, state }) => lane === row.lane && state === "sending")
            )
          }
        }),

      remember: (id, owner, remote, now) =>
        call("remember")(() => {
          const row = data.replies.get(id)
          if (row?.state === "sending" && row.owner === owner) Object.assign(row, { remote, sentAt: now })
        }),
      spooled: call("spooled")(() =>
        rows().flatMap(({ dispatch, error, state }) =>
          dispatch._tag === "Upload" && state !== "delivered" && error !== "Discarded" ? [dispatch.spool] : []
        )
      ),
      delivered: (id, owner, at, now) =>
        call("delivered")(() =>
          change(id, owner, ["sending", "unknown"], () => ({ state: "delivered", held: false, at, finishedAt: now }))
        ),
      notSent: (id, owner, failure, { countAttempt, degrade, dueAt, now }) =>
        call("notSent")(() =>
          changeFinal(id, owner, ({ attempts, degraded }) => ({
            ...failure,
            state: "failed_retryable",
            failedAt: now,
            dueAt: Math.round(dueAt),
            attempts: attempts + (countAttempt ? 1 : 0),
            degraded: degraded || degrade === true
          }))
        ),
      unknown: (id, owner, failure, { late, lookAt, now }) =>
        call("unknown")(() =>
          changeFinal(id, owner, () => ({
            ...failure,
            state: "unknown",
            failedAt: now,
            unknownSince: now,
            late,
            looks: 0,
            newest: null,
            held: false,
            dueAt: Math.round(lookAt)
          }))
        ),
      looked: (id, { counts, held, lookAt, newest, since }) =>
        call("looked")(() =>
          change(id, null, ["unknown"], (row) => ({
            dueAt: Math.round(lookAt),
            looks: row.looks + (counts ? 1 : 0),
            newest: row.newest ?? newest,
            held,
            unknownSince: since ?? row.unknownSince
          }))
        ),
      absent: (id, now, { free = false, sentAt } = {}) =>
        call("absent")(() => {
          if (sentAt !== undefined && data.replies.get(id)?.sentAt !== sentAt) return
          change(id, null, ["unknown"], ({ attempts }) => ({
            state: "failed_retryable",
            attempts: attempts + (free ? 0 : 1),
            dueAt: now,
            unknownSince: null,
            held: false
          }))
        }),
      failed: (id, owner, failure, now) =>
        call("failed")(() => {
          const isIt = (row: ReplyRow) =>
            row.id === id && (row.state === "unknown" || (row.state === "sending" && row.owner === owner))
          end(data, isIt, "failed_terminal", failure, now)
        }),
      refused: (failure, now) =>
        call("refused")(() => {
          for (const row of rows()) {
            const isIt = waits(row) && !row.interim && row.error === null && row.dueAt <= now
            if (isIt) Object.assign(row, { ...failure, failedAt: now })
          }
        }),
      expire: (before, failure, now) =>
        call("expire")(() =>
          end(data, (row) => waits(row) && !row.interim && row.livesFrom < before, "expired", failure, now).length
        ),

      setBack: (by, now) => call("setBack")(() => setBack(data, by, now)),
      releaseAll: (owner, now) =>
        call("releaseAll")(() => cutOff(data, (row) => row.owner === owner, "cut off by the shutdown", now)),

      cutoffKeeping: (newest) => call("cutoffKeeping")(() => cutoffKeeping(rows(), newest)),
      prune: ({ finishedBefore, keysBefore, most }) =>
        Effect.andThen(
          checkCutoffs("prune", { finishedBefore: finishedBefore.at, keysBefore }),
          call("prune")(() => {
            const mayRunAgain = (id: TurnId) => {
              const turn = data.turns.get(id)
              return turn !== undefined && (turn.finishedAt === null || turn.state === "failed")
            }
            const ofTurns = rows().filter(({ turn }) => turn !== null && !mayRunAgain(turn))
            const ofHost = rows().filter(({ turn }) => turn === null)
            const answers = oldest(ofTurns, finishedBefore, most)
            const posts = oldest(ofHost, earlier(finishedBefore, endedBefore(keysBefore)), most)
            for (const { id } of [...answers, ...posts]) data.replies.delete(id)
            return Math.max(answers.length, posts.length)
          })
        ),

      find: (id) =>
        call("find")(() => {
          const row = data.replies.get(id)
          return row === undefined ? null : stored(row)
        }),
      list: (which, page) => call("list")(() => list(data, which, page)),
      retry: (which, now) => call("retry")(() => retry(data, which, now)),
      discard: (which, now) => call("discard")(() => discard(data, which, now)),

      backlog: call("backlog")(() => {
        const queued = rows().filter(({ state }) => state === "queued" || state === "failed_retryable")
        return { queued: queued.length, oldestQueuedAt: least(queued.map(({ enqueuedAt }) => enqueuedAt)) }
      }),
      counts: call("counts")(() => {
        const of = (state: ReplyState) => rows().filter((row) => row.state === state)
        return {
          queued: of("queued").length,
          sending: of("sending").length,
          unknown: of("unknown").length,
          failed_retryable: of("failed_retryable").length,
          delivered: of("delivered").length,
          failed_terminal: of("failed_terminal").filter(({ interim }) => !interim).length,
          expired: of("expired").length,
          held: of("unknown").filter(({ held }) => held).length,
          oldestQueuedAt: least(of("queued").map(({ enqueuedAt }) => enqueuedAt))
        } satisfies OutboxCounts
      }),
      held: call("held")(() => rows().filter(({ held, state }) => held && state === "unknown").length)
    })
  })
)
