/**
 * The durable inbox (port). Adapters: `sql/MessageStore.ts`; `memory/MessageStore.ts` says the same in plain words.
 *
 * ```
 *         ┌── retry later (failure counted), release at a shutdown (free), recover after a crash (counted) ──┐
 *         ▼                                                                                                  │
 *  append ─▶ queued ── claim, as a batch of one turn ──▶ processing ── complete ──▶ done                     │
 *    │        ▲ ▲ │                                          │ └─────────────────────────────────────────────┘
 *    │        │ │ └ discard by hand ─▶ ignored               │
 *    │        │ └─ retry by hand ── failed (dead letter) ◀───┘ failures or crashes spent, or unreadable
 *    │        │                       └── discard by hand ──▶ ignored
 *    └─▶ ignored (reason kept; a twin that addresses the bot, the mention before it, heard late, or a retry by hand
 *                 moves it to queued; a discarded one only a person)
 * ```
 *
 * Where nothing is before it, a message is appended as `processing`, in a running turn of its own (`NewMessage.claim`).
 *
 * A turn is `running` under its owner. When that instance dies it stays so, and holds its conversation, until the
 * living one takes it with `recover`: that is when the crash is counted, once for each run, however many instances
 * died in between.
 *
 * A turn that failed is asked for again by hand as a whole and as the same turn, so that its replies are recognised and
 * its steps are not repeated: `failed` without an end, which holds nothing up, until no other turn of its conversation
 * is open and it is claimed. Its failures and crashes are counted from zero; its runs are counted on.
 *
 * Guarantees, also after `kill -9`: an append that returned is on disk; one event is one row, whatever Slack repeats;
 * a turn keeps its id and its messages; no write of a former owner changes a row.
 * Does not: run anything, keep time, or know Slack.
 */
import { Context } from "effect"
import type { Effect, Option } from "effect"
import type { Cutoff } from "./Cutoff.ts"
import type { MessageDetail, MessagePage, MessageRecord, MessageSelection } from "./InboxByHand.ts"
import type { ConversationKey, InboundMessage, OwnerId, TurnId } from "./Message.ts"
import type { Backlog, ClaimedReply, NewReply, TurnRun } from "./OutboxStore.ts"
import type { StoreError } from "./StoreError.ts"

/**
 * Turns that were in flight at this many crashes in a row are suspects. A suspect runs apart from every turn that was
 * in flight at a crash, so that the next crash tells something; fresh turns run beside it.
 */
export const suspectAfter = 2

/** The reason of a reply in a thread in which nobody has spoken to the bot, as far as we have heard. */
export const notAddressed = "not addressed"

/**
 * A message may come after what follows it, when Slack has to deliver it again: Slack's last quick repetition comes five
 * minutes after the first. What was ignored within this time (ms) because nobody had spoken to the bot waits with it.
 */
export const heardLate = 10 * 60_000

/** What Intake hands over: the message, its identities, and when it may be claimed. */
export interface NewMessage {
  readonly message: InboundMessage
  readonly keys: ReadonlyArray<string>
  /** Set when it starts no turn; the reason is kept. */
  readonly ignored?: string
  /** Epoch ms of acceptance. */
  readonly receivedAt: number
  /**
   * Epoch ms before which the conversation is not claimed: the end of its quiet window. Where the conversation is due
   * already it keeps its place, and this message joins what is due.
   */
  readonly dueAt: number
  /** With this many waiting in its conversation already, the message becomes a dead letter instead of waiting too. */
  readonly cap?: number
  /**
   * The owner who would begin it at once: where it is due and nothing of its conversation is unfinished, waits, is asked
   * for again, comes along with it or is paused, it is stored as the first run of a turn of its own.
   */
  readonly claim?: OwnerId
}

export type Appended =
  /** `claimed` when it is not waiting but the turn of who wanted to begin it. */
  | { readonly _tag: "Queued"; readonly claimed?: ClaimedTurn }
  /** Its conversation is full: kept as a dead letter, to be retried by hand. */
  | { readonly _tag: "Overflow" }
  | { readonly _tag: "Ignored" }
  /** Already known; `revived` when an ignored twin became a queued message. */
  | { readonly _tag: "Duplicate"; readonly revived: boolean }

