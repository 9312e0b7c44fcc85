/** What the HTTP API answers, as far as the page reads it. */

export interface Status {
  readonly version: string
  readonly phase: "starting" | "running" | "draining" | "stopped"
  readonly uptimeMs: number
  readonly socket: {
    readonly state: "starting" | "connected" | "rotating" | "disconnected" | "fatal"
    readonly generation: number
    readonly connectedSince: number | null
    readonly disconnectedSince: number | null
    readonly reconnects: number
    readonly connections: number
  }
  readonly inbox: Readonly<Record<InboxState, number>> & { readonly oldestQueuedAgeMs: number | null }
  readonly outbox: Readonly<Record<OutboxState, number>> & {
    readonly held: number
    readonly paused: boolean
    readonly oldestQueuedAgeMs: number | null
  }
  readonly conversations: { readonly active: number }
  readonly network: "up" | "down"
  readonly eventLoopDelayMs: number
  readonly alarms: ReadonlyArray<{ readonly code: string; readonly since: number; readonly text: string }>
}

export type InboxState = "queued" | "processing" | "done" | "failed" | "ignored"
export type OutboxState =
  | "queued"
  | "sending"
  | "unknown"
  | "failed_retryable"
  | "delivered"
  | "failed_terminal"
  | "expired"

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
  readonly threadTs: string | null
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

/** A reply of the outbox, in a list. */
export interface ReplyRow {
  readonly id: number
  readonly state: OutboxState
  readonly kind: string
  readonly lane: string
  readonly channel: string
  readonly threadTs: string | null
  readonly ts: string | null
  readonly text: string
  readonly turn: string | null
  readonly target: number | null
  readonly partOf: number | null
  readonly interim: boolean
  readonly held: boolean
  readonly degraded: boolean
  readonly tries: number
  readonly attempts: number
  readonly looks: number
  readonly error: string | null
  readonly reason: string | null
  readonly failedAt: number | null
  readonly dueAt: number
  readonly enqueuedAt: number
  readonly sentAt: number | null
  readonly unknownSince: number | null
  readonly retriedAt: number | null
  readonly finishedAt: number | null
}

export interface ReplyDetail extends ReplyRow {
  readonly payload?: unknown
}
