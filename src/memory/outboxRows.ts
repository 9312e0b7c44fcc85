/**
 * Rows of the outbox in memory: how they are added, cut off, and ended together. Rows that belong together end
 * together: the later parts of a text with a part that failed, the interim replies of a turn with its final one.
 */
import { Schema } from "effect"
import { isRepeatable, withoutBlocks } from "../Dispatch.ts"
import { Destination, type OwnerId, type TurnId } from "../Message.ts"
import {
  cancelled,
  type ClaimedReply,
  type CommittedReply,
  type Failure,
  interimReason,
  mayGoAtOnce,
  type NewReply,
  type StoredReply
} from "../OutboxStore.ts"
import type { Piece } from "../streamed.ts"
import type { Data, ReplyRow } from "./Database.ts"

export type Which = (row: ReplyRow) => boolean

export const stored = ({ at, destination, held, id, interim, reason, state }: ReplyRow): StoredReply => ({
  id,
  state,
  channel: at?.channel ?? destination.channel,
  ts: at?.ts ?? null,
  reason,
  interim,
  held
})

export const claimed = (row: ReplyRow, dispatch = row.dispatch): ClaimedReply => ({
  id: row.id,
  key: row.key,
  lane: row.lane,
  destination: row.destination,
  dispatch: row.degraded ? withoutBlocks(dispatch) : dispatch,
  interim: row.interim,
  remote: row.remote,
  attempts: row.attempts,
  enqueuedAt: row.enqueuedAt,
  livesFrom: row.livesFrom,
  trace: row.trace
})

export const waits = ({ state }: ReplyRow) => state === "queued" || state === "failed_retryable"

export const isUnsettled = (row: ReplyRow | undefined): boolean =>
  row !== undefined && (waits(row) || row.state === "sending" || row.state === "unknown")

const isDestination = Schema.is(Destination)

/** Replies that can be stored, or an error before anything is. */
export const checkReplies = (replies: ReadonlyArray<Pick<NewReply, "destination" | "key">>): void => {
  for (const { destination, key } of replies) {
    if (!isDestination(destination)) throw new TypeError(`reply ${key} has no place to go`)
  }
}

/** Adds rows to checked replies' keys that are new. Answers them in order; a known key answers its first row. */
export const insertReplies = (
  data: Data,
  replies: ReadonlyArray<NewReply>,
  turn: TurnId | null,
  now: number,
  trace: string | null = null,
  sender?: OwnerId
): ReadonlyArray<CommittedReply> => {
  let first: number | null = null
  return replies.map((reply, index) => {
    const known = [...data.replies.values()].find(({ key }) => key === reply.key)
    const row = known ?? newRow(data.nextReply++, reply, turn, reply.part === undefined ? null : first, now, trace)
    if (reply.part === undefined) first = row.id
    if (known === undefined) {
      data.replies.set(row.id, row)
      if (!row.interim && turn !== null) {
        endInterim(data, (other) => other.turn === turn && other.state === "queued" && other.id < row.id, now)
      }
      const isAlone = ![...data.replies.values()].some((other) =>
        other.lane === row.lane && other !== row && isUnsettled(other)
      )
      if (index === 0 && sender !== undefined && mayGoAtOnce(reply) && isAlone) {
        Object.assign(row, { state: "sending", owner: sender, sentAt: now, tries: 1 })
        return { ...stored(row), begun: claimed(row, structuredClone(row.dispatch)) }
      }
    }
    return stored(row)
  })
}

export const newRow = (
  id: number,
  { destination, dispatch, interim, key, lane, notBefore, target }: NewReply,
  turn: TurnId | null,
  partOf: number | null,
  now: number,
  trace: string | null = null
): ReplyRow => {
  const dueAt = Math.max(now, Math.round(notBefore ?? now))
  return {
    id,
    key,
    lane,
    destination,
    dispatch,
    interim: interim === true,
    turn,
    target: target ?? null,
    partOf,
    state: "queued",
    owner: null,
    tries: 0,
    attempts: 0,
    dueAt,
    enqueuedAt: now,
    livesFrom: dueAt,
    sentAt: null,
    unknownSince: null,
    late: false,
    looks: 0,
    newest: null,
    held: false,
    degraded: false,
    error: null,
    reason: null,
    failedAt: null,
    retriedAt: null,
    at: null,
    remote: null,
    finishedAt: null,
    trace
  }
}

/** A row that nobody told to wait is due from when it was committed, or sent again by hand, whatever the clock says. */
export const isUnbidden = ({ dueAt, enqueuedAt, retriedAt }: ReplyRow): boolean =>
  dueAt <= Math.max(enqueuedAt, retriedAt ?? 0)

