/**
 * The way of one claimed row: the call, and what is written down about its end.
 *
 * Guarantees: what became of a request is recorded, however long the database is away; "may have arrived" is never sent
 * again from here, unless doing it twice is as good as once; an interim row is done after one try, whatever its end.
 * Does not: choose rows (Outbox), or look them up (Reconcile).
 */
import { Clock, Effect, Schedule } from "effect"
import { type Access, backoff } from "./Access.ts"
import { Activity } from "./Activity.ts"
import { canDegrade, isRepeatable, type SlackMessage } from "./Dispatch.ts"
import { fingerprint } from "./fingerprint.ts"
import { GatewayConfig } from "./GatewayConfig.ts"
import { GatewayStatus } from "./GatewayStatus.ts"
import { Instance } from "./Instance.ts"
import { type ClaimedReply, type Failure, interimReason, OutboxStore, unavailable } from "./OutboxStore.ts"
import type { Pace } from "./Pace.ts"
import { Shutdown } from "./Shutdown.ts"
import { Ambiguous, describe, SlackApi, SlackApiError, type SlackApiReason } from "./SlackApi.ts"
import { spanned } from "./spanned.ts"
import { Spool } from "./Spool.ts"
import type { StoreError } from "./StoreError.ts"
import { counted, deliveryTime, observed, sends } from "./Telemetry.ts"
import type { Waiters } from "./Waiters.ts"

/** When what Slack would not do for this one channel or message only is tried again (ms). */
const retryHere = 10_000

const failureOf = (reason: SlackApiReason): Failure => ({ error: reason._tag, reason: describe(reason) })

/** What is changed already is where it was to be changed; Slack names no message then. */
const targetOf = ({ destination, dispatch }: ClaimedReply): SlackMessage =>
  ("target" in dispatch ? dispatch.target : undefined) ?? { channel: destination.channel, ts: "" }

