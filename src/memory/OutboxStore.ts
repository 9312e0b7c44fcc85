/**
 * The durable outbox in memory: what `../OutboxStore.ts` promises, said as plainly as can be. The SQL adapter is
 * measured against it. See `Database.ts` for what it is for, and what not.
 */
import { Effect, Layer, Schema } from "effect"
import { checkCutoffs, earlier, endedBefore } from "../Cutoff.ts"
import { Destination, type OwnerId, type TurnId } from "../Message.ts"
import {
  type ClaimedReply,
  holdLaneFor,
  type NewReply,
  type OutboxCounts,
  OutboxStore,
  type ReplyState,
  type StoredReply
} from "../OutboxStore.ts"
import { call, cutoffKeeping, type Data, Database, heldTurn, least, oldest, type ReplyRow } from "./Database.ts"

const stored = ({ destination, id, reason, state, ts }: ReplyRow): StoredReply => ({
  id,
  state,
  channel: destination.channel,
  ts,
  reason
})

const claimed = ({ attempts, destination, dispatch, enqueuedAt, id, key, lane }: ReplyRow): ClaimedReply => ({
  id,
  key,
  lane,
  destination,
  dispatch,
  attempts,
  enqueuedAt
})

const waits = ({ state }: ReplyRow) => state === "queued" || state === "failed_retryable"

const isDestination = Schema.is(Destination)

/** Replies that can be stored, or an error before anything is. */
export const checkReplies = (replies: ReadonlyArray<NewReply>): void => {
  for (const { destination, key } of replies) {
    if (!isDestination(destination)) throw new TypeError(`reply ${key} has no place to go`)
  }
}

/** Adds rows to checked replies' keys that are new. Answers them in order; a known key answers its first row. */
export const insertReplies = (
  data: Data,
  replies: ReadonlyArray<NewReply>,
  turn: TurnId | null,
  now: number
): ReadonlyArray<StoredReply> =>
  replies.map((reply) => {
    const known = [...data.replies.values()].find(({ key }) => key === reply.key)
    if (known !== undefined) return stored(known)
    const row: ReplyRow = {
      ...reply,
      id: data.nextReply++,
      turn,
      state: "queued",
      owner: null,
      attempts: 0,
      dueAt: now,
      enqueuedAt: now,
      sentAt: null,
      unknownSince: null,
      looks: 0,
      reason: null,
      ts: null,
      finishedAt: null
    }
    data.replies.set(row.id, row)
    return stored(row)
  })

/** What nobody finished sending may have arrived. */
export const cutOff = (row: ReplyRow, reason: string, now: number): void => {
  Object.assign(row, { state: "unknown", owner: null, reason, unknownSince: now, looks: 0, dueAt: now })
}

