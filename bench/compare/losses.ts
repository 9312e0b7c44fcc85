/** Every number in which somebody is better than Slackwater, at the same durability or at a weaker one. */
import { at, type MeasureName, type Results, type RowResult } from "./Measured.ts"

/** A difference that is smaller than this is none: rounds lie further apart. */
const margin = 1.05

const rates: ReadonlyArray<MeasureName> = ["life", "enqueue", "drain", "loop", "answers"]
const times: ReadonlyArray<MeasureName> = ["ackP50", "ackP99", "ackP999", "answerP50", "answerP99", "answerP999"]
const others: ReadonlyArray<MeasureName> = ["sparseAckP50", "sparseAnswerP50", "rssIdle", "rssBusy", "start"]

const names: Partial<Record<MeasureName, string>> = {
  life: "lives/s",
  enqueue: "acks/s",
  drain: "completions/s",
  loop: "in flight/s",
  answers: "answers/s",
  ackP50: "ack p50",
  ackP99: "ack p99",
  ackP999: "ack p99.9",
  answerP50: "answer p50",
  answerP99: "answer p99",
  answerP999: "answer p99.9",
  sparseAckP50: "sparse ack p50",
  sparseAnswerP50: "sparse answer p50",
  rssIdle: "RSS idle",
  rssBusy: "RSS busy",
  start: "start"
}

interface Loss {
  readonly of: RowResult
  readonly what: string
  readonly ours: number
  readonly theirs: number
}

const compared: ReadonlyArray<readonly [measure: MeasureName, concurrency?: number]> = [
  ...[1, 16, 100].flatMap((concurrency) => [...rates, ...times].map((measure) => [measure, concurrency] as const)),
  ...others.map((measure) => [measure] as const)
]

const against = (ours: RowResult, theirs: RowResult): ReadonlyArray<Loss> =>
  compared.flatMap(([measure, concurrency]) => {
    const key = concurrency === undefined ? measure : at(measure, concurrency)
    const [mine, other] = [ours.values[key]?.median, theirs.values[key]?.median]
    if (mine === undefined || other === undefined) return []
    const isWorse = rates.includes(measure) ? other > mine * margin : other * margin < mine
    const what = `${names[measure] ?? measure}${concurrency === undefined ? "" : ` c=${concurrency}`}`
    return isWorse ? [{ of: theirs, what, ours: mine, theirs: other }] : []
  })

export const losses = ({ rows }: Pick<Results, "rows">): ReadonlyArray<Loss> => {
  const find = (id: string) => rows.find((row) => row.id === id && row.skipped === undefined)
  const [store, sockets, bolt] = [find("store"), find("end-to-end"), find("bolt")]
  const peers = rows.filter(({ group, id, skipped }) =>
    skipped === undefined && (group === "store" || group === "weaker") && !id.startsWith("store")
  )
  return [
    ...store === undefined ? [] : peers.flatMap((peer) => against(store, peer)),
    ...sockets === undefined || bolt === undefined ? [] : against(sockets, bolt)
  ]
}

const short = (value: number) =>
  value >= 100 ? Math.round(value).toLocaleString("en-US") : value.toFixed(value >= 10 ? 1 : 2)

/** One line for each who is better in something. */
export const lossesAsMarkdown = (results: Pick<Results, "rows">): string => {
  const all = Map.groupBy(losses(results), ({ of }) => of)
  if (all.size === 0) return "No cell is lost."
  return [...all].map(([{ durability, title }, lost]) =>
    `- ${title} (${durability}): ${
      lost.map(({ ours, theirs, what }) => `${what} ${short(theirs)} (ours ${short(ours)})`).join("; ")
    }`
  ).join("\n")
}
