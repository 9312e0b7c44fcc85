/**
 * What the user implements, and what it is given: a `Turn`.
 *
 * A handler answers the messages that were waiting in one conversation. What it sends with `turn.reply` is committed
 * when the call returns and goes out while it runs on; what it returns is committed together with the turn's
 * completion. After a crash it is called again with the same messages and `attempt + 1`; replies it made before are
 * recognised and not made twice.
 */
import { Context, Effect, Layer, Predicate, Schema } from "effect"
import { CurrentCall, CurrentStep, ownName } from "./CurrentWork.ts"
import type { Event, EventBody, EventKind } from "./Event.ts"
import type { Turn } from "./HandlerTurn.ts"
import { Reply, textOf } from "./Message.ts"
import { type PromiseReply, type PromiseTurn, withPromiseTurn } from "./PromiseTurn.ts"
import type { ReplyHandle } from "./ReplyHandle.ts"
import { type Call, callsOf, handledBy, mistakesIn, type RouteKind } from "./Route.ts"
import { lasting } from "./traceContext.ts"
import { HandlerError, type TurnError } from "./TurnError.ts"

export type { Turn } from "./HandlerTurn.ts"
export type { PromiseReply, PromiseStream, PromiseTurn } from "./PromiseTurn.ts"

/** What a handler may return: final replies, or nothing. What `turn.reply` answers counts as nothing. */
export type Answer = void | string | Reply | ReplyHandle | PromiseReply | ReadonlyArray<string | Reply>

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
    run: (turn) => withPromiseTurn(turn, run)
  })

  /**
   * A handler with an entry for each kind of event. Consecutive messages are one call, every other event is one of its
   * own, in Slack's order; what they answer is committed together, or before what a later one sends while it runs. The second call of a turn has its own step names
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
    routed(
      routes as Entries<Answer | Promise<Answer>, PromiseTurn>,
      (entry, turn, event) => withPromiseTurn(turn, (promised) => entry(promised, event))
    )

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
      Effect.map(Effect.context<R>(), (context) => {
        const given = lasting(context)
        return { ...handler, run: (turn) => Effect.provideContext(handler.run(turn), given) }
      })
    )
}

type Entry<A, T = Turn> = (turn: T, event: unknown) => A
type Entries<A, T = Turn> = { readonly [name: string]: Entry<A, T> }

const isReply = Schema.is(Reply)
/** A final reply under the name that it has in this call. */
const keyed = (answer: unknown, { index }: Call) =>
  isReply(answer) && answer.key !== undefined ? { ...answer, key: ownName(answer.key, index) } : answer

/**
 * The part of the turn that one call is about. What the calls before it answered goes out before what this one sends
 * while it runs.
 */
const narrow = (turn: Turn, call: Call, before: Effect.Effect<void, TurnError>): Turn => {
  const messages = turn.messages.slice(call.from, call.to)
  return {
    ...turn,
    messages,
    events: turn.events.slice(call.from, call.to),
    text: textOf(messages),
    reply: (reply) => Effect.andThen(before, turn.reply(reply)),
    upload: (file) => Effect.andThen(before, turn.upload(file)),
    stream: (options) => Effect.andThen(before, turn.stream(options)),
    streamFrom: (from, options) => Effect.andThen(before, turn.streamFrom(from, options)),
    step: (name, effect, schema) => turn.step(ownName(name, call.index), effect, schema)
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
      const sendAnswers = Effect.suspend(() => {
        const made = answers.splice(0)
        const isSaid = (answer: unknown): answer is string | Reply =>
          typeof answer === "string" || (isReply(answer) && !Predicate.hasProperty(answer, "delivered"))
        // What is no answer is judged with the last.
        answers.push(...made.filter((answer) => !isSaid(answer)))
        return Effect.forEach(made.filter(isSaid), (answer) => turn.reply(answer), { discard: true })
      }).pipe(Effect.provideService(CurrentCall, undefined), Effect.provideService(CurrentStep, undefined))
      for (const call of calls) {
        const part = narrow(turn, call, sendAnswers)
        const event = part.events.at(-1)
        const entry = entries[call.entry]
        if (entry === undefined) continue
        const answer: unknown = yield* Effect.provideService(
          run(entry, part, call.entry === "otherwise" ? event : event?.body),
          CurrentCall,
          { index: call.index, messages: part.messages }
        )
        for (const one of Array.isArray(answer) ? answer : [answer]) answers.push(keyed(one, call))
      }
      return answers
    })
  }
}
