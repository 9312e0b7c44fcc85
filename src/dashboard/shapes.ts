/** What the HTTP API answers, as far as the page reads it. */
import type { Hour } from "../Activity.ts"
import type { Snapshot } from "../GatewayStatus.ts"
import type { MessageState } from "../InboxByHand.ts"
import type { InboxDetail, InboxRow } from "../InboxRow.ts"
import type { OutboxRow } from "../OutboxRow.ts"
import type { ReplyState } from "../OutboxStore.ts"

export type Status = Snapshot

export type InboxState = MessageState
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

export type Activity = Hour
export type SeriesName = keyof Hour["series"]

export interface Rows<Row> {
  readonly rows: ReadonlyArray<Row>
  readonly next: number | null
}

export interface Changed {
  readonly changed: ReadonlyArray<number>
  readonly unchanged: ReadonlyArray<{ readonly id: number; readonly why: string }>
}

/** A message of the inbox. */
export type MessageRow = InboxRow
export type MessageDetail = InboxDetail
export type TurnRecord = NonNullable<InboxDetail["turnRecord"]>

/** A reply of the outbox. */
export type ReplyRow = OutboxRow

export interface ReplyDetail extends ReplyRow {
  readonly payload?: unknown
}
