/**
 * What the three plots show: which lines, and their numbers out of what the gateway counted in its buckets.
 */
import { duration } from "./times.mjs"

/** @import { Activity, SeriesName } from "./shapes.ts" */

/** @typedef {{ name: SeriesName, label: string, colour: string, dash: number[], axis?: "age" }} Line */
/** @typedef {{ id: string, title: string, lines: Line[], unit: "rate" | "ms" | "count" }} Plot */

const solid = /** @type {number[]} */ ([])

/** @type {Plot[]} */
export const plots = [
  {
    id: "throughput",
    title: "Throughput, per minute",
    unit: "rate",
    lines: [
      { name: "received", label: "received", colour: "--plot-1", dash: solid },
      { name: "turnsDone", label: "turns done", colour: "--plot-2", dash: [6, 3] },
      { name: "delivered", label: "replies delivered", colour: "--plot-3", dash: [2, 3] },
      { name: "turnsFailed", label: "turns failed", colour: "--plot-4", dash: [10, 3, 2, 3] }
    ]
  },
  {
    id: "latency",
    title: "Latency, 95th percentile",
    unit: "ms",
    lines: [
      { name: "ackMsP95", label: "ack", colour: "--plot-1", dash: solid },
      { name: "turnMsP95", label: "turn", colour: "--plot-2", dash: [6, 3] },
      { name: "deliveryMsP95", label: "delivery", colour: "--plot-3", dash: [2, 3] }
    ]
  },
  {
    id: "waiting",
    title: "What waits",
    unit: "count",
    lines: [
      { name: "inboxQueued", label: "messages", colour: "--plot-1", dash: solid },
      { name: "outboxQueued", label: "replies", colour: "--plot-2", dash: [6, 3] },
      { name: "oldestQueuedAgeMs", label: "oldest", colour: "--plot-4", dash: [2, 3], axis: "age" }
    ]
  }
]

/**
 * @param {Plot} plot
 * @param {Line} line
 * @param {number | null | undefined} value
 */
export const worded = (plot, line, value) => {
  if (value == null) return "–"
  if (plot.unit === "ms" || line.axis === "age") return duration(value)
  return value >= 100 || Number.isInteger(value) ? String(Math.round(value)) : value.toFixed(1)
}

/**
 * The values of a line, as they are drawn. What is counted or timed stands for the minute before it: what happened in it,
 * or the worst of it.
 *
 * @param {Plot} plot
 * @param {Line} line
 * @param {Activity} activity
 */
const valuesOf = (plot, line, { bucketMs, series }) => {
  const values = series[line.name] ?? []
  if (plot.unit === "count") return [...values]
  const many = perMinute({ bucketMs })
  return values.map((value, n) => {
    const minute = values.slice(Math.max(0, n + 1 - many), n + 1).filter((one) => one !== null)
    if (minute.length === 0 || (plot.unit === "rate" && value === null)) return null
    if (plot.unit === "ms") return Math.max(1, ...minute)
    return minute.reduce((sum, one) => sum + one, 0) * Math.max(1, 60_000 / bucketMs / many)
  })
}

/** @param {Activity} activity */
export const momentsOf = ({ bucketMs, from, series }) => series.received.map((_, n) => (from + n * bucketMs) / 1_000)

/** Buckets that make a minute. @param {Pick<Activity, "bucketMs">} activity */
export const perMinute = ({ bucketMs }) => Math.max(1, Math.round(60_000 / bucketMs))

/** @type {WeakMap<Activity, Map<Plot, Array<Array<number | null>>>>} */
const reckoned = new WeakMap()

/**
 * The values of each line of a plot.
 *
 * @param {Plot} plot
 * @param {Activity} activity
 */
export const linesOf = (plot, activity) => {
  const known = reckoned.get(activity) ?? new Map()
  reckoned.set(activity, known)
  const lines = known.get(plot) ?? plot.lines.map((line) => valuesOf(plot, line, activity))
  known.set(plot, lines)
  return lines
}