export const makeDelivery = Effect.fnUntraced(function*(rooms: {
  readonly access: Access
  readonly pace: Pace
  readonly waiters: Waiters
}) {
  const { access, pace, waiters } = rooms
  const { outboxMaxAttempts } = yield* GatewayConfig
  const activity = yield* Activity
  const { id: owner } = yield* Instance
  const api = yield* SlackApi
  const shutdown = yield* Shutdown
  const spool = yield* Spool
  const status = yield* GatewayStatus
  const store = yield* OutboxStore

  /** What became of a request must be written down, however long the database is away. */
  const record = <A>(effect: Effect.Effect<A, StoreError>) =>
    Effect.retry(Effect.tapError(effect, (error) => status.raise("database:sends", error.message)), {
      schedule: Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("5 seconds")]).pipe(
        Schedule.jittered
      )
    }).pipe(Effect.ensuring(status.clear("database:sends")), Effect.orDie)

  /** The row has come to its end: whoever waits for it looks. */
  const settle = (id: number) =>
    Effect.andThen(
      record(access.settled(id)),
      Effect.sync(() => waiters.release(id))
    )

  const fail = Effect.fnUntraced(function*(row: ClaimedReply, failure: Failure, now: number) {
    yield* record(store.failed(row.id, owner, failure, now))
    yield* settle(row.id)
    const isFallback = row.dispatch._tag === "StreamStart"
    yield* counted(sends, row.interim || isFallback ? "interim" : "failed")
    if (isFallback) {
      yield* Effect.logInfo("no stream here; its text goes as one message when it is whole").pipe(
        Effect.annotateLogs({ reason: failure.reason })
      )
    } else if (!row.interim) {
      yield* Effect.logError("a reply will not be sent").pipe(Effect.annotateLogs({ reason: failure.reason }))
    }
  })

  const arrived = Effect.fnUntraced(function*(row: ClaimedReply, at: SlackMessage) {
    const now = yield* Clock.currentTimeMillis
    yield* record(store.delivered(row.id, owner, at, now))
    // What cannot be removed now is swept later.
    if (row.dispatch._tag === "Upload") yield* Effect.ignore(spool.remove(row.dispatch.spool))
    yield* settle(row.id)
    yield* shutdown.count("sent", 1)
    yield* counted(sends, "delivered")
    const took = now - row.livesFrom
    yield* observed(deliveryTime, took)
    yield* activity.count("delivered")
    yield* activity.took("delivery", took)
  })

  const gaveUp = (sent: number): Failure => ({
    error: "Ambiguous",
    reason: `gave up after ${sent} sends that may have arrived and did not`
  })

  /** The moment for the next try where there is one: everything waits, or its channel, or only this row. */
  const pauseFor = Effect.fnUntraced(function*(row: ClaimedReply, { method, reason }: SlackApiError, now: number) {
    switch (reason._tag) {
      case "RateLimited":
        pace.pause(row.destination.channel, now, now + reason.retryAfterMs, method, reason.workspace)
        return now + reason.retryAfterMs
      case "NotSent":
        return reason.onlyThis === true ? now + retryHere : yield* access.outage(now)
      case "Credentials":
        return yield* access.refuseToken(row.id, reason, now)
      case "Configuration":
        return yield* access.refuseRow(row.id, reason, now)
      default:
        return undefined
    }
  })

  const doubtful = Effect.fnUntraced(function*(row: ClaimedReply, reason: Ambiguous, now: number) {
    access.doubt()
    const isItsOwn = reason.unavailable !== true || (yield* access.unavailable(row.id, now))
    const failure = { ...failureOf(reason), ...(isItsOwn ? {} : { error: unavailable }) }
    if (isRepeatable(row.dispatch._tag) || (row.dispatch._tag === "Upload" && row.remote === null)) {
      if (isItsOwn && row.attempts + 1 >= outboxMaxAttempts) return yield* fail(row, gaveUp(row.attempts + 1), now)
      const dueAt = isItsOwn ? now + (yield* backoff(row.attempts)) : access.pausedUntil()
      return yield* record(store.notSent(row.id, owner, failure, { now, dueAt, countAttempt: isItsOwn }))
    }
    yield* Effect.logWarning("a reply may have arrived; looking for it").pipe(
      Effect.annotateLogs({ reason: failure.reason })
    )
    yield* record(store.unknown(row.id, owner, failure, { now, lookAt: now, late: reason.late }))
  })

  const failed = Effect.fnUntraced(function*(row: ClaimedReply, error: SlackApiError) {
    const { reason } = error
    const now = yield* Clock.currentTimeMillis
    const failure = failureOf(reason)
    const dueAt = yield* record(pauseFor(row, error, now))
    if (row.interim) return yield* fail(row, { ...failure, reason: interimReason }, now)
    if (dueAt !== undefined) {
      return yield* record(store.notSent(row.id, owner, failure, { now, dueAt, countAttempt: false }))
    }
    if (reason._tag === "Ambiguous") return yield* doubtful(row, reason, now)
    if (reason._tag === "Permanent" && canDegrade(row.dispatch, reason.code)) {
      yield* Effect.logWarning("Slack does not take it like this; the text goes alone").pipe(
        Effect.annotateLogs({ reason: failure.reason })
      )
      return yield* record(
        store.notSent(row.id, owner, failure, { now, dueAt: now, countAttempt: false, degrade: true })
      )
    }
    yield* fail(row, failure, now)
  })

  const worked = (row: ClaimedReply, at: SlackMessage) =>
    Effect.suspend(() => {
      access.worked()
      return Effect.as(arrived(row, at), true)
    })

  /** Answers whether Slack has it now. */
  const send = Effect.fnUntraced(function*(row: ClaimedReply) {
    yield* Effect.annotateCurrentSpan({ reply: row.id, conversation: row.lane, kind: row.dispatch._tag })
    if (row.attempts >= outboxMaxAttempts) {
      yield* fail(row, gaveUp(row.attempts), yield* Clock.currentTimeMillis)
      return false
    }
    const { dispatch } = row
    let { remote } = row
    const file = dispatch._tag !== "Upload" ? undefined : {
      content: spool.read(dispatch.spool),
      id: remote,
      remember: (id: string) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => record(store.remember(row.id, owner, id, now))).pipe(
          Effect.tap(() =>
            Effect.sync(() => {
              remote = id
            })
          )
        )
    }
    // Members can read metadata, so the key that travels says nothing.
    return yield* api.send(row.destination, dispatch, yield* fingerprint(row.key), file).pipe(
      Effect.matchEffect({
        onFailure: (error) =>
          error.reason._tag === "AlreadyDone"
            ? worked(row, targetOf(row))
            : Effect.andThen(
              counted(sends, error.reason._tag === "Ambiguous" ? "unknown" : "not_sent"),
              Effect.as(failed({ ...row, remote }, error), false)
            ),
        onSuccess: (at) => worked(row, at)
      })
    )
  }, spanned("Outbox.send"))

  return {
    send,
    /** Something of ours broke while it was sent: nobody knows how far it came. */
    broke: (row: ClaimedReply) =>
      Effect.suspend(() =>
        failed(
          row,
          new SlackApiError({ method: "", reason: new Ambiguous({ detail: "a defect while it was sent" }) })
        )
      ),
    arrived,
    fail,
    gaveUp,
    settle,
    record
  }
})

export type Delivery = Effect.Success<ReturnType<typeof makeDelivery>>
