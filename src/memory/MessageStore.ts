/**
 * The durable inbox in memory: what `../MessageStore.ts` promises, said as plainly as can be. The SQL adapter is
 * measured against it. See `Database.ts` for what it is for, and what not.
 */
import { Effect, Layer } from "effect"
import { checkCutoffs, endedBefore } from "../Cutoff.ts"
import { textOf } from "../Dispatch.ts"
import { type ConversationKey, type TurnId } from "../Message.ts"
import { type HistoryEntry, type InboxCounts, MessageStore } from "../MessageStore.ts"
import { append } from "./append.ts"
import { claim, openTurn, waitingDue } from "./claim.ts"
import { isPaused } from "./Control.ts"
import {
  call,
  cutoffKeeping,
  Database,
  heldTurn,
  isAskedFor,
  least,
  type MessageRow,
  oldest,
  tracedCall,
  type TurnRow,
  waiting,
  waits
} from "./Database.ts"
import { discard, list, retry, show } from "./inboxByHand.ts"
import { checkReplies, endStreams, insertReplies, isSaid } from "./outboxRows.ts"

const last = <A>(entries: ReadonlyArray<A>, limit: number) => entries.slice(Math.max(0, entries.length - limit))

export const layer = Layer.effect(
  MessageStore,
  Effect.gen(function*() {
    const data = yield* Database
    const rows = () => [...data.messages.values()]
    const turns = () => [...data.turns.values()]
    const atWork = (turn: TurnId) => rows().filter((row) => row.turn === turn && row.state === "processing")

    /** Moves a turn that this owner holds, and its messages with it. */
    const leave = (turn: TurnRow, to: Partial<TurnRow>, messages: Partial<MessageRow>) => {
      for (const row of atWork(turn.id)) Object.assign(row, messages)
      Object.assign(turn, { owner: null, ...to })
    }

    const history = (conversation: ConversationKey, limit: number) => {
      const messages = rows().filter((row) => row.conversation === conversation && row.state !== "ignored")
      const replies = [...data.replies.values()].filter((row) => row.lane === conversation && isSaid(data, row))
      const entries: ReadonlyArray<HistoryEntry> = [
        ...last(messages, limit).map((row) => ({ _tag: "Message", at: row.receivedAt, message: row.message }) as const),
        ...last(replies, limit).map(({ at, dispatch, enqueuedAt }) =>
          ({ _tag: "Reply", at: enqueuedAt, text: textOf(dispatch), ts: at?.ts ?? null }) as const
        )
      ]
      return last(entries.toSorted((a, b) => a.at - b.at), limit)
    }

    return MessageStore.of({
      append: (added) => tracedCall("append")((trace) => append(data, added, trace)),
      participates: (conversation) =>
        call("participates")(() =>
          rows().some((row) => row.conversation === conversation && row.state !== "ignored") ||
          [...data.replies.values()].some(({ lane }) => lane === conversation)
        ),
      ready: (now, limit) =>
        call("ready")(() => {
          const due = new Map<ConversationKey, { readonly at: number; readonly recovered: boolean }>()
          for (const { conversation, dueAt, interrupted, state } of turns()) {
            if (state !== "waiting" || dueAt > now || isPaused(data, conversation)) continue
            due.set(conversation, { at: dueAt, recovered: interrupted })
          }
          for (const turn of turns()) {
            if (!isAskedFor(turn) || turn.dueAt > now || openTurn(data, turn.conversation) !== undefined) continue
            if (isPaused(data, turn.conversation)) continue
            const at = Math.min(turn.dueAt, due.get(turn.conversation)?.at ?? Infinity)
            due.set(turn.conversation, { at, recovered: false })
          }
          for (const row of rows()) {
            if (!waits(row) || row.dueAt > now || openTurn(data, row.conversation) !== undefined) continue
            if (isPaused(data, row.conversation)) continue
            const at = Math.min(row.dueAt, due.get(row.conversation)?.at ?? Infinity)
            due.set(row.conversation, { at, recovered: false })
          }
          const oldestFirst = [...due].toSorted(([, a], [, b]) => a.at - b.at)
            .map(([conversation, { recovered }]) => ({ conversation, recovered }))
          const kept = [true, false].flatMap((kind) =>
            oldestFirst.filter(({ recovered }) => recovered === kind).slice(0, limit)
          )
          return oldestFirst.filter((entry) => kept.includes(entry))
        }),
      nextDueAt: call("nextDueAt")(() =>
        least([
          ...turns().filter(({ conversation, state }) => state === "waiting" && !isPaused(data, conversation)).map((
            { dueAt }
          ) => dueAt),
          ...turns().filter((turn) =>
            isAskedFor(turn) && openTurn(data, turn.conversation) === undefined && !isPaused(data, turn.conversation)
          ).map(({ dueAt }) => dueAt),
          ...rows().filter((row) =>
            waits(row) && openTurn(data, row.conversation) === undefined && !isPaused(data, row.conversation)
          ).map(({ dueAt }) => dueAt)
        ])
      ),
      recover: (living, now, limit) =>
        call("recover")(() => {
          const left = turns().filter((turn) =>
            turn.state === "running" && !living.some((owner) => owner === turn.owner)
          )
            .toSorted((a, b) => a.dueAt - b.dueAt || (a.id < b.id ? -1 : 1)).slice(0, limit)
          for (const turn of left) {
            const dueAt = Math.min(turn.dueAt, now)
            const again = { state: "waiting", crashes: turn.crashes + 1, interrupted: true, dueAt } as const
            leave(turn, again, { state: "queued" })
          }
          return left.length
        }),
      claim: (conversation, owner, now, most) => call("claim")(() => claim(data, conversation, owner, now, most)),
      complete: (id, owner, replies, now, { sender, state, unseen = [] } = {}) =>
        tracedCall("complete")((trace) => {
          const turn = heldTurn(data, id, owner)
          checkReplies(replies)
          for (const row of atWork(id)) {
            if (unseen.includes(row.id)) Object.assign(row, { state: "queued", turn: null, dueAt: now })
          }
          leave(turn, { state: "done", crashes: 0, finishedAt: now }, { state: "done", reason: null, finishedAt: now })
          const rows = insertReplies(data, replies, id, now, trace, sender)
          const ended = endStreams(data, id, now, trace)
          if (state !== undefined) data.states.set(turn.conversation, state)
          data.steps.delete(id)
          return { begun: rows[0]?.begun ?? null, queued: ended > 0 || rows.some((row) => row.state === "queued") }
        }),
      saveStatus: ({ attempt, owner, turn }, status) =>
        call("saveStatus")(() => {
          heldTurn(data, turn, owner, attempt).status = status
        }),
      steps: (turn) => call("steps")(() => new Map(data.steps.get(turn))),
      saveStep: ({ attempt, owner, turn }, name, result) =>
        call("saveStep")(() => {
          heldTurn(data, turn, owner, attempt)
          const steps = data.steps.get(turn) ?? new Map<string, string>()
          if (!steps.has(name)) data.steps.set(turn, steps.set(name, result))
        }),
      state: (conversation) => call("state")(() => data.states.get(conversation) ?? null),
      history: (conversation, limit) => call("history")(() => history(conversation, limit)),
      recentConversations: (since, limit) =>
        call("recentConversations")(() => {
          const endedAt = ({ finishedAt }: TurnRow) => finishedAt ?? Infinity
          const recent = turns().filter((turn) => endedAt(turn) >= since).toSorted((a, b) => endedAt(b) - endedAt(a))
          return [...new Set(recent.map(({ conversation }) => conversation))].slice(0, limit)
        }),
      waiting: (conversation, now) =>
        call("waiting")(() =>
          isPaused(data, conversation)
            ? []
            : waitingDue(data, conversation, now).map(({ id, message }) => ({ id, message }))
        ),
      adopt: ({ attempt, owner, turn }, id) =>
        call("adopt")(() => {
          const { conversation } = heldTurn(data, turn, owner, attempt)
          const row = isPaused(data, conversation)
            ? undefined
            : waiting(data, conversation).find((waiter) => waiter.id === id)
          if (row !== undefined) Object.assign(row, { state: "processing", turn })
          return row !== undefined
        }),
      supersede: (id, owner, now) =>
        call("supersede")(() => {
          const turn = heldTurn(data, id, owner)
          // Whoever waits in a quiet window is waited for: they go on together.
          const dueAt = Math.max(now, ...waiting(data, turn.conversation).map((row) => row.dueAt))
          leave(turn, { state: "superseded", finishedAt: now }, { state: "queued", turn: null, dueAt })
          data.steps.delete(id)
          endStreams(data, id, now)
        }),
      cutoffKeeping: (newest) => call("cutoffKeeping")(() => cutoffKeeping(data.messages.values(), newest)),
      prune: ({ finishedBefore, keysBefore, most }) =>
        Effect.andThen(
          checkCutoffs("prune", { finishedBefore: finishedBefore.at, keysBefore }),
          call("prune")(() => {
            const messages = oldest(data.messages.values(), finishedBefore, most)
            const ended = oldest(data.turns.values(), finishedBefore, most)
            const seen = [...data.keys].map(([id, { seenAt }]) => ({ id, finishedAt: seenAt }))
            const keys = oldest(seen, endedBefore(keysBefore), most)
            for (const { id } of messages) data.messages.delete(id)
            const byHand = data.byHand.filter(({ message }) => data.messages.has(message))
            data.byHand.splice(0, Infinity, ...byHand)
            for (const { id } of ended) {
              data.turns.delete(id)
              data.steps.delete(id)
            }
            for (const { id } of keys) data.keys.delete(id)
            return Math.max(messages.length, ended.length, keys.length)
          })
        ),
      retryLater: (id, owner, error, dueAt) =>
        call("retryLater")(() => {
          const turn = heldTurn(data, id, owner)
          const failures = turn.failures + 1
          const again = { state: "waiting", failures, crashes: 0, interrupted: false, status: null } as const
          leave(turn, { ...again, error, dueAt: Math.round(dueAt) }, { state: "queued" })
        }),
      fail: (id, owner, error, replies, now) =>
        tracedCall("fail")((trace) => {
          const turn = heldTurn(data, id, owner)
          checkReplies(replies)
          const ended = { state: "failed", finishedAt: now } as const
          leave(turn, { ...ended, failures: turn.failures + 1, error }, { ...ended, reason: error })
          insertReplies(data, replies, id, now, trace)
          endStreams(data, id, now, trace)
        }),
      releaseAll: (owner, now) =>
        call("releaseAll")(() => {
          const held = turns().filter((turn) => turn.state === "running" && turn.owner === owner)
          for (const turn of held) {
            const again = { state: "waiting", attempt: turn.attempt - 1, crashes: 0, interrupted: true } as const
            leave(turn, { ...again, dueAt: now }, { state: "queued" })
          }
          return held.length
        }),
      nearer: (now, atMost) =>
        call("nearer")(() => {
          for (const row of rows().filter(waits)) row.dueAt = Math.min(row.dueAt, now + atMost.messages)
          for (const turn of turns()) {
            if (turn.state !== "waiting" && !isAskedFor(turn)) continue
            turn.dueAt = Math.min(turn.dueAt, turn.interrupted ? now : now + atMost.turns)
          }
        }),
      makeDue: (conversations, now) =>
        call("makeDue")(() => {
          for (const row of rows().filter(waits)) {
            if (conversations.includes(row.conversation) && row.dueAt > now) row.dueAt = now
          }
        }),
      backlog: call("backlog")(() => {
        const queued = rows().filter(({ state }) => state === "queued")
        return { queued: queued.length, oldestQueuedAt: least(queued.map(({ receivedAt }) => receivedAt)) }
      }),
      list: (which, page) => call("list")(() => list(data, which, page)),
      show: (id) => call("show")(() => show(data, id)),
      retry: (which, now) => call("retry")(() => retry(data, which, now)),
      discard: (which, now) => call("discard")(() => discard(data, which, now)),
      counts: call("counts")(() => {
        const of = (state: MessageRow["state"]) => rows().filter((row) => row.state === state)
        return {
          queued: of("queued").length,
          processing: of("processing").length,
          done: of("done").length,
          failed: of("failed").length,
          ignored: of("ignored").length,
          oldestQueuedAt: least(of("queued").map(({ receivedAt }) => receivedAt)),
          waitingConversations: new Set(rows().filter(waits).map(({ conversation }) => conversation)).size
        } satisfies InboxCounts
      })
    })
  })
)
