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
import type { ConversationKey, InboundMessage, Reply, TurnId } from "./Message.ts"
import type { HistoryEntry } from "./MessageStore.ts"

/** The turn is over (finished, timed out, taken back): nothing it does counts any more. */
export class TurnOver extends Schema.TaggedError<TurnOver>()("TurnOver", {}) {}
/** The reply could not be stored or will never be delivered. */
export class ReplyFailed extends Schema.TaggedError<ReplyFailed>()("ReplyFailed", { detail: Schema.String }) {}

/** A step was named twice in one run, or its stored result cannot be read any more. */
export class StepFailed extends Schema.TaggedError<StepFailed>()("StepFailed", {
  step: Schema.String,
  detail: Schema.String
}) {}

export class TurnError extends Schema.TaggedError<TurnError>()("TurnError", {
  reason: Schema.Union([TurnOver, ReplyFailed, StepFailed])
}) {
  override get message(): string {
    switch (this.reason._tag) {
      case "TurnOver":
        return "this turn is over"
      case "ReplyFailed":
        return this.reason.detail
      case "StepFailed":
        return `step "${this.reason.step}": ${this.reason.detail}`
    }
  }
}

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

/** A committed reply. */
export class ReplyHandle {
  readonly id: number
  /** Waits until Slack has it. */
  readonly delivered: Effect.Effect<{ readonly channel: string; readonly ts: string }, TurnError>
  constructor(id: number, delivered: Effect.Effect<{ readonly channel: string; readonly ts: string }, TurnError>) {
    this.id = id
    this.delivered = delivered
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
   * Says under the thread what the bot is doing ("is searching…"), until it posts; an empty text takes it away. It is
   * for the eye: it waits for nothing and never fails, and is seen only where the turn answers in a thread. When the
   * turn runs again after a restart, the last one is shown again.
   */
  readonly status: (text: string) => Effect.Effect<void>
  /**
   * Runs the effect once in the life of the turn: its result is stored, and a re-run gets the stored one. The result
   * is kept as JSON, or as the schema encodes it. A name may be used once in a run; a stored result that no longer
   * decodes fails with `StepFailed` and is never run again in silence.
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

/** The same turn for handlers that are async functions. */
export interface PromiseTurn
  extends Omit<Turn, "reply" | "status" | "step" | "state" | "stateAs" | "history" | "followups">
{
  readonly reply: (reply: string | Reply) => Promise<{
    readonly id: number
    readonly delivered: () => Promise<{ readonly channel: string; readonly ts: string }>
  }>
  readonly status: (text: string) => Promise<void>
  readonly step: <A>(name: string, run: () => A | Promise<A>) => Promise<A>
  readonly state: { readonly get: () => Promise<unknown>; readonly set: (value: unknown) => Promise<void> }
  readonly history: (options?: { readonly limit?: number }) => Promise<ReadonlyArray<HistoryEntry>>
  readonly followups: AsyncIterable<InboundMessage>
}

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

const promiseTurn = (turn: Turn): PromiseTurn => ({
  id: turn.id,
  attempt: turn.attempt,
  conversation: turn.conversation,
  messages: turn.messages,
  text: turn.text,
  signal: turn.signal,
  reply: (reply) =>
    quiet(
      Effect.runPromise(turn.reply(reply)).then((handle) => ({
        id: handle.id,
        delivered: () => quiet(Effect.runPromise(handle.delivered))
      }))
    ),
  status: (text) => quiet(Effect.runPromise(turn.status(text))),
  step: (name, run) =>
    quiet(Effect.runPromise(turn.step(
      name,
      Effect.tryPromise({ try: async () => await run(), catch: (cause) => new HandlerError({ cause }) })
    ))),
  state: {
    get: () => quiet(Effect.runPromise(turn.state.get)),
    set: (value) => quiet(Effect.runPromise(turn.state.set(value)))
  },
  history: (options) => quiet(Effect.runPromise(turn.history(options))),
  followups: Stream.toAsyncIterable(turn.followups)
})
