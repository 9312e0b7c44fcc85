/**
 * One connection in use, and the handling of what it brings.
 *
 * Guarantees: the envelopes of one channel are handled in order, and those of different channels beside each other, so
 * that they share a commit; each has the ack of this very connection. Those that the responder answers hold up nobody, so
 * their rows may be written after those of later ones. Handling that ends in a defect asks for a replacement: a
 * connection that is deaf or never acks must not stay.
 * Does not: open, replace or close connections (SocketLayer). It ends with its Scope, and what it was handling then is
 * finished or, where a responder was being waited for, stored without an answer (Intake).
 */
import { Cause, Deferred, Effect, Latch, Queue, type Scope, Semaphore } from "effect"
import { channelOf } from "./Envelope.ts"
import type { Intake } from "./Intake.ts"
import type { Identity } from "./SlackApi.ts"
import type { Connection, Incoming } from "./SlackConnection.ts"

/** Envelopes of one connection in hand at once, and those of them that wait for answers; the next one waits. */
const mostAtOnce = 128
const mostApart = 64

/** Why a connection is to be replaced. */
export interface Ending {
  readonly reason: string
  /** It still delivers, so its successor is opened first. */
  readonly alive: boolean
}

export interface Generation {
  /** Grows with each connection of this process. */
  readonly number: number
  readonly scope: Scope.Closeable
  readonly connection: Connection
  readonly connectedAt: number
  /** Completes when somebody wants this connection replaced. */
  readonly replace: Deferred.Deferred<Ending>
  /** Open while none of its envelopes is being handled or waits. */
  readonly quiet: Latch.Latch
}

const orReplace = (generation: Generation) => <A>(handling: Effect.Effect<A>) =>
  Effect.onError(handling, (cause) =>
    Cause.hasInterruptsOnly(cause)
      ? Effect.void
      : Effect.andThen(
        Effect.logError("handling an envelope failed; replacing the connection", cause),
        Deferred.succeed(generation.replace, { reason: "failed", alive: false })
      ))

/** What is to be handled in order: what concerns one channel. What names none stands in one line. */
const lineOf = ({ envelope }: Incoming): string => channelOf(envelope.payload) ?? ""

/**
 * Handles what the connection brings, in order; but what waits for an answer of the responder is handled apart, so that
 * nothing behind it waits too.
 */
export const consume = (generation: Generation, self: Identity, intake: Intake["Service"]) =>
  Effect.gen(function*() {
    const { incoming } = generation.connection
    const atOnce = yield* Semaphore.make(mostAtOnce)
    const apart = yield* Semaphore.make(mostApart)
    /** The last of each line that is in hand. */
    const last = new Map<string, Latch.Latch>()
    let inHand = 0
    const done = Effect.suspend(() => {
      inHand -= 1
      return inHand === 0 && Queue.sizeUnsafe(incoming) === 0 ? generation.quiet.open : Effect.void
    })
    const handled = (one: Incoming, places: Semaphore.Semaphore, before: Effect.Effect<unknown>) =>
      Effect.andThen(places.take(1), () => {
        const handling = Effect.andThen(before, intake.accept(one, self)).pipe(
          Effect.ensuring(Effect.andThen(places.release(1), done)),
          orReplace(generation)
        )
        return Effect.forkIn(handling, generation.scope, { startImmediately: true })
      })
    while (true) {
      const one = yield* Queue.take(incoming)
      inHand += 1
      yield* generation.quiet.close
      if (intake.answers(one.envelope)) {
        yield* handled(one, apart, Effect.void)
        continue
      }
      const line = lineOf(one)
      const before = last.get(line)
      const end = Latch.makeUnsafe()
      last.set(line, end)
      const handling = yield* handled(one, atOnce, before === undefined ? Effect.void : before.await)
      handling.addObserver(() => {
        end.openUnsafe()
        if (last.get(line) === end) last.delete(line)
      })
    }
  }).pipe(orReplace(generation))
