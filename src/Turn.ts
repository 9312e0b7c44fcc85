/**
 * One run of a turn: makes the `Turn` the handler sees, and what its answer means for the outbox.
 *
 * Owns the life of the run: what it may do while it lasts, its steps, its state. What it says is `Replies`'.
 * Guarantees: `reply` returns after its row is on disk; once the run is over every call fails with `TurnOver`, also
 * for a promise that was left running. A message that joined the turn for an asker who was stopped meanwhile is given
 * to the next one, and where none comes it waits for the next turn.
 */
import { Cause, Clock, Effect, Latch, Option, Predicate, Schema, Semaphore, Stream } from "effect"
import { CurrentStep } from "./CurrentWork.ts"
import { problemOf } from "./Dispatch.ts"
import { eventOf } from "./Event.ts"
import type { Turn } from "./HandlerTurn.ts"
import { type Destination, type InboundMessage, type OwnerId, Reply, textOf } from "./Message.ts"
import type { ClaimedTurn, MessageStore, WaitingMessage } from "./MessageStore.ts"
import type { Outbox } from "./Outbox.ts"
import type { NewReply } from "./OutboxStore.ts"
import { makeReplies } from "./Replies.ts"
import { ReplyHandle } from "./ReplyHandle.ts"
import { spanned } from "./spanned.ts"
import { makeStatusLine, type StatusLine } from "./StatusLine.ts"
import type { StoreError } from "./StoreError.ts"
import { ReplyFailed, StepFailed, TurnError, TurnOver } from "./TurnError.ts"

/** Where the answer to these messages belongs: the thread they are in, which in a channel they may begin. */
export const destinationOf = (messages: ReadonlyArray<InboundMessage>): Destination | undefined => {
  const last = messages.at(-1)
  if (last === undefined) return undefined
  if (last.channel === undefined) return last.user === undefined ? undefined : { channel: last.user }
  const begins = !last.direct && (last.kind === "message" || last.kind === "app_mention") ? last.ts : undefined
  const threadTs = last.threadTs ?? begins
  return threadTs === undefined ? { channel: last.channel } : { channel: last.channel, threadTs }
}

const isReply = Schema.is(Reply)
const asReply = (reply: string | Reply): Reply => typeof reply === "string" ? { text: reply } : reply

/** The final replies in what a handler returned, or why it is not an answer. */
export const answersOf = (answer: unknown): ReadonlyArray<Reply> | string => {
  if (answer === undefined || answer === null || answer instanceof ReplyHandle) return []
  const list: ReadonlyArray<unknown> = Array.isArray(answer) ? answer : [answer]
  const replies: Array<Reply> = []
  for (const item of list) {
    if (item === undefined || item === null || item instanceof ReplyHandle) continue
    // The promise style's handle: `return turn.reply(...)` is as good as `await` without a return.
    if (Predicate.hasProperty(item, "delivered")) continue
    if (typeof item !== "string" && !isReply(item)) {
      return `the handler returned ${typeof item} ${messageOf(item).slice(0, 100)}, which is neither text nor a reply`
    }
    const reply = asReply(item)
    const problem = problemOf(reply)
    if (problem !== undefined) return `the handler returned ${problem}`
    replies.push(reply)
  }
  return replies
}

/** One line about any failure whatever, bounded; never fails itself. */
export const messageOf = (failure: unknown): string => {
  try {
    const said: unknown = failure instanceof Error ? failure.message : failure
    return (typeof said === "string" ? said : JSON.stringify(said) ?? typeof said).slice(0, 2_000)
  } catch {
    return "a failure that cannot be described"
  }
}

/** Where it went wrong, for the log of whoever wrote the handler. */
export const stackOf = (failure: unknown): string | undefined => {
  try {
    return failure instanceof Error && typeof failure.stack === "string" ? failure.stack.slice(0, 4_000) : undefined
  } catch {
    return undefined
  }
}

