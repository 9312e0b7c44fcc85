/**
 * What the user implements, and what it is given: a `Turn`.
 *
 * A handler answers the messages that were waiting in one conversation. What it sends with `turn.reply` is committed
 * when the call returns and goes out while it runs on; what it returns is committed together with the turn's
 * completion. After a crash it is called again with the same messages and `attempt + 1`; replies it made before are
 * recognised and not made twice.
 */
import { Context, Effect, Layer, Predicate, Schema, Stream } from "effect"
import type { Option } from "effect"
import type { Response, SlackMessage } from "./Dispatch.ts"
import type { ConversationKey, InboundMessage, Reply, TurnId } from "./Message.ts"
import type { HistoryEntry } from "./MessageStore.ts"
import type { ReplyHandle } from "./ReplyHandle.ts"
import type { FileUpload } from "./replyRows.ts"
import type { TurnStream } from "./ReplyStream.ts"
import type { TurnError } from "./TurnError.ts"

/** The handler failed; whatever it failed with is the cause. */
export class HandlerError extends Schema.TaggedError<HandlerError>()("HandlerError", { cause: Schema.Defect() }) {
  override get message(): string {
    return this.cause instanceof Error
      ? this.cause.message
      : typeof this.cause === "string"
      ? this.cause
      : "the handler failed"
  }
}

export interface Turn {
  readonly id: TurnId
  /** 1 on the first run; runs given back at a shutdown are not counted. */
  readonly attempt: number
  readonly conversation: ConversationKey
  /** In Slack `ts` order, texts as Slack sent them. */
  readonly messages: ReadonlyArray<InboundMessage>
  /** The messages' texts, one per line, without a leading mention of this bot. */
  readonly text: string
  /** Aborted when the turn is interrupted: timeout or shutdown. */
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
   * with the same one; what no `stop` ended is stopped with the turn.
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

/** A committed reply, for handlers that are async functions. */
export interface PromiseReply {
  readonly id: number
  readonly delivered: () => Promise<SlackMessage>
  readonly update: (reply: string | Reply) => Promise<PromiseReply>
  readonly delete: () => Promise<PromiseReply>
  readonly react: (name: string, options?: { readonly remove?: boolean }) => Promise<PromiseReply>
}

/** A reply that grows, for handlers that are async functions. */
export interface PromiseStream {
  readonly handle: PromiseReply
  readonly append: (markdown: string) => Promise<void>
  readonly stop: (whole?: string) => Promise<PromiseReply>
}

type Promised =
  | "upload"
  | "stream"
  | "streamFrom"
  | "reply"
  | "update"
  | "delete"
  | "react"
  | "respond"
  | "step"
  | "state"
  | "stateAs"
  | "history"

/** The same turn for handlers that are async functions. */
export interface PromiseTurn extends Omit<Turn, Promised | "followups"> {
  readonly reply: (reply: string | Reply) => Promise<PromiseReply>
  readonly upload: (file: FileUpload) => Promise<PromiseReply>
  readonly stream: (options?: { readonly key?: string }) => Promise<PromiseStream>
  readonly streamFrom: (
    from: AsyncIterable<string>,
    options?: { readonly key?: string }
  ) => Promise<PromiseReply>
  readonly update: (handle: PromiseReply, reply: string | Reply) => Promise<PromiseReply>
  readonly delete: (handle: PromiseReply) => Promise<PromiseReply>
  readonly react: (
    name: string,
    to?: PromiseReply | SlackMessage,
    options?: { readonly remove?: boolean }
  ) => Promise<PromiseReply>
  readonly respond: (response: string | Response) => Promise<PromiseReply>
  /** `run` gets the turn as the step sees it: replies made with that one belong to the step. */
  readonly step: <A>(name: string, run: (turn: PromiseTurn) => A | Promise<A>) => Promise<A>
  readonly state: { readonly get: () => Promise<unknown>; readonly set: (value: unknown) => Promise<void> }
  readonly history: (options?: { readonly limit?: number }) => Promise<ReadonlyArray<HistoryEntry>>
  readonly followups: AsyncIterable<InboundMessage>
}

/** The step that a fiber works for, and how much was said in it. */
export const CurrentStep = Context.Reference<{ readonly name: string; said: number } | undefined>(
  "slackwater/Handler/CurrentStep",
  { defaultValue: () => undefined }
)

/** What a handler may return: final replies, or nothing. A `ReplyHandle` counts as nothing. */
export type Answer = void | string | Reply | ReplyHandle | ReadonlyArray<string | Reply>

const TypeId = "~slackwater/Handler"

export interface HandlerOf<R = never> {
  readonly [TypeId]: typeof TypeId
  readonly run: (turn: Turn) => Effect.Effect<unknown, HandlerError, R>
}

export class Handler extends Context.Service<Handler, HandlerOf>()("slackwater/Handler") {
  /** A handler that returns an Effect. */
  static readonly make = <A extends Answer, E, R = never>(
    run: (turn: Turn) => Effect.Effect<A, E, R>
  ): HandlerOf<R> => ({
    [TypeId]: TypeId,
    run: (turn) => Effect.mapError(run(turn), (cause) => new HandlerError({ cause }))
  })

