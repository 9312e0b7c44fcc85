/**
 * What a handler is given: the turn. `Turn.ts` makes it.
 */
import type { Effect, Option, Schema, Stream } from "effect"
import type { Response, SlackMessage } from "./Dispatch.ts"
import type { Event } from "./Event.ts"
import type { ConversationKey, InboundMessage, Reply, TurnId } from "./Message.ts"
import type { HistoryEntry } from "./MessageStore.ts"
import type { ReplyHandle } from "./ReplyHandle.ts"
import type { FileUpload } from "./replyRows.ts"
import type { TurnStream } from "./ReplyStream.ts"
import type { TurnError } from "./TurnError.ts"

export interface Turn {
  readonly id: TurnId
  /** 1 on the first run; runs given back at a shutdown are not counted. */
  readonly attempt: number
  readonly conversation: ConversationKey
  /** In Slack `ts` order, texts as Slack sent them. */
  readonly messages: ReadonlyArray<InboundMessage>
  /** The same, typed by kind: `events[i]` is what `messages[i]` says. */
  readonly events: ReadonlyArray<Event>
  /** The messages' texts, one per line, without a leading mention of this bot. */
  readonly text: string
  /** Aborted when the run is over: timeout, shutdown, newer messages, or its own end. */
  readonly signal: AbortSignal
  /** Commits a reply to this conversation; returns once it is on disk. */
  readonly reply: (reply: string | Reply) => Effect.Effect<ReplyHandle, TurnError>
  /**
   * Posts a file: its bytes are copied first, so that a restart finds them. Fails with `FileRefused` when there are more
   * than SLACKWATER_MAX_UPLOAD.
   */
  readonly upload: (file: FileUpload) => Effect.Effect<ReplyHandle, TurnError>
  /**
   * Begins a reply that grows while it is written (markdown). What is appended is shown live where Slack keeps up; `stop`
   * commits the whole. Where Slack does not stream (outside of threads) the whole goes as one message. A re-run goes on
   * with the same one, told by its `key` or by its order among the streams of the turn, or of the step; what no `stop`
   * ended is stopped with the turn.
   */
  readonly stream: (options?: { readonly key?: string }) => Effect.Effect<TurnStream, TurnError>
  /** The same for a stream of text, from its first word to `stop`. */
  readonly streamFrom: <E, R>(
    from: Stream.Stream<string, E, R>,
    options?: { readonly key?: string }
  ) => Effect.Effect<ReplyHandle, E | TurnError, R>
  /** Puts something else in the place of a reply, whether it was posted already or not. */
  readonly update: (handle: ReplyHandle, reply: string | Reply) => Effect.Effect<ReplyHandle, TurnError>
  readonly delete: (handle: ReplyHandle) => Effect.Effect<ReplyHandle, TurnError>
  /** Adds a reaction, or takes it away: to the turn's last message, to another one, or to a reply. */
  readonly react: (
    name: string,
    to?: ReplyHandle | SlackMessage,
    options?: { readonly remove?: boolean }
  ) => Effect.Effect<ReplyHandle, TurnError>
  /**
   * Answers the slash command or the button that the turn is about at its `response_url` (five times within half an
   * hour); fails where there is none. What may have arrived there cannot be looked up.
   */
  readonly respond: (response: string | Response) => Effect.Effect<ReplyHandle, TurnError>
  /**
   * Says under the thread what the bot is doing ("is searching…"), until it posts; an empty text takes it away. It is
   * for the eye: it waits for nothing and never fails, and is seen only where the turn answers in a thread. When the
   * turn runs again after a restart, the last one is shown again.
   */
  readonly status: (text: string) => Effect.Effect<void>
  /**
   * Runs the effect once in the life of the turn: its result is stored, and a re-run gets the stored one. The result
   * is kept as JSON, or as the schema encodes it. A name may be used once in a run; a stored result that no longer
   * decodes fails with `StepFailed` and is never run again in silence. Replies made inside belong to the step, whatever
   * else the turn says before.
   */
  readonly step: <A, E, R>(
    name: string,
    effect: Effect.Effect<A, E, R>,
    schema?: Schema.ConstraintCodec<A, unknown>
  ) => Effect.Effect<A, E | TurnError, R>
  /** A small JSON value of this conversation. What is set commits with the turn, and never with a failed one. */
  readonly state: TurnState<unknown>
  /** The same value, typed: None where nothing is kept yet. Fails where what is kept is something else. */
  readonly stateAs: <A>(schema: Schema.ConstraintCodec<A, unknown>) => TurnState<Option.Option<A>, A>
  /** What was said in this conversation before and now, oldest first (by default the last 50). */
  readonly history: (options?: { readonly limit?: number }) => Effect.Effect<ReadonlyArray<HistoryEntry>, TurnError>
  /**
   * In mode `steer`: messages that arrive while this turn runs. One that is taken joins the turn and completes with
   * it; a re-run finds it in `messages`. In other modes it ends at once.
   */
  readonly followups: Stream.Stream<InboundMessage, TurnError>
}

export interface TurnState<out A, in B = unknown> {
  readonly get: Effect.Effect<A, TurnError>
  readonly set: (value: B) => Effect.Effect<void, TurnError>
}
