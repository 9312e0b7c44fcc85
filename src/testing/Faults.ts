/**
 * Faults: what a LocalSlack is told to do wrong, and how often.
 *
 * Owns the settings that tests and `POST /_local/faults` switch, each of which repeats something Slack or the network
 * has done to somebody. A patch changes only the keys it names; `null` switches one off. A rule names a method (or `*`
 * for all) and may carry `times`: it is used up by calls that match, and without `times` it holds until it is cleared.
 * Does not touch sockets: it only answers what should happen, and whoever stands in front does it.
 */
import { Schema } from "effect"
import { connectionFaults, knob, Milliseconds } from "./ConnectionFaults.ts"
import { RateLimiter } from "./RateLimiter.ts"

const times = Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0)))
const Rule = Schema.Struct({ method: Schema.String, times })
const oneOrMore = <S extends Schema.Constraint>(rule: S) => Schema.Union([rule, Schema.Array(rule)])

export const FaultPatch = Schema.Struct({
  ...connectionFaults,
  /** Acks are read and forgotten: Slack believes that nobody answered. */
  dropAcks: knob(Schema.Boolean),
  /** With nobody connected, events are lost (false) or wait for the next connection (true, the default). */
  deliverWhileDown: knob(Schema.Boolean),
  /** Of the two events for one mention, `app_mention` comes first. */
  mentionFirst: knob(Schema.Boolean),
  /** Delays before redelivery 1, 2 and 3 of an event that nobody acked. */
  retryDelaysMs: knob(Schema.Array(Milliseconds)),
  /** Sockets of API calls are destroyed before anything is read: as near to "refused" as a live port gets. */
  apiDown: knob(Schema.Boolean),
  /** The call never takes effect and the caller sees a reset. */
  resetBeforeCommit: knob(oneOrMore(Rule)),
  /** The call takes effect and the caller sees a reset: it cannot know which. */
  resetAfterCommit: knob(oneOrMore(Rule)),
  /** HTTP 429, with `Retry-After` unless `retryAfterSeconds` is null. */
  rateLimit: knob(oneOrMore(Schema.Struct({
    method: Schema.String,
    times,
    retryAfterSeconds: Schema.optionalKey(Schema.NullOr(Schema.Finite))
  }))),
  /** A real limit on `chat.postMessage`, per channel: one post every `intervalMs`, after `burst` at once. */
  postLimit: knob(Schema.Struct({ intervalMs: Milliseconds, burst: Schema.Int.check(Schema.isGreaterThan(0)) })),
  /** Slack's own limits, per method and minute and per channel, with 429 and `Retry-After`; or so many times as fast. */
  limits: knob(Schema.Union([
    Schema.Literal("on"),
    Schema.Struct({ speed: Schema.Finite.check(Schema.isGreaterThan(0)) })
  ])),
  /** `{ ok: false, error: code }`, without effect unless `afterCommit`. */
  error: knob(oneOrMore(Schema.Struct({
    method: Schema.String,
    times,
    code: Schema.String,
    afterCommit: Schema.optionalKey(Schema.Boolean)
  }))),
  /** Scopes that the bot token lacks; asked for by the methods that list channels, messages and replies. */
  missingScopes: knob(Schema.Array(Schema.String)),
  /** Tokens that were revoked: every call with one of them is refused; others go on. */
  revokedTokens: knob(Schema.Array(Schema.String)),
  /** Any status with any body: a 5xx after the fact, or a proxy's HTML page with 200. */
  httpStatus: knob(oneOrMore(Schema.Struct({
    method: Schema.String,
    times,
    status: Schema.Int.check(Schema.isBetween({ minimum: 200, maximum: 599 })),
    afterCommit: Schema.optionalKey(Schema.Boolean),
    body: Schema.optionalKey(Schema.String)
  }))),
  /** The call takes effect at once, the answer comes late. */
  delayMs: knob(oneOrMore(Schema.Struct({ method: Schema.String, times, ms: Milliseconds }))),
  /** The call takes effect, and no byte of an answer ever comes. */
  stallHeaders: knob(oneOrMore(Rule)),
  /** The call takes effect, half of the answer is sent, then nothing. */
  stallBody: knob(oneOrMore(Rule)),
  /** `conversations.history` and `.replies` do not show messages younger than this. */
  historyLagMs: knob(Milliseconds),
  /** Slack ends a stream by itself after this time (five minutes). */
  streamLifetimeMs: knob(Milliseconds),
  /** The bot's own posts, edits and reactions come back as events (default true). */
  echoes: knob(Schema.Boolean)
})
export type FaultPatch = typeof FaultPatch.Type

/** The settings in force: a patch without its nulls. */
export type Faults = { readonly [K in keyof FaultPatch]?: Exclude<FaultPatch[K], null | undefined> }

interface AnyRule {
  readonly method: string
  readonly times?: number
}
type RuleKey = {
  [K in keyof Faults]-?: Exclude<Faults[K], undefined> extends AnyRule | ReadonlyArray<AnyRule> ? K : never
}[keyof Faults]
type RuleOf<K extends RuleKey> = Extract<Exclude<Faults[K], undefined>, AnyRule>

/** What a fault does to one API call. */
export interface Disturbance {
  readonly fault: string
  readonly action:
    | { readonly _tag: "Reset" }
    | { readonly _tag: "Hang" }
    | { readonly _tag: "Stall" }
    | {
      readonly _tag: "Answer"
      readonly status: number
      readonly headers: Readonly<Record<string, string>>
      readonly body: string
      /** Slack's error code in it, for the journal. */
      readonly error: string
    }
}

