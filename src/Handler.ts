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
import type { Event, EventBody, EventKind } from "./Event.ts"
import { type ConversationKey, type InboundMessage, Reply, textOf, type TurnId } from "./Message.ts"
import type { HistoryEntry } from "./MessageStore.ts"
import { type Call, callsOf, handledBy, mistakesIn, type RouteKind } from "./Route.ts"

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
  /** The same, typed by kind: `events[i]` is what `messages[i]` says. */
  readonly events: ReadonlyArray<Event>
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

/** The entries of a route: what answers each kind. Its second argument is Slack's JSON; of several messages the newest. */
export type Routes<T, A> =
  & { readonly [K in Exclude<RouteKind, "otherwise">]?: (turn: T, event: EventBody<K>) => A }
  /** What no other entry is for, among what starts a turn anyway: messages, commands, buttons and modals. */
  & { readonly otherwise?: (turn: T, event: Event) => A }

type EffectRoutes = Routes<Turn, Effect.Effect<Answer, unknown, unknown>>
export type PromiseRoutes = Routes<PromiseTurn, Answer | Promise<Answer>>

/** What the entries of a route fail with, and what they need. */
type Fails<T> = T[keyof T] extends (...args: never) => Effect.Effect<unknown, infer E, unknown> ? E : never
type Needs<T> = T[keyof T] extends (...args: never) => Effect.Effect<unknown, unknown, infer R> ? R : never

export interface HandlerOf<R = never> {
  readonly [TypeId]: typeof TypeId
  /** The kinds that have an entry; undefined for a handler that is one function. */
  readonly handles?: ReadonlySet<EventKind>
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

  /**
   * A handler with an entry for each kind of event. Consecutive messages are one call, every other event is one of its
   * own, in Slack's order; what they answer is committed together. The second call of a turn has its own step names
   * and reply keys. Reactions, edits, joins and the like start a turn only where they have an entry.
   */
  static readonly route = <const T extends EffectRoutes>(
    routes: T & { readonly [K in Exclude<keyof T, RouteKind>]: never }
  ): HandlerOf<Needs<T>> =>
    routed(
      routes as Entries<Effect.Effect<Answer, Fails<T>, Needs<T>>>,
      (entry, turn, event) => Effect.mapError(entry(turn, event), (cause) => new HandlerError({ cause }))
    )

  /** The same for entries that are async functions. */
  static readonly routePromise = (routes: PromiseRoutes): HandlerOf =>
    routed(routes as Entries<Answer | Promise<Answer>, PromiseTurn>, (entry, turn, event) =>
      Effect.tryPromise({
        try: async () => await entry(promiseTurn(turn), event),
        catch: (cause) => new HandlerError({ cause })
      }))

  static readonly isHandler = (value: unknown): value is HandlerOf => Predicate.hasProperty(value, TypeId)

  /** What a module exports by default: a `Handler`, a plain (async) function, or a route of such functions. */
  static readonly fromExport = (exported: unknown): HandlerOf | undefined =>
    Handler.isHandler(exported)
      ? exported
      : typeof exported === "function"
      ? Handler.promise((turn) => exported(turn))
      : typeof exported === "object" && exported !== null && Object.keys(exported).length > 0 &&
          mistakesIn(exported).length === 0
      ? Handler.routePromise(exported)
      : undefined

  static readonly layer = <R>(handler: HandlerOf<R>) =>
    Layer.effect(
      Handler,
      Effect.map(Effect.context<R>(), (context) => ({
        ...handler,
        run: (turn) => Effect.provideContext(handler.run(turn), context)
      }))
    )
}

type Entry<A, T = Turn> = (turn: T, event: unknown) => A
type Entries<A, T = Turn> = { readonly [name: string]: Entry<A, T> }

/** The later calls of a turn have names of their own; the first keeps its, so that a plain handler may become a route. */
const own = (name: string, { index }: Call) => index === 0 ? name : `call ${index + 1}: ${name}`
const isReply = Schema.is(Reply)
const keyed = <A>(answer: A, call: Call) =>
  isReply(answer) && answer.key !== undefined ? { ...answer, key: own(answer.key, call) } : answer

/** The part of the turn that one call is about. */
const narrow = (turn: Turn, call: Call): Turn => {
  const messages = turn.messages.slice(call.from, call.to)
  return {
    ...turn,
    messages,
    events: turn.events.slice(call.from, call.to),
    text: textOf(messages),
    reply: (reply) => turn.reply(keyed(reply, call)),
    step: (name, effect, schema) => turn.step(own(name, call), effect, schema)
  }
}

const routed = <A, T, R>(
  entries: Entries<A, T>,
  run: (entry: Entry<A, T>, turn: Turn, event: unknown) => Effect.Effect<Answer, HandlerError, R>
): HandlerOf<R> => {
  const mistakes = mistakesIn(entries)
  if (mistakes.length > 0) throw new TypeError(`no entry of a route: ${mistakes.join(", ")}`)
  return {
    [TypeId]: TypeId,
    handles: handledBy(entries),
    run: Effect.fnUntraced(function*(turn) {
      const { calls, skipped } = callsOf(entries, turn.events)
      for (const { kind } of skipped) {
        // What does not look as it should was to be handled; what has no entry was not.
        yield* (kind === "unknown" ? Effect.logWarning : Effect.logDebug)(`no entry of the route is for ${kind}`)
      }
      const answers: Array<unknown> = []
      for (const call of calls) {
        const part = narrow(turn, call)
        const event = part.events.at(-1)
        const entry = entries[call.entry]
        if (entry === undefined) continue
        const answer: unknown = yield* run(entry, part, call.entry === "otherwise" ? event : event?.body)
        for (const one of Array.isArray(answer) ? answer : [answer]) answers.push(keyed<unknown>(one, call))
      }
      return answers
    })
  }
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
  events: turn.events,
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
