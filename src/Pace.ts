/**
 * When may the next post to a channel go out? Arithmetic only: a token bucket per channel and pauses that Slack asked
 * for. Slack takes about one post a second and channel, with short bursts
 * (docs.slack.dev/apis/web-api/rate-limits).
 *
 * Lives in memory: after a restart the buckets are full again, which is a burst Slack allows or answers with 429.
 */
interface Bucket {
  tokens: number
  /** Epoch ms up to which `tokens` is counted. */
  at: number
  /** Epoch ms before which nothing goes out, whatever the tokens. */
  pausedUntil: number
}

export class Pace {
  private readonly interval: number
  private readonly burst: number
  private readonly buckets = new Map<string, Bucket>()

  /** `interval` in ms between posts once the burst is used up; 0 for no limit. */
  constructor(interval: number, burst: number) {
    this.interval = interval
    this.burst = burst
  }

  private fill(channel: string, now: number): Bucket {
    const bucket = this.buckets.get(channel) ?? { tokens: this.burst, at: now, pausedUntil: 0 }
    bucket.tokens = this.interval === 0
      ? this.burst
      : Math.min(this.burst, bucket.tokens + Math.max(0, now - bucket.at) / this.interval)
    bucket.at = now
    this.buckets.set(channel, bucket)
    return bucket
  }

  /** Takes a post's place; false when the channel must wait. */
  take(channel: string, now: number): boolean {
    const bucket = this.fill(channel, now)
    if (bucket.pausedUntil > now || bucket.tokens < 1) return false
    bucket.tokens -= 1
    return true
  }

  pause(channel: string, now: number, until: number): void {
    const bucket = this.fill(channel, now)
    bucket.pausedUntil = Math.max(bucket.pausedUntil, until)
  }

  private freeAt(bucket: Bucket): number {
    const refilled = bucket.tokens >= 1 ? bucket.at : bucket.at + Math.ceil((1 - bucket.tokens) * this.interval)
    return Math.max(refilled, bucket.pausedUntil)
  }

  /** Channels that must wait. Forgets those whose bucket is full again. */
  exhausted(now: number): ReadonlyArray<string> {
    const waiting: Array<string> = []
    for (const channel of this.buckets.keys()) {
      const bucket = this.fill(channel, now)
      if (this.freeAt(bucket) > now) waiting.push(channel)
      else if (bucket.tokens >= this.burst) this.buckets.delete(channel)
    }
    return waiting
  }

  /** The next moment at which a waiting channel is free (epoch ms); null when none waits. */
  nextAt(now: number): number | null {
    let next: number | null = null
    for (const bucket of this.buckets.values()) {
      const free = this.freeAt(bucket)
      if (free > now) next = Math.min(next ?? free, free)
    }
    return next
  }
}
