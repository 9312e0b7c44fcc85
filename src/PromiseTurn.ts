/**
 * The turn for handlers that are async functions: every Effect of it as a promise, run in the context that the handler
 * was called in.
 */
import { Cause, Context, Deferred, Effect, Stream } from "effect"
import type { Response, SlackMessage } from "./Dispatch.ts"
import type { Turn } from "./HandlerTurn.ts"
import type { InboundMessage, Reply } from "./Message.ts"
import type { HistoryEntry } from "./MessageStore.ts"
import type { ReplyHandle } from "./ReplyHandle.ts"
import type { FileUpload } from "./replyRows.ts"
import { StrayErrors } from "./StrayErrors.ts"
import { HandlerError } from "./TurnError.ts"

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
  | "status"
  | "step"
  | "state"
  | "stateAs"
  | "history"
  | "followups"

/** The same turn for handlers that are async functions. */
export interface PromiseTurn extends Omit<Turn, Promised> {
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
  readonly status: (text: string) => Promise<void>
  /** `run` gets the turn as the step sees it: replies made with that one belong to the step. */
  readonly step: <A>(name: string, run: (turn: PromiseTurn) => A | Promise<A>) => Promise<A>
  readonly state: { readonly get: () => Promise<unknown>; readonly set: (value: unknown) => Promise<void> }
  readonly history: (options?: { readonly limit?: number }) => Promise<ReadonlyArray<HistoryEntry>>
  readonly followups: AsyncIterable<InboundMessage>
}

/** Whoever awaits it sees it fail; whoever forgot to must not end the process with an unhandled rejection. */
const quiet = <A>(promise: Promise<A>): Promise<A> => {
  promise.catch(() => {})
  return promise
}

type RunPromise = <A, E>(effect: Effect.Effect<A, E>) => Promise<A>

/** The handle of a reply as promises that `run` runs. */
export const promiseReplyWith = (run: RunPromise) => {
  const promiseReply = (handle: ReplyHandle): PromiseReply => ({
    id: handle.id,
    delivered: () => run(handle.delivered),
    update: (content) => promised(handle.update(content)),
    delete: () => promised(handle.delete()),
    react: (name, options) => promised(handle.react(name, options))
  })
  const promised = <E>(effect: Effect.Effect<ReplyHandle, E>) => run(Effect.map(effect, promiseReply))
  return promiseReply
}

const promiseTurn = (turn: Turn, context: Context.Context<never>): PromiseTurn => {
  const stray = Context.get(context, StrayErrors)
  const run: RunPromise = (effect) => quiet(stray.outside(() => Effect.runPromiseWith(context)(effect)))
  const promiseReply = promiseReplyWith(run)
  const promised = <E>(effect: Effect.Effect<ReplyHandle, E>) => run(Effect.map(effect, promiseReply))
  return {
    id: turn.id,
    attempt: turn.attempt,
    conversation: turn.conversation,
    messages: turn.messages,
    events: turn.events,
    text: turn.text,
    get signal() {
      return turn.signal
    },
    reply: (reply) => promised(turn.reply(reply)),
    upload: (file) => promised(turn.upload(file)),
    stream: (options) =>
      run(Effect.map(turn.stream(options), ({ append, handle, stop }): PromiseStream => ({
        handle: promiseReply(handle),
        append: (markdown) => run(append(markdown)),
        stop: (whole) => promised(stop(whole))
      }))),
    streamFrom: (from, options) =>
      promised(turn.streamFrom(Stream.fromAsyncIterable(from, (cause) => new HandlerError({ cause })), options)),
    update: (reply, content) => reply.update(content),
    delete: (reply) => reply.delete(),
    react: (name, to, options) => {
      if (to === undefined || "ts" in to) return promised(turn.react(name, to, options))
      return to.react(name, options)
    },
    respond: (response) => promised(turn.respond(response)),
    status: (text) => run(turn.status(text)),
    step: (name, body) => run(turn.step(name, withPromiseTurn(turn, body))),
    state: {
      get: () => run(turn.state.get),
      set: (value) => run(turn.state.set(value))
    },
    history: (options) => run(turn.history(options)),
    followups: Stream.toAsyncIterable(turn.followups)
  }
}

/** Its turn has ended, or has failed already: all that is left is to say so. */
const late = ({ conversation, id }: Turn, cause: unknown) =>
  Effect.logError("the handler left something behind that failed", Cause.fail(cause)).pipe(
    Effect.annotateLogs({ turn: id, conversation })
  )

/** Calls an async function with the turn. It fails, too, of what it left behind, as long as it runs. */
export const withPromiseTurn = <A>(
  turn: Turn,
  body: (turn: PromiseTurn) => A | Promise<A>
): Effect.Effect<A, HandlerError> =>
  Effect.contextWith((context: Context.Context<never>) => {
    const left = Deferred.makeUnsafe<never, HandlerError>()
    const fail = (cause: unknown) => {
      const isNews = Deferred.doneUnsafe(left, Effect.fail(new HandlerError({ cause })))
      if (!isNews || turn.signal.aborted) Effect.runForkWith(context)(late(turn, cause))
    }
    const called = Effect.tryPromise({
      try: () => Context.get(context, StrayErrors).within(fail, async () => await body(promiseTurn(turn, context))),
      catch: (cause) => new HandlerError({ cause })
    })
    return Effect.raceFirst(called, Deferred.await(left))
  })
