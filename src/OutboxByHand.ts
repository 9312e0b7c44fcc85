/** Which replies a person may send again or discard, and why one is left as it is. No services. */
import type { ReplyRecord, ReplyState } from "./OutboxStore.ts"

export type Action = "retry" | "discard"

/** The states that each may leave. */
export const statesFor: Readonly<Record<Action, ReadonlyArray<ReplyState>>> = {
  retry: ["expired", "failed_terminal", "unknown"],
  discard: ["expired", "failed_terminal", "unknown", "queued", "failed_retryable"]
}

/** The class of a reply that a person has given up. */
export const discarded = "Discarded"

export type Known = Pick<ReplyRecord, "state" | "interim" | "held" | "error">

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
