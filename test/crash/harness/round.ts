/**
 * One gateway, from its start to its end: people talk, something may go wrong, and then it is killed or told to stop.
 *
 * Answers what the round showed: whether it ended as it must, whether it was at the point it was meant for, and whether
 * the file it left is whole.
 */
import { Duration, Effect } from "effect"
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { LocalSlack } from "slackwater/testing"
import type { crowd } from "../crowd.ts"
import { connected, count, databaseOf, ending, type Gateway, logged, random, startGateway, until } from "../harness.ts"
import { isTrap } from "../traps.ts"
import { isCaught, runningTurns, wasAt } from "./points.ts"
import type { Round } from "./schedule.ts"
import { troubles } from "./troubles.ts"

/** Where rounds take place: people, their ledger, and the directory that outlives the gateways. */
export interface Epoch {
  readonly dataDir: string
  readonly people: Effect.Success<ReturnType<typeof crowd>>
}

export interface Outcome {
  readonly round: Round
  /** It was at its named point; undefined when it had none. */
  readonly hit: boolean | undefined
  /** From SIGTERM to the end of the process (ms). */
  readonly stoppedIn: number | undefined
  readonly corrupted: boolean
  /** What must not be, in one line. */
  readonly wrong: string | undefined
  /** The end of the log, where something is wrong. */
  readonly log: string
}

/** Crashes at random are not held against anybody. */
export const settings = { SLACKWATER_MAX_CRASHES: "0" }
const windowMs = 500
/** From the deadline to the end of the process on a busy machine. */
const graceMs = 1_500
/** A start of the gateway on this machine, roughly. */
const startMs = 1_200
/** A trap that is not sprung by then is passed. */
const patienceMs = 10_000

/**
 * Node starts with a handler of its own that lets SIGTERM end the process. Ours are there once it handles SIGHUP too, the
 * last one that `bin.ts` installs; the kernel tells. Elsewhere the first log line does.
 */
