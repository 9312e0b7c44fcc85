/**
 * RateLimiter: Slack's limits, held as Slack holds them: per method over any minute, and per channel for posts.
 *
 * A call that is refused does not count. Pure in the time it is given; it remembers at most a minute of calls.
 */
import { channelLimit, rateLimits } from "../rateLimits.ts"

export class RateLimiter {
  /** By method: when its calls of the last minute were, oldest first. */
  readonly #calls = new Map<string, Array<number>>()
  /** By channel: until when its posts so far have used up the limit. */
  readonly #spentUntil = new Map<string, number>()

  /** Takes the call, or answers in how many ms it may come again. `speed` makes time pass faster. */
  refuse(method: string, channel: string, at: number, speed = 1): number | undefined {
    const now = at * speed
    const limit = rateLimits.get(method)
    if (limit === undefined) return undefined
    const minute = (this.#calls.get(method) ?? []).filter((call) => call > now - 60_000)
    const oldest = minute[minute.length - limit.perMinute]
    if (oldest !== undefined) return (oldest + 60_000 - now) / speed
    if (limit.perChannel === true) {
      const { burst, intervalMs } = channelLimit
      const spent = Math.max(now, this.#spentUntil.get(channel) ?? 0)
      const wait = spent - now - intervalMs * (burst - 1)
      if (wait > 0) return wait / speed
      this.#spentUntil.set(channel, spent + intervalMs)
    }
    this.#calls.set(method, [...minute, now])
    return undefined
  }
}
