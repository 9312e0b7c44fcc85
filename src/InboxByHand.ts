/**
 * What a person asks of the inbox and is told: which messages, what is known of them, and why one is left as it is.
 * No services; `MessageStore` answers with these.
 *
 * Text in it is Slack's and the handler's: hostile until proven otherwise. What lets somebody act in Slack is never in it.
 */
import { Predicate } from "effect"
import type { ConversationKey } from "./Message.ts"
import type { ReplyState } from "./OutboxStore.ts"

export const messageStates = ["queued", "processing", "done", "ignored", "failed"] as const
export type MessageState = (typeof messageStates)[number]

/** The reason of a message that a person has given up. */
export const discarded = "discarded"

/** Messages to look at or to mend; what is left out does not matter. */
export interface MessageSelection {
  readonly ids?: ReadonlyArray<number>
  readonly states?: ReadonlyArray<MessageState>
  readonly turns?: ReadonlyArray<string>
  readonly conversation?: ConversationKey
  /** Every conversation of this channel, direct message or person. */
  readonly channel?: string
  /** In what is said about why they ended. */
  readonly reason?: string
  /** Epoch ms of acceptance: from the one on, and before the other. */
  readonly receivedFrom?: number
  readonly receivedBefore?: number
}

/** Newest first, `before` that of the last page; or oldest first, `after` one. */
export type MessagePage =
  | { readonly limit: number; readonly before?: number }
  | { readonly limit: number; readonly after: number }

export interface MessageRecord {
  readonly id: number
  readonly state: MessageState
  readonly conversation: ConversationKey
  /** Null where the message cannot be read. */
  readonly kind: string | null
  readonly channel: string | null
  readonly user: string | null
  readonly text: string
  readonly ts: string
  readonly threadTs: string | null
  /** Why it ended as it did. */
  readonly reason: string | null
  readonly turn: string | null
  /** Of its turn: runs, failures that count, and crashes in a row. */
  readonly attempts: number
  readonly failures: number
  readonly crashes: number
  readonly receivedAt: number
  /** When it, or its turn, may run; means something while it waits. */
  readonly dueAt: number
  readonly finishedAt: number | null
  /** How often a person has retried it, and when last. */
  readonly retries: number
  readonly retriedAt: number | null
  /** Its words were not kept, so there is nothing to handle. */
  readonly blanked: boolean
}

/** What a person did with a message, and what had been its reason. */
export interface ByHand {
  readonly at: number
  readonly action: Action
  readonly reason: string | null
}

export interface TurnRecord {
  readonly id: string
  readonly state: "running" | "waiting" | "done" | "failed" | "superseded"
  readonly interrupted: boolean
  readonly status: string | null
  readonly error: string | null
  readonly createdAt: number
  readonly dueAt: number
  readonly finishedAt: number | null
  /** At most `shownOfTurn` of each, the oldest first. */
  readonly messages: ReadonlyArray<Pick<MessageRecord, "id" | "state" | "ts" | "text">>
  /** Names of its finished steps. */
  readonly steps: ReadonlyArray<string>
  readonly replies: ReadonlyArray<{
    readonly id: number
    readonly state: ReplyState
    readonly kind: string
    readonly text: string
    readonly ts: string | null
    readonly reason: string | null
  }>
}

export const shownOfTurn = 100

/** Everything that is known about a message. */
export interface MessageDetail extends MessageRecord {
  /** Slack's JSON, or null where it cannot be read. */
  readonly payload: unknown
  /** By which repetitions are recognised. */
  readonly keys: ReadonlyArray<string>
  /** The first of its kind comes first. */
  readonly byHand: ReadonlyArray<ByHand>
  /** Null where no turn has taken it, or its turn was deleted by age. */
  readonly turnRecord: TurnRecord | null
}

/** The keys of a message come together, and with its repetitions within this time (ms). */
export const keysWithin = 3_600_000

export type Action = "retry" | "discard"

/** Slack says nothing without a payload. */
export const isBlank = ({ payload, text }: { readonly text: string; readonly payload?: unknown }) =>
  text === "" && (payload === null || payload === undefined)

/** The states that each may leave. */
export const statesFor: Readonly<Record<Action, ReadonlyArray<MessageState>>> = {
  retry: ["failed", "ignored"],
  discard: ["failed", "queued"]
}

/** As the store holds it: why a message is left when somebody names it; undefined where it is changed. */
export const refusalOf: Readonly<
  Record<Action, (row: Pick<MessageRecord, "blanked" | "state" | "reason">) => string | undefined>
> = {
  retry: ({ blanked, state }) => {
    if (blanked && state === "ignored") return "blanked: its words were not kept (SLACKWATER_BLANK_PAYLOADS)"
    if (state === "done") return "done"
    if (state === "processing") return "in hand: a turn runs with it"
    if (state === "queued") return "waits for its turn already"
    return undefined
  },
  discard: ({ reason, state }) => {
    if (state === "done") return "done"
    if (state === "processing") return "in hand: a turn runs with it"
    if (state === "ignored") return reason === discarded ? "discarded before" : "ignored, so no turn takes it"
    return undefined
  }
}

/** Whoever has these may speak in the app's name, or claim to be Slack. */
const secrets = new Set(["response_url", "response_urls", "token", "trigger_id"])

/** Slack's JSON without what lets somebody act in Slack. */
export const shownPayload = (payload: unknown): unknown => {
  if (Array.isArray(payload)) return payload.map(shownPayload)
  if (!Predicate.isObject(payload)) return payload
  return Object.fromEntries(
    Object.entries(payload).map(([name, value]) => [name, secrets.has(name) ? "(hidden)" : shownPayload(value)])
  )
}
