/**
 * Whether Slack takes our posts at present, and the alarm when it does not.
 *
 * Owns the pauses of the whole outbox: at the start, after an outage and after a refused token nothing is sent until
 * one call that changes nothing (`auth.test`) was answered, and so after an answer that leaves all open. Waiting costs
 * no row an attempt.
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
const waitingStates = ["queued", "sending", "failed_retryable"] as const

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
  /** How many posts had worked when Slack last said to a row that it is not there. */
  const away = new Map<number, number>()
  let posts = 0
  let answers = false
  let outages = 0
  let pausedUntil = 0
  let pausedAt = 0
  let tokenRefused =
    (yield* store.list({ states: ["queued", "failed_retryable"], error: "Credentials" }, { limit: 1 })).length > 0
  let problem: string | undefined
  let alarmed = true

  const refresh = Effect.gen(function*() {
    if (refused.size > 0) {
      const waiting = yield* store.list({ ids: [...refused], states: waitingStates }, { limit: refused.size })
      const there = new Set(waiting.map(({ id }) => id))
      for (const id of refused) if (!there.has(id)) refused.delete(id)
    }
    const expired = (yield* store.list({ states: ["expired"], error: "Credentials" }, { limit: countedAtMost })).length
    const texts: Array<string> = []
    if (tokenRefused || refused.size > 0) {
      texts.push(
        problem === undefined
          ? "Slack did not let us post before the restart; replies wait"
          : `Slack does not let us post (${problem}); replies wait`
      )
    }
    if (expired > 0) {
      const count = `${expired === countedAtMost ? "at least " : ""}${expired}`
      texts.push(
        `${count} replies grew too old while the token was refused; ` +
          "send them with slackwater outbox retry --state expired, or discard them with outbox discard --state expired"
      )
    }
    alarmed = texts.length > 0
    yield* alarmed ? status.raise("slack-access", texts.join("; ")) : status.clear("slack-access")
  })

  /** What the refused token has kept waiting for too long. */
  const expire = Effect.fnUntraced(function*(now: number) {
    if (config.outboxTtl === null) return
    const failure = { error: "Credentials", reason: "grew too old while the token was refused" }
    yield* store.expire(now - Duration.toMillis(config.outboxTtl), failure, now)
  })

  const pause = (now: number, ms: number) => {
    pausedAt = now
    pausedUntil = now + ms
  }

  const refuseToken = Effect.fnUntraced(function*(said: string, now: number) {
    answers = false
    tokenRefused = true
    problem = said
    pause(now, refusalPause)
    yield* status.setPaused(true)
    yield* store.refused({ error: "Credentials", reason: said }, now)
    yield* expire(now)
    yield* refresh
  })

  const outage = Effect.fnUntraced(function*(now: number) {
    answers = false
    // Requests that were refused together are one outage, not as many as there were requests.
    if (now >= pausedUntil) pause(now, yield* backoff(outages++))
    return pausedUntil
  })

  /** Keeps the alarm up until the row has ended; of many some are enough. */
  const waits = (id: number) => void (refused.size < countedAtMost && refused.add(id))

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
        pause(now, reason.retryAfterMs)
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
    /** The clock was set back by so much (ms): a pause lasts as long as it would have. */
    setBack: (by: number, isOfBefore: (moment: number) => boolean) => {
      if (isOfBefore(pausedAt)) pausedUntil = Math.max(0, pausedUntil - by)
    },
    /** Nobody listens, or not to us: answers when to try again. */
    outage,
    /** Whether it still answers is open: it is asked before the next row goes. */
    doubt: () => {
      answers = false
    },
    /** As `outage`; answers whether it is the row's own doing, since others went out between two of these. */
    unavailable: (id: number, now: number) => {
      const before = away.get(id) ?? posts
      away.set(id, posts)
      return Effect.as(outage(now), before < posts)
    },
    refuseToken: (id: number, reason: SlackApiReason, now: number) => {
      waits(id)
      return Effect.as(refuseToken(describe(reason), now), pausedUntil)
    },
    /** An administrator must change something; other rows may go. */
    refuseRow: (id: number, reason: SlackApiReason, now: number) => {
      waits(id)
      problem = describe(reason)
      return Effect.as(refresh, now + refusalPause)
    },
    worked: () => {
      outages = 0
      posts += 1
    },
    /** The row no longer waits for a person. */
    settled: (id: number) =>
      Effect.suspend(() => {
        away.delete(id)
        return refused.delete(id) && refused.size === 0 ? refresh : Effect.void
      }),
    /** Looks again at what others may have changed. */
    lookAround: Effect.suspend(() => alarmed ? refresh : Effect.void)
  }
})

export type Access = Effect.Success<typeof makeAccess>
