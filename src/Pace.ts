/**
 * When may the next call go out? Arithmetic only, from the times it is given: a token bucket per method and, for
 * posts, one per channel, and the pauses that Slack asked for.
 *
 * No minute ever has more calls of a method than `rateLimits` says, and no channel more posts than its burst and one
 * per interval. A 429 pauses what Slack means: the method in the whole workspace, except that one for a post may mean
 * its channel only, which Slack does not say. Then the channel is paused, and the method too if another channel is
 * refused while that pause lasts.
 *
 * Lives in memory, and only while something is used up or paused: after a restart all buckets are full, which is a
 * burst that Slack allows or answers with 429.
 */
import { posting, rateLimits } from "./rateLimits.ts"

interface Bucket {
  /** Ms in which one token comes back; 0 for no limit. */
  readonly interval: number
  readonly burst: number
  tokens: number
  /** Epoch ms up to which `tokens` is counted. */
  at: number
  /** Epoch ms before which nothing goes out, whatever the tokens. */
  pausedUntil: number
  /** When that was said. */
  pausedAt: number
}

/** Of what a method may do in a minute, the part that may go out at once. */
const burstShare = 0.2

const fill = (bucket: Bucket, now: number): Bucket => {
  const { at, burst, interval, tokens } = bucket
  bucket.tokens = interval === 0 ? burst : Math.min(burst, tokens + Math.max(0, now - at) / interval)
  bucket.at = now
  return bucket
}

const freeAt = ({ at, interval, pausedUntil, tokens }: Bucket): number =>
  Math.max(tokens >= 1 ? at : at + Math.ceil((1 - tokens) * interval), pausedUntil)

const hold = (bucket: Bucket, now: number, until: number) => {
  if (until <= bucket.pausedUntil) return
  bucket.pausedUntil = until
  bucket.pausedAt = now
}

const isFull = ({ at, burst, pausedUntil, tokens }: Bucket) => tokens >= burst && pausedUntil <= at

export class Pace {
  private readonly interval: number
  private readonly burst: number
  private readonly limits: typeof rateLimits
  private readonly channels = new Map<string, Bucket>()
  private readonly methods = new Map<string, Bucket>()

  /** `interval` in ms between posts to one channel once the burst is used up; 0 for no limits at all, only pauses. */
  constructor(interval: number, burst: number, limits = rateLimits) {
    this.interval = interval
    this.burst = burst
    this.limits = limits
  }

  private channel(channel: string, now: number): Bucket {
    const { burst, interval } = this
    const bucket = this.channels.get(channel) ??
      { interval, burst, tokens: burst, at: now, pausedUntil: 0, pausedAt: 0 }
    this.channels.set(channel, bucket)
    return fill(bucket, now)
  }

  private method(method: string, now: number): Bucket {
    let bucket = this.methods.get(method)
    if (bucket === undefined) {
      const perMinute = this.interval === 0 ? undefined : this.limits.get(method)?.perMinute
      const burst = Math.max(1, Math.floor((perMinute ?? 1) * burstShare))
      // What comes back within a minute and the burst are together what a minute may have.
      const interval = perMinute === undefined ? 0 : 60_000 / (perMinute - burst + 1)
      bucket = { interval, burst, tokens: burst, at: now, pausedUntil: 0, pausedAt: 0 }
      this.methods.set(method, bucket)
    }
    return fill(bucket, now)
  }

  private isPerChannel(method: string): boolean {
    return this.limits.get(method)?.perChannel === true
  }

  /** Takes a call's place; false when it must wait. */
  take(channel: string, now: number, method = posting): boolean {
    const buckets = [this.method(method, now)]
    if (this.isPerChannel(method)) buckets.push(this.channel(channel, now))
    if (buckets.some((bucket) => freeAt(bucket) > now)) return false
    for (const bucket of buckets) bucket.tokens -= 1
    return true
  }

  /** The place was taken for a call that is not made. However late that is known: no moment is counted for it. */
  giveBack(channel: string, method = posting): void {
    const buckets = [this.methods.get(method), this.isPerChannel(method) ? this.channels.get(channel) : undefined]
    for (const bucket of buckets) if (bucket !== undefined) bucket.tokens = Math.min(bucket.burst, bucket.tokens + 1)
  }

  /** Slack refused a call until then; `everywhere` when it said that it means the whole workspace. */
  pause(channel: string, now: number, until: number, method = posting, everywhere = false): void {
    const isChannels = this.isPerChannel(method) && !everywhere
    if (isChannels) {
      const bucket = this.channel(channel, now)
      hold(bucket, now, until)
    }
    const others = () => [...this.channels].some(([name, { pausedUntil }]) => name !== channel && pausedUntil > now)
    if (isChannels && !others()) return
    hold(this.method(method, now), now, until)
  }

  /** The clock was set back by so much (ms): a pause lasts as long as it would have. */
  setBack(by: number, isOfBefore: (moment: number) => boolean): void {
    for (const bucket of [...this.channels.values(), ...this.methods.values()]) {
      if (isOfBefore(bucket.pausedAt)) bucket.pausedUntil = Math.max(0, bucket.pausedUntil - by)
    }
  }

  /** The moment from which the method lets a call out, to this channel if there is one; now when it does. */
  openAt(now: number, method = posting, channel?: string): number {
    const isLimited = channel !== undefined && this.isPerChannel(method)
    return Math.max(now, freeAt(this.method(method, now)), isLimited ? freeAt(this.channel(channel, now)) : 0)
  }

  /** Channels whose posts must wait, whatever the method says. Forgets what is full again. */
  exhausted(now: number): ReadonlyArray<string> {
    const waiting: Array<string> = []
    for (const buckets of [this.channels, this.methods]) {
      for (const [name, bucket] of buckets) {
        if (isFull(fill(bucket, now))) buckets.delete(name)
        else if (buckets === this.channels && freeAt(bucket) > now) waiting.push(name)
      }
    }
    return waiting
  }

  /** The next moment at which a post that must wait may go out (epoch ms); null when none must wait. */
  nextAt(now: number): number | null {
    const open = this.openAt(now)
    if (open > now) return open
    let next: number | null = null
    for (const bucket of this.channels.values()) {
      const free = freeAt(bucket)
      if (free > now) next = Math.min(next ?? free, free)
    }
    return next
  }
}