const answer = (
  fault: string,
  status: number,
  error: string,
  body: string,
  headers: Record<string, string> = {}
): Disturbance => ({ fault, action: { _tag: "Answer", status, headers, body, error } })
const refusal = (error: string) => JSON.stringify({ ok: false, error })

const tooMany = (fault: string, seconds: number | null) => {
  const headers: Record<string, string> = seconds === null ? {} : { "retry-after": String(seconds) }
  return answer(fault, 429, "ratelimited", refusal("ratelimited"), headers)
}

export class FaultDesk {
  #current: Faults
  readonly #used = new WeakMap<AnyRule, number>()
  /** For `postLimit`: by channel, until when its posts so far have used up the limit. */
  readonly #spentUntil = new Map<string, number>()

  readonly #limiter = new RateLimiter()

  constructor(initial: FaultPatch = {}) {
    this.#current = {}
    this.patch(initial)
  }

  get current(): Faults {
    return this.#current
  }

  /** Those that still do something: rules that are used up are left out. */
  get active(): Faults {
    const left = Object.entries(this.#current).flatMap(([key, value]) => {
      if (!Array.isArray(value)) return this.#isSpent(value) ? [] : [[key, value]]
      const rules = value.filter((rule) => !this.#isSpent(rule))
      return rules.length === 0 && value.length > 0 ? [] : [[key, rules]]
    })
    return Object.fromEntries(left)
  }

  #isSpent(rule: unknown): boolean {
    if (typeof rule !== "object" || rule === null || !("times" in rule)) return false
    return (this.#used.get(rule as AnyRule) ?? 0) >= Number(rule.times)
  }

  patch(patch: FaultPatch): Faults {
    // Cloned, so that a rule that is patched in again starts over with all its times, and the others keep their count.
    const merged = { ...this.#current, ...structuredClone(patch) }
    this.#current = Object.fromEntries(Object.entries(merged).filter(([, value]) => value != null))
    return this.#current
  }

  clear(): void {
    this.#current = {}
  }

  /** Disturbs a call before it takes effect. */
  beforeCommit(method: string, channel: string, now: number): Disturbance | undefined {
    if (this.#take("resetBeforeCommit", method)) return { fault: "resetBeforeCommit", action: { _tag: "Reset" } }
    const limit = this.#take("rateLimit", method)
    if (limit !== undefined) {
      return tooMany("rateLimit", limit.retryAfterSeconds === undefined ? 1 : limit.retryAfterSeconds)
    }
    if (method === "chat.postMessage" && !this.#mayPost(channel, now)) return tooMany("postLimit", 1)
    const { limits } = this.#current
    if (limits !== undefined) {
      const wait = this.#limiter.refuse(method, channel, now, limits === "on" ? 1 : limits.speed)
      if (wait !== undefined) return tooMany("limits", Math.max(1, Math.ceil(wait / 1_000)))
    }
    const error = this.#take("error", method, (rule) => rule.afterCommit !== true)
    if (error !== undefined) return answer("error", 200, error.code, refusal(error.code))
    return this.#status(method, false)
  }

  /** Disturbs the answer of a call that took effect. */
  afterCommit(method: string): Disturbance | undefined {
    if (this.#take("resetAfterCommit", method)) return { fault: "resetAfterCommit", action: { _tag: "Reset" } }
    if (this.#take("stallHeaders", method)) return { fault: "stallHeaders", action: { _tag: "Hang" } }
    if (this.#take("stallBody", method)) return { fault: "stallBody", action: { _tag: "Stall" } }
    const error = this.#take("error", method, (rule) => rule.afterCommit === true)
    if (error !== undefined) return answer("error", 200, error.code, refusal(error.code))
    return this.#status(method, true)
  }

  delayMs(method: string): number {
    return this.#take("delayMs", method)?.ms ?? 0
  }

  #mayPost(channel: string, now: number): boolean {
    const limit = this.#current.postLimit
    if (limit === undefined) return true
    const spent = Math.max(now, this.#spentUntil.get(channel) ?? 0)
    if (spent > now + limit.intervalMs * (limit.burst - 1)) return false
    this.#spentUntil.set(channel, spent + limit.intervalMs)
    return true
  }

  #status(method: string, afterCommit: boolean): Disturbance | undefined {
    const rule = this.#take("httpStatus", method, (r) => (r.afterCommit === true) === afterCommit)
    if (rule === undefined) return undefined
    return answer("httpStatus", rule.status, `http_${rule.status}`, rule.body ?? "<html><body>Oops</body></html>", {
      "content-type": "text/html"
    })
  }

  #take<K extends RuleKey>(
    key: K,
    method: string,
    matches: (rule: RuleOf<K>) => boolean = () => true
  ): RuleOf<K> | undefined {
    const setting = this.#current[key]
    const rules = (setting === undefined ? [] : Array.isArray(setting) ? setting : [setting]) as Array<RuleOf<K>>
    const rule = rules.find((r) =>
      (r.method === "*" || r.method === method) && matches(r) && (r.times ?? Infinity) > (this.#used.get(r) ?? 0)
    )
    if (rule !== undefined) this.#used.set(rule, (this.#used.get(rule) ?? 0) + 1)
    return rule
  }
}
