/**
 * The reference: which ends of a history are allowed, told from what people said, what handlers did and what Slack did,
 * and from nothing that the gateway thinks. Pure.
 */
import { cancelledByHand } from "../../src/Control.ts"
import { tagIn } from "./Behaviour.ts"
import type { Ledger, Run } from "./Ledger.ts"
import type { OutboxRow, Tables } from "./Tables.ts"

export interface Shown {
  readonly channel: string
  readonly ts: string
  readonly user: string
  readonly text: string
}

export interface Ending {
  readonly tables: Tables
  readonly ledger: Ledger
  readonly slack: ReadonlyArray<Shown>
  readonly settings: { readonly maxAttempts: number; readonly maxWaiting: number; readonly mode: string }
  readonly deaths: number
  /** Replies that others of their lane may have passed. */
  readonly passed: ReadonlySet<number>
}

const bot = "U0BOT"
const isFinal = (state: string) =>
  ["done", "failed", "ignored", "superseded", "delivered", "failed_terminal", "expired"].includes(state)

/** What is not as it may be; the first of it. */
export const judge = ({ deaths, ledger, passed, settings, slack, tables }: Ending): string | undefined => {
  const { messages, outbox, turns } = tables
  // G2: everything has come to its end.
  for (const row of [...messages, ...turns, ...outbox]) {
    if (!isFinal(row.state)) {
      return `G2: ${"key" in row ? "reply" : "text" in row ? "message" : "turn"} ${row.id} is ${row.state}`
    }
  }

  const rowsOf = new Map<string, Array<(typeof messages)[number]>>()
  for (const row of messages) {
    if (row.user === bot) continue
    const tag = tagIn(row.text ?? "")
    rowsOf.set(tag, [...rowsOf.get(tag) ?? [], row])
  }
  const runsOf = new Map<string, Array<Run>>()
  for (const run of ledger.runs) runsOf.set(run.turn, [...runsOf.get(run.turn) ?? [], run])
  const turnOf = new Map(turns.map((turn) => [turn.id, turn]))

  for (const said of ledger.said) {
    const rows = rowsOf.get(said.tag) ?? []
    // G3: one event, one row.
    if (rows.length > 1) return `G3: ${said.tag} has ${rows.length} rows`
    const [row] = rows
    if (row === undefined) {
      if (ledger.acked.has(said.tag)) return `G1: ${said.tag} was acked and is nowhere`
      continue
    }
    if (said.addressed === true && row.state === "ignored") return `G2: ${said.tag} is ignored: ${row.reason}`
    if (said.addressed === false && row.state !== "ignored") {
      return `${said.tag} was not for the bot and is ${row.state}`
    }
    const turn = row.turn_id === null ? undefined : turnOf.get(row.turn_id)
    if (row.state === "done") {
      const runs = runsOf.get(row.turn_id ?? "") ?? []
      const isHandled = runs.some((run) => run.ended === "answered" || run.ended === "died")
      if (!isHandled) return `G2: ${said.tag} is done and no run of ${row.turn_id} answered`
      const last = runs.findLast((run) => run.ended === "answered" || run.ended === "died")
      if (last !== undefined && settings.mode !== "steer" && !last.tags.includes(said.tag)) {
        return `G2: ${said.tag} is done with ${row.turn_id}, which was not given it`
      }
    }
    if (row.state === "failed") {
      const isOverflow = row.reason?.startsWith("more than ") === true
      if (isOverflow) {
        if (settings.maxWaiting >= 100) return `${said.tag} failed as if too many waited`
        continue
      }
      if (turn?.error === cancelledByHand) continue
      const runs = runsOf.get(row.turn_id ?? "") ?? []
      const failures = runs.filter((run) => run.ended === "failed").length
      const isPoisoned = runs.some((run) => run.ended === "died")
      const byCrash = turn?.error?.startsWith("the process ended") === true
      if (byCrash) {
        if (!isPoisoned || deaths < 2) return `G8: ${said.tag} failed for crashes that were not its own`
      } else if (failures < settings.maxAttempts) {
        // A run that was cut off after its time counts.
        const cut = runs.filter((run) => run.ended === "cut off" || run.ended === "either").length
        if (failures + cut < settings.maxAttempts) {
          return `${said.tag} failed after ${failures} failures of ${settings.maxAttempts}: ${turn?.error}`
        }
      }
    }
  }

  // G3: no message ends in two turns: each row names one turn, and a turn of one conversation.
  for (const row of messages) {
    const turn = row.turn_id === null ? undefined : turnOf.get(row.turn_id)
    if (turn !== undefined && turn.conversation !== row.conversation) return `${row.turn_id} mixes conversations`
    if (turn !== undefined && row.state === "done" && turn.state !== "done") {
      return `G5: ${row.id} is done, ${turn.id} ${turn.state}`
    }
  }

  const replies = judgeReplies(outbox, slack, ledger, passed)
  if (replies !== undefined) return replies

  const attempts = judgeAttempts(runsOf)
  if (attempts !== undefined) return attempts

  // G5, G6: what was committed is there, and with a completed turn what it returned.
  const texts = new Map<string, Array<OutboxRow>>()
  for (const row of outbox) texts.set(row.text ?? "", [...texts.get(row.text ?? "") ?? [], row])
  for (const run of ledger.runs) {
    for (const text of run.said) {
      if (!texts.has(text)) return `G6: "${text}" of ${run.turn} was committed and has no row`
    }
  }
  for (const [text, rows] of texts) {
    const turnsOf = new Set(rows.map((row) => row.turn_id))
    if (/^[afuUw]\d:/.test(text) && rows.length > turnsOf.size) return `G6: "${text}" has ${rows.length} rows`
  }
  for (const turn of turns) {
    if (turn.state !== "done") continue
    const runs = runsOf.get(turn.id) ?? []
    const last = runs.findLast((run) => run.ended === "answered" || (run.ended === "died" && run.finals.length > 0))
    for (const text of last?.finals ?? []) {
      const rows = texts.get(text)?.filter((row) => row.turn_id === turn.id) ?? []
      if (rows.length !== 1) return `G5: ${turn.id} is done and "${text}" has ${rows.length} rows`
    }
  }
  return undefined
}

