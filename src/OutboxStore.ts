/**
 * The durable outbox (port). Adapters: `sql/OutboxStore.ts`; `memory/OutboxStore.ts` says the same in plain words.
 *
 * ```
 *  enqueue ─▶ queued ── claim ──▶ sending ── ok ─────────────────────────────▶ delivered
 *     └─ alone in its lane ───────▶│ │ │ │                                         ▲
 *               ▲                  │ │ │ └ may have arrived (reset, timeout, 5xx) ▶ unknown ── found
 *               │                  │ │ │                                           │ absent, or policy `resend`
 *               │                  │ │ └── not sent (429, refused, DNS) ──▶ failed_retryable ◀─┘
 *               │                  │ │                                       └── due ──▶ sending
 *               │                  │ └── permanent error, attempts spent ──▶ failed_terminal
 *               │                  └──── older than its TTL (checked at every send) ──▶ expired
 *               ├── token or scope problem: the row waits, the outbox pauses
 *               └── retry by hand, from unknown, failed_terminal, expired
 * ```
 *
 * Guarantees, also after `kill -9`: one row per idempotency key; per lane (conversation) rows are claimed in commit
 * order, one at a time; a row in `sending` at a crash becomes `unknown` (what may be repeated: `failed_retryable`),
 * never `queued`; `delivered`, `failed_terminal` and `expired` change only by an operator's `retry` or `discard`.
 * An `interim` row is sent live or not at all: it never is `unknown` or `failed_retryable`, holds nobody up while it
 * waits, and ends as `failed_terminal`, reason `interim`. A stream that cannot begin ends like that too, and its end
 * becomes a post of the whole text. With its turn every stream ends: what nobody stopped is stopped as it is.
 * Does not: talk to Slack, keep time, or decide what an error means.
 */
import { Context } from "effect"
import type { Effect } from "effect"
import type { Cutoff } from "./Cutoff.ts"
import type { Dispatch, Kind, SlackMessage } from "./Dispatch.ts"
import type { ConversationKey, Destination, OwnerId, TurnId } from "./Message.ts"
import type { StoreError } from "./StoreError.ts"

/** A row whose fate is unknown holds its lane for at most this long (ms). */
export const holdLaneFor = 120_000

/** The class of a failure that may have arrived, and that only says that Slack was not there: it costs no attempt. */
export const unavailable = "Unavailable"

/** Why an interim row ended unsent, and what a later part of a cut text is told. */
export const interimReason = "interim"
export const cancelled = "Cancelled"

export interface NewReply {
  /** Idempotency key: a second row with the same key is not made. */
  readonly key: string
  readonly lane: ConversationKey
  readonly destination: Destination
  readonly dispatch: Dispatch
  readonly interim?: boolean
  /** The row it changes, before it in the same lane: it waits until that one is settled. */
  readonly target?: number
  /** A later part of a cut text, from 1; the first part is the last row before it without a number. */
  readonly part?: number
  /** Epoch ms before which it is not sent. It holds nobody up till then. */
  readonly notBefore?: number
  /** How the keys of its place begin, whatever the content, and which of them this run has made. */
  readonly place?: { readonly beginning: string; readonly said: ReadonlySet<string> }
}

/**
 * May begin as `sending`: a message of its own that can be looked up, and that nothing tells to wait. Nothing else may:
 * a process that dies between the commit and the request leaves it in doubt, and only what can be looked up gets out of
 * that by itself (docs/adr/007-insert-as-sending.md).
 */
export const mayGoAtOnce = ({ dispatch, interim, notBefore, part, target }: NewReply): boolean =>
  dispatch._tag === "Post" && interim !== true && notBefore === undefined && part === undefined && target === undefined

/**
 * A row of another queue, as it stood there. An `unknown` one may have arrived without our key in it: it is held and
 * never looked for.
 */
export interface ImportedReply
  extends Pick<NewReply, "key" | "lane" | "destination" | "dispatch" | "interim" | "part">
{
  readonly state: "queued" | "delivered" | "unknown" | "failed_terminal" | "expired"
  readonly attempts: number
  /** When its life began. */
  readonly enqueuedAt: number
  /** What kept it waiting, or ended it, and when. */
  readonly failure: Failure | null
  readonly failedAt: number | null
}

