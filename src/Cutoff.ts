/**
 * Where the past ends: what finished before a cut-off may be deleted.
 *
 * Rows that finished in the same millisecond are told apart by their ids, so that "all but the newest thousand" means
 * exactly that. A cut-off is checked wherever rows are deleted by it: an age that is no number, or a moment that is
 * none, must not decide what goes.
 */
import { Effect } from "effect"
import { InvalidCutoff, StoreError } from "./StoreError.ts"

/** A row that finished at `at` with this id, and all later ones, stay. */
export interface Cutoff {
  /** Epoch ms. */
  readonly at: number
  readonly id: number
}

/** What finished before this moment. */
export const endedBefore = (at: number): Cutoff => ({ at, id: 0 })

const precedes = (a: Cutoff, b: Cutoff) => a.at < b.at || (a.at === b.at && a.id < b.id)

export const earlier = (a: Cutoff, b: Cutoff): Cutoff => precedes(a, b) ? a : b

export const later = (a: Cutoff, b: Cutoff): Cutoff => precedes(a, b) ? b : a

/** Refuses moments that are not finite or not above zero; nothing has been deleted then. */
export const checkCutoffs = (operation: string, moments: Readonly<Record<string, number>>) => {
  const bad = Object.entries(moments).find(([, at]) => !Number.isFinite(at) || at <= 0)
  return bad === undefined
    ? Effect.void
    : Effect.fail(
      new StoreError({ operation, reason: new InvalidCutoff({ detail: `${bad[0]} must be a moment, not ${bad[1]}` }) })
    )
}
