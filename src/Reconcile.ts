/**
 * What may have arrived is looked for in Slack, before anything else happens to it.
 *
 * Found: delivered. Absent is believed after three looks that worked and found nothing, spread over the reconcile
 * window since the row became unknown; a message that appeared after the first look shows that the history has come
 * further than the request, and shortens that. After a timeout the request may still take effect: looks within one more
 * request timeout may find it and prove nothing, and nothing is shortened. A look that failed is no look.
 * Where nobody can look (no scope, no such kind of message, no look worked within the window) the policy says: `hold`
 * leaves the row to a person and goes on looking, less and less often; `resend` takes it for absent. The time in which
 * Slack did not answer is no part of the window: that begins anew when Slack is back, and with it the hold of the lane.
 */
import { Clock, Duration, Effect } from "effect"
import type { Delivery } from "./Delivery.ts"
import { isFindable } from "./Dispatch.ts"
import { fingerprint } from "./fingerprint.ts"
import { GatewayConfig } from "./GatewayConfig.ts"
import { GatewayStatus } from "./GatewayStatus.ts"
import { OutboxStore, type UnknownReply } from "./OutboxStore.ts"
import type { Pace } from "./Pace.ts"
import { describe, type Found, SlackApi, type SlackApiError } from "./SlackApi.ts"
import { counted, looks } from "./Telemetry.ts"
import type { Waiters } from "./Waiters.ts"

/** Looks that must have worked and found nothing before a row counts as absent. */
const looksBeforeAbsent = 3
/** Where looking does not work, it is tried again after this time (ms), and then less and less often. */
const blindLookEvery = 60_000
const blindLookAtLeast = 3_600_000
/** The next look once the history is known to have come further than the request. */
const soon = 1_000

