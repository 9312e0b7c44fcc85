/**
 * Sends what was committed: in order per conversation, at Slack's pace, once.
 *
 * Owns the choice of what goes next, and the way of a row from `queued` to its end: `Access` says whether Slack takes
 * anything, `Handover` lets a reply go straight from its commit, `Delivery` makes the call, `Reconcile` looks up what may have arrived, `Waiters` tells who waits for it.
 * Guarantees, also after `kill -9`: a row found in `sending` is looked up, never blindly sent again. Slack offers no
 * idempotency key and its history lags, so absence is evidence and not proof.
 * Does not: decide what an error means (SlackApi) or order rows (OutboxStore).
 * On shutdown: goes on until nothing can be sent at once or its share of the deadline is used up; a request cut off
 * then is `unknown`.
 */
import { Clock, Context, Duration, Effect, FiberSet, Latch, Layer } from "effect"
import { makeAccess } from "./Access.ts"
import { makeDelivery } from "./Delivery.ts"
import { Dispatch, isFindable, problemOf, type SlackMessage } from "./Dispatch.ts"
import { GatewayConfig } from "./GatewayConfig.ts"
import { GatewayStatus } from "./GatewayStatus.ts"
import { makeHandover } from "./Handover.ts"
import { type FilePost, makeHostPosts, type Post } from "./HostPosts.ts"
import { HostTransaction } from "./HostTransaction.ts"
import { Instance } from "./Instance.ts"
import type { Destination, OwnerId } from "./Message.ts"
import type { Completed } from "./MessageStore.ts"
import { monotonicMillis } from "./monotonic.ts"
import { type ClaimedReply, type NewReply, OutboxStore, type StoredReply, type TurnRun } from "./OutboxStore.ts"
import { Pace } from "./Pace.ts"
import { lookingFor, methodOf } from "./rateLimits.ts"
import { makeReconcile } from "./Reconcile.ts"
import type { ReplyDoor, ReplyHandle } from "./ReplyHandle.ts"
import { hostSpot, rowsOfChange } from "./replyRows.ts"
import { Shutdown } from "./Shutdown.ts"
import { type FileContent, Spool, type SpoolError, type Staged, sweepSpool } from "./Spool.ts"
import { makeStatusCalls } from "./StatusCalls.ts"
import type { StoreError } from "./StoreError.ts"
import { Supervisor } from "./Supervisor.ts"
import { counted, repliesDiverged, sends } from "./Telemetry.ts"
import { continuing } from "./traceContext.ts"
import { ReplyFailed, TurnError } from "./TurnError.ts"
import { makeWaiters } from "./Waiters.ts"

export type { FilePost, Post } from "./HostPosts.ts"
import { spanned } from "./spanned.ts"

/** Every kind of call, each with a method and its limit. */
const kinds = Dispatch.members.map(({ fields }) => fields._tag.schema.literal)

/** Rows in hand at once: what goes out together comes back together, and is written down together. */
const workers = 32
const sweepEvery = 60_000
/** A clock that is set by less (ms) is waited for. */
const setBackBy = 500
/** What is due within this time (ms) is worth waiting for in a drain. */
const soon = 1_500

