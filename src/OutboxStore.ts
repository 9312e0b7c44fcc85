/**
 * The durable outbox (port). Adapters: `sql/OutboxStore.ts`; `memory/OutboxStore.ts` says the same in plain words.
 *
 * ```
 *  enqueue ─▶ queued ── claim ──▶ sending ── ok ─────────────────────────────▶ delivered
 *               ▲                  │ │ │ │                                         ▲
 *               │                  │ │ │ └ may have arrived (reset, timeout, 5xx) ▶ unknown ── found
 *               │                  │ │ │                                           │ looked for, absent
 *               │                  │ │ └── not sent (429, refused, DNS) ──▶ failed_retryable ◀─┘
 *               │                  │ │                                       └── due ──▶ sending
 *               │                  │ └── permanent error, attempts spent ──▶ failed_terminal
 *               │                  └──── older than its TTL (checked at every send) ──▶ expired
 *               └── token or scope problem: the row waits, the outbox pauses
 * ```
 *
 * Guarantees, also after `kill -9`: one row per idempotency key; per lane (conversation) rows are claimed in commit
 * order, one at a time; a row in `sending` at a crash becomes `unknown`, never `queued`; `delivered`,
 * `failed_terminal` and `expired` never change by themselves.
 * Does not: talk to Slack, keep time, or decide what an error means.
 */
import { Context } from "effect"
import type { Effect } from "effect"
import type { Cutoff } from "./Cutoff.ts"
import type { ConversationKey, Destination, Dispatch, OwnerId, TurnId } from "./Message.ts"
import type { StoreError } from "./StoreError.ts"

/** A row whose fate is unknown holds its lane for at most this long (ms). */
export const holdLaneFor = 120_000

export interface NewReply {
  /** Idempotency key: a second row with the same key is not made. */
  readonly key: string
  readonly lane: ConversationKey
  readonly destination: Destination
  readonly dispatch: Dispatch
}

/** A row taken for sending. */
export interface ClaimedReply extends NewReply {
  readonly id: number
  /** Sends that may have arrived and did not, so far; outages and rate limits do not count. */
  readonly attempts: number
  readonly enqueuedAt: number
}

/** A row whose fate must be looked up in Slack. */
export interface UnknownReply extends ClaimedReply {
  /** When the send that may have arrived began and when it became unknown (epoch ms). */
  readonly sentAt: number
  readonly unknownSince: number
  /** Completed looks that did not find it. */
  readonly looks: number
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
  /** Channels that must wait for their pace. */
  readonly exclude: ReadonlyArray<string>
  /** Asked once per row, in order; false leaves the row where it is. */
  readonly admit: (channel: string) => boolean
  /** Rows enqueued before this moment are set to `expired` instead. */
  readonly expireBefore: number
}

export type ReplyState =
  | "queued"
  | "sending"
  | "unknown"
  | "failed_retryable"
  | "delivered"
  | "failed_terminal"
  | "expired"

export interface StoredReply {
  readonly id: number
  readonly state: ReplyState
  readonly channel: string
  /** Slack's ts once delivered. */
  readonly ts: string | null
  readonly reason: string | null
}

export type OutboxCounts = Readonly<Record<ReplyState, number>> & { readonly oldestQueuedAt: number | null }

export class OutboxStore extends Context.Service<OutboxStore, {
  /**
   * Adds replies of a running turn, fenced by its owner (`TurnLost` otherwise), or of the host (`turn` null). Answers
   * the rows in the order given; a key seen before answers its first row. Durable when it returns.
   */
  readonly enqueue: (
    replies: ReadonlyArray<NewReply>,
    from: TurnRun | null,
    now: number
  ) => Effect.Effect<ReadonlyArray<StoredReply>, StoreError>
  /** Lane heads that are due, as `sending` under this owner. */
  readonly claim: (options: ClaimOptions) => Effect.Effect<
    { readonly claimed: ReadonlyArray<ClaimedReply>; readonly expired: ReadonlyArray<number> },
    StoreError
  >
  /** Rows to look up now, oldest first. */
  readonly claimUnknown: (now: number, limit: number) => Effect.Effect<ReadonlyArray<UnknownReply>, StoreError>
  /**
   * The next moments at which `claim` and `claimUnknown` may say more; null when nothing waits. Rows of excluded
   * channels and rows in hand do not count.
   */
  readonly nextDueAt: (
    now: number,
    exclude: ReadonlyArray<string>,
    inHand: ReadonlyArray<number>
  ) => Effect.Effect<{ readonly send: number | null; readonly look: number | null }, StoreError>
  /** From `sending` (ours) or `unknown`. */
  readonly delivered: (id: number, owner: OwnerId, ts: string, now: number) => Effect.Effect<void, StoreError>
  /** From `sending` (ours): the request did not reach Slack; again at `dueAt`. */
  readonly notSent: (
    id: number,
    owner: OwnerId,
    reason: string,
    options: { readonly dueAt: number; readonly countAttempt: boolean }
  ) => Effect.Effect<void, StoreError>
  /** From `sending` (ours): it may have arrived; first look at `lookAt`. */
  readonly unknown: (
    id: number,
    owner: OwnerId,
    reason: string,
    now: number,
    lookAt: number
  ) => Effect.Effect<void, StoreError>
  /** From `unknown`: a look that settled nothing; the next one at `lookAt`. `completed` when the look itself worked. */
  readonly looked: (id: number, lookAt: number, completed: boolean) => Effect.Effect<void, StoreError>
  /** From `unknown`: looked for and absent; it may be sent again. */
  readonly absent: (id: number, now: number) => Effect.Effect<void, StoreError>
  /** From `sending` (ours) or `unknown`: it will never be sent. */
  readonly failed: (id: number, owner: OwnerId, reason: string, now: number) => Effect.Effect<void, StoreError>
  /** What this owner still holds in `sending`: unknown from now on. Answers the number of rows. */
  readonly releaseAll: (owner: OwnerId, now: number) => Effect.Effect<number, StoreError>
  /** As of the inbox. */
  readonly cutoffKeeping: (newest: number) => Effect.Effect<Cutoff | null, StoreError>
  /**
   * Deletes at most `most` finished replies of turns from before the cut-off, the oldest first, and as many posts of
   * the host. A row is its key's memory: replies of an unfinished turn stay (it may run again), and posts of the host
   * that ended after `keysBefore`. Answers and fails as the inbox does.
   */
  readonly prune: (options: {
    readonly finishedBefore: Cutoff
    readonly keysBefore: number
    readonly most: number
  }) => Effect.Effect<number, StoreError>
  readonly find: (id: number) => Effect.Effect<StoredReply | null, StoreError>
  readonly counts: Effect.Effect<OutboxCounts, StoreError>
}>()("slackwater/OutboxStore") {}