const handlesSignals = (gateway: Gateway) => {
  if (!existsSync("/proc/self/status")) return gateway.stderr() !== ""
  try {
    const caught = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${gateway.pid}/status`, "utf8"))?.[1] ?? "0"
    return (BigInt(`0x${caught}`) & 1n) !== 0n
  } catch {
    return false
  }
}

/** Looks into a copy, so that the next gateway finds the file as the last one left it. */
export const isWhole = (dataDir: string): boolean => {
  const file = databaseOf(dataDir)
  if (!existsSync(file)) return true
  const copies = mkdtempSync(join(tmpdir(), "slackwater-copy-"))
  try {
    for (const end of ["", "-wal"]) {
      if (existsSync(file + end)) copyFileSync(file + end, databaseOf(copies) + end)
    }
    const database = new DatabaseSync(databaseOf(copies), { timeout: 10_000 })
    try {
      return Object.values(database.prepare("PRAGMA integrity_check").get() ?? {})[0] === "ok"
    } finally {
      database.close()
    }
  } catch {
    return false
  } finally {
    rmSync(copies, { recursive: true, force: true })
  }
}

const settingsOf = (round: Round, shutdownMs: number): Record<string, string> => ({
  ...settings,
  SLACKWATER_SHUTDOWN_TIMEOUT: `${shutdownMs} millis`,
  ...(round.moment === "inside the window" ? { SLACKWATER_DEBOUNCE: `${windowMs} millis` } : {}),
  ...(round.moment === "inside prune" ? { SLACKWATER_RETENTION: "1 millis", TEST_SWEEP: "200" } : {}),
  ...(isTrap(round.moment)
    ? { TEST_TRAP: JSON.stringify({ point: round.moment, signal: round.signal, pass: passesOf(round) }) }
    : {})
})

/** The migration is one point after each of its statements; the others come by all the time. */
const passesOf = ({ moment, seed }: Round) => seed % (moment === "inside migration" ? 35 : 3)

/** Brings the gateway to its moment. It may die on the way; then the moment is over. */
const reach = Effect.fnUntraced(function*(round: Round, gateway: Gateway, epoch: Epoch) {
  const dice = random(round.seed + 1)
  const { dataDir, people } = epoch
  const untilDead = (what: string, found: () => unknown) => until(what, () => found() || !gateway.isAlive(), gateway)
  const talk = Effect.suspend(() => people.talk(2 + dice.below(3)))
  const { moment } = round
  if (moment === "while it starts") {
    if (round.signal === "SIGTERM") yield* untilDead("it handles signals", () => handlesSignals(gateway))
    return yield* Effect.sleep(dice.below(startMs))
  }
  if (moment === "inside migration") {
    return yield* untilDead("it migrates", () => isCaught(gateway, moment) || logged(gateway, "connected to Slack")[0])
  }
  yield* connected(gateway).pipe(Effect.raceFirst(gateway.ended))
  yield* talk
  if (moment === "at any time") {
    const trouble = round.trouble === undefined ? undefined : troubles[round.trouble]
    yield* Effect.sleep(dice.below(300))
    if (trouble === undefined) return yield* Effect.andThen(talk, Effect.sleep(dice.below(700)))
    yield* trouble.begin(gateway)
    yield* talk
    yield* Effect.sleep(round.trouble === "frozen" ? round.frozenMs : dice.below(1_500))
    // Half of them die while something is wrong. What is frozen hears no SIGTERM.
    if (dice.below(2) === 0 && !(round.trouble === "frozen" && round.signal === "SIGTERM")) return
    yield* trouble.end(gateway)
    yield* talk
    return yield* Effect.sleep(dice.below(600))
  }
  if (moment === "inside the window") {
    const waits = "SELECT count(*) FROM slackwater_messages WHERE state = 'queued' AND turn_id IS NULL AND due_at > ?"
    yield* untilDead("a window is open", () => count(dataDir, waits, Date.now()) > 0)
    return yield* Effect.sleep(dice.below(windowMs / 2))
  }
  if (moment === "inside the handler") {
    yield* untilDead("a turn runs", () => runningTurns(gateway) > 0)
    return yield* Effect.sleep(dice.below(30))
  }
  if (moment === "inside shutdown") {
    gateway.signal("SIGTERM")
    yield* untilDead("it stops", () => logged(gateway, "stopping").length > 0)
    return yield* Effect.sleep(dice.below(60))
  }
  yield* Effect.gen(function*() {
    while (!isCaught(gateway, moment) && gateway.isAlive()) {
      yield* Effect.sleep(50 + dice.below(150))
      yield* talk
    }
  }).pipe(Effect.timeoutOption(patienceMs))
})

export const runRound = Effect.fnUntraced(function*(round: Round, epoch: Epoch) {
  const slack = yield* LocalSlack
  const dice = random(round.seed)
  const { dataDir, people } = epoch
  const shutdownMs = dice.pick([1_000, 3_000, 10_000])
  yield* people.talk(dice.below(3))
  const gateway = yield* startGateway(dataDir, settingsOf(round, shutdownMs), "scripted", { inside: true })
  yield* reach(round, gateway, epoch)
  const died = gateway.isAlive() ? undefined : yield* gateway.ended
  const toldAt = performance.now()
  const didItself = isTrap(round.moment) && isCaught(gateway, round.moment)
  if (!didItself) gateway.signal(round.signal)
  const { code, signal } = yield* ending(gateway)
  const stoppedIn = Math.round(performance.now() - toldAt)
  yield* slack.clearFaults
  yield* slack.faults(epochFaults)
  const ended = `${code ?? signal}`
  const expected = round.signal === "SIGKILL" ? "SIGKILL" : "0"
  const early = died !== undefined && !didItself && round.moment !== "inside shutdown"
  const wrong = early
    ? `ended by itself: ${ended}`
    : ended !== expected && !(round.moment === "inside shutdown" && ended === "0")
    ? `ended with ${ended} and not ${expected}`
    : round.signal === "SIGTERM" && stoppedIn > shutdownMs + graceMs
    ? `took ${stoppedIn} ms to stop, of ${shutdownMs}`
    : undefined
  const { moment } = round
  const hit = moment === "while it starts" || moment === "at any time"
    ? undefined
    : round.signal === "SIGTERM" && isTrap(moment)
    ? didItself
    : round.signal === "SIGTERM" || (yield* wasAt(moment, gateway, Date.now()))
  const outcome: Outcome = {
    round,
    hit,
    stoppedIn: round.signal === "SIGTERM" ? stoppedIn : undefined,
    corrupted: !isWhole(dataDir),
    wrong,
    log: wrong === undefined ? "" : gateway.stderr().slice(-4_000)
  }
  return outcome
}, Effect.scoped)

/** In force all the time: Slack repeats what nobody acked soon, and a post takes a moment. */
export const epochFaults = {
  retryDelaysMs: Array.from({ length: 2_000 }, () => 400),
  delayMs: { method: "chat.postMessage", ms: 30 }
}

/** What is said is answered, in the time that the longest hold of a reply takes. */
export const settle = Effect.fnUntraced(function*({ dataDir, people }: Epoch) {
  const slack = yield* LocalSlack
  const gateway = yield* startGateway(dataDir, settings)
  yield* connected(gateway)
  const unfinished = `SELECT (SELECT count(*) FROM slackwater_outbox WHERE state <> 'delivered')
    + (SELECT count(*) FROM slackwater_messages WHERE state NOT IN ('done', 'ignored'))`
  const isDone = Effect.gen(function*() {
    if ((yield* slack.unacked).length > 0 || count(dataDir, unfinished) > 0) return false
    return (yield* people.ledger.verdict).lost === 0
  })
  const done = yield* Effect.gen(function*() {
    while (!(yield* isDone)) yield* Effect.sleep("50 millis")
  }).pipe(Effect.timeoutOption(Duration.seconds(150)))
  const left = count(dataDir, unfinished)
  gateway.signal("SIGTERM")
  const { code } = yield* ending(gateway)
  const wrong = [
    ...(done._tag === "None" ? [`after 150 s ${left} rows are unfinished`] : []),
    ...(code === 0 ? [] : [`the last gateway ended with ${code}`]),
    ...(isWhole(dataDir) ? [] : ["the file is corrupted"])
  ]
  return { wrong, log: wrong.length === 0 ? "" : gateway.stderr().slice(-8_000) }
}, Effect.scoped)
