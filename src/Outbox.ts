/**
 * Sends what was committed: in order per conversation, at Slack's pace, once.
 *
 * Owns the way of a row from `queued` to its end. "Not sent" is tried again for as long as the row is worth it; "may
 * have arrived" is looked up in Slack before anything else happens to it and is sent again only after several looks
 * over the reconcile window found nothing.
 * Guarantees, also after `kill -9`: a row found in `sending` is looked up, never blindly sent again. Slack offers no
 * idempotency key and its history lags, so absence is evidence and not proof.
 * Does not: decide what an error means (SlackApi) or order rows (OutboxStore).
 * On shutdown: goes on until nothing can be sent at once or its share of the deadline is used up; a request cut off
 * then is `unknown`.
 */
import { Clock, Context, Deferred, Duration, Effect, FiberSet, Latch, Layer, Random, Schedule } from "effect"
import { fingerprint } from "./fingerprint.ts"
import { GatewayConfig } from "./GatewayConfig.ts"
import { GatewayStatus } from "./GatewayStatus.ts"
import { ReplyFailed, ReplyHandle, TurnError } from "./Handler.ts"
import { HostTransaction } from "./HostTransaction.ts"
import { Instance } from "./Instance.ts"
import { ConversationKey, type Destination, postOf, type Reply } from "./Message.ts"
import {
  type ClaimedReply,
  type NewReply,
  OutboxStore,
  type StoredReply,
  type TurnRun,
  type UnknownReply
} from "./OutboxStore.ts"
import { Pace } from "./Pace.ts"
import { Shutdown } from "./Shutdown.ts"
import { describe, SlackApi, type SlackApiError } from "./SlackApi.ts"
import { makeStatusCalls } from "./StatusCalls.ts"
import type { StoreError } from "./StoreError.ts"
import { Supervisor } from "./Supervisor.ts"
import { counted, looks, sends } from "./Telemetry.ts"

const workers = 8
const sweepEvery = 60_000
/** What is due within this time (ms) is worth waiting for in a drain. */
const soon = 1_500
/** Looks that must have worked and found nothing before a row counts as absent. */
const looksBeforeAbsent = 3
/** A reply whose fate is open for longer than this (ms) is worth an alarm. */
const settleWithin = 120_000
/** Where looking does not work, it is tried again this often. */
const blindLookEvery = 60_000
const firstRetry = 250
const maxRetry = 30_000
/** After a refused token, one row is tried this often. */
const credentialsPause = 30_000

const noRow = Effect.die(new Error("the outbox store answered no row"))

/** A message that the host sends on its own, outside of any turn. */
export interface Post extends Reply {
  readonly channel: string
  readonly threadTs?: string
}

