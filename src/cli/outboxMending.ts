/** Which replies an operator may send again or discard, and why the others are left. */
import { Clock, Effect } from "effect"
import { type Action, discarded, type Known, refusalOf } from "../OutboxByHand.ts"
import { type OutboxRow, rowOf } from "../OutboxRow.ts"
import { cancelled, OutboxStore, type Selection } from "../OutboxStore.ts"
import type { StoreError } from "../StoreError.ts"
import type { Mending } from "./massChange.ts"

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