/** A row taken for sending; its call names the message it changes, and leaves out what Slack would not take before. */
export interface ClaimedReply {
  readonly id: number
  readonly key: string
  readonly lane: ConversationKey
  readonly destination: Destination
  readonly dispatch: Dispatch
  readonly interim: boolean
  /** What Slack calls the thing that is under way: the id of a file. */
  readonly remote: string | null
  /** Sends that may have arrived and did not, so far; outages and rate limits do not count. */
  readonly attempts: number
  readonly enqueuedAt: number
  /** When its life began: enqueued, its "not before", or the last retry by hand. */
  readonly livesFrom: number
  /** The span that committed it. */
  readonly trace: string | null
}

/** A row whose fate must be looked up in Slack. */
export interface UnknownReply extends ClaimedReply {
  /** When the send that may have arrived began and when it became unknown (epoch ms). */
  readonly sentAt: number
  readonly unknownSince: number
  /** The request may still take effect: nobody heard its end. */
  readonly late: boolean
  /** Completed looks that did not find it, and count. */
  readonly looks: number
  /** The newest message that the first completed look saw. */
  readonly newest: string | null
  readonly held: boolean
  /** Sending it again costs no attempt: Slack was not there. */
  readonly isFree: boolean
}

/** One run of a turn: replies of an earlier run, or of a former owner, do not count. */
export interface TurnRun {
  readonly turn: TurnId
  readonly owner: OwnerId
  readonly attempt: number
}

export interface ClaimOptions {
  readonly owner: OwnerId
  readonly now: number
  readonly limit: number
  /** Channels whose posts must wait for their pace. */
  readonly exclude: ReadonlyArray<string>
  /** Kinds none of which may go now. */
  readonly excludeKinds?: ReadonlyArray<Kind>
  /** Asked once per row, in order; false leaves the row where it is. */
  readonly admit: (channel: string, kind: Kind) => boolean
  /** Rows whose life began before this moment are set to `expired` instead. */
  readonly expireBefore: number
}

export const replyStates = [
  "queued",
  "sending",
  "unknown",
  "failed_retryable",
  "delivered",
  "failed_terminal",
  "expired"
] as const
export type ReplyState = (typeof replyStates)[number]

/** What went wrong: the class of the error, and one line about it. */
export interface Failure {
  readonly error: string
  readonly reason: string
}

export interface StoredReply {
  readonly id: number
  readonly state: ReplyState
  readonly channel: string
  /** Slack's ts once delivered; empty where Slack names none. */
  readonly ts: string | null
  readonly reason: string | null
  readonly interim: boolean
  /** It may have arrived, and nobody can find out. */
  readonly held: boolean
}

/** A row that was just committed. */
export interface CommittedReply extends StoredReply {
  /** It began as `sending`, so whoever committed it must send it. */
  readonly begun?: ClaimedReply
}

/** Everything that is known about a row, but for what must not be shown. */
export interface ReplyRecord extends StoredReply {
  readonly key: string
  readonly kind: Kind
  readonly lane: ConversationKey
  readonly threadTs: string | null
  readonly text: string
  readonly turn: string | null
  readonly target: number | null
  readonly partOf: number | null
  /** All sends, and those that count against the limit. */
  readonly tries: number
  readonly attempts: number
  readonly looks: number
  readonly degraded: boolean
  readonly error: string | null
  readonly failedAt: number | null
  readonly dueAt: number
  readonly enqueuedAt: number
  readonly sentAt: number | null
  readonly unknownSince: number | null
  readonly retriedAt: number | null
  readonly finishedAt: number | null
}

/** Some of the rows: by id from the one `after` this, or the newest first from the one `before` this. */
export interface RowPage {
  readonly after?: number
  readonly before?: number
  readonly limit: number
}

/** Rows to look at or to mend; what is left out does not matter. */
export interface Selection {
  readonly ids?: ReadonlyArray<number>
  readonly states?: ReadonlyArray<ReplyState>
  readonly lane?: ConversationKey
  /** Where they are to go, or where Slack put them. */
  readonly channel?: string
  readonly error?: string
}

