/**
 * The power goes: what was acknowledged had been synced, and whatever else was on its way to the disk, or half on it, the
 * file opens and holds every acknowledged event.
 *
 * Reads what a real gateway did from strace. Where strace is missing, or may not trace, this is left out with a notice.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { LocalSlack } from "slackwater/testing"
import { temporaryDirectory, withSlack } from "../fixtures/gateway.ts"
import { type Fate, fates, type Moment, momentsOf, reopen, withFates } from "./disk.ts"
import { connected, ending, startGateway, within } from "./harness.ts"
import { openLedger } from "./ledger.ts"
import { canTrace, readTrace, type Traced } from "./trace.ts"

const isTraceable = canTrace()
if (!isTraceable) process.stderr.write("strace is missing or may not trace here: the loss of power is not tested\n")

/** So that the run has its checkpoints: after so many pages instead of a thousand, and in the end after every commit. */
const manyCheckpoints = ["PRAGMA wal_autocheckpoint = 24", "PRAGMA wal_autocheckpoint = 1"] as const
const messages = 30
const database = "slackwater.db"
const log = "slackwater.db-wal"

/** A gateway takes messages, answers them and is killed; what it did, and the events behind the envelopes. */
const observe = Effect.fnUntraced(function*([first, last]: readonly [string, string]) {
  const slack = yield* LocalSlack
  const ledger = yield* openLedger
  const dataDir = yield* temporaryDirectory
  const traceTo = join(yield* temporaryDirectory, "trace")
  const gateway = yield* startGateway(dataDir, {}, "scripted", { inside: true, traceTo })
  yield* connected(gateway)
  for (let n = 0; n < messages; n++) {
    if (n % 20 === 0) yield* gateway.order({ sql: n === 0 ? first : last })
    // Some one by one, some together, so that transactions of one event and of several are met.
    const { name } = yield* ledger.say({ channel: "C0GENERAL", user: "U0BOB" })
    if (n % 3 !== 0) yield* within("it is acknowledged", ledger.acked(name), gateway)
  }
  yield* within(
    "all is answered",
    Effect.gen(function*() {
      while ((yield* ledger.verdict).lost > 0) yield* Effect.sleep("10 millis")
    }),
    gateway
  )
  gateway.signal("SIGKILL")
  yield* ending(gateway)
  const eventOf = new Map(
    (yield* slack.journal).flatMap((entry) =>
      entry._tag === "EnvelopeSent" && entry.eventId !== undefined ? [[entry.envelopeId, entry.eventId]] : []
    )
  )
  const trace = readTrace(traceTo).map((event): Traced =>
    event._tag === "Ack" ? { ...event, envelopeId: eventOf.get(event.envelopeId) ?? "?" } : event
  )
  assert.isAtLeast(trace.filter((event) => event._tag === "Ack").length, messages)
  return trace
})

/** Acknowledged events whose row had not been synced when the ack left. */
const ackedTooEarly = (trace: ReadonlyArray<Traced>) => {
  const early: Array<string> = []
  for (const [at, event] of trace.entries()) {
    if (event._tag !== "Ack") continue
    const key = Buffer.from(`event:${event.envelopeId}`)
    const before = trace.slice(0, at)
    const written = before.findIndex((other) =>
      other._tag === "Write" && other.file === log && other.bytes.includes(key)
    )
    const isSynced = written !== -1 &&
      before.slice(written).some((other) => other._tag === "Sync" && other.file === log)
    if (!isSynced) early.push(event.envelopeId)
  }
  return early
}

const sound = { check: "ok", missing: [] as ReadonlyArray<string> }
const lookInto = (files: Parameters<typeof reopen>[0], directory: string, acked: ReadonlyArray<string>) => {
  const { check, events } = reopen(files, directory)
  return { check, missing: acked.filter((event) => !events.has(event)) }
}