export class Outbox extends Context.Service<Outbox, {
  /**
   * Commits a post of the host and wakes the sender; on disk when it returns. A post whose `key` was seen before is
   * not made again and answers the first one. In a transaction on the gateway's own connection (`database: "host"`) it
   * goes out if, and only if, that commits; its handle is worth nothing otherwise.
   */
  readonly enqueue: (post: Post) => Effect.Effect<ReplyHandle, StoreError>
  /** Commits replies of a running turn, fenced by its owner, and wakes the sender. Answers the rows in order. */
  readonly commit: (
    replies: ReadonlyArray<NewReply>,
    from: TurnRun
  ) => Effect.Effect<ReadonlyArray<StoredReply>, StoreError>
  /** Something was committed by other means. */
  readonly wake: Effect.Effect<void>
  /**
   * Says under a thread what the bot is doing; an empty text takes it away, null leaves that to the post that comes.
   * Shown or not: it waits for nothing, cannot fail and is not kept.
   */
  readonly status: (destination: Destination, text: string | null) => Effect.Effect<void>
  /** Waits until Slack has the row, or it has failed for good. */
  readonly delivered: (id: number) => Effect.Effect<{ readonly channel: string; readonly ts: string }, TurnError>
}>()("slackwater/Outbox") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function*() {
      const config = yield* GatewayConfig
      const { id: owner } = yield* Instance
      const api = yield* SlackApi
      const host = yield* HostTransaction
      const shutdown = yield* Shutdown
      const status = yield* GatewayStatus
      const store = yield* OutboxStore
      const supervisor = yield* Supervisor
      const pace = new Pace(Duration.toMillis(config.paceInterval), config.paceBurst)
      const window = Duration.toMillis(config.reconcileWindow)
      const waiting = new Map<number, Deferred.Deferred<void>>()
      const signal = yield* Latch.make()
      const idle = yield* Latch.make(true)
      const busy = new Set<number>()
      /** Rows Slack would not take from us, and rows whose fate could not be found out; they keep their alarms up. */
      const refused = new Set<number>()
      const unsettled = new Set<number>()
      let outages = 0
      let pausedUntil = 0

      yield* Effect.addFinalizer(() =>
        shutdown.within("requeue", Effect.flatMap(Clock.currentTimeMillis, (now) => store.releaseAll(owner, now)))
      )
      const fibers = yield* FiberSet.make()
      const showStatus = yield* makeStatusCalls

      /** What became of a request must be written down, however long the database is away. */
      const record = (effect: Effect.Effect<void, StoreError>) =>
        Effect.retry(Effect.tapError(effect, (error) => status.raise("database:sends", error.message)), {
          schedule: Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("5 seconds")]).pipe(
            Schedule.jittered
          )
        }).pipe(Effect.ensuring(status.clear("database:sends")), Effect.orDie)

      /** A row that keeps an alarm up no longer does; with the last one the alarm is over. */
      const appease = (rows: Set<number>, id: number, alarm: string) =>
        Effect.suspend(() => rows.delete(id) && rows.size === 0 ? status.clear(alarm) : Effect.void)

      const release = (id: number) => {
        const waiter = waiting.get(id)
        waiting.delete(id)
        if (waiter !== undefined) Deferred.doneUnsafe(waiter, Effect.void)
      }

      /** The row has come to its end: whoever waits for it looks. */
      const settle = (id: number) =>
        Effect.gen(function*() {
          yield* appease(refused, id, "slack-access")
          yield* appease(unsettled, id, "reply-unknown")
          release(id)
        })

      /** Full jitter, in ms: the first wait is up to 250 ms. */
      const backoff = (failures: number) =>
        Random.nextBetween(0, Math.min(maxRetry, firstRetry * 2 ** Math.min(failures, 16)))

      const fail = (row: ClaimedReply, reason: string, now: number) =>
        record(store.failed(row.id, owner, reason, now)).pipe(
          Effect.andThen(settle(row.id)),
          Effect.andThen(counted(sends, "failed")),
          Effect.andThen(Effect.logError("a reply will not be sent").pipe(Effect.annotateLogs({ reason })))
        )

      const notSent = Effect.fnUntraced(function*(row: ClaimedReply, { method, reason }: SlackApiError) {
        const now = yield* Clock.currentTimeMillis
        const text = describe(reason)
        const again = (dueAt: number) => record(store.notSent(row.id, owner, text, { dueAt, countAttempt: false }))
        switch (reason._tag) {
          case "RateLimited":
            pace.pause(row.destination.channel, now, now + reason.retryAfterMs, method, reason.workspace)
            return yield* again(now + reason.retryAfterMs)
          case "NotSent": {
            // Requests that were refused together are one outage, not as many as there were requests.
            if (now >= pausedUntil) pausedUntil = now + (yield* backoff(outages++))
            return yield* again(pausedUntil)
          }
          case "Credentials":
          case "Configuration": {
            // The row waits for a person. A refused token stops everything, a missing scope only this row's lane.
            const dueAt = now + credentialsPause
            if (reason._tag === "Credentials") {
              pausedUntil = dueAt
              yield* status.setPaused(true)
            }
            refused.add(row.id)
            yield* status.raise("slack-access", `Slack does not let us post (${text}); replies wait`)
            return yield* again(dueAt)
          }
          case "Ambiguous":
            yield* Effect.logWarning("a reply may have arrived; looking for it").pipe(
              Effect.annotateLogs({ reason: text })
            )
            return yield* record(store.unknown(row.id, owner, text, now, now))
          case "AlreadyDone":
            // Slack names no message then; what was to be done is.
            return yield* arrived(row, "")
          case "Permanent":
            return yield* fail(row, text, now)
        }
      })

      const arrived = (row: ClaimedReply, ts: string) =>
        Effect.gen(function*() {
          yield* record(store.delivered(row.id, owner, ts, yield* Clock.currentTimeMillis))
          yield* settle(row.id)
          yield* shutdown.count("sent", 1)
          yield* counted(sends, "delivered")
        })

      const send = Effect.fn("Outbox.send")(function*(row: ClaimedReply) {
        // Members can read metadata, so the key that travels says nothing.
        yield* api.send(row.destination, row.dispatch, yield* fingerprint(row.key)).pipe(
          Effect.matchEffect({
            onFailure: (error) =>
              Effect.andThen(
                error.reason._tag === "AlreadyDone"
                  ? Effect.void
                  : counted(sends, error.reason._tag === "Ambiguous" ? "unknown" : "not_sent"),
                notSent(row, error)
              ),
            onSuccess: ({ ts }) =>
              Effect.gen(function*() {
                outages = 0
                yield* status.setPaused(false)
                yield* arrived(row, ts)
              })
          })
        )
      })

      const look = Effect.fn("Outbox.look")(function*(row: UnknownReply) {
        const found = yield* Effect.result(api.find(row.destination, yield* fingerprint(row.key), row.sentAt))
        const now = yield* Clock.currentTimeMillis
        if (found._tag === "Success" && found.success !== null) {
          yield* counted(looks, "found")
          return yield* arrived(row, found.success.ts)
        }
        if (found._tag === "Failure") {
          const reason = found.failure.reason
          yield* counted(looks, "failed")
          if (reason._tag === "Configuration" || reason._tag === "Permanent") {
            unsettled.add(row.id)
            yield* status.raise(
              "reply-unknown",
              `cannot look for a reply that may have arrived (${describe(reason)}): it is held; grant history scopes`
            )
            return yield* record(store.looked(row.id, now + blindLookEvery, false))
          }
          if (now - row.unknownSince > settleWithin) {
            unsettled.add(row.id)
            yield* status.raise(
              "reply-unknown",
              `a reply that may have arrived cannot be found out (${describe(reason)})`
            )
          }
          const again = reason._tag === "RateLimited"
            ? reason.retryAfterMs
            : Math.min(blindLookEvery, Math.max(window / looksBeforeAbsent, (now - row.unknownSince) / 2))
          return yield* record(store.looked(row.id, now + again, false))
        }
        yield* counted(looks, "absent")
        if (row.looks + 1 < looksBeforeAbsent || now - row.unknownSince < window) {
          return yield* record(store.looked(row.id, now + window / looksBeforeAbsent, true))
        }
        if (row.attempts + 1 >= config.outboxMaxAttempts) {
          return yield* fail(row, `gave up after ${row.attempts + 1} sends that may have arrived and did not`, now)
        }
        yield* Effect.logWarning("a reply that may have arrived is nowhere; sending it again")
        yield* record(store.absent(row.id, now))
        yield* appease(unsettled, row.id, "reply-unknown")
      })

      /** One fiber for one row; the sender looks again when it ends. */
      const handle = (row: ClaimedReply, effect: Effect.Effect<void>, onDefect: Effect.Effect<void>) =>
        Effect.suspend(() => {
          busy.add(row.id)
          return FiberSet.run(
            fibers,
            effect.pipe(
              Effect.catchDefect((defect) =>
                Effect.andThen(Effect.logError("handling a reply ended in a defect", defect), onDefect)
              ),
              Effect.ensuring(Effect.suspend(() => {
                busy.delete(row.id)
                return signal.open
              })),
              Effect.annotateLogs({ reply: row.id, conversation: row.lane })
            )
          )
        })

      const dispatch = Effect.gen(function*() {
        yield* signal.close
        const now = yield* Clock.currentTimeMillis
        const expireBefore = config.outboxTtl === null ? 0 : now - Duration.toMillis(config.outboxTtl)
        const free = workers - busy.size
        if (free > 0 && now >= pausedUntil) {
          const { claimed, expired } = yield* store.claim({
            owner,
            now,
            limit: free,
            exclude: pace.exhausted(now),
            admit: (channel) => pace.take(channel, now),
            expireBefore
          })
          yield* Effect.forEach(expired, (id) => Effect.andThen(settle(id), counted(sends, "expired")), {
            discard: true
          })
          for (const row of claimed) {
            yield* handle(row, send(row), record(store.unknown(row.id, owner, "a defect while it was sent", now, now)))
          }
        }
        const unknown = workers > busy.size ? yield* store.claimUnknown(now, workers) : []
        for (const row of unknown) {
          if (busy.has(row.id) || busy.size >= workers) continue
          yield* handle(row, look(row), record(store.looked(row.id, now + blindLookEvery, false)))
        }
        yield* status.clear("database:outbox")
        const next = yield* store.nextDueAt(now, pace.exhausted(now), [...busy])
        const sendAt = Math.min(
          next.send === null ? Infinity : Math.max(next.send, pausedUntil, pace.openAt(now)),
          pace.nextAt(now) ?? Infinity
        )
        // A drain waits for what can be sent soon, not for an outage to end or for a reply to be found.
        yield* busy.size === 0 && (sendAt > now + soon || outages > 0) ? idle.open : idle.close
        // With all workers busy the end of one of them wakes us.
        return busy.size >= workers ? now + sweepEvery : Math.min(sendAt, next.look ?? Infinity, now + sweepEvery)
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

      const wake = Effect.andThen(idle.close, signal.open)

      const delivered = Effect.fn("Outbox.delivered")(function*(id: number) {
        if (yield* host.isOpen) {
          const detail = "it cannot be sent before the transaction around this call commits; wait for it outside"
          return yield* new TurnError({ reason: new ReplyFailed({ detail }) })
        }
        while (true) {
          // Registered first and read after, so that an end between the two is not missed.
          const waiter = waiting.get(id) ?? (yield* Deferred.make<void>())
          waiting.set(id, waiter)
          const row = yield* store.find(id).pipe(
            Effect.mapError((error) => new TurnError({ reason: new ReplyFailed({ detail: error.message }) }))
          )
          if (row?.state === "delivered" && row.ts !== null) {
            release(id)
            return { channel: row.channel, ts: row.ts }
          }
          if (row === null || row.state === "failed_terminal" || row.state === "expired") {
            release(id)
            return yield* new TurnError({
              reason: new ReplyFailed({ detail: `not delivered: ${row?.reason ?? row?.state ?? "no such reply"}` })
            })
          }
          yield* Deferred.await(waiter)
        }
      })

      yield* supervisor.fork("outbox", Effect.forever(Effect.flatMap(dispatch, wait)))
      yield* Effect.addFinalizer(() => shutdown.within("outbox", Effect.andThen(wake, idle.await)))

      const commit = Effect.fn("Outbox.commit")(function*(
        replies: ReadonlyArray<NewReply>,
        from: TurnRun | null
      ) {
        const rows = yield* store.enqueue(replies, from, yield* Clock.currentTimeMillis)
        yield* host.afterCommit(wake)
        return rows
      })

      const enqueue = Effect.fn("Outbox.enqueue")(function*(post: Post) {
        const lane = post.threadTs === undefined ? post.channel : `${post.channel}/${post.threadTs}`
        const nonce = yield* Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER)
        const [row] = yield* commit([{
          key: post.key === undefined ? `host:${yield* Clock.currentTimeMillis}:${nonce}` : `host:key:${post.key}`,
          lane: ConversationKey.make(lane),
          destination: post.threadTs === undefined
            ? { channel: post.channel }
            : { channel: post.channel, threadTs: post.threadTs },
          dispatch: postOf(post)
        }], null)
        return row === undefined ? yield* noRow : new ReplyHandle(row.id, delivered(row.id))
      })

      return Outbox.of({
        enqueue,
        commit,
        wake: Effect.asVoid(wake),
        delivered,
        // While nothing can be sent, nothing is said either.
        status: (destination, text) =>
          Effect.flatMap(
            Clock.currentTimeMillis,
            (now) => now < pausedUntil ? Effect.void : showStatus(destination, text)
          )
      })
    })
  )
}