/** Dead letters only are `failed_terminal`: interim rows that were not sent are none. */
export type OutboxCounts = Readonly<Record<ReplyState, number>> & {
  /** Of the unknown ones, those that only a person can settle. */
  readonly held: number
  readonly oldestQueuedAt: number | null
}

/** What waits, which is quickly counted however much has ended. */
export interface Backlog {
  readonly queued: number
  readonly oldestQueuedAt: number | null
}

export class OutboxStore extends Context.Service<OutboxStore, {
  /**
   * Adds replies of a running turn, fenced by its owner (`TurnLost` otherwise), or of the host (`turn` null). Answers
   * the rows in the order given; a key seen before answers its first row. Durable when it returns. A final reply ends
   * the interim ones of its turn that are not sent yet.
   * With a `sender` the first of them begins as `sending` under that owner, as if claimed in the same commit: if it is
   * new, `mayGoAtOnce`, and nothing of its lane is unsettled.
   */
  readonly enqueue: (
    replies: ReadonlyArray<NewReply>,
    from: TurnRun | null,
    now: number,
    sender?: OwnerId
  ) => Effect.Effect<ReadonlyArray<CommittedReply>, StoreError>
  /**
   * Takes over rows of another queue, in this order: all of a group, or none where the key of one is known.
   * Answers for each group whether it was new. Durable when it returns.
   */
  readonly import: (
    groups: ReadonlyArray<ReadonlyArray<ImportedReply>>,
    now: number
  ) => Effect.Effect<ReadonlyArray<boolean>, StoreError>
  /** The keys that begin like this. */
  readonly keysAt: (place: string) => Effect.Effect<ReadonlyArray<string>, StoreError>
  /** The text that Slack shows for sure of a stream that goes on; null where nobody knows, or it is over. */
  readonly streamed: (start: number) => Effect.Effect<string | null, StoreError>
  /**
   * Lane heads that are due, as `sending` under this owner. `ended` are those that will never be sent: what they would
   * change was not sent itself, or a later reply went first.
   */
  readonly claim: (options: ClaimOptions) => Effect.Effect<
    {
      readonly claimed: ReadonlyArray<ClaimedReply>
      readonly expired: ReadonlyArray<number>
      readonly ended: ReadonlyArray<number>
    },
    StoreError
  >
  /** Rows to look up now, oldest first. */
  readonly claimUnknown: (now: number, limit: number) => Effect.Effect<ReadonlyArray<UnknownReply>, StoreError>
  /**
   * The next moments at which `claim` and `claimUnknown` may say more; null when nothing waits. Posts to excluded
   * channels and rows in hand do not count. `behind`: something waits behind what is being sent.
   */
  readonly nextDueAt: (
    now: number,
    exclude: ReadonlyArray<string>,
    inHand: ReadonlyArray<number>
  ) => Effect.Effect<
    { readonly send: number | null; readonly look: number | null; readonly behind: boolean },
    StoreError
  >
  /**
   * From `sending` (ours): what Slack calls the thing that is under way, before anybody sees it. What goes before may
   * take long, so it counts as sent from now on.
   */
  readonly remember: (id: number, owner: OwnerId, remote: string, now: number) => Effect.Effect<void, StoreError>
  /** The names in the spool that rows still need: all but what was delivered or discarded. */
  readonly spooled: Effect.Effect<ReadonlyArray<string>, StoreError>
  /** From `sending` (ours) or `unknown`. */
  readonly delivered: (id: number, owner: OwnerId, at: SlackMessage, now: number) => Effect.Effect<void, StoreError>
  /** From `sending` (ours), not interim: again at `dueAt`, without its blocks if `degrade`. */
  readonly notSent: (
    id: number,
    owner: OwnerId,
    failure: Failure,
    options: {
      readonly now: number
      readonly dueAt: number
      readonly countAttempt: boolean
      readonly degrade?: boolean
    }
  ) => Effect.Effect<void, StoreError>
  /** From `sending` (ours), not interim: it may have arrived; first look at `lookAt`. */
  readonly unknown: (
    id: number,
    owner: OwnerId,
    failure: Failure,
    options: { readonly now: number; readonly lookAt: number; readonly late: boolean }
  ) => Effect.Effect<void, StoreError>
  /**
   * From `unknown`: a look that settled nothing; the next one at `lookAt`. `counts` when the look itself worked and
   * proves something; `newest` is kept from the first. `held` when nobody but a person can settle it. `since`: nobody
   * could look before, and its time to be looked for begins anew.
   */
  readonly looked: (
    id: number,
    options: {
      readonly lookAt: number
      readonly counts: boolean
      readonly newest: string | null
      readonly held: boolean
      readonly since?: number
    }
  ) => Effect.Effect<void, StoreError>
  /**
   * From `unknown`: looked for and absent; it may be sent again, which is one attempt more unless that is `free`. A look
   * for the send at `sentAt` proves nothing of a later one.
   */
  readonly absent: (
    id: number,
    now: number,
    look?: { readonly free?: boolean; readonly sentAt?: number }
  ) => Effect.Effect<void, StoreError>
  /** From `sending` (ours) or `unknown`: it will never be sent, nor will later parts of the same text. */
  readonly failed: (id: number, owner: OwnerId, failure: Failure, now: number) => Effect.Effect<void, StoreError>
  /** What is due and has met no failure yet keeps this one, so that a restart knows why it waits; its state stays. */
  readonly refused: (failure: Failure, now: number) => Effect.Effect<void, StoreError>
  /** What waits and whose life began before the moment: expired, for this failure. Answers the number of rows. */
  readonly expire: (before: number, failure: Failure, now: number) => Effect.Effect<number, StoreError>
  /**
   * The clock was set back by so much (ms), or ahead where that is below zero: what waits waits as long as it would
   * have, and a lane is held as long as it would have been. A "not before" is a moment of the clock, and stays; what
   * comes due too early by a clock set ahead is sent early.
   */
  readonly setBack: (by: number, now: number) => Effect.Effect<void, StoreError>
  /** What this owner still holds in `sending`, as after a crash. Answers the number of rows. */
  readonly releaseAll: (owner: OwnerId, now: number) => Effect.Effect<number, StoreError>
  /** As of the inbox. */
  readonly cutoffKeeping: (newest: number) => Effect.Effect<Cutoff | null, StoreError>
  /**
   * Deletes at most `most` finished replies of turns from before the cut-off, the oldest first, and as many posts of
   * the host. A row is its key's memory: replies of a turn that may run again stay (it is not finished, or it failed),
   * and posts of the host that ended after `keysBefore`. Answers and fails as the inbox does.
   */
  readonly prune: (options: {
    readonly finishedBefore: Cutoff
    readonly keysBefore: number
    readonly most: number
  }) => Effect.Effect<number, StoreError>
  readonly find: (id: number) => Effect.Effect<StoredReply | null, StoreError>
  /** Rows by id, `after` that of the last page; or the newest first, `before` it. */
  readonly list: (
    which: Selection,
    page: RowPage
  ) => Effect.Effect<ReadonlyArray<ReplyRecord>, StoreError>
  /**
   * By hand, from `failed_terminal` (not interim), `expired` and `unknown`: `queued` with new attempts and a new life,
   * its failure forgotten, together with the later parts that were cancelled with it. Answers the rows.
   */
  readonly retry: (which: Selection, now: number) => Effect.Effect<ReadonlyArray<number>, StoreError>
  /** By hand, from everything but `sending` and `delivered`: `failed_terminal`, reason `discarded`. Answers the rows. */
  readonly discard: (which: Selection, now: number) => Effect.Effect<ReadonlyArray<number>, StoreError>
  readonly counts: Effect.Effect<OutboxCounts, StoreError>
  /** What waits for its first send or for another one, and for how long. */
  readonly backlog: Effect.Effect<Backlog, StoreError>
  /** How many of the unknown ones only a person can settle. */
  readonly held: Effect.Effect<number, StoreError>
}>()("slackwater/OutboxStore") {}