/** A run in progress. */
export interface Run {
  readonly turn: Turn
  /** What `turn.status` says. */
  readonly line: StatusLine
  /** The handler has ended: no message joins its turn any more. */
  readonly ended: () => void
  /** Waits for calls that were begun and not awaited. */
  readonly settled: Effect.Effect<void>
  /** The run is over: no call counts any more. */
  readonly close: () => void
  /** Messages may have arrived for `turn.followups`. */
  readonly arrived: () => void
  /** Messages that may have joined the turn and that the handler was not given. */
  readonly unseen: () => ReadonlyArray<number>
  /** Rows for replies that the handler does not make while it runs. */
  readonly rows: (
    kind: "final" | "notice" | `resume:${number}`,
    replies: ReadonlyArray<Reply>
  ) => Effect.Effect<ReadonlyArray<NewReply>>
  /** What `turn.state` was set to, as JSON; undefined where it was not. */
  readonly newState: () => string | undefined
}

export interface RunOptions {
  readonly claimed: ClaimedTurn
  readonly owner: OwnerId
  readonly outbox: Outbox["Service"]
  readonly store: MessageStore["Service"]
  /** The Web API's address, whose host a `response_url` may have. */
  readonly slackApiUrl: string
  /** Whether `turn.followups` offers messages that arrive meanwhile. */
  readonly steer: boolean
}

const defaultHistory = 50

