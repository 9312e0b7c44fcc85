/**
 * The way of a reply straight from its commit to Slack: where nothing stands before it, its row begins as `sending` in
 * the commit that makes it, and is sent from memory right after.
 *
 * Owns the places of commits under way: each has a worker and its place in the pace before its row is written, and gives
 * them back where the row waits after all, or is not made.
 * Guarantees: what began is sent, whatever becomes of the caller: it is committed and begun in a fiber of the outbox. A
 * process that dies in between leaves it in `sending`, which is looked up (docs/adr/007-insert-as-sending.md).
 * Does not: decide whether the lane is free (OutboxStore does, in the commit), or send.
 */
import { Clock, Deferred, Effect, Exit, FiberSet } from "effect"
import type { Access } from "./Access.ts"
import { HostTransaction } from "./HostTransaction.ts"
import { Instance } from "./Instance.ts"
import type { OwnerId } from "./Message.ts"
import { type ClaimedReply, mayGoAtOnce, type NewReply } from "./OutboxStore.ts"
import type { Pace } from "./Pace.ts"
import type { StoreError } from "./StoreError.ts"

export const makeHandover = Effect.fnUntraced(function*(rooms: {
  readonly access: Access
  readonly pace: Pace
  readonly fibers: FiberSet.FiberSet
  /** Whether one more may be sent, with so many about to be, and nothing due waits for its place in this channel. */
  readonly hasRoom: (channel: string, places: number) => boolean
  /** From now on it is being sent. */
  readonly start: (row: ClaimedReply) => void
  /** A place is free again. */
  readonly freed: () => void
}) {
  const { access, fibers, freed, hasRoom, pace, start } = rooms
  const { id: owner } = yield* Instance
  const host = yield* HostTransaction
  let places = 0

  return {
    /** How many commits may yet begin a row. */
    places: () => places,

    /** Commits rows, of which the first may begin under the sender that `write` is given. */
    commit: Effect.fnUntraced(function*<A>(
      first: NewReply | undefined,
      write: (sender: OwnerId | undefined) => Effect.Effect<A, StoreError>,
      begunIn: (answer: A) => ClaimedReply | null | undefined
    ) {
      if (first === undefined || !mayGoAtOnce(first)) return yield* write(undefined)
      const { channel } = first.destination
      const now = yield* Clock.currentTimeMillis
      // Nothing is sent of a transaction that the caller has open.
      const mayBegin = access.isOpen(now) && hasRoom(channel, places) && !(yield* host.isOpen)
      if (!mayBegin || !pace.take(channel, now)) return yield* write(undefined)
      const done = Deferred.makeUnsafe<A, StoreError>()
      const settled = (exit: Exit.Exit<A, StoreError>) =>
        Effect.sync(() => {
          places -= 1
          const row = Exit.isSuccess(exit) ? begunIn(exit.value) : undefined
          if (row === null || row === undefined) {
            pace.giveBack(channel)
            freed()
          } else start(row)
          Deferred.doneUnsafe(done, exit)
        })
      // What was taken is given back, so nothing may come between.
      yield* Effect.uninterruptible(Effect.suspend(() => {
        places += 1
        return FiberSet.run(fibers, Effect.onExit(write(owner), settled), { startImmediately: true })
      }))
      return yield* Deferred.await(done)
    })
  }
})