/** G7, G8: the end of a gateway costs no attempt; a failure and a crash cost one. */
const judgeAttempts = (runsOf: ReadonlyMap<string, ReadonlyArray<Run>>): string | undefined => {
  for (const [turn, runs] of runsOf) {
    for (const [index, run] of runs.entries()) {
      const before = runs[index - 1]
      // A run that died before its handler began leaves no trace but its attempt.
      if (before === undefined || before.deaths !== run.deaths || before.ended === "either") continue
      // What the disk did not take in time is found at the next start, as after a crash.
      if (before.troublesThen !== run.troubles) continue
      const costs = before.ended === "failed" || before.ended === "cut off" ? 1 : 0
      if (before.ended !== "answered" && run.attempt !== before.attempt + costs) {
        return `G7: ${turn}: attempt ${run.attempt} after attempt ${before.attempt}, which ${before.ended}`
      }
    }
  }
  return undefined
}

/** G6 and G4: a delivered post is in Slack once, nothing else is, and a lane's posts stand in the order of their commits. */
const judgeReplies = (
  outbox: ReadonlyArray<OutboxRow>,
  slack: ReadonlyArray<Shown>,
  ledger: Ledger,
  passed: ReadonlySet<number>
): string | undefined => {
  const ours = slack.filter((message) => message.user === bot)
  const there = new Map(ours.map((message) => [`${message.channel}/${message.ts}`, message]))
  const claimed = new Map<string, number>()
  const last = new Map<string, { readonly id: number; readonly ts: string }>()
  for (const row of outbox) {
    if (row.kind !== "Post") continue
    const at = `${row.slack_channel}/${row.slack_ts}`
    if (row.state === "delivered") {
      if (!there.has(at)) return `G6: reply ${row.id} is delivered and not in Slack`
      const other = claimed.get(at)
      if (other !== undefined) return `G6: replies ${other} and ${row.id} are the same message`
      claimed.set(at, row.id)
      if (passed.has(row.id)) continue
      const before = last.get(row.lane)
      if (before !== undefined && Number(before.ts) > Number(row.slack_ts)) {
        return `G4: reply ${row.id} stands before ${before.id} in ${row.lane}`
      }
      last.set(row.lane, { id: row.id, ts: row.slack_ts ?? "" })
    } else if (row.reason?.includes("restricted_action") === true) continue
    else return `reply ${row.id} ended as ${row.state}: ${row.reason}`
  }
  for (const [at, message] of there) {
    if (!claimed.has(at)) return `G6: "${message.text}" is in Slack (${at}) and no reply is delivered there`
  }
  for (const [key, times] of ledger.posts) if (times > 1) return `G6: ${key} was posted ${times} times`
  return undefined
}
