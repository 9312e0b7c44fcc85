/**
 * `slackwater import <dir>`: takes over a legacy file queue, whether a gateway runs or not.
 *
 * Guarantees, also after `kill -9`: a file is deleted after its rows are on disk, and rows that are known are not made
 * again; so whatever was interrupted is finished by the same command.
 */
import { Clock, Console, Duration, Effect, FileSystem, Path, Runtime, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { defaultAccount, type Entry, pathOf, plan, type Stayed } from "../import/LegacyQueue.ts"
import { type QueueFolder, readQueueFolder } from "../import/queueFolder.ts"
import { OutboxStore } from "../OutboxStore.ts"
import * as Beside from "../sql/Beside.ts"
import { changing, commandSettings } from "./besideGateway.ts"
import { type Counts, emptyCounts, type ImportReport, table } from "./importReport.ts"
import { progress } from "./progress.ts"
import { json as jsonText } from "./terminalText.ts"

/** Entries in one transaction: a gateway beside us waits no longer than that takes. */
const together = 32

/** The report has said why. */
export class ImportIncomplete extends Schema.TaggedError<ImportIncomplete>()("ImportIncomplete", {}) {
  override readonly [Runtime.errorExitCode] = 1
  override readonly [Runtime.errorReported] = false
}

const tell = progress("taking over", "entries")

const outcomesOf = (entries: ReadonlyArray<Entry>, isNew: ReadonlyArray<boolean>): Counts => {
  const counts = emptyCounts()
  for (const [index, { outcome }] of entries.entries()) counts[isNew[index] === true ? outcome : "known"] += 1
  return counts
}

/** Deletes the files of an entry whose rows are on disk. Answers those that could not be. */
const clear = Effect.fnUntraced(function*({ root }: QueueFolder, { files }: Entry) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const stayed: Array<Stayed> = []
  // In this order: a mark without its entry says nothing new, an entry without its mark would.
  for (const { folder, name } of files) {
    yield* fs.remove(path.join(root, folder, name), { force: true }).pipe(
      Effect.catch((error) =>
        Effect.sync(() => {
          const reason = `it was taken over, and could not be deleted (${error.reason._tag}): delete it`
          stayed.push({ folder, name, malformed: true, reason })
        })
      )
    )
  }
  return stayed
})

const takeOver = Effect.fnUntraced(function*(queue: QueueFolder, entries: ReadonlyArray<Entry>, now: number) {
  const store = yield* OutboxStore
  const isNew: Array<boolean> = []
  const stayed: Array<Stayed> = []
  for (let from = 0; from < entries.length; from += together) {
    yield* tell(from, entries.length)
    const batch = entries.slice(from, from + together)
    isNew.push(...yield* store.import(batch.map(({ rows }) => rows), now))
    for (const entry of batch) stayed.push(...yield* clear(queue, entry))
  }
  yield* tell(entries.length, entries.length)
  return { counts: outcomesOf(entries, isNew), stayed }
})

const keysOf = ({ rows }: Entry) => rows.map(({ key }) => key)

/** Which rows of the entries are in the database that is there. One whose tables are yet to be made has none. */
const knownIn = (dataDir: string, entries: ReadonlyArray<Entry>) =>
  OutboxStore.use((store) =>
    Effect.filter(entries.flatMap(keysOf), (key) => Effect.map(store.keysAt(key), (keys) => keys.includes(key)))
  ).pipe(
    Effect.provide(Beside.layer(dataDir, { mayChange: false }), { local: true }),
    Effect.catchReason(
      "DatabaseError",
      "OlderSchema",
      ({ found, owner }, error) => found === 0 && owner === null ? Effect.succeed([]) : Effect.fail(error)
    )
  )

/** What would be done, and fails where that would. Nothing is made that is not there. */
const foresee = Effect.fnUntraced(function*(dataDir: string, entries: ReadonlyArray<Entry>) {
  const known = new Set((yield* Beside.isThere(dataDir)) ? yield* knownIn(dataDir, entries) : [])
  const isNew = entries.map((entry) => {
    const keys = keysOf(entry)
    const was = keys.some((key) => known.has(key))
    // The same id may lie in both folders.
    for (const key of keys) known.add(key)
    return !was
  })
  return { counts: outcomesOf(entries, isNew), stayed: [] }
})

export const importQueue = Command.make(
  "import",
  {
    dir: Argument.String("dir").pipe(
      Argument.withDescription("The folder delivery-queue, or the one it is in; failed/ is inside it or beside it")
    ),
    dryRun: Flag.Boolean("dry-run").pipe(
      Flag.withDescription("Change nothing, and print what would be done"),
      Flag.withDefault(false)
    ),
    account: Flag.String("account").pipe(
      Flag.withDescription(
        "Whose entries to take over (accountId): an account is a workspace, and has a data directory"
      ),
      Flag.withDefault(defaultAccount)
    ),
    json: Flag.Boolean("json").pipe(Flag.withDescription("Print the report as JSON"), Flag.withDefault(false))
  },
  Effect.fn("import")(function*({ account, dir, dryRun, json }) {
    const { dataDir, outboxTtl } = yield* commandSettings
    const queue = yield* readQueueFolder(dir)
    const now = yield* Clock.currentTimeMillis
    const ttl = outboxTtl === null ? null : Duration.toMillis(outboxTtl)
    const planned = plan(queue.files, { account, now, ttl })
    const done = planned.entries.length === 0
      ? { counts: emptyCounts(), stayed: [] }
      : dryRun
      ? yield* foresee(dataDir, planned.entries)
      : yield* takeOver(queue, planned.entries, now).pipe(changing(dataDir))
    const stayed = [...planned.stayed, ...done.stayed]
    const report: typeof ImportReport.Type = {
      dryRun,
      counts: { ...done.counts, stayed: stayed.length },
      stayed: stayed.map(({ malformed, reason, ...file }) => ({ file: pathOf(file), malformed, reason }))
    }
    yield* Console.log(json ? jsonText(report) : table(done.counts, stayed, dryRun))
    if (stayed.some(({ malformed }) => malformed)) return yield* new ImportIncomplete()
  })
).pipe(
  Command.withDescription(
    "Take over a legacy file queue (delivery-queue/*.json); stop the program that writes it first"
  ),
  Command.withExamples([
    { command: "slackwater import ~/.bot --dry-run", description: "See what would be done" },
    { command: "slackwater import ~/.bot/delivery-queue", description: "Do it; repeat it after any interruption" }
  ])
)
