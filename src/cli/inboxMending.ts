/** Which messages an operator may have handled again or discard, and why the others are left. */
import { Clock, Effect } from "effect"
import { type Action, type MessageSelection, refusalOf } from "../InboxByHand.ts"
import { type InboxRow, rowOf } from "../InboxRow.ts"
import { MessageStore } from "../MessageStore.ts"
import type { StoreError } from "../StoreError.ts"
import type { Mending } from "./massChange.ts"

/** More messages of one turn are not named beforehand; they come along all the same. */
const mostAlong = 1_000

/** Where it is found by its state, a retry leaves what was ignored, unless its reason is named. */
const unasked = ({ reason, state }: InboxRow, which: MessageSelection): string | undefined =>
  state === "ignored" && which.reason === undefined
    ? `ignored (${reason ?? "no reason"}); its number, or --reason, has it handled all the same`
    : undefined

/** How messages named by their number, or found by their state, are mended. */
export const mendingOf = (action: Action, which: MessageSelection) =>
  Effect.map(MessageStore, (store): Mending<InboxRow, StoreError> => {
    const isFound = which.ids === undefined
    const rows = (selection: MessageSelection, after: number, limit: number) =>
      Effect.map(store.list(selection, { after, limit }), (found) => found.map(rowOf))
    return {
      page: (after, limit) => rows(which, after, limit),
      refusal: (row) => refusalOf[action](row) ?? (isFound && action === "retry" ? unasked(row, which) : undefined),
      along: (willing) => {
        const turns = willing.flatMap(({ turn }) => turn ?? [])
        return action === "discard" || turns.length === 0
          ? Effect.succeed([])
          : Effect.map(rows({ turns, states: ["failed"] }, 0, mostAlong), (found) => found.map(({ id }) => id))
      },
      change: (ids) => Effect.flatMap(Clock.currentTimeMillis, (now) => store[action]({ ...which, ids }, now)),
      again: (ids) => rows({ ids }, 0, ids.length)
    }
  })
