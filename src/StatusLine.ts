/**
 * What one run of a turn says it is doing, in the line under its thread.
 *
 * Owns what the line should say: shows it at once and again before Slack forgets it, keeps it with the turn, so that
 * a run that goes on after a restart says it too, and takes it away when the turn ends without an answer.
 * Does not: fail, wait for Slack, or promise anything; a line that is lost costs nothing.
 */
import { type Context, Effect, Latch, type Scope } from "effect"
import type { Destination } from "./Message.ts"
import type { ClaimedTurn, MessageStore } from "./MessageStore.ts"
import type { Outbox } from "./Outbox.ts"
import type { TurnRun } from "./OutboxStore.ts"
import type { TurnError } from "./TurnError.ts"

/** Slack forgets a status after two minutes. */
const showEvery = "90 seconds"
/** Characters shown and kept. */
const longest = 500

export interface StatusLine {
  /** From now on the line says this. */
  readonly set: (text: string) => Effect.Effect<void>
  /** Something was posted, and the line with it gone: shows it again. */
  readonly again: Effect.Effect<void>
  /** A reply was committed: when it is posted the line goes by itself. */
  readonly replied: (delivered: Effect.Effect<unknown, TurnError>) => void
  /** Shows and keeps what the line should say, until the scope closes. */
  readonly keep: Effect.Effect<void, never, Scope.Scope>
  /** The turn has ended, with an answer or without. */
  readonly end: (answered: boolean) => Effect.Effect<void>
}

export interface StatusLineOptions {
  readonly claimed: ClaimedTurn
  readonly run: TurnRun
  readonly destination: Destination | undefined
  readonly outbox: Outbox["Service"]
  readonly store: MessageStore["Service"]
}

export const makeStatusLine = ({ claimed, destination, outbox, run, store }: StatusLineOptions): StatusLine => {
  const changed = Latch.makeUnsafe(claimed.status !== null && claimed.status !== "")
  let wanted = claimed.status ?? ""
  let kept = wanted
  let shown = false
  let hasReplied = false
  /** Begins to show and to keep it; most turns say nothing, and need no fiber for that. */
  let keeping: Effect.Effect<unknown> | undefined
  /** The delivery of the newest reply, which is the last to take the line away. */
  let posting: Effect.Effect<unknown, TurnError> | undefined

  const show = (text: string | null) => destination === undefined ? Effect.void : outbox.status(destination, text)

  const again = Effect.suspend(() => wanted === "" ? Effect.void : Effect.asVoid(changed.open))

  const round = Effect.gen(function*() {
    yield* wanted === "" ? changed.await : Effect.timeoutOption(changed.await, showEvery)
    yield* changed.close
    const text = wanted
    if (text !== "" || shown) yield* show(text)
    shown = text !== ""
    hasReplied = false
    if (shown && posting !== undefined) {
      // What was committed before this was said is posted after it.
      yield* Effect.forkChild(Effect.andThen(Effect.exit(posting), again))
      posting = undefined
    }
    if (text === kept) return
    kept = text
    yield* Effect.ignore(store.saveStatus(run, text))
  })

  const wake = Effect.suspend(() => {
    const begin = keeping ?? Effect.void
    keeping = undefined
    return Effect.andThen(changed.open, begin)
  })

  return {
    set: (text) =>
      Effect.suspend(() => {
        // Whoever is without types may hand over anything.
        const next = typeof text === "string" ? text.slice(0, longest) : ""
        if (next === wanted && shown && !hasReplied) return Effect.void
        wanted = next
        return Effect.asVoid(wake)
      }),
    again,
    replied: (delivered) => {
      hasReplied = true
      posting = delivered
    },
    keep: Effect.contextWith((context: Context.Context<Scope.Scope>) => {
      keeping = Effect.provideContext(Effect.forkScoped(Effect.forever(round), { startImmediately: true }), context)
      return wanted === "" ? Effect.void : wake
    }),
    end: (answered) => Effect.suspend(() => shown ? show(answered || hasReplied ? null : "") : Effect.void)
  }
}