export interface ClaimedTurn {
  readonly id: TurnId
  readonly conversation: ConversationKey
  /** 1 on the first run. A run given back at a shutdown is not counted. */
  readonly attempt: number
  /** Handler failures so far. */
  readonly failures: number
  /** Runs in a row, without one that ended, in whose middle the process ended. */
  readonly crashes: number
  /** Its last run was cut off, by a crash or a shutdown. */
  readonly interrupted: boolean
  /** What its last run said it was doing, if that was cut off. */
  readonly status: string | null
  /** Why not all of its messages could be read. Then no run makes sense, and `messages` are the others. */
  readonly unreadable: string | null
  /** In Slack `ts` order. */
  readonly messages: ReadonlyArray<InboundMessage>
  /** Ids of all of its rows, in the same order, and the traces of those that have one. */
  readonly ids: ReadonlyArray<number>
  readonly traces: ReadonlyArray<string>
  /** Epoch ms at which the first of them was accepted. */
  readonly receivedAt: number
  /** More of its conversation may be waiting, or asked for, than what comes from now on and what is in a quiet window. */
  readonly hasOthers: boolean
}

export interface ReadyConversation {
  readonly conversation: ConversationKey
  /** Its turn was cut off by a crash or a shutdown; otherwise it is new, or runs again after a failure. */
  readonly recovered: boolean
}

export interface WaitingMessage {
  readonly id: number
  readonly message: InboundMessage
}

/** What a run leaves besides its replies. */
export interface Left {
  /** The conversation's new state, as JSON; undefined leaves it. */
  readonly state?: string | undefined
  /** Messages that it may have adopted without anybody having seen them: they wait for the next turn, due at once. */
  readonly unseen?: ReadonlyArray<number>
  /** Who sends the first reply at once, where it may go (`OutboxStore.enqueue`). */
  readonly sender?: OwnerId | undefined
}

/** What is to be done about the replies of a completion. */
export interface Completed {
  /** Began as `sending`: whoever completed the turn must send it. */
  readonly begun: ClaimedReply | null
  /** Others wait to be claimed. */
  readonly queued: boolean
}

/** One line of a conversation's past. */
export type HistoryEntry =
  | { readonly _tag: "Message"; readonly at: number; readonly message: InboundMessage }
  | { readonly _tag: "Reply"; readonly at: number; readonly text: string; readonly ts: string | null }

export interface InboxCounts {
  readonly queued: number
  readonly processing: number
  readonly done: number
  readonly failed: number
  readonly ignored: number
  readonly oldestQueuedAt: number | null
  /** Conversations with messages that no turn has taken. */
  readonly waitingConversations: number
}

