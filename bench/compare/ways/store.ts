/**
 * Slackwater's stores alone: append, claim, complete, over the gateway's own file and its one writer, at
 * `synchronous=FULL`, which it always has. No rooms, no Slack; with `reply`, a reply is committed with the completion.
 */
import { Clock, Effect, Fiber, Latch, Layer, ManagedRuntime, Option, References } from "effect"
import { SqlClient } from "effect/sql"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { OwnerId } from "../../../src/Message.ts"
import { type ClaimedTurn, MessageStore, type ReadyConversation } from "../../../src/MessageStore.ts"
import { pragma } from "../../../src/sql/Database.ts"
import { ground } from "../../ground.ts"
import { countingCommits } from "../commits.ts"
import type { Measure } from "../Measured.ts"
import { measureWay } from "../phases.ts"
import { until, type Way } from "../Way.ts"
import { producingEffects } from "./effects.ts"
import { messageAt, numberIn, replyTo } from "./message.ts"

const owner = OwnerId.make("bench")

const open = (directory: string, withReply: boolean) => async (concurrency: number): Promise<Way> => {
  const dataDir = join(directory, `store-${concurrency}`)
  const runtime = ManagedRuntime.make(
    Layer.provide(ground(dataDir, { concurrency }), Layer.succeed(References.MinimumLogLevel, "Warn"))
  )
  const [store, synchronous] = await runtime.runPromise(
    Effect.all([MessageStore, Effect.flatMap(SqlClient.SqlClient, (sql) => pragma(sql, "synchronous"))])
  )
  let handled: ((n: number) => void) | undefined
  let free = 0
  let unfinished = 0
  /** Appended while nobody was free: it is asked for. */
  let mayWait = false
  const signal = Latch.makeUnsafe(false)

  /** Begun with its insert where a handler is free and nothing waits before it, as the gateway does. */
  const append = Effect.fnUntraced(function*(n: number) {
    const { keys, message } = messageAt(n)
    const now = yield* Clock.currentTimeMillis
    const begins = handled !== undefined && free > 0 && !mayWait
    if (begins) free -= 1
    const appended = yield* store.append({
      message,
      keys,
      receivedAt: now,
      dueAt: now,
      ...(begins ? { claim: owner } : {})
    })
    unfinished += 1
    if (appended._tag === "Queued" && appended.claimed !== undefined) {
      yield* Effect.forkDetach(handle(appended.claimed))
      return
    }
    if (begins) free += 1
    mayWait = true
    if (handled !== undefined) yield* signal.open
  })

  const handle = Effect.fnUntraced(function*({ conversation, id, messages }: ClaimedTurn) {
    for (const message of messages) handled?.(numberIn(message))
    const now = yield* Clock.currentTimeMillis
    yield* store.complete(id, owner, withReply ? [replyTo(id, conversation)] : [], now)
    unfinished -= messages.length
    free += 1
    if (mayWait) yield* signal.open
  })

  const claim = ({ conversation }: ReadyConversation, now: number) =>
    Effect.flatMap(store.claim(conversation, owner, now), (turn) => {
      if (Option.isNone(turn)) return Effect.void
      free -= 1
      return Effect.forkDetach(handle(turn.value))
    })

  /** As `src/Conversations.ts`, without all that a gateway cares for. */
  const dispatch = Effect.gen(function*() {
    while (true) {
      yield* signal.await
      yield* signal.close
      const now = yield* Clock.currentTimeMillis
      const limit = free
      if (limit === 0) continue
      mayWait = false
      const ready = yield* store.ready(now, limit)
      if (ready.length === limit) mayWait = true
      yield* Effect.forEach(ready, (one) => claim(one, now), { concurrency: "unbounded", discard: true })
    }
  })

  return {
    durability: `synchronous=${synchronous === 2 ? "FULL" : String(synchronous)}`,
    produce: producingEffects((effect) => runtime.runPromise(effect), append),
    consume: (concurrency, each) => {
      handled = each
      free = concurrency
      mayWait = true
      signal.openUnsafe()
      const fiber = runtime.runFork(dispatch)
      return Promise.resolve(() => {
        handled = undefined
        signal.closeUnsafe()
        return Effect.runPromise(Effect.asVoid(Fiber.interrupt(fiber)))
      })
    },
    settled: () => until("every turn has ended", () => unfinished === 0),
    countCommits: countingCommits(
      join(dataDir, "slackwater.db"),
      () => new DatabaseSync(join(dataDir, "slackwater.db"))
    ),
    close: () => runtime.dispose()
  }
}

export const measure: Measure = (ask, { variant = {} }) =>
  measureWay(open(ask.directory, variant["reply"] === true), ask)