export const makeReconcile = Effect.fnUntraced(function*(rooms: {
  readonly delivery: Delivery
  readonly pace: Pace
  readonly waiters: Waiters
}) {
  const { delivery, pace, waiters } = rooms
  const { outboxMaxAttempts, reconcileWindow, requestTimeout, unknownPolicy } = yield* GatewayConfig
  const api = yield* SlackApi
  const status = yield* GatewayStatus
  const store = yield* OutboxStore
  const window = Duration.toMillis(reconcileWindow)
  const timeout = Duration.toMillis(requestTimeout)
  const { record } = delivery
  /** Rows that were not looked for because Slack did not answer. */
  const unanswered = new Set<number>()
  let alarmed = true

  const refresh = Effect.gen(function*() {
    const held = yield* store.held
    alarmed = held > 0
    yield* alarmed
      ? status.raise(
        "reply-unknown",
        `${held} replies may have arrived and nobody can find out (slackwater outbox list --state unknown): look in Slack, then \
slackwater outbox discard <id>, or outbox retry <id> to send it again. Looking needs a history scope and membership of the \
channel`
      )
      : status.clear("reply-unknown")
  })

  const absent = Effect.fnUntraced(function*(row: UnknownReply, now: number, free = row.isFree) {
    if (!free && row.attempts + 1 >= outboxMaxAttempts) {
      return yield* delivery.fail(row, delivery.gaveUp(row.attempts + 1), now)
    }
    yield* Effect.logWarning("a reply that may have arrived is nowhere; sending it again")
    yield* record(store.absent(row.id, now, { free, sentAt: row.sentAt }))
  })

  /** Nobody can look, at least for now. */
  const blind = Effect.fnUntraced(function*(row: UnknownReply, now: number, why: string, atMost = blindLookAtLeast) {
    // Nothing is lost with a stream that may not be there: its text goes as one message.
    if (row.dispatch._tag === "StreamStart") {
      return yield* delivery.fail(row, { error: "Ambiguous", reason: `nobody can look for it: ${why}` }, now)
    }
    // Each of these may double it, so that they are counted whatever the reason.
    if (unknownPolicy === "resend") return yield* absent(row, now, false)
    const again = Math.min(atMost, Math.max(blindLookEvery, (now - row.unknownSince) / 4))
    yield* record(store.looked(row.id, { lookAt: now + again, counts: false, newest: null, held: true }))
    if (row.held) return
    yield* Effect.logError("a reply may have arrived, and nobody can find out").pipe(Effect.annotateLogs({ why }))
    waiters.release(row.id)
  })

  const lookFailed = Effect.fnUntraced(function*(row: UnknownReply, error: SlackApiError, now: number) {
    const { method, reason } = error
    const open = now - row.unknownSince
    if (reason._tag === "Configuration" || reason._tag === "Permanent") return yield* blind(row, now, describe(reason))
    if (reason._tag !== "RateLimited") unanswered.add(row.id)
    if (row.looks === 0 && open >= window + (row.late ? timeout : 0)) {
      return yield* blind(row, now, describe(reason), blindLookEvery)
    }
    if (reason._tag === "RateLimited") {
      pace.pause(row.destination.channel, now, now + reason.retryAfterMs, method, reason.workspace)
    }
    const again = reason._tag === "RateLimited"
      ? reason.retryAfterMs
      : Math.min(blindLookEvery, Math.max(window / looksBeforeAbsent, open / 2))
    yield* record(store.looked(row.id, { lookAt: now + again, counts: false, newest: null, held: row.held }))
  })

  const notThere = Effect.fnUntraced(function*(row: UnknownReply, { newest }: Found, now: number) {
    const open = now - row.unknownSince
    const counts = !row.late || open >= timeout
    const hasMoved = !row.late && row.newest !== null && newest !== null && Number(newest) > Number(row.newest)
    const seen = row.looks + (counts ? 1 : 0)
    if (seen >= looksBeforeAbsent && (open >= window || hasMoved)) return yield* absent(row, now)
    const lookAt = now + Math.min(hasMoved ? soon : Infinity, window / looksBeforeAbsent)
    // The newest of the first look that worked, and "nothing" is an answer too.
    const since = row.unknownSince
    yield* record(store.looked(row.id, { lookAt, counts, newest: newest ?? "0", held: false, since }))
  })

  const look = Effect.fn("Outbox.look")(function*(row: UnknownReply) {
    yield* Effect.annotateCurrentSpan({ reply: row.id, conversation: row.lane, kind: row.dispatch._tag })
    // A file without an id was never shared.
    if (row.dispatch._tag === "Upload" && row.remote === null) {
      return yield* absent(row, yield* Clock.currentTimeMillis)
    }
    if (!isFindable(row.dispatch._tag)) {
      const now = yield* Clock.currentTimeMillis
      return yield* blind(row, now, `nobody can look for a message of kind ${row.dispatch._tag}`)
    }
    const key = yield* fingerprint(row.key)
    const found = yield* Effect.result(
      api.find(row.destination, key, row.sentAt, { kind: row.dispatch._tag, remote: row.remote })
    )
    const now = yield* Clock.currentTimeMillis
    if (found._tag === "Failure") {
      yield* counted(looks, "failed")
      return yield* lookFailed(row, found.failure, now)
    }
    const { channel, ts } = found.success
    yield* counted(looks, ts === null ? "absent" : "found")
    const isBack = unanswered.delete(row.id)
    if (ts === null) yield* notThere(isBack ? { ...row, unknownSince: now } : row, found.success, now)
    else yield* delivery.arrived(row, { channel, ts })
  })

  return {
    /** Slack answers again: what could not be looked for is, before what stands behind it goes out. */
    isBack: Effect.fnUntraced(function*(now: number) {
      for (const id of unanswered) {
        yield* record(store.looked(id, { lookAt: now, counts: false, newest: null, held: false, since: now }))
      }
      unanswered.clear()
    }),
    look: (row: UnknownReply) =>
      Effect.andThen(
        look(row),
        Effect.suspend(() => alarmed || unknownPolicy === "hold" ? record(refresh) : Effect.void)
      ),
    broke: (row: UnknownReply, now: number) =>
      record(store.looked(row.id, { lookAt: now + blindLookEvery, counts: false, newest: null, held: row.held })),
    /** Looks again at what others may have changed: what a command took over may be held from the beginning. */
    lookAround: refresh
  }
})
