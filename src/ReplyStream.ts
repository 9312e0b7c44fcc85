/**
 * A reply that grows in front of its reader.
 *
 * Owns what was appended so far, and when it is passed on: 256 characters or half a second, one append on its way at a
 * time. Appends are progress: sent live or not at all. What Slack has for sure is asked of the store before each, so a
 * re-run goes on where its text is the same, and stays silent where it is another.
 * Guarantees: `stop` commits the whole text, whatever became of the appends. Does not: end with the run (Replies and the
 * store do).
 */
import { Effect, Latch, Stream } from "effect"
import { markdownLimit } from "./Dispatch.ts"
import type { ReplyHandle } from "./ReplyHandle.ts"
import type { TurnError } from "./TurnError.ts"

const flushAt = 256
const flushEvery = "500 millis"

export interface TurnStream {
  /** The message that grows. Before `stop` it can be reacted to, and no more. */
  readonly handle: ReplyHandle
  /** Adds to the text. Shown soon where Slack keeps up; what is not shown is there at the end. */
  readonly append: (markdown: string) => Effect.Effect<void, TurnError>
  /** Commits the whole text: what was appended, or another one. What is long goes on in further messages. */
  readonly stop: (whole?: string) => Effect.Effect<ReplyHandle, TurnError>
}

export interface ReplyStreamOptions {
  readonly handle: ReplyHandle
  /** What Slack shows for sure; null when no more can be added. */
  readonly shown: Effect.Effect<string | null, TurnError>
  /** Commits an append and waits until something became of it. */
  readonly send: (markdown: string, ordinal: number) => Effect.Effect<unknown, TurnError>
  readonly commit: (whole: string) => Effect.Effect<ReplyHandle, TurnError>
  /** Every call of the run goes through it. */
  readonly call: <A>(effect: Effect.Effect<A, TurnError>) => Effect.Effect<A, TurnError>
}

export const makeReplyStream = ({ call, commit, handle, send, shown }: ReplyStreamOptions) => {
  const some = Latch.makeUnsafe(false)
  const much = Latch.makeUnsafe(false)
  let text = ""
  let flushed = 0
  let over = false
  let stopped = false

  const close = () => {
    over = true
    some.openUnsafe()
    much.openUnsafe()
  }
  const isOver = () => over

  /** Passes on what Slack does not have yet; false once there is no point in it any more. */
  const flush = Effect.fnUntraced(function*(ordinal: number) {
    const before = yield* shown
    if (before === null || isOver()) return false
    flushed = text.length
    // A re-run that has not come as far yet, or one that says something else.
    if (!text.startsWith(before)) return before.startsWith(text)
    // Half a character waits for its other half.
    const rest = text.slice(before.length, markdownLimit).replace(/[\uD800-\uDBFF]$/, "")
    if (rest !== "") yield* Effect.ignore(send(rest, ordinal))
    return true
  })

  const writer = Effect.gen(function*() {
    for (let ordinal = 0;; ordinal++) {
      yield* some.await
      yield* Effect.timeoutOption(much.await, flushEvery)
      yield* some.close
      yield* much.close
      if (isOver() || !(yield* flush(ordinal))) return
    }
  })

  const stream: TurnStream = {
    handle,
    append: (markdown) =>
      call(Effect.sync(() => {
        text += markdown
        if (text.length > flushed) some.openUnsafe()
        if (text.length >= flushed + flushAt) much.openUnsafe()
      })),
    stop: (whole) =>
      call(Effect.suspend(() => {
        close()
        return Effect.tap(commit(whole ?? text), () =>
          Effect.sync(() => {
            stopped = true
          }))
      }))
  }
  return {
    stream,
    writer: Effect.ignore(writer),
    /** No more is passed on. */
    close,
    /** What was appended and not stopped. */
    unfinished: () => stopped ? "" : text
  }
}

/** Appends whatever comes, and stops. */
export const pour = <E, R>(from: Stream.Stream<string, E, R>, into: TurnStream) =>
  Effect.andThen(Stream.runForEach(from, into.append), into.stop())