export class Outbox extends Context.Service<Outbox, {
  /**
   * Commits a message or a file of the host and wakes the sender; on disk when it returns. A post whose `key` was seen before is
   * not made again and answers the first one. `notBefore` keeps it until then; it holds nobody up. In a transaction on
   * the gateway's own connection (`database: "host"`) it goes out if, and only if, that commits; its handle is worth
   * nothing otherwise.
   */
  readonly enqueue: (
    post: Post | FilePost,
    options?: { readonly notBefore?: Date }
  ) => Effect.Effect<ReplyHandle, StoreError | TurnError>
  /** Commits replies of a running turn, fenced by its owner, and wakes the sender. Answers the rows in order. */
  readonly commit: (
    replies: ReadonlyArray<NewReply>,
    from: TurnRun
  ) => Effect.Effect<ReadonlyArray<StoredReply>, StoreError>
  /** Copies the bytes of a file, which must not be too many, and keeps them under a name before a row is committed. */
  readonly stage: (content: FileContent) => Effect.Effect<Staged, SpoolError>
  readonly keep: (staged: Staged, name: string) => Effect.Effect<void, SpoolError>
  /** This file is not needed after all. */
  readonly drop: (name: string) => Effect.Effect<void>
  /** Commits the end of a turn with its replies, which `write` does, and has them sent. */
  readonly complete: (
    replies: ReadonlyArray<NewReply>,
    write: (sender: OwnerId | undefined) => Effect.Effect<Completed, StoreError>
  ) => Effect.Effect<void, StoreError>
  /** The text that Slack shows for sure of a stream that goes on; null where nobody knows, or it is over. */
  readonly streamed: (start: number) => Effect.Effect<string | null, StoreError>
  /** Something was committed by other means. */
  readonly wake: Effect.Effect<void>
  /**
   * Says under a thread what the bot is doing; an empty text takes it away, null leaves that to the post that comes.
   * Shown or not: it waits for nothing, cannot fail and is not kept.
   */
  readonly status: (destination: Destination, text: string | null) => Effect.Effect<void>
  /** Others (a command, another process) changed rows: looks at all of them again, now and not within a minute. */
  readonly lookAround: Effect.Effect<void>
  /** Waits until Slack has all of the rows, or one has failed for good; answers the first. */
  readonly delivered: (rows: ReadonlyArray<number>) => Effect.Effect<SlackMessage, TurnError>
}>()("slackwater/Outbox") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function*() {
      const config = yield* GatewayConfig
      const { id: owner, living } = yield* Instance
      const host = yield* HostTransaction
      const shutdown = yield* Shutdown
      const status = yield* GatewayStatus
      const store = yield* OutboxStore
      const spool = yield* Spool
      const supervisor = yield* Supervisor
      const pace = new Pace(Duration.toMillis(config.paceInterval), config.paceBurst)
      const waiters = yield* makeWaiters
      const access = yield* makeAccess
      const delivery = yield* makeDelivery({ access, pace, waiters })
      const reconcile = yield* makeReconcile({ delivery, pace, waiters })
      const signal = yield* Latch.make()
      const idle = yield* Latch.make(true)
      const busy = new Set<number>()
      /** Posts to these waited for their pace at the last look; a new one does not overtake them. */
      let paced: ReadonlySet<string> = new Set()
      /** At the last look something due had to wait, or there was no worker left; or it is time to look. */
      let crowded = true
      /** Nothing may be claimed before its time, whatever is delivered meanwhile. */
      let calm = false
      let draining = false
      let lookedAround = 0
      /** The wall clock and the monotonic one, when they were looked at last. */
      let seenAt = 0
      let lastPassed = yield* monotonicMillis

      yield* Effect.addFinalizer(() =>
        shutdown.within("requeue", Effect.flatMap(Clock.currentTimeMillis, (now) => store.releaseAll(owner, now)))
      )
      const fibers = yield* FiberSet.make()
      const showStatus = yield* makeStatusCalls

      /** From its beginning to its end; then the sender looks again, unless that could show nothing new. */
      const attend = (row: ClaimedReply, effect: Effect.Effect<boolean | void>, onDefect: Effect.Effect<void>) => {
        let isThere = false
        busy.add(row.id)
        return effect.pipe(
          Effect.map((delivered) => {
            isThere = delivered === true
          }),
          Effect.catchDefect((defect) =>
            Effect.andThen(Effect.logError("handling a reply ended in a defect", defect), onDefect)
          ),
          Effect.ensuring(Effect.suspend(() => {
            busy.delete(row.id)
            return isThere && calm && !draining ? Effect.void : Effect.asVoid(signal.open)
          })),
          Effect.annotateLogs({ reply: row.id, conversation: row.lane }),
          continuing(row.trace)
        )
      }

      /** One fiber for one row. */
      const handle = (row: ClaimedReply, effect: Effect.Effect<boolean | void>, onDefect: Effect.Effect<void>) =>
        Effect.suspend(() => FiberSet.run(fibers, attend(row, effect, onDefect)))

      const runApart = yield* FiberSet.runtime(fibers)()
      const handover = yield* makeHandover({
        access,
        pace,
        fibers,
        hasRoom: (channel, places) => !draining && !crowded && busy.size + places < workers && !paced.has(channel),
        // What the caller has in its context is not the sender's.
        start: (row) => void runApart(attend(row, delivery.send(row), delivery.broke(row))),
        freed: () => void signal.openUnsafe()
      })

      /** Answers when to try again what its pace held back; null when nothing is. */
      const send = Effect.fnUntraced(function*(now: number) {
        const free = workers - busy.size - handover.places()
        if (free <= 0 || !access.isOpen(now)) return null
        const closed = kinds.filter((kind) => pace.openAt(now, methodOf[kind]) > now)
        let heldBack = Math.min(...closed.map((kind) => pace.openAt(now, methodOf[kind])))
        const { claimed, ended, expired } = yield* store.claim({
          owner,
          now,
          limit: free,
          exclude: pace.exhausted(now),
          excludeKinds: closed,
          admit: (channel, kind) => {
            const method = methodOf[kind]
            if (pace.take(channel, now, method)) return true
            heldBack = Math.min(heldBack, pace.openAt(now, method, channel))
            return false
          },
          expireBefore: config.outboxTtl === null ? 0 : now - Duration.toMillis(config.outboxTtl)
        })
        for (const id of [...expired, ...ended]) yield* delivery.settle(id)
        yield* counted(sends, "expired", expired.length)
        yield* counted(sends, "failed", ended.length)
        for (const row of claimed) yield* handle(row, delivery.send(row), delivery.broke(row))
        // Behind a row that ended another one may be due by now.
        return ended.length + expired.length > 0 || heldBack === Infinity ? null : heldBack
      })

      /** As `send`. */
      const look = Effect.fnUntraced(function*(now: number) {
        let heldBack: number | null = null
        const unknown = workers > busy.size ? yield* store.claimUnknown(now, workers) : []
        for (const row of unknown) {
          if (busy.has(row.id) || busy.size >= workers) continue
          const method = lookingFor(row.destination)
          if (!isFindable(row.dispatch._tag) || pace.take(row.destination.channel, now, method)) {
            yield* handle(row, reconcile.look(row), reconcile.broke(row, now))
          } else heldBack = Math.min(heldBack ?? Infinity, pace.openAt(now, method))
        }
        return heldBack
      })

      /** Moments of a clock that was set since come when they would have. */
      const noticeClock = Effect.fnUntraced(function*(now: number) {
        const passed = yield* monotonicMillis
        const by = seenAt + (passed - lastPassed) - now
        lastPassed = passed
        if (seenAt > 0 && Math.abs(by) > setBackBy) {
          yield* store.setBack(by, now)
          // What began behind a step ahead (a request that ended when a laptop woke up) knows the new time already.
          const isOfBefore = (moment: number) => by > 0 || moment < seenAt - by
          access.setBack(by, isOfBefore)
          pace.setBack(by, isOfBefore)
          lookedAround = 0
        }
        seenAt = now
      })

      /** What others did to the rows (an operator, another process) is seen within a minute. */
      const lookAround = Effect.fnUntraced(function*(now: number) {
        if (now < lookedAround + sweepEvery) return
        lookedAround = now
        waiters.lookAround()
        yield* access.lookAround
        yield* reconcile.lookAround
      })

      const dispatch = Effect.gen(function*() {
        yield* signal.close
        calm = false
        const now = yield* Clock.currentTimeMillis
        yield* noticeClock(now)
        const heldBack = yield* send(now)
        const lookHeldBack = yield* look(now)
        yield* lookAround(now)
        yield* status.clear("database:outbox")
        const exhausted = pace.exhausted(now)
        const next = yield* store.nextDueAt(now, exhausted, [...busy])
        paced = new Set(exhausted)
        if (next.send !== null && next.send <= now && !access.isOpen(now) && now >= access.pausedUntil()) {
          const wasOut = access.isOut()
          yield* access.probe
          const after = yield* Clock.currentTimeMillis
          if (wasOut && access.isOpen(after)) yield* reconcile.isBack(after)
          yield* signal.open
          return now
        }
        const isSendDue = next.send !== null && next.send <= now
        const isLookDue = next.look !== null && next.look <= now
        crowded = isSendDue || busy.size >= workers
        calm = !crowded && !isLookDue && !next.behind
        const sendAt = Math.min(
          next.send === null ? Infinity : Math.max(isSendDue ? heldBack ?? now : next.send, access.pausedUntil()),
          pace.nextAt(now) ?? Infinity
        )
        // A drain waits for what can be sent soon, not for an outage to end or for a reply to be found.
        yield* busy.size === 0 && (sendAt > now + soon || access.isOut()) ? idle.open : idle.close
        // With all workers busy the end of one of them wakes us.
        if (busy.size >= workers) return now + sweepEvery
        const lookAt = next.look === null ? Infinity : isLookDue ? lookHeldBack ?? now : next.look
        // Behind what is held back, other rows may come due.
        const mayBeBehind = (isSendDue && heldBack !== null) || lookHeldBack !== null ? now + 1_000 : Infinity
        return Math.min(sendAt, lookAt, mayBeBehind, now + sweepEvery)
      }).pipe(
        Effect.catch((error) =>
          status.raise("database:outbox", error.message).pipe(
            Effect.andThen(Clock.currentTimeMillis),
            Effect.map((now) => now + 1_000)
          )
        )
      )

      const wait = Effect.fnUntraced(function*(due: number) {
        const now = yield* Clock.currentTimeMillis
        yield* Effect.timeoutOption(signal.await, Math.max(1, due - now))
      })

      const wake = Effect.suspend(() => {
        waiters.releaseInterim()
        calm = false
        // Nothing that is committed now overtakes what is about to be looked for.
        crowded = true
        return Effect.andThen(idle.close, signal.open)
      })

      // Not worth a start that fails: what is left lies there until the next sweep.
      yield* sweepSpool({ atStart: (yield* living).length === 1 }).pipe(
        Effect.catch((error) => Effect.logWarning("could not clear the spool; trying again later", error))
      )
      yield* supervisor.fork("outbox", Effect.forever(Effect.flatMap(dispatch, wait)))
      yield* Effect.addFinalizer(() => {
        draining = true
        return shutdown.within("outbox", Effect.andThen(wake, idle.await))
      })

      /** All that was committed is being sent: there is nothing to look for. */
      const begunOnly = Effect.sync(waiters.releaseInterim)

      /** Something else than in an earlier run, at the same place. */
      const countDiverged = Effect.fnUntraced(function*(replies: ReadonlyArray<NewReply>) {
        for (const { key, place } of replies) {
          const before = place === undefined ? [] : yield* store.keysAt(place.beginning)
          const isMissing = before.some((other) => !other.includes("#") && place?.said.has(other) === false)
          if (isMissing && !before.includes(key)) yield* counted(repliesDiverged)
        }
      })

      const commit = Effect.fnUntraced(function*(
        replies: ReadonlyArray<NewReply>,
        from: TurnRun | null
      ) {
        if (from !== null && from.attempt > 1) yield* countDiverged(replies)
        const rows = yield* handover.commit(
          replies[0],
          (sender) => Effect.flatMap(Clock.currentTimeMillis, (now) => store.enqueue(replies, from, now, sender)),
          ([first]) => first?.begun
        )
        yield* rows.every(({ begun }) => begun !== undefined) ? begunOnly : host.afterCommit(wake)
        return rows
      }, spanned("Outbox.commit"))

      const failed = (detail: string) => new TurnError({ reason: new ReplyFailed({ detail }) })

      const door: ReplyDoor = {
        delivered: waiters.delivered,
        change: Effect.fn("Outbox.change")(function*(change, messages) {
          const problem = change._tag === "Update" ? problemOf(change.reply) : undefined
          if (problem !== undefined) return yield* failed(problem)
          const { kept, rows } = yield* rowsOfChange(
            yield* hostSpot(messages.destination, messages.lane),
            change,
            messages
          )
          const stored = yield* Effect.mapError(commit(rows, null), (error) => failed(error.message))
          const ids = stored.map(({ id }) => id)
          return { rows: ids, messages: [...kept, ...ids.filter((_, index) => rows[index]?.dispatch._tag === "Post")] }
        })
      }

      const stage = (content: FileContent) => spool.stage(content, config.maxUpload)
      const enqueue = yield* makeHostPosts({ commit, stage, door })

      return Outbox.of({
        enqueue,
        commit,
        complete: (replies, write) =>
          Effect.flatMap(
            handover.commit(replies[0], write, ({ begun }) => begun),
            ({ queued }) => queued ? wake : begunOnly
          ),
        wake: Effect.asVoid(wake),
        lookAround: Effect.suspend(() => {
          lookedAround = 0
          return Effect.asVoid(wake)
        }),
        stage,
        keep: spool.keep,
        drop: (name) => Effect.ignore(spool.remove(name)),
        streamed: store.streamed,
        delivered: waiters.delivered,
        // While nothing can be sent, nothing is said either.
        status: (destination, text) =>
          Effect.flatMap(
            Clock.currentTimeMillis,
            (now) => now < access.pausedUntil() ? Effect.void : showStatus(destination, text)
          )
      })
    })
  )
}
