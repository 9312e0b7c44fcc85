/**
 * One run of a turn: makes the `Turn` the handler sees, and what its answer means for the outbox.
 *
 * Owns the idempotency keys of replies: turn, ordinal and a hash of the content, or the caller's own key. The same
 * reply in a re-run is recognised; another one at the same place is a new reply.
 * Guarantees: `reply` returns after its row is on disk; once the run is over every call fails with `TurnOver`, also
 * for a promise that was left running.
 */
import { Effect, Latch, Predicate, Schema } from "effect"
import { fingerprint } from "./fingerprint.ts"
import { ReplyFailed, ReplyHandle, type Turn, TurnError, TurnOver } from "./Handler.ts"
import { type Destination, type InboundMessage, type OwnerId, postOf, Reply } from "./Message.ts"
import type { ClaimedTurn } from "./MessageStore.ts"
import type { Outbox } from "./Outbox.ts"
import type { NewReply } from "./OutboxStore.ts"

/** Where the answer to these messages belongs: the thread they are in, which in a channel they may begin. */
export const destinationOf = (messages: ReadonlyArray<InboundMessage>): Destination | undefined => {
  const last = messages.at(-1)
  if (last === undefined) return undefined
  if (last.channel === undefined) return last.user === undefined ? undefined : { channel: last.user }
  const begins = !last.direct && (last.kind === "message" || last.kind === "app_mention") ? last.ts : undefined
  const threadTs = last.threadTs ?? begins
  return threadTs === undefined ? { channel: last.channel } : { channel: last.channel, threadTs }
}

/** The messages' texts, one per line, as Slack sent them but for a leading mention of this bot. */
export const textOf = (messages: ReadonlyArray<InboundMessage>): string =>
  messages.map((message) => {
    const mention = `<@${message.self}>`
    const text = message.text.trimStart()
    return text.startsWith(mention) ? text.slice(mention.length).trimStart() : message.text
  }).join("\n")

const isReply = Schema.is(Reply)
const asReply = (reply: string | Reply): Reply => typeof reply === "string" ? { text: reply } : reply

/** The final replies in what a handler returned, or why it is not an answer. */
export const answersOf = (answer: unknown): ReadonlyArray<Reply> | string => {
  if (answer === undefined || answer === null || answer instanceof ReplyHandle) return []
  const list: ReadonlyArray<unknown> = Array.isArray(answer) ? answer : [answer]
  const replies: Array<Reply> = []
  for (const item of list) {
    if (item === undefined || item === null || item instanceof ReplyHandle) continue
    if (typeof item === "string" || isReply(item)) replies.push(asReply(item))
    // The promise style's handle: `return turn.reply(...)` is as good as `await` without a return.
    else if (Predicate.hasProperty(item, "delivered")) continue
    else return "the handler returned something that is neither text nor a reply"
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
  /** Waits for calls that were begun and not awaited. */
  readonly settled: Effect.Effect<void>
  /** The run is over: no call counts any more. */
  readonly close: () => void
  /** Rows for replies that belong to the completion of the turn. */
  readonly rows: (kind: "final" | "notice", replies: ReadonlyArray<Reply>) => Effect.Effect<ReadonlyArray<NewReply>>
}

export const makeRun = (claimed: ClaimedTurn, owner: OwnerId, outbox: Outbox["Service"]): Run => {
  const controller = new AbortController()
  const destination = destinationOf(claimed.messages)
  const quiet = Latch.makeUnsafe(true)
  let ordinal = 0
  let calls = 0
  let over = false

  const row = (place: string, reply: Reply) =>
    Effect.map(fingerprint(JSON.stringify([reply.text, reply.blocks ?? null])), (hash): NewReply => ({
      key: reply.key === undefined ? `${claimed.id}:${place}:${hash}` : `${claimed.id}:key:${reply.key}`,
      lane: claimed.conversation,
      destination: destination ?? { channel: "" },
      dispatch: postOf(reply)
    }))

  const reply = Effect.fn("Turn.reply")(function*(given: string | Reply) {
    if (over) return yield* new TurnError({ reason: new TurnOver() })
    if (destination === undefined) {
      return yield* new TurnError({
        reason: new ReplyFailed({ detail: "this turn came from nowhere one could answer: no channel and no user" })
      })
    }
    const place = String(ordinal++)
    const wanted = yield* row(place, asReply(given))
    const [stored] = yield* outbox.commit([wanted], { turn: claimed.id, owner, attempt: claimed.attempt }).pipe(
      Effect.mapError((error) =>
        new TurnError({
          reason: error.reason._tag === "TurnLost" ? new TurnOver() : new ReplyFailed({ detail: error.message })
        })
      )
    )
    if (stored === undefined) return yield* Effect.die(new Error("the outbox answered no row"))
    return new ReplyHandle(stored.id, outbox.delivered(stored.id))
  })

  return {
    turn: {
      id: claimed.id,
      attempt: claimed.attempt,
      conversation: claimed.conversation,
      messages: claimed.messages,
      text: textOf(claimed.messages),
      signal: controller.signal,
      reply: (given) =>
        Effect.suspend(() => {
          calls += 1
          quiet.closeUnsafe()
          return Effect.ensuring(
            reply(given),
            Effect.sync(() => {
              calls -= 1
              if (calls === 0) quiet.openUnsafe()
            })
          )
        })
    },
    settled: quiet.await,
    close: () => {
      over = true
      controller.abort()
    },
    rows: (kind, replies) =>
      destination === undefined
        ? Effect.succeed([])
        : Effect.forEach(replies, (item, index) => row(`${kind}:${index}`, item))
  }
}
