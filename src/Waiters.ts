/**
 * Who waits for a reply to be delivered. A waiter reads the row, waits until something became of it, and reads again.
 *
 * Guarantees: an end between reading and waiting is not missed, and what ends elsewhere (an operator's command, another
 * reply that takes its place) is seen with the next look around. Lives in memory; the rows are what is true.
 */
import { Deferred, Effect } from "effect"
import type { SlackMessage } from "./Dispatch.ts"
import { HostTransaction } from "./HostTransaction.ts"
import { OutboxStore } from "./OutboxStore.ts"
import { spanned } from "./spanned.ts"
import { ReplyFailed, ReplyUnknown, TurnError } from "./TurnError.ts"

export const makeWaiters = Effect.gen(function*() {
  const host = yield* HostTransaction
  const store = yield* OutboxStore
  const waiting = new Map<number, Deferred.Deferred<void>>()
  const interim = new Set<number>()

  const release = (id: number): void => {
    const waiter = waiting.get(id)
    waiting.delete(id)
    interim.delete(id)
    if (waiter !== undefined) Deferred.doneUnsafe(waiter, Effect.void)
  }
  const releaseAll = (ids: Iterable<number>): void => {
    for (const id of ids) release(id)
  }

  const one = Effect.fnUntraced(function*(id: number) {
    while (true) {
      // Registered first and read after, so that an end between the two is not missed.
      const waiter = waiting.get(id) ?? (yield* Deferred.make<void>())
      waiting.set(id, waiter)
      const row = yield* store.find(id).pipe(
        Effect.mapError((error) => new TurnError({ reason: new ReplyFailed({ detail: error.message }) }))
      )
      if (row?.state === "delivered") {
        release(id)
        return { channel: row.channel, ts: row.ts ?? "" }
      }
      if (row?.state === "unknown" && row.held) {
        release(id)
        const detail = `it may have arrived, and nobody can find out (${row.reason ?? "unknown"})`
        return yield* new TurnError({ reason: new ReplyUnknown({ detail }) })
      }
      if (row === null || row.state === "failed_terminal" || row.state === "expired") {
        release(id)
        const detail = `not delivered: ${row?.reason ?? row?.state ?? "no such reply"}`
        return yield* new TurnError({ reason: new ReplyFailed({ detail }) })
      }
      if (row.interim) interim.add(id)
      yield* Deferred.await(waiter)
    }
  })

  return {
    /** Waits until Slack has all of the rows; answers the first. */
    delivered: Effect.fnUntraced(function*(rows: ReadonlyArray<number>) {
      if (yield* host.isOpen) {
        const detail = "it cannot be sent before the transaction around this call commits; wait for it outside"
        return yield* new TurnError({ reason: new ReplyFailed({ detail }) })
      }
      let first: SlackMessage | undefined
      for (const id of rows) {
        const message = yield* one(id)
        first ??= message
      }
      return first ?? (yield* new TurnError({ reason: new ReplyFailed({ detail: "not delivered: no such reply" }) }))
    }, spanned("Outbox.delivered")),
    /** Something became of the row. */
    release,
    /** Something was committed, which may have ended what was only progress. */
    releaseInterim: () => releaseAll([...interim]),
    lookAround: () => releaseAll([...waiting.keys()])
  }
})

export type Waiters = Effect.Success<typeof makeWaiters>
