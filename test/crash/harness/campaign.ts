/**
 * Runs a schedule, epoch by epoch, each with a Slack, people and a data directory of its own, and adds up what it showed.
 */
import { Cause, Effect } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { withSlack } from "../../fixtures/gateway.ts"
import { crowd } from "../crowd.ts"
import { random } from "../harness.ts"
import { type Point, points } from "./points.ts"
import { epochFaults, type Outcome, runRound, settle } from "./round.ts"
import { type Round, scheduleOf, type Wishes } from "./schedule.ts"
import { type TroubleName, troubleNames } from "./troubles.ts"

export interface Tally {
  readonly seed: number
  kills: number
  terms: number
  messages: number
  posts: number
  lost: number
  doubled: number
  outOfOrder: number
  corrupted: number
  wrongEndings: number
  slowestStopMs: number
  seconds: number
  readonly points: Record<Point, { aimed: number; hit: number }>
  readonly troubles: Record<TroubleName, number>
}

/** What somebody needs who has to find out why. */
export interface Failure {
  readonly epoch: number
  readonly dataDir: string
  readonly what: ReadonlyArray<string>
  readonly rounds: ReadonlyArray<Round>
  readonly ledger: unknown
  readonly log: string
}

const emptyTally = (seed: number): Tally => ({
  seed,
  kills: 0,
  terms: 0,
  messages: 0,
  posts: 0,
  lost: 0,
  doubled: 0,
  outOfOrder: 0,
  corrupted: 0,
  wrongEndings: 0,
  slowestStopMs: 0,
  seconds: 0,
  points: Object.fromEntries(points.map((point) => [point, { aimed: 0, hit: 0 }])) as Tally["points"],
  troubles: Object.fromEntries(troubleNames.map((name) => [name, 0])) as Tally["troubles"]
})

const addRound = (tally: Tally, { corrupted, hit, round, stoppedIn, wrong }: Outcome) => {
  if (round.signal === "SIGKILL") tally.kills += 1
  else tally.terms += 1
  if (round.trouble !== undefined) tally.troubles[round.trouble] += 1
  if (hit !== undefined) {
    const point = tally.points[round.moment as Point]
    point.aimed += 1
    point.hit += hit ? 1 : 0
  }
  tally.corrupted += corrupted ? 1 : 0
  tally.wrongEndings += wrong === undefined ? 0 : 1
  tally.slowestStopMs = Math.max(tally.slowestStopMs, stoppedIn ?? 0)
}

const describe = ({ moment, number, signal, trouble }: Round) =>
  `round ${number}, ${signal} ${moment}${trouble === undefined ? "" : `, ${trouble}`}`

/** Answers the sums, and what failed. `progress` hears of every round. */
export const campaign = Effect.fnUntraced(function*(wishes: Wishes, progress: (tally: Tally, of: number) => void) {
  const startedAt = performance.now()
  const tally = emptyTally(wishes.seed)
  const failures: Array<Failure> = []
  const epochs = scheduleOf(wishes)
  for (const [index, rounds] of epochs.entries()) {
    const dataDir = mkdtempSync(join(tmpdir(), "slackwater-crash-"))
    const run = Effect.gen(function*() {
      const people = yield* crowd(random(rounds[0]?.seed ?? wishes.seed), { mentioning: true })
      const epoch = { dataDir, people }
      const what: Array<string> = []
      let log = ""
      for (const round of rounds) {
        const outcome = yield* runRound(round, epoch)
        addRound(tally, outcome)
        if (outcome.wrong !== undefined) what.push(`${describe(round)}: ${outcome.wrong}`)
        if (outcome.corrupted) what.push(`${describe(round)}: the file is corrupted`)
        log += outcome.log
        tally.seconds = Math.round((performance.now() - startedAt) / 1_000)
        progress(tally, wishes.kills + wishes.terms)
      }
      const settled = yield* settle(epoch)
      const { doubled, lost, messages, outOfOrder, posts } = yield* people.ledger.verdict
      tally.messages += messages
      tally.posts += posts
      tally.lost += lost
      tally.doubled += doubled
      tally.outOfOrder += outOfOrder
      if (lost + doubled + outOfOrder > 0) what.push(`${lost} lost, ${doubled} doubled, ${outOfOrder} out of order`)
      what.push(...settled.wrong)
      if (what.length > 0) {
        const ledger = yield* people.ledger.record
        failures.push({ epoch: index + 1, dataDir, what, rounds, ledger, log: log + settled.log })
      }
    })
    // A gateway that hangs ends its epoch, and not the verdict.
    const broken = (cause: Cause.Cause<unknown>) =>
      Effect.sync(() => {
        failures.push({
          epoch: index + 1,
          dataDir,
          what: ["it broke off"],
          rounds,
          ledger: [],
          log: Cause.pretty(cause)
        })
      })
    yield* withSlack(run, { faults: epochFaults }).pipe(
      Effect.catchCauseIf((cause) => !Cause.hasInterruptsOnly(cause), broken)
    )
    // What failed is kept, to be looked at.
    if (failures.at(-1)?.dataDir !== dataDir) rmSync(dataDir, { recursive: true, force: true })
  }
  tally.seconds = Math.round((performance.now() - startedAt) / 1_000)
  return { tally, failures }
})
