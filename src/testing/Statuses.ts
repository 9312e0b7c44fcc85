/**
 * What the bot says it is doing, by thread, until it has said something else or Slack forgets it.
 *
 * Owns nothing but that: a pure state machine like the world it is a part of, which takes the time as `now` (epoch ms)
 * and writes the journal.
 */

/** The line under a thread that says what the bot is doing. */
export interface Status {
  readonly channel: string
  readonly thread_ts: string
  readonly status: string
}

/** Slack forgets a status after this time (ms). */
const lifetime = 120_000

export class Statuses {
  readonly #kept = new Map<string, Status & { readonly until: number }>()

  /** Whether anything was said there that nobody has taken away. */
  has(channel: string, threadTs: string): boolean {
    return this.#kept.has(`${channel}/${threadTs}`)
  }

  /** An empty text takes it away. */
  set(channel: string, threadTs: string, status: string, now: number): void {
    const thread = `${channel}/${threadTs}`
    for (const [key, { until }] of this.#kept) if (until <= now || key === thread) this.#kept.delete(key)
    if (status !== "") this.#kept.set(thread, { channel, thread_ts: threadTs, status, until: now + lifetime })
  }

  /** Those that are shown. */
  shown(now: number): ReadonlyArray<Status> {
    return [...this.#kept.values()].filter(({ until }) => until > now)
      .map(({ channel, status, thread_ts }) => ({ channel, thread_ts, status }))
  }
}
