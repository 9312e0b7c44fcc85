/** Percentiles of times, in ms. */
export interface Latency {
  readonly p50: number
  readonly p99: number
  readonly p999: number
}

const at = (sorted: ReadonlyArray<number>, share: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN

export const latency = (times: ReadonlyArray<number>): Latency => {
  const sorted = times.toSorted((a, b) => a - b)
  return { p50: at(sorted, 0.5), p99: at(sorted, 0.99), p999: at(sorted, 0.999) }
}

export const median = (values: ReadonlyArray<number>): number => at(values.toSorted((a, b) => a - b), 0.5)
