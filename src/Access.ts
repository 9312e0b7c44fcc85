/**
 * Whether Slack takes our posts at present, and the alarm when it does not.
 *
 * Owns the pauses of the whole outbox: at the start, after an outage and after a refused token nothing is sent until
 * one call that changes nothing (`auth.test`) was answered. Waiting costs no row an attempt.
 * Also after a restart: a token that was refused before is remembered by the rows that it kept waiting. What grew too old
 * meanwhile expires as such, and the alarm counts it until somebody sends it again or discards it.
 */
import { Clock, Duration, Effect, Random } from "effect"
import { GatewayConfig } from "./GatewayConfig.ts"
import { GatewayStatus } from "./GatewayStatus.ts"
import { OutboxStore } from "./OutboxStore.ts"
import { describe, SlackApi, type SlackApiReason } from "./SlackApi.ts"

const firstRetry = 250
const maxRetry = 30_000
/** After a refusal by the token or its scopes, this long (ms) passes before the next try. */
const refusalPause = 30_000
/** More are counted as that many. */
const countedAtMost = 1_000

/** Full jitter, in ms: the first wait is up to 250 ms. */
export const backoff = (failures: number): Effect.Effect<number> =>
  Random.nextBetween(0, Math.min(maxRetry, firstRetry * 2 ** Math.min(failures, 16)))

export const makeAccess = Effect.gen(function*() {
  const api = yield* SlackApi
  const config = yield* GatewayConfig
  const status = yield* GatewayStatus
  const store = yield* OutboxStore
  /** Rows that wait for a person to change something; they keep the alarm up. */
  const refused = new Set<number>()
  let answers = false
  let outages = 0
  let pausedUntil = 0
  let tokenRefused =
    (yield* store.list({ states: ["failed_retryable"], error: "Credentials" }, { limit: 1 })).length > 0
  let problem = "before the last restart"
  let alarmed = true

  const refresh = Effect.gen(function*() {
    const expired = (yield* store.list({ states: ["expired"], error: "Credentials" }, { limit: countedAtMost })).length
    const texts = [
      ...(tokenRefused || refused.size > 0 ? [`Slack does not let us post (${problem}); replies wait`] : []),
      ...(expired > 0
        ? [
          `${
            expired === countedAtMost ? "more than " : ""
          }${expired} replies grew too old while the token was refused; \
retry those in state expired, or discard them`
        ]
        : [])
    ]
    alarmed = texts.length > 0
    yield* alarmed ? status.raise("slack-access", texts.join("; ")) : status.clear("slack-access")
  })

  /** What the refused token has kept waiting for too long. */
  const expire = Effect.fnUntraced(function*(now: number) {
    if (config.outboxTtl === null) return
    const failure = { error: "Credentials", reason: "grew too old while the token was refused" }
    yield* store.expire(now - Duration.toMillis(config.outboxTtl), failure, now)
  })

  const refuseToken = Effect.fnUntraced(function*(said: string, now: number) {
    answers = false
    tokenRefused = true
    problem = said
    pausedUntil = now + refusalPause
    yield* status.setPaused(true)
    yield* expire(now)
    yield* refresh
  })

  const outage = Effect.fnUntraced(function*(now: number) {
    answers = false
    // Requests that were refused together are one outage, not as many as there were requests.
    if (now >= pausedUntil) pausedUntil = now + (yield* backoff(outages++))
    return pausedUntil
  })

  const accept = Effect.fnUntraced(function*(now: number) {
    answers = true
    if (!tokenRefused) return
    tokenRefused = false
    yield* status.setPaused(false)
    yield* expire(now)
    yield* refresh
  })

  /** Asks Slack, unless it is known to answer. */
  const probe = Effect.gen(function*() {
    const asked = yield* Effect.result(api.identity)
    const now = yield* Clock.currentTimeMillis
    if (asked._tag === "Success") return yield* accept(now)
    const { reason } = asked.failure
    switch (reason._tag) {
      case "Credentials":
        return yield* refuseToken(describe(reason), now)
      case "RateLimited":
        pausedUntil = now + reason.retryAfterMs
        return
      case "NotSent":
      case "Ambiguous":
        yield* outage(now)
        return
      default:
        // It does answer; what it thinks of a post, a post will tell.
        return yield* accept(now)
    }
  })

  yield* refresh

  return {
    /** Whether rows may be sent now. */
    isOpen: (now: number) => answers && now >= pausedUntil,
    /** Epoch ms before which there is no point in asking. */
    pausedUntil: () => pausedUntil,
    /** A drain does not wait for this to end. */
    isOut: () => outages > 0 || tokenRefused,
    probe,
    /** Nobody listens, or not to us: answers when to try again. */
    outage,
    refuseToken: (id: number, reason: SlackApiReason, now: number) => {
      refused.add(id)
      return Effect.as(refuseToken(describe(reason), now), pausedUntil)
    },
    /** An administrator must change something; other rows may go. */
    refuseRow: (id: number, reason: SlackApiReason, now: number) => {
      refused.add(id)
      problem = describe(reason)
      return Effect.as(refresh, now + refusalPause)
    },
    worked: () => {
      outages = 0
    },
    /** The row no longer waits for a person. */
    settled: (id: number) => Effect.suspend(() => refused.delete(id) && refused.size === 0 ? refresh : Effect.void),
    /** Looks again at what others may have changed. */
    lookAround: Effect.suspend(() => alarmed ? refresh : Effect.void)
  }
})

export type Access = Effect.Success<typeof makeAccess>
