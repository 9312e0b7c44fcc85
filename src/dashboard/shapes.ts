/** What the HTTP API answers, as far as the page reads it. */
import type { OutboxRow } from "../cli/outboxRows.ts"
import type { Snapshot } from "../GatewayStatus.ts"
import type { ReplyState } from "../OutboxStore.ts"

export type Status = Snapshot

export type InboxState = "queued" | "processing" | "done" | "failed" | "ignored"
export type OutboxState = ReplyState

export interface RunningTurn {
  readonly id: string
  readonly conversation: string
  readonly attempt: number
  readonly startedAt: number
  readonly messages: number
  readonly status: string | null
  readonly text: string
}

export interface Pause {
  /** Null: everything. */
  readonly conversation: string | null
  readonly since: number
  readonly why: string | null
}

export interface Activity {
  readonly bucketMs: number
  readonly from: number
  readonly series: Readonly<Record<SeriesName, ReadonlyArray<number | null>>>
}

export type SeriesName =
  | "received"
  | "turnsDone"
  | "turnsFailed"
  | "delivered"
  | "ackMsP95"
  | "turnMsP95"
  | "deliveryMsP95"
  | "inboxQueued"
  | "outboxQueued"
  | "oldestQueuedAgeMs"

export interface Rows<Row> {
  readonly rows: ReadonlyArray<Row>
  readonly next: number | null
}

export interface Changed {
  readonly changed: ReadonlyArray<number>
  readonly unchanged: ReadonlyArray<{ readonly id: number; readonly why: string }>
}

/** A message of the inbox, in a list. */
export interface MessageRow {
  readonly id: number
  readonly state: InboxState
  readonly conversation: string
  readonly kind: string | null
  readonly channel: string | null
  readonly user: string | null
  readonly text: string
  readonly ts: string
  readonly thread: string | null
  readonly reason: string | null
  readonly turn: string | null
  readonly attempts: number
  readonly failures: number
  readonly crashes: number
  readonly receivedAt: number
  readonly dueAt: number
  readonly finishedAt: number | null
  readonly retries: number
  readonly retriedAt: number | null
}

export interface MessageDetail extends MessageRow {
  readonly payload: unknown
  readonly byHand: ReadonlyArray<ByHand>
  readonly turnRecord: TurnRecord | null
}

export interface ByHand {
  readonly at: number
  readonly action: "retry" | "discard"
  readonly reason: string | null
}

export interface TurnRecord {
  readonly id: string
  readonly state: string
  readonly interrupted: boolean
  readonly status: string | null
  readonly error: string | null
  readonly createdAt: number
  readonly dueAt: number
  readonly finishedAt: number | null
  readonly messages: ReadonlyArray<Pick<MessageRow, "id" | "state" | "ts" | "text">>
  readonly steps: ReadonlyArray<string>
  readonly replies: ReadonlyArray<Pick<ReplyRow, "id" | "state" | "kind" | "text" | "ts" | "reason">>
}

/** A reply of the outbox. */
export type ReplyRow = OutboxRow

export interface ReplyDetail extends ReplyRow {
  readonly payload?: unknown
}
