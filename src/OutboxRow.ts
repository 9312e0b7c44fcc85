/**
 * Rows of the outbox as JSON, as commands print them and the HTTP API answers them. Other programs may rely on the
 * schemas: fields may be added, never changed.
 */
import { Schema } from "effect"
import { type ReplyRecord, replyStates } from "./OutboxStore.ts"

const text = Schema.NullOr(Schema.String)
/** Epoch milliseconds. */
const moment = Schema.NullOr(Schema.Int)

/** One row: what `outbox show --json` prints. */
export const OutboxRow = Schema.Struct({
  id: Schema.Int,
  state: Schema.Literals(replyStates),
  /** Unknown, and only a person can settle it. */
  held: Schema.Boolean,
  /** Progress: sent live or not at all. */
  interim: Schema.Boolean,
  kind: Schema.String,
  conversation: Schema.String,
  channel: Schema.String,
  thread: text,
  /** Slack's ts once delivered; empty where Slack names none. */
  ts: text,
  key: Schema.String,
  turn: text,
  text: Schema.String,
  /** All sends, and those that count against SLACKWATER_OUTBOX_MAX_ATTEMPTS. */
  tries: Schema.Int,
  attempts: Schema.Int,
  looks: Schema.Int,
  /** The class of the last failure, and one line about it. */
  error: text,
  reason: text,
  enqueuedAt: Schema.Int,
  dueAt: Schema.Int,
  sentAt: moment,
  unknownSince: moment,
  failedAt: moment,
  retriedAt: moment,
  finishedAt: moment,
  /** The row it changes, and the row of whose text it is a later part. */
  target: Schema.NullOr(Schema.Int),
  partOf: Schema.NullOr(Schema.Int),
  /** Its blocks were refused and left out. */
  degraded: Schema.Boolean
})
export type OutboxRow = typeof OutboxRow.Type

/** What `outbox list --json` prints; `next` is what `--after` takes for the next page, null on the last one. */
export const OutboxPage = Schema.Struct({ rows: Schema.Array(OutboxRow), next: Schema.NullOr(Schema.Int) })
export type OutboxPage = typeof OutboxPage.Type

export const rowOf = ({ lane, threadTs, ...row }: ReplyRecord): OutboxRow => ({
  ...row,
  conversation: lane,
  thread: threadTs
})
