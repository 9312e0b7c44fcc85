/** Whether a soak has settled: its last third beside its middle third, by medians. The first third fills what is kept. */
import { median } from "../endtoend/latency.ts"

export interface Sample {
  readonly minutes: number
  /** Bytes. */
  readonly rss: number
  readonly heap: number
  readonly database: number
  readonly wal: number
  /** Since the last sample, a second. */
  readonly answers: number
  readonly notSent: number
  /** On their way now. */
  readonly backlog: number
  readonly ackP50: number
  readonly ackP99: number
  readonly answerP50: number
  readonly answerP99: number
  /** Shares of one processor. */
  readonly busy: number
  readonly slackBusy: number
  /** Bytes of this process, which is to stay as it is too. */
  readonly slackRss: number
}

/** How much more the last third may have. What a median of samples does by itself is less. */
const bounds = { rss: 1.1, heap: 1.25, database: 1.1, wal: 1.5, ackP99: 1.5, answerP99: 1.5 } as const

export interface Finding {
  readonly what: keyof typeof bounds
  readonly middle: number
  readonly last: number
  readonly ratio: number
  readonly bound: number
  readonly holds: boolean
}

export const verdict = (samples: ReadonlyArray<Sample>): ReadonlyArray<Finding> => {
  const third = Math.floor(samples.length / 3)
  const of = (what: keyof typeof bounds, from: number, to?: number) =>
    median(samples.slice(from, to).map((sample) => sample[what]))
  return (Object.keys(bounds) as Array<keyof typeof bounds>).map((what) => {
    const middle = of(what, third, 2 * third)
    const last = of(what, 2 * third)
    const ratio = last / middle
    return { what, middle, last, ratio, bound: bounds[what], holds: ratio <= bounds[what] }
  })
}