/** Moments after the clock was set. */
export const setBack = (data: Data, by: number, now: number): void => {
  for (const row of data.replies.values()) {
    if (by < 0) {
      if (row.state === "unknown" && row.unknownSince !== null) row.unknownSince = Math.min(now, row.unknownSince - by)
      continue
    }
    if (row.state === "queued" && row.dueAt > now && isUnbidden(row)) row.dueAt = now
    if (row.state !== "failed_retryable" && row.state !== "unknown") continue
    if (row.dueAt > now) row.dueAt = Math.max(now, row.dueAt - by)
    if (row.unknownSince !== null && row.unknownSince > now) row.unknownSince = Math.min(now, row.unknownSince - by)
  }
}

export const cancelledBy = (part: number): Failure => ({
  error: cancelled,
  reason: `an earlier part (${part}) was not sent`
})

/** Ends rows, and what hangs on them. Answers those that ended. */
export const end = (
  data: Data,
  which: Which,
  state: "failed_terminal" | "expired",
  { error, reason }: Failure,
  now: number
): ReadonlyArray<number> => {
  const rows = [...data.replies.values()].filter(which)
  const over = (row: ReplyRow, because: Failure) =>
    Object.assign(row, {
      owner: null,
      error: because.error,
      reason: row.interim ? interimReason : because.reason,
      interim: row.interim || row.dispatch._tag === "StreamStart",
      failedAt: now,
      finishedAt: now
    })
  for (const row of rows) Object.assign(over(row, { error, reason }), { state, held: false })
  for (const row of rows) {
    // What stands behind a part that will never be there is not sent either.
    for (const later of data.replies.values()) {
      if (later.partOf !== (row.partOf ?? row.id) || later.id <= row.id || !waits(later)) continue
      over(later, cancelledBy(row.id)).state = "failed_terminal"
    }
  }
  return rows.map(({ id }) => id)
}

/** What was done with a stream since it began, in order. */
export const piecesOf = (data: Data, start: number): ReadonlyArray<Piece> =>
  [...data.replies.values()].filter(({ target }) => target === start)

const ends = ["StreamStop", "StreamEnd", "Post"]

/** With its turn, every stream ends: what nobody stopped is stopped as it is. Answers how many. */
export const endStreams = (data: Data, turn: TurnId, now: number, trace: string | null = null): number => {
  let ended = 0
  for (const row of data.replies.values()) {
    const isOver = row.state === "failed_terminal" || row.state === "expired" ||
      piecesOf(data, row.id).some(({ dispatch }) => dispatch !== null && ends.includes(dispatch._tag))
    if (row.turn !== turn || row.dispatch._tag !== "StreamStart" || isOver) continue
    const { destination, id: target, key, lane } = row
    const end: NewReply = { key: `${key}:end`, lane, destination, dispatch: { _tag: "StreamEnd" }, target }
    insertReplies(data, [end], turn, now, trace)
    ended++
  }
  return ended
}

/** These interim rows will not be sent any more. */
export const endInterim = (data: Data, which: Which, now: number): ReadonlyArray<number> => {
  const rows = [...data.replies.values()].filter((row) =>
    row.interim && (row.state === "queued" || row.state === "sending") && which(row)
  )
  for (const row of rows) {
    const ended = { state: "failed_terminal", owner: null, error: "Interim", reason: interimReason } as const
    Object.assign(row, { ...ended, failedAt: now, finishedAt: now })
  }
  return rows.map(({ id }) => id)
}

/** Requests whose end nobody heard: looked up, asked for again, or given up, as their kind allows. */
export const cutOff = (data: Data, which: Which, reason: string, now: number): number => {
  const sending = [...data.replies.values()].filter((row) => row.state === "sending" && which(row))
  const interim = endInterim(data, (row) => sending.includes(row), now)
  for (const row of sending.filter(({ interim }) => !interim)) {
    Object.assign(row, { owner: null, error: "Ambiguous", reason, failedAt: now, dueAt: now })
    if (isRepeatable(row.dispatch._tag)) Object.assign(row, { state: "failed_retryable", attempts: row.attempts + 1 })
    else Object.assign(row, { state: "unknown", unknownSince: now, late: true, looks: 0, newest: null, held: false })
  }
  return interim.length + sending.filter(({ interim }) => !interim).length
}

/** Whether it was said in its conversation: as it reads now, without progress and what was taken back. */
export const isSaid = (data: Data, row: ReplyRow): boolean => {
  const counts = ({ dispatch, interim, state }: ReplyRow) =>
    state !== "failed_terminal" && state !== "expired" && !interim && !["React", "StreamEnd"].includes(dispatch._tag)
  return counts(row) && row.dispatch._tag !== "Delete" && row.dispatch._tag !== "StreamStart" &&
    ![...data.replies.values()].some((later) =>
      later.target === (row.target ?? row.id) && later.id > row.id && counts(later)
    )
}
