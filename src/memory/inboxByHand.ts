/** What an operator does with the inbox in memory: look at it, have dead letters handled again, discard. */
import { textOf } from "../Dispatch.ts"
import {
  type Action,
  discarded,
  isBlank,
  keysWithin,
  type MessageDetail,
  type MessagePage,
  type MessageRecord,
  type MessageSelection,
  shownOfTurn,
  shownPayload,
  type TurnRecord
} from "../InboxByHand.ts"
import type { TurnId } from "../Message.ts"
import { type Data, isAskedFor, type MessageRow } from "./Database.ts"
import { endStreams } from "./outboxRows.ts"

const record = (data: Data, row: MessageRow): MessageRecord => {
  const turn = row.turn === null ? undefined : data.turns.get(row.turn)
  const retries = data.byHand.filter(({ action, message }) => message === row.id && action === "retry")
  return {
    id: row.id,
    state: row.state,
    conversation: row.conversation,
    kind: row.message.kind,
    channel: row.message.channel ?? null,
    user: row.message.user ?? null,
    text: row.message.text,
    ts: row.message.ts,
    threadTs: row.message.threadTs ?? null,
    reason: row.reason,
    turn: row.turn,
    attempts: turn?.attempt ?? 0,
    failures: turn?.failures ?? 0,
    crashes: turn?.crashes ?? 0,
    receivedAt: row.receivedAt,
    dueAt: row.state === "queued" ? turn?.dueAt ?? row.dueAt : row.dueAt,
    finishedAt: row.finishedAt,
    retries: retries.length,
    retriedAt: retries.at(-1)?.at ?? null,
    blanked: isBlank(row.message)
  }
}

const chosen = (which: MessageSelection) => (row: MessageRow): boolean => {
  const { channel, conversation, ids, reason, receivedBefore, receivedFrom, states, turns } = which
  return (ids === undefined || ids.includes(row.id)) && (states === undefined || states.includes(row.state)) &&
    (turns === undefined || (row.turn !== null && turns.includes(row.turn))) &&
    (conversation === undefined || row.conversation === conversation) &&
    (channel === undefined || row.conversation === channel || row.conversation.startsWith(`${channel}/`)) &&
    (reason === undefined || row.reason?.includes(reason) === true) &&
    (receivedFrom === undefined || row.receivedAt >= receivedFrom) &&
    (receivedBefore === undefined || row.receivedAt < receivedBefore)
}

export const list = (data: Data, which: MessageSelection, page: MessagePage): ReadonlyArray<MessageRecord> => {
  const found = [...data.messages.values()].filter(chosen(which)).toSorted((a, b) => a.id - b.id)
  const shown = "after" in page
    ? found.filter(({ id }) => id > page.after)
    : found.filter(({ id }) => id < (page.before ?? Infinity)).toReversed()
  return shown.slice(0, page.limit).map((row) => record(data, row))
}

const turnOf = (data: Data, id: TurnId): TurnRecord | null => {
  const turn = data.turns.get(id)
  if (turn === undefined) return null
  const messages = [...data.messages.values()].filter((row) => row.turn === id).toSorted((a, b) =>
    a.message.ts === b.message.ts ? a.id - b.id : a.message.ts < b.message.ts ? -1 : 1
  )
  return {
    id,
    state: turn.state,
    interrupted: turn.interrupted,
    status: turn.status,
    error: turn.error,
    createdAt: turn.createdAt,
    dueAt: turn.dueAt,
    finishedAt: turn.finishedAt,
    messages: messages.slice(0, shownOfTurn)
      .map(({ id, message: { text, ts }, state }) => ({ id, state, ts, text })),
    steps: [...data.steps.get(id)?.keys() ?? []].slice(0, shownOfTurn),
    replies: [...data.replies.values()].filter((row) => row.turn === id).slice(0, shownOfTurn)
      .map(({ at, dispatch, id, reason, state }) => ({
        id,
        state,
        kind: dispatch._tag,
        text: textOf(dispatch),
        ts: at?.ts ?? null,
        reason
      }))
  }
}

export const show = (data: Data, id: number): MessageDetail | null => {
  const row = data.messages.get(id)
  if (row === undefined) return null
  return {
    ...record(data, row),
    payload: shownPayload(row.message.payload ?? null),
    keys: [...data.keys].filter(([, { message, seenAt }]) =>
      message === id && seenAt >= row.receivedAt && seenAt <= row.receivedAt + keysWithin
    ).map(([key]) => key).toSorted(),
    byHand: data.byHand.filter(({ message }) => message === id)
      .map(({ action, at, reason }) => ({ at, action, reason })),
    turnRecord: row.turn === null ? null : turnOf(data, row.turn)
  }
}

const note = (data: Data, { id, reason }: MessageRow, action: Action, at: number) => {
  data.byHand.push({ message: id, at, action, reason })
}

/** Asks for a turn that failed. False where it has ended in another way, or goes on. */
const askFor = (data: Data, id: TurnId, { conversation }: MessageRow, now: number): boolean => {
  const anew = { failures: 0, crashes: 0, interrupted: false, status: null, dueAt: now, finishedAt: null }
  const turn = data.turns.get(id)
  if (turn === undefined) {
    // Where the turn was deleted by age and its message was not, its id still finds what it said.
    const lost = { owner: null, attempt: 0, error: null, createdAt: now, startedAt: now }
    data.turns.set(id, { id, conversation, state: "failed", ...lost, ...anew })
    return true
  }
  // The number of the next run goes on: it is what tells a run from those before.
  if (turn.state === "failed" && turn.finishedAt !== null) Object.assign(turn, anew)
  return isAskedFor(turn)
}

export const retry = (data: Data, which: MessageSelection, now: number): ReadonlyArray<number> => {
  const rows = [...data.messages.values()]
  const named = rows.filter((row) =>
    (row.state === "failed" || (row.state === "ignored" && !isBlank(row.message))) && chosen(which)(row)
  )
  const turns = new Set(named.flatMap(({ turn }) => turn ?? []))
  // All that failed with a turn comes back with it.
  const found = rows.filter((row) =>
    named.includes(row) || (row.state === "failed" && row.turn !== null && turns.has(row.turn))
  ).toSorted((a, b) => a.id - b.id)
  for (const row of found) {
    note(data, row, "retry", now)
    const turn = row.turn !== null && askFor(data, row.turn, row, now) ? row.turn : null
    Object.assign(row, { state: "queued", reason: null, finishedAt: null, dueAt: now, turn })
  }
  return found.map(({ id }) => id)
}

export const discard = (data: Data, which: MessageSelection, now: number): ReadonlyArray<number> => {
  const found = [...data.messages.values()]
    .filter((row) => (row.state === "failed" || row.state === "queued") && chosen(which)(row))
    .toSorted((a, b) => a.id - b.id)
  for (const row of found) {
    note(data, row, "discard", now)
    Object.assign(row, { state: "ignored", reason: discarded, finishedAt: now })
  }
  // A turn that has nothing left to handle is over.
  for (const id of new Set(found.flatMap(({ turn }) => turn ?? []))) {
    const turn = data.turns.get(id)
    const hasMore = [...data.messages.values()].some((row) => row.turn === id && row.state === "queued")
    if (turn === undefined || hasMore || !(turn.state === "waiting" || isAskedFor(turn))) continue
    Object.assign(turn, { state: "failed", error: turn.error ?? discarded, finishedAt: now })
    endStreams(data, id, now)
  }
  return found.map(({ id }) => id)
}
