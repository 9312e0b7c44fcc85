/**
 * What an operator does to the work itself (port): pause and resume it, cancel a turn, see what runs. Adapters:
 * `sql/Control.ts`; `memory/Control.ts` says the same in plain words.
 *
 * Paused is everything, a channel with all of its conversations, or one conversation. What comes in is stored and
 * acknowledged as ever, no turn begins or begins again, and nothing joins or interrupts one that runs; that one runs to
 * its end, and its replies are sent. Pauses are apart: the end of one leaves the others.
 *
 * A cancelled turn has failed: its messages are dead letters with the reason `cancelledByHand`, its committed replies
 * stand and are sent, and it does not run again by itself. Its end and the end that its run would give it exclude each
 * other: what is committed first stands, and the other is refused.
 *
 * Guarantees, also after `kill -9`: a call that returned is on disk; a paused conversation is not claimed; a turn that was
 * cancelled is not recovered.
 * Does not: tell the gateway. Who changed something touches the wake file (WakeFile); then Conversations stops what was
 * cancelled and looks for what was resumed.
 */
import { Context } from "effect"
import type { Effect } from "effect"
import type { ConversationKey, OwnerId, TurnId } from "./Message.ts"
import type { StoreError } from "./StoreError.ts"

/** Why a cancelled turn and its messages failed. */
export const cancelledByHand = "cancelled by hand"

/** As long as `running` shows a message. */
export const shownOfText = 200

export interface Pause {
  /** A conversation or a channel; null for everything. */
  readonly conversation: ConversationKey | null
  /** Epoch ms. */
  readonly since: number
  readonly why: string | null
}

export interface RunningTurn {
  readonly id: TurnId
  readonly conversation: ConversationKey
  readonly attempt: number
  /** Epoch ms: when this run of it began. */
  readonly startedAt: number
  /** How many messages it is about, and how the first one begins. */
  readonly messages: number
  readonly text: string
  /** What it says it is doing. */
  readonly status: string | null
  /** The gateway that runs it; one that is dead until its turns are recovered. */
  readonly owner: OwnerId
}

export type Cancelled =
  /** It will not run (again); `wasRunning` where it ran, or was left running by a gateway that died. */
  | { readonly _tag: "Cancelled"; readonly conversation: ConversationKey; readonly wasRunning: boolean }
  /** It had ended before. */
  | { readonly _tag: "Ended"; readonly state: "done" | "failed" | "superseded"; readonly byHand: boolean }
  | { readonly _tag: "Unknown" }

/** What holds a conversation when it is paused: everything (which has no name), its channel, or itself. */
export const placesOf = (conversation: ConversationKey): ReadonlyArray<string> => [
  "",
  conversation.split("/")[0] ?? conversation,
  conversation
]

export class Control extends Context.Service<Control, {
  /** False where it was paused already: then the first pause stands. Null is everything. */
  readonly pause: (
    conversation: ConversationKey | null,
    now: number,
    why?: string
  ) => Effect.Effect<boolean, StoreError>
  /** Ends this pause, and no other. False where there was none. */
  readonly resume: (conversation: ConversationKey | null, now: number) => Effect.Effect<boolean, StoreError>
  /** The oldest first, but that of everything before all. */
  readonly pauses: Effect.Effect<ReadonlyArray<Pause>, StoreError>
  readonly cancel: (turn: TurnId, now: number) => Effect.Effect<Cancelled, StoreError>
  readonly wasCancelled: (turn: TurnId) => Effect.Effect<boolean, StoreError>
  /** The longest waiting first. */
  readonly running: Effect.Effect<ReadonlyArray<RunningTurn>, StoreError>
}>()("slackwater/Control") {}
