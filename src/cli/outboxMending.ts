/** Which replies an operator may send again or discard, and why the others are left. */
import { Clock, Effect } from "effect"
import { cancelled, OutboxStore, type ReplyState, type Selection } from "../OutboxStore.ts"
import type { StoreError } from "../StoreError.ts"
import type { Mending } from "./massChange.ts"
import { type OutboxRow, rowOf } from "./outboxRows.ts"
import type { Action } from "./rowChange.ts"

/** The states that each may leave. */
export const statesFor: Readonly<Record<Action, ReadonlyArray<ReplyState>>> = {
  retry: ["expired", "failed_terminal", "unknown"],
  discard: ["expired", "failed_terminal", "unknown", "queued", "failed_retryable"]
}

const discarded = "Discarded"

type Known = Pick<OutboxRow, "state" | "interim" | "held" | "error">

/** As the store holds it: why a row is left when somebody names it. */
export const refusalOf: Readonly<Record<Action, (row: Known) => string | undefined>> = {
  retry: ({ interim, state }) => {
    if (state === "delivered") return "delivered"
    if (state === "sending") return "in hand: it is being sent"
    if (interim) return "progress, which is sent live or not at all"
    if (state === "queued" || state === "failed_retryable") return "waits to be sent already"
    return undefined
  },
  discard: ({ error, interim, state }) => {
    if (state === "delivered") return "delivered"
    if (state === "sending") return "in hand: it is being sent"
    if (state !== "failed_terminal") return undefined
    if (error === discarded) return "discarded before"
    return interim ? "progress, which has ended" : undefined
  }
}

/** Where it is found by its state, a retry also leaves what somebody ended on purpose or what settles by itself. */
const unasked = ({ error, held, state }: Known, which: Selection): string | undefined => {
  if (state === "unknown" && !held) return "still looked for in Slack; its number sends it all the same"
  if (error === which.error) return undefined
  if (error === discarded) return "discarded before; its number, or --error Discarded, sends it all the same"
  if (error === cancelled) return "a later part of a text; it comes back with the part that failed"
  return undefined
}

/** How rows named by their number, or found by their state, are mended. */
export const mendingOf = (action: Action, which: Selection) =>
  Effect.map(OutboxStore, (store): Mending<OutboxRow, StoreError> => {
    const isFound = which.ids === undefined
    return {
      page: (after, limit) => Effect.map(store.list(which, { after, limit }), (rows) => rows.map(rowOf)),
      refusal: (row) => refusalOf[action](row) ?? (isFound && action === "retry" ? unasked(row, which) : undefined),
      change: (ids) => Effect.flatMap(Clock.currentTimeMillis, (now) => store[action]({ ...which, ids }, now)),
      again: (ids) => Effect.map(store.list({ ids }, { limit: ids.length }), (rows) => rows.map(rowOf))
    }
  })
