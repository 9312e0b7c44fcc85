/**
 * One connection in use, and the handling of what it brings.
 *
 * Guarantees: its envelopes reach Intake in order, each with the ack of this very connection. Those that the responder
 * answers are handled beside the others, so their rows may be written after those of later ones. Handling that ends in
 * a defect asks for a replacement: a connection that is deaf or never acks must not stay.
 * Does not: open, replace or close connections (SocketLayer). It ends with its Scope, and what it was handling then is
 * finished or, where a responder was being waited for, stored without an answer (Intake).
 */
import { Cause, Deferred, Effect, type Latch, Queue, type Scope, Semaphore } from "effect"
import type { Intake } from "./Intake.ts"
import type { Identity } from "./SlackApi.ts"
import type { Connection } from "./SlackConnection.ts"

/** Envelopes of one connection that may wait for their answers at once; the next one waits for a place. */
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

/**
 * Handles what the connection brings, in order; but what waits for an answer of the responder is handled apart, so that
 * nothing behind it waits too.
 */
export const consume = (generation: Generation, self: Identity, intake: Intake["Service"]) =>
  Effect.gen(function*() {
    const { incoming } = generation.connection
    const apart = yield* Semaphore.make(mostApart)
    let inHand = 0
    const done = Effect.suspend(() => {
      inHand -= 1
      return inHand === 0 && Queue.sizeUnsafe(incoming) === 0 ? generation.quiet.open : Effect.void
    })
    while (true) {
      const one = yield* Queue.take(incoming)
      inHand += 1
      yield* generation.quiet.close
      const handled = Effect.ensuring(intake.accept(one, self), done)
      if (intake.answers(one.envelope)) {
        yield* apart.take(1)
        const handling = Effect.ensuring(handled, apart.release(1)).pipe(orReplace(generation))
        yield* Effect.forkIn(handling, generation.scope, { startImmediately: true })
      } else {
        yield* handled
      }
    }
  }).pipe(orReplace(generation))