/** Every combination of fates; of many pages every subset, and every subset with each of its pages torn. */
const combinations = (pages: number): ReadonlyArray<ReadonlyArray<Fate>> => {
  if (pages <= 4) {
    return Array.from(
      { length: 4 ** pages },
      (_, n) => Array.from({ length: pages }, (_, page) => fates[Math.floor(n / 4 ** page) % 4] ?? "missing")
    )
  }
  return Array.from({ length: 2 ** pages }, (_, n) => {
    const subset = Array.from({ length: pages }, (_, page): Fate => (n >> page) % 2 === 1 ? "whole" : "missing")
    const torn = subset.flatMap((fate, page) =>
      fate === "missing" ? [] : (["first half", "second half"] as const).map((half) => subset.with(page, half))
    )
    return [subset, ...torn]
  }).flat()
}

const pagesIn = (moment: Moment, file: string) => moment.unsynced.get(file)?.length ?? 0

/** The moment with the fewest unsynced pages of a file, but at least so many. */
const smallest = (
  moments: ReadonlyArray<Moment>,
  file: string,
  atLeast: number,
  also: (moment: Moment) => boolean = () => true
) =>
  moments.filter((moment) => pagesIn(moment, file) >= atLeast && moment.acked.length > 0 && also(moment))
    .toSorted((a, b) => pagesIn(a, file) - pagesIn(b, file))[0]

/** Thousands of small databases are opened here; where there is a disk in memory they need not wait for a real one. */
const inMemory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "slackwater-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
)

describe.skipIf(!isTraceable)("the loss of power", () => {
  it.live("finds every acknowledged event synced before its ack left", () =>
    withSlack(Effect.gen(function*() {
      assert.deepStrictEqual(ackedTooEarly(yield* observe(manyCheckpoints)), [])
    })))

  it.live("would be told from a gateway that does not sync", () =>
    withSlack(Effect.gen(function*() {
      const trace = yield* observe(["PRAGMA synchronous = OFF", "PRAGMA synchronous = OFF"])
      assert.isAtLeast(ackedTooEarly(trace).length, messages)
      const directory = yield* temporaryDirectory
      const last = momentsOf(trace).at(-1)
      assert.isAbove(lookInto(last?.safe ?? new Map(), join(directory, "last"), last?.acked ?? []).missing.length, 0)
    })))

  it.live("leaves a file that opens with every acknowledged event, whichever unsynced pages were written", () =>
    withSlack(Effect.gen(function*() {
      const directory = yield* inMemory
      const moments = momentsOf(yield* observe(manyCheckpoints))
      const checkpoints = moments.filter(({ safe, synced }) => synced === database && safe.has(log)).length
      assert.isAtLeast(checkpoints, 5)
      for (const [at, { acked, safe }] of moments.entries()) {
        assert.deepStrictEqual(lookInto(safe, join(directory, "synced"), acked), sound, `after sync ${at + 1}`)
      }
      const cases = [
        ["a commit", log, smallest(moments, log, 3, ({ synced }) => synced === log)],
        ["a checkpoint", database, smallest(moments, database, 3, ({ safe }) => safe.has(log))],
        ["the first write after a checkpoint", log, smallest(moments, log, 1, ({ synced }) => synced === database)]
      ] as const
      let reopened = moments.length
      for (const [what, file, moment] of cases) {
        if (moment === undefined) return assert.fail(`${what} was not met`)
        for (const fate of combinations(pagesIn(moment, file))) {
          const found = lookInto(withFates(moment, file, fate), join(directory, "torn"), moment.acked)
          assert.deepStrictEqual(found, sound, `${what}: ${fate.join(", ")}`)
          reopened += 1
        }
      }
      const pages = cases.map(([what, file, moment]) =>
        `${what} of ${moment === undefined ? 0 : pagesIn(moment, file)}`
      )
      process.stderr.write(
        `loss of power: ${moments.length} syncs, ${checkpoints} checkpoints, ${reopened} states reopened ` +
          `(${pages.join(", ")} pages), all whole\n`
      )
    })))
})
