/** What the HTTP API answers, as far as the page reads it. */
import type { Hour } from "../Activity.ts"
import type { RunningTurn as Running } from "../Control.ts"
import type { Snapshot } from "../GatewayStatus.ts"
import type { InboxDetail, InboxRow } from "../InboxRow.ts"
import type { OutboxRow } from "../OutboxRow.ts"

export type { Pause } from "../Control.ts"
export type Status = Snapshot

/** Whose gateway runs it is not told. */
export type RunningTurn = Omit<Running, "owner">

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
