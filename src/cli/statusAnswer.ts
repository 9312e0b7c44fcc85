/** What `slackwater status --json` prints. Fields may be added, never changed. */
import { Schema } from "effect"
import { Inbox, Replies, Snapshot } from "../Snapshot.ts"
import { LastInstance } from "../sql/lastInstance.ts"

/** Where no gateway answers. */
export const NoAnswer = Schema.Struct({
  answers: Schema.Literal(false),
  url: Schema.String,
  /** Why not. */
  problem: Schema.String,
  dataDir: Schema.String,
  /** Who owns the data directory now, all the same. */
  owner: Schema.NullOr(Schema.String),
  last: Schema.NullOr(Schema.Struct({
    ...LastInstance.fields,
    ended: Schema.Literals(["clean", "crash", "not yet"])
  })),
  /** Why there is nothing to tell of the database; null where there is. */
  database: Schema.NullOr(Schema.String),
  inbox: Schema.NullOr(Inbox),
  outbox: Schema.NullOr(Replies)
})
export type NoAnswer = typeof NoAnswer.Type

export const Status = Schema.Union([Snapshot, NoAnswer])