export const makeRun = ({ claimed, outbox, owner, slackApiUrl, steer, store }: RunOptions): Run => {
  const run = { turn: claimed.id, owner, attempt: claimed.attempt }
  const destination = destinationOf(claimed.messages)
  const line = makeStatusLine({ claimed, run, destination, outbox, store })
  const quiet = Latch.makeUnsafe(true)
  const arrivals = Latch.makeUnsafe(true)
  const named = new Set<string>()
  let finished: ReadonlyMap<string, string> | undefined
  let newState: string | undefined
  let controller: AbortController | undefined
  let calls = 0
  let over = false
  let takes = true
  /** One look at a time, so that what one asker left is found by the next. */
  const looking = Semaphore.makeUnsafe(1)
  /** What may have joined; and of it what did join, for an asker that was stopped before it got its answer. */
  const unseen = new Set<number>()
  const left: Array<WaitingMessage> = []

  // Made when it is asked for, as the signal is: an error with its stack costs more than most turns need.
  const turnOver = () => new TurnError({ reason: new TurnOver() })
  const alive = Effect.suspend(() => over ? Effect.fail(turnOver()) : Effect.void)
  const ofStore = <A>(effect: Effect.Effect<A, StoreError>) =>
    Effect.mapError(
      effect,
      (error) =>
        error.reason._tag === "TurnLost"
          ? turnOver()
          : new TurnError({ reason: new ReplyFailed({ detail: error.message }) })
    )

  /** Counts as a call of this run until it is done, whether anybody awaits it or not. */
  const call = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.suspend(() => {
      calls += 1
      quiet.closeUnsafe()
      return Effect.ensuring(
        effect,
        Effect.sync(() => {
          calls -= 1
          if (calls === 0) quiet.openUnsafe()
        })
      )
    })

  const replies = makeReplies({
    run,
    conversation: claimed.conversation,
    messages: claimed.messages,
    destination,
    outbox,
    slackApiUrl,
    call: (effect) => call(Effect.andThen(alive, effect)),
    ofStore,
    replied: line.replied
  })

  const step = Effect.fnUntraced(function*<A, E, R>(
    name: string,
    effect: Effect.Effect<A, E, R>,
    schema?: Schema.ConstraintCodec<A, unknown>
  ) {
    yield* Effect.annotateCurrentSpan("step", name.slice(0, 100))
    yield* alive
    const failed = (detail: string) => new TurnError({ reason: new StepFailed({ step: name, detail }) })
    if (named.has(name)) return yield* failed("this name was used already; give each step of a turn its own")
    named.add(name)
    finished ??= yield* ofStore(store.steps(claimed.id))
    const stored = finished.get(name)
    if (stored !== undefined) {
      const value: unknown = JSON.parse(stored)
      if (schema === undefined) return value as A
      return yield* Effect.mapError(
        Schema.decodeUnknownEffect(schema)(value),
        (error) => failed(`its stored result does not decode any more (${error.message.slice(0, 300)})`)
      )
    }
    const result = yield* Effect.provideService(effect, CurrentStep, { name, said: new Set() })
    const encoded = schema === undefined ? result : yield* Effect.mapError(
      Schema.encodeEffect(schema)(result),
      (error) => failed(`its result does not encode (${error.message.slice(0, 300)})`)
    )
    const json = yield* Effect.try({
      try: () => JSON.stringify(encoded ?? null),
      catch: () => failed("its result is not JSON; give the step a schema")
    })
    yield* ofStore(Effect.flatMap(Clock.currentTimeMillis, (now) => store.saveStep(run, name, json, now)))
    return result
  })

  const setState = (value: unknown) =>
    Effect.andThen(
      alive,
      Effect.try({
        try: () => {
          newState = JSON.stringify(value ?? null)
        },
        catch: () => new TurnError({ reason: new ReplyFailed({ detail: "turn.state takes only what JSON can say" }) })
      })
    )

  /** The conversation's state as this run sees it: what it set itself, or what the last turn left. */
  const state = Effect.andThen(
    alive,
    Effect.suspend(() => newState === undefined ? ofStore(store.state(claimed.conversation)) : Effect.succeed(newState))
  ).pipe(Effect.map((json): unknown => json === null ? undefined : JSON.parse(json)))

  const stateAs = <A>(schema: Schema.ConstraintCodec<A, unknown>) => {
    const failed = (error: Schema.SchemaError) =>
      new TurnError({ reason: new ReplyFailed({ detail: `turn.state: ${error.message.slice(0, 300)}` }) })
    return {
      get: Effect.flatMap(state, (value) =>
        value === undefined
          ? Effect.succeed(Option.none<A>())
          : Effect.mapBoth(Schema.decodeUnknownEffect(schema)(value), { onFailure: failed, onSuccess: Option.some })),
      set: (value: A) => Effect.flatMap(Effect.mapError(Schema.encodeEffect(schema)(value), failed), setState)
    }
  }

  /** A message that joined this turn, if there is one; kept for the next asker until it is given away. */
  const join = Effect.gen(function*() {
    if (left[0] !== undefined) return left[0]
    const waiting = yield* ofStore(
      Effect.flatMap(Clock.currentTimeMillis, (now) => store.waiting(claimed.conversation, now))
    )
    for (const next of waiting) {
      if (!takes) break
      unseen.add(next.id)
      if (yield* ofStore(store.adopt(run, next.id))) {
        left.push(next)
        return next
      }
      unseen.delete(next.id)
    }
    return undefined
  })

  /** Whoever is interrupted in between, or comes too late, was not given it: the message is still there. */
  const giveAway = Effect.map(Effect.uninterruptible(join), (next) => {
    if (next === undefined || !takes) return undefined
    left.shift()
    unseen.delete(next.id)
    return next.message
  })

  /** The next message that joins this turn; waits for one. */
  const takeFollowup: Effect.Effect<InboundMessage, TurnError | Cause.Done> = Effect.gen(function*() {
    const isTaking = () => takes
    while (isTaking()) {
      yield* arrivals.close
      const message = yield* call(looking.withPermit(giveAway))
      if (message !== undefined) return message
      if (isTaking()) yield* arrivals.await
    }
    return yield* Cause.done()
  })

  const signalled = () => {
    if (controller === undefined) {
      controller = new AbortController()
      if (over) controller.abort()
    }
    return controller.signal
  }

  const stopTaking = () => {
    takes = false
    arrivals.openUnsafe()
  }

  return {
    turn: {
      id: claimed.id,
      attempt: claimed.attempt,
      conversation: claimed.conversation,
      messages: claimed.messages,
      events: claimed.messages.map(eventOf),
      text: textOf(claimed.messages),
      get signal() {
        return signalled()
      },
      ...replies.turn,
      status: (text) => Effect.suspend(() => over ? Effect.void : line.set(text)),
      step: (name, effect, schema) => call(spanned("Turn.step")(step(name, effect, schema))),
      state: { get: state, set: setState },
      stateAs,
      history: (options) =>
        Effect.andThen(alive, ofStore(store.history(claimed.conversation, options?.limit ?? defaultHistory))),
      followups: steer
        ? Stream.fromPull(Effect.succeed(Effect.map(takeFollowup, (message) => [message] as const)))
        : Stream.empty
    },
    line,
    ended: stopTaking,
    settled: quiet.await,
    close: () => {
      over = true
      stopTaking()
      replies.close()
      controller?.abort()
    },
    arrived: () => {
      arrivals.openUnsafe()
    },
    unseen: () => [...unseen],
    rows: replies.rows,
    newState: () => newState
  }
}