export class MessageStore extends Context.Service<MessageStore, {
  /**
   * Stores the message or recognises it. Durable when it returns. Idempotent by any of the keys. With the first message
   * that waits in a conversation, what came before it and was said after it waits too (`notAddressed`, `heardLate`).
   */
  readonly append: (message: NewMessage) => Effect.Effect<Appended, StoreError>
  /** Whether the bot was spoken to, or has spoken, in this conversation. */
  readonly participates: (conversation: ConversationKey) => Effect.Effect<boolean, StoreError>
  /** Conversations with due work and no running turn, longest waiting first: at most `limit` of either kind. */
  readonly ready: (now: number, limit: number) => Effect.Effect<ReadonlyArray<ReadyConversation>, StoreError>
  /** The next moment at which `ready` may say more; null when nothing waits. */
  readonly nextDueAt: Effect.Effect<number | null, StoreError>
  /**
   * Takes at most `limit` of the turns that owners other than the living left running, the longest waiting first: they
   * wait again, with one crash more. Only for the holder of the owner lock, who knows who lives. Answers how many: with
   * fewer than `limit` none is left.
   */
  readonly recover: (living: ReadonlyArray<OwnerId>, now: number, limit: number) => Effect.Effect<number, StoreError>
  /**
   * Takes the conversation's unfinished turn again; or one that was asked for by hand, or a new one of all its due
   * messages, whichever is due longer. None when there is nothing due, or another turn of it runs.
   */
  readonly claim: (
    conversation: ConversationKey,
    owner: OwnerId,
    now: number,
    /** A new turn takes at most this many messages. */
    most?: number
  ) => Effect.Effect<Option.Option<ClaimedTurn>, StoreError>
  /**
   * Completion and final replies, and what else the run leaves, in one transaction. Fails with `TurnLost` and changes
   * nothing if not the owner.
   */
  readonly complete: (
    turn: TurnId,
    owner: OwnerId,
    replies: ReadonlyArray<NewReply>,
    now: number,
    left?: Left
  ) => Effect.Effect<Completed, StoreError>
  /** Keeps what a run says it is doing, for the run that goes on after a restart. */
  readonly saveStatus: (run: TurnRun, status: string) => Effect.Effect<void, StoreError>
  /** Results of the turn's finished steps by name, as JSON. */
  readonly steps: (turn: TurnId) => Effect.Effect<ReadonlyMap<string, string>, StoreError>
  /** Keeps the result (JSON) of a step of a running turn. The first one of a name stands. */
  readonly saveStep: (run: TurnRun, name: string, result: string, now: number) => Effect.Effect<void, StoreError>
  /** What the conversation's last completed turn left, as JSON. */
  readonly state: (conversation: ConversationKey) => Effect.Effect<string | null, StoreError>
  /** The conversation's past, oldest first: the last `limit` messages and replies. */
  readonly history: (
    conversation: ConversationKey,
    limit: number
  ) => Effect.Effect<ReadonlyArray<HistoryEntry>, StoreError>
  /** Conversations whose turns ended at or after `since`, or have not: those that ended last come first. */
  readonly recentConversations: (
    since: number,
    limit: number
  ) => Effect.Effect<ReadonlyArray<ConversationKey>, StoreError>
  /** Due messages that no turn has taken yet and that can be read, in Slack `ts` order. */
  readonly waiting: (
    conversation: ConversationKey,
    now: number
  ) => Effect.Effect<ReadonlyArray<WaitingMessage>, StoreError>
  /** Adds a waiting message of its conversation to a running turn. False when it is not waiting any more. */
  readonly adopt: (run: TurnRun, message: number) => Effect.Effect<boolean, StoreError>
  /**
   * Ends the turn without a result; its messages wait for a new one together with what came since, and with that for
   * the end of the quiet window.
   */
  readonly supersede: (turn: TurnId, owner: OwnerId, now: number) => Effect.Effect<void, StoreError>
  /**
   * The oldest of the `newest` messages that finished last; null when there are not so many. Reads that much of an
   * index: for once in a sweep.
   */
  readonly cutoffKeeping: (newest: number) => Effect.Effect<Cutoff | null, StoreError>
  /**
   * Deletes at most `most` finished messages and turns from before the cut-off, the oldest first, and as many keys that
   * were seen before theirs. Answers how many of the most numerous kind: with fewer than `most` nothing is left to
   * delete. Fails with `InvalidCutoff` for moments that are not finite or not above zero.
   */
  readonly prune: (options: {
    readonly finishedBefore: Cutoff
    readonly keysBefore: number
    readonly most: number
  }) => Effect.Effect<number, StoreError>
  /** The handler failed; the turn runs again at `dueAt`. */
  readonly retryLater: (
    turn: TurnId,
    owner: OwnerId,
    error: string,
    dueAt: number
  ) => Effect.Effect<void, StoreError>
  /** Dead letter: payloads and error are kept. `replies` tell the person, in the same transaction. */
  readonly fail: (
    turn: TurnId,
    owner: OwnerId,
    error: string,
    replies: ReadonlyArray<NewReply>,
    now: number
  ) => Effect.Effect<void, StoreError>
  /** Gives back everything this owner holds; costs no attempt. Answers the number of turns. */
  readonly releaseAll: (owner: OwnerId, now: number) => Effect.Effect<number, StoreError>
  /**
   * After the clock was set back: messages that wait, and turns that run again, are due at most so many milliseconds
   * from now. A turn that was cut off waits for nothing: it is due now.
   */
  readonly nearer: (
    now: number,
    atMost: { readonly messages: number; readonly turns: number }
  ) => Effect.Effect<void, StoreError>
  /** Ends every open quiet window of the conversations. */
  readonly makeDue: (conversations: ReadonlyArray<ConversationKey>, now: number) => Effect.Effect<void, StoreError>
  /** For an operator: messages page by page. */
  readonly list: (
    which: MessageSelection,
    page: MessagePage
  ) => Effect.Effect<ReadonlyArray<MessageRecord>, StoreError>
  /** Everything that is known about a message, but for what must not be shown; null where there is none. */
  readonly show: (id: number) => Effect.Effect<MessageDetail | null, StoreError>
  /**
   * By hand, from `failed` and `ignored`: `queued`, due at once, with new failures and crashes, and recorded. What failed
   * with the same turn goes with it; what no turn has failed with waits like a new message. Answers the messages.
   */
  readonly retry: (which: MessageSelection, now: number) => Effect.Effect<ReadonlyArray<number>, StoreError>
  /**
   * By hand, from `failed` and `queued`, so never while a turn runs with it: `ignored`, reason `discarded`, and
   * recorded. A turn that waits and has nothing left ends with it. Answers the messages.
   */
  readonly discard: (which: MessageSelection, now: number) => Effect.Effect<ReadonlyArray<number>, StoreError>
  readonly counts: Effect.Effect<InboxCounts, StoreError>
  readonly backlog: Effect.Effect<Backlog, StoreError>
}>()("slackwater/MessageStore") {}
