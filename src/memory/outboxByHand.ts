/** What an operator does with the outbox in memory: look at it, send again, discard. */
import { textOf } from "../Dispatch.ts"
import { cancelled, type ReplyRecord, type RowPage, type Selection } from "../OutboxStore.ts"
import type { Data, ReplyRow } from "./Database.ts"
import { end, stored } from "./outboxRows.ts"

const record = (row: ReplyRow): ReplyRecord => ({
  ...stored(row),
  key: row.key,
  kind: row.dispatch._tag,
  lane: row.lane,
  threadTs: row.destination.threadTs ?? null,
  text: textOf(row.dispatch),
  turn: row.turn,
  target: row.target,
  partOf: row.partOf,
  tries: row.tries,
  attempts: row.attempts,
  looks: row.looks,
  degraded: row.degraded,
  error: row.error,
  failedAt: row.failedAt,
  dueAt: row.dueAt,
  enqueuedAt: row.enqueuedAt,
  sentAt: row.sentAt,
  unknownSince: row.unknownSince,
  retriedAt: row.retriedAt,
  finishedAt: row.finishedAt
})

const chosen = ({ channel, error, ids, lane, states }: Selection) => (row: ReplyRow): boolean =>
  (ids === undefined || ids.includes(row.id)) && (states === undefined || states.includes(row.state)) &&
  (channel === undefined || row.destination.channel === channel || row.at?.channel === channel) &&
  (lane === undefined || row.lane === lane) && (error === undefined || row.error === error)

export const list = (
  data: Data,
  which: Selection,
  { after = 0, before, limit }: RowPage
): ReadonlyArray<ReplyRecord> => {
  const rows = [...data.replies.values()].filter(chosen(which))
  const inOrder = before === undefined
    ? rows.filter(({ id }) => id > after)
    : rows.filter(({ id }) => id < before).toReversed()
  return inOrder.slice(0, limit).map(record)
}

export const retry = (data: Data, which: Selection, now: number): ReadonlyArray<number> => {
  const rows = [...data.replies.values()]
  const anew = (row: ReplyRow) =>
    Object.assign(row, {
      state: "queued",
      owner: null,
      attempts: 0,
      dueAt: now,
      livesFrom: now,
      retriedAt: now,
      unknownSince: null,
      late: false,
      looks: 0,
      newest: null,
      held: false,
      error: null,
      reason: null,
      failedAt: null,
      finishedAt: null
    })
  const ended = rows.filter((row) =>
    !row.interim && ["failed_terminal", "expired", "unknown"].includes(row.state) && chosen(which)(row)
  )
  for (const row of ended) anew(row)
  const revived = ended.flatMap((row) =>
    rows.filter((later) =>
      later.partOf === (row.partOf ?? row.id) && later.id > row.id && !later.interim &&
      later.state === "failed_terminal" && later.error === cancelled
    )
  )
  for (const row of revived) anew(row)
  return [...new Set([...ended, ...revived].map(({ id }) => id))].toSorted((a, b) => a - b)
}

export const discard = (data: Data, which: Selection, now: number): ReadonlyArray<number> => {
  const isChosen = chosen(which)
  const leaves = ({ error, state }: ReplyRow) =>
    state !== "sending" && state !== "delivered" && !(state === "failed_terminal" && error === "Discarded")
  const failure = { error: "Discarded", reason: "discarded" }
  return end(data, (row) => isChosen(row) && leaves(row), "failed_terminal", failure, now)
}