  /** A handler that is an async function. It should watch `turn.signal`. */
  static readonly promise = (run: (turn: PromiseTurn) => Answer | Promise<Answer>): HandlerOf => ({
    [TypeId]: TypeId,
    run: (turn) =>
      Effect.tryPromise({
        try: async () => await run(promiseTurn(turn)),
        catch: (cause) => new HandlerError({ cause })
      })
  })

  static readonly isHandler = (value: unknown): value is HandlerOf => Predicate.hasProperty(value, TypeId)

  /** What a module exports by default: a `Handler.make`, or a plain (async) function. */
  static readonly fromExport = (exported: unknown): HandlerOf | undefined =>
    Handler.isHandler(exported)
      ? exported
      : typeof exported === "function"
      ? Handler.promise((turn) => exported(turn))
      : undefined

  static readonly layer = <R>(handler: HandlerOf<R>) =>
    Layer.effect(
      Handler,
      Effect.map(Effect.context<R>(), (context) => ({
        [TypeId]: TypeId,
        run: (turn) => Effect.provideContext(handler.run(turn), context)
      }))
    )
}

/** Whoever awaits it sees it fail; whoever forgot to must not end the process with an unhandled rejection. */
const quiet = <A>(promise: Promise<A>): Promise<A> => {
  promise.catch(() => {})
  return promise
}

const promiseTurn = (turn: Turn, step?: typeof CurrentStep.Service): PromiseTurn => {
  const run = <A, E>(effect: Effect.Effect<A, E>) =>
    quiet(Effect.runPromise(Effect.provideService(effect, CurrentStep, step)))
  const promiseReply = (handle: ReplyHandle): PromiseReply => ({
    id: handle.id,
    delivered: () => run(handle.delivered),
    update: (content) => promised(handle.update(content)),
    delete: () => promised(handle.delete()),
    react: (name, options) => promised(handle.react(name, options))
  })
  const promised = <E>(effect: Effect.Effect<ReplyHandle, E>) => run(Effect.map(effect, promiseReply))
  return {
    id: turn.id,
    attempt: turn.attempt,
    conversation: turn.conversation,
    messages: turn.messages,
    text: turn.text,
    signal: turn.signal,
    reply: (reply) => promised(turn.reply(reply)),
    upload: (file) => promised(turn.upload(file)),
    stream: (options) =>
      run(Effect.map(turn.stream(options), ({ append, handle, stop }): PromiseStream => ({
        handle: promiseReply(handle),
        append: (markdown) => run(append(markdown)),
        stop: (whole) => promised(stop(whole))
      }))),
    streamFrom: (from, options) =>
      promised(turn.streamFrom(
        Stream.fromAsyncIterable(from, (cause) => new HandlerError({ cause })),
        options
      )),
    update: (reply, content) => reply.update(content),
    delete: (reply) => reply.delete(),
    react: (name, to, options) => {
      if (to === undefined || "ts" in to) return promised(turn.react(name, to, options))
      return to.react(name, options)
    },
    respond: (response) => promised(turn.respond(response)),
    step: (name, body) =>
      run(turn.step(
        name,
        Effect.flatMap(CurrentStep, (current) =>
          Effect.tryPromise({
            try: async () => await body(promiseTurn(turn, current)),
            catch: (cause) => new HandlerError({ cause })
          }))
      )),
    state: {
      get: () => run(turn.state.get),
      set: (value) => run(turn.state.set(value))
    },
    history: (options) => run(turn.history(options)),
    followups: Stream.toAsyncIterable(turn.followups)
  }
}