export const layer = Layer.effect(
  OutboxStore,
  Effect.gen(function*() {
    const data = yield* Database
    const rows = () => [...data.replies.values()]

    const holdsLane = (row: ReplyRow, now: number) =>
      waits(row) || row.state === "sending" || (row.state === "unknown" && (row.unknownSince ?? 0) > now - holdLaneFor)

    /** Heads of lanes: nothing unsettled stands before them. */
    const heads = (now: number, exclude: ReadonlyArray<string>) =>
      rows().filter((row) =>
        waits(row) && !exclude.includes(row.destination.channel) &&
        !rows().some((other) => other.lane === row.lane && other.id < row.id && holdsLane(other, now))
      )

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

    return OutboxStore.of({
      enqueue: (replies, from, now) =>
        call("enqueue")(() => {
          if (from !== null) heldTurn(data, from.turn, from.owner, from.attempt)
          checkReplies(replies)
          return insertReplies(data, replies, from?.turn ?? null, now)
        }),

      claim: ({ admit, exclude, expireBefore, limit, now, owner }) =>
        call("claim")(() => {
          const taken: Array<ClaimedReply> = []
          const expired: Array<number> = []
          for (const row of heads(now, exclude).filter(({ dueAt }) => dueAt <= now)) {
            if (row.enqueuedAt < expireBefore) {
              Object.assign(row, { state: "expired", reason: "older than its time to live", finishedAt: now })
              expired.push(row.id)
            } else if (taken.length < limit && admit(row.destination.channel)) {
              Object.assign(row, { state: "sending", owner, sentAt: now })
              taken.push(claimed(row))
            }
          }
          return { claimed: taken, expired }
        }),

      claimUnknown: (now, limit) =>
        call("claimUnknown")(() =>
          rows().filter(({ dueAt, state }) => state === "unknown" && dueAt <= now)
            .toSorted((a, b) => a.dueAt - b.dueAt || a.id - b.id)
            .slice(0, limit)
            .map((row) => ({
              ...claimed(row),
              sentAt: row.sentAt ?? row.enqueuedAt,
              unknownSince: row.unknownSince ?? row.enqueuedAt,
              looks: row.looks
            }))
        ),

      nextDueAt: (now, exclude, inHand) =>
        call("nextDueAt")(() => {
          const unknown = rows().filter(({ state }) => state === "unknown")
          // A lane held by an unknown row may go on when the hold ends.
          const holds = unknown.filter((row) => holdsLane(row, now)).map((row) => (row.unknownSince ?? 0) + holdLaneFor)
          return {
            send: least([...heads(now, exclude).map(({ dueAt }) => dueAt), ...holds]),
            look: least(unknown.filter(({ id }) => !inHand.includes(id)).map(({ dueAt }) => dueAt))
          }
        }),

      delivered: (id, owner, ts, now) =>
        call("delivered")(() =>
          change(id, owner, ["sending", "unknown"], () => ({ state: "delivered", ts, finishedAt: now }))
        ),
      notSent: (id, owner, reason, { countAttempt, dueAt }) =>
        call("notSent")(() =>
          change(id, owner, ["sending"], ({ attempts }) => ({
            state: "failed_retryable",
            reason,
            dueAt: Math.round(dueAt),
            attempts: attempts + (countAttempt ? 1 : 0)
          }))
        ),
      unknown: (id, owner, reason, now, lookAt) =>
        call("unknown")(() =>
          change(id, owner, ["sending"], () => ({
            state: "unknown",
            reason,
            unknownSince: now,
            looks: 0,
            dueAt: Math.round(lookAt)
          }))
        ),
      looked: (id, lookAt, completed) =>
        call("looked")(() =>
          change(id, null, ["unknown"], ({ looks }) => ({
            dueAt: Math.round(lookAt),
            looks: looks + (completed ? 1 : 0)
          }))
        ),
      absent: (id, now) =>
        call("absent")(() =>
          change(id, null, ["unknown"], ({ attempts }) => ({
            state: "failed_retryable",
            attempts: attempts + 1,
            dueAt: now,
            unknownSince: null
          }))
        ),
      failed: (id, owner, reason, now) =>
        call("failed")(() =>
          change(id, owner, ["sending", "unknown"], () => ({ state: "failed_terminal", reason, finishedAt: now }))
        ),

      releaseAll: (owner, now) =>
        call("releaseAll")(() => {
          const held = rows().filter((row) => row.state === "sending" && row.owner === owner)
          for (const row of held) cutOff(row, "cut off by the shutdown", now)
          return held.length
        }),

      cutoffKeeping: (newest) => call("cutoffKeeping")(() => cutoffKeeping(rows(), newest)),
      prune: ({ finishedBefore, keysBefore, most }) =>
        Effect.andThen(
          checkCutoffs("prune", { finishedBefore: finishedBefore.at, keysBefore }),
          call("prune")(() => {
            const mayRunAgain = (turn: TurnId) => data.turns.get(turn)?.finishedAt === null
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

      counts: call("counts")(() => {
        const of = (state: ReplyState) => rows().filter((row) => row.state === state)
        return {
          queued: of("queued").length,
          sending: of("sending").length,
          unknown: of("unknown").length,
          failed_retryable: of("failed_retryable").length,
          delivered: of("delivered").length,
          failed_terminal: of("failed_terminal").length,
          expired: of("expired").length,
          oldestQueuedAt: least(of("queued").map(({ enqueuedAt }) => enqueuedAt))
        } satisfies OutboxCounts
      })
    })
  })
)
