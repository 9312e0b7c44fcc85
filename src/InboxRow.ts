/**
 * Messages of the inbox as JSON, as commands print them and the HTTP API answers them. Other programs may rely on the
 * schemas: fields may be added, never changed.
 */
import { Schema, Struct } from "effect"
import { type MessageDetail, type MessageRecord, messageStates } from "./InboxByHand.ts"
import { replyStates } from "./OutboxStore.ts"

const text = Schema.NullOr(Schema.String)
/** Epoch milliseconds. */
const moment = Schema.NullOr(Schema.Int)

/** One message of a list. */
export const InboxRow = Schema.Struct({
  id: Schema.Int,
  state: Schema.Literals(messageStates),
  conversation: Schema.String,
  /** Null where the message cannot be read. */
  kind: text,
  channel: text,
  user: text,
  text: Schema.String,
  ts: Schema.String,
  thread: text,
  /** Why it is ignored or a dead letter. */
  reason: text,
  turn: text,
  /** Of its turn: runs, failures that count against SLACKWATER_MAX_ATTEMPTS, crashes in a row. */
  attempts: Schema.Int,
  failures: Schema.Int,
  crashes: Schema.Int,
  receivedAt: Schema.Int,
  dueAt: Schema.Int,
  finishedAt: moment,
  /** How often a person has retried it, and when last. */
  retries: Schema.Int,
  retriedAt: moment,
  /** Its words were not kept (SLACKWATER_BLANK_PAYLOADS), and it cannot be retried. */
  blanked: Schema.Boolean
})
export type InboxRow = typeof InboxRow.Type

/** What `inbox list --json` prints; `next` is what `--before` takes for the next page, null on the last one. */
export const InboxPage = Schema.Struct({ rows: Schema.Array(InboxRow), next: Schema.NullOr(Schema.Int) })
export type InboxPage = typeof InboxPage.Type

/** What `inbox show --json` prints. */
export const InboxDetail = InboxRow.mapFields(Struct.assign({
  /** Slack's JSON, without what lets somebody act in Slack. */
  payload: Schema.Unknown,
  /** By which repetitions are recognised. */
  keys: Schema.Array(Schema.String),
  /** What people did with it, and what had been its reason till then. */
  byHand: Schema.Array(
    Schema.Struct({ at: Schema.Int, action: Schema.Literals(["retry", "discard"]), reason: text })
  ),
  /** Null where no turn has taken it, or its turn was deleted by age. */
  turnRecord: Schema.NullOr(Schema.Struct({
    id: Schema.String,
    state: Schema.Literals(["running", "waiting", "done", "failed", "superseded"]),
    interrupted: Schema.Boolean,
    status: text,
    error: text,
    createdAt: Schema.Int,
    dueAt: Schema.Int,
    finishedAt: moment,
    messages: Schema.Array(
      Schema.Struct({
        id: Schema.Int,
        state: Schema.Literals(messageStates),
        ts: Schema.String,
        text: Schema.String
      })
    ),
    steps: Schema.Array(Schema.String),
    replies: Schema.Array(Schema.Struct({
      id: Schema.Int,
      state: Schema.Literals(replyStates),
      kind: Schema.String,
      text: Schema.String,
      ts: text,
      reason: text
    }))
  }))
}))
export type InboxDetail = typeof InboxDetail.Type

export const rowOf = ({ threadTs, ...row }: MessageRecord): InboxRow => ({ ...row, thread: threadTs })

export const detailOf = ({ threadTs, ...row }: MessageDetail): InboxDetail => ({ ...row, thread: threadTs })
