/**
 * `slackwater backup <file>`: an online copy, beside a running gateway or without one.
 *
 * `<file>` is the database as it was at one moment (`sql/backup.ts`). Files that wait to be uploaded are not in it: those
 * that its replies need are copied to the folder `<file>.spool`, where there are any. Restored, they are `slackwater.db`
 * and `spool` of a data directory.
 * Guarantees, also after `kill -9`: under its name there is a whole backup, checked and on disk, or none: everything is
 * made under other names (`<file>.partial-…`), and the database gets its own last. Modes 0600 and 0700.
 * Does not: hold up the gateway, or write into its directory.
 */
import { Clock, Console, Effect, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { existsSync, realpathSync, rmSync, statSync } from "node:fs"
import { rename } from "node:fs/promises"
import { basename, dirname, join, resolve, sep } from "node:path"
import { setting } from "../GatewayConfig.ts"
import { OutboxStore } from "../OutboxStore.ts"
import { copyDatabase, CopyError, copyError, outboxIn, settle } from "../sql/backup.ts"
import * as Beside from "../sql/Beside.ts"
import { DatabaseError, Missing } from "../sql/DatabaseError.ts"
import { copySpool, keepOnly, sync, syncAll } from "./backupSpool.ts"
import { noProgress, write } from "./progress.ts"
import * as rowFlags from "./rowFlags.ts"
import { reading } from "./settings.ts"
import { json as jsonText, oneLine } from "./terminalText.ts"
import { UsageError } from "./usage.ts"

const count = Schema.Int

/** What `backup --json` prints. Fields may be added, never changed. */
export const BackedUp = Schema.Struct({
  file: Schema.String,
  bytes: count,
  /** Epoch milliseconds at which it was begun. */
  takenAt: count,
  schema: count,
  messages: count,
  replies: count,
  /** Files that wait to be uploaded; null where none does. */
  spool: Schema.NullOr(Schema.Struct({ directory: Schema.String, files: count, bytes: count })),
  /** Files that were sent while the backup was taken, and are not in it. */
  missing: count
})

/** Where it goes; refused where something would be lost by it. */
const targetOf = Effect.fnUntraced(function*(given: string, dataDir: string, force: boolean) {
  const folder = dirname(resolve(given))
  if (!existsSync(folder)) {
    return yield* new CopyError({ path: folder, detail: "there is no such folder" })
  }
  const directory = realpathSync(folder)
  const file = join(directory, basename(resolve(given)))
  const data = existsSync(dataDir) ? realpathSync(dataDir) : resolve(dataDir)
  if (directory === data || directory.startsWith(data + sep)) {
    const detail = `${oneLine(given)} is in the data directory itself: name a file elsewhere, best on another disk`
    return yield* new UsageError({ command: "backup", detail })
  }
  const there = [file, `${file}.spool`].find((path) => existsSync(path))
  if (there !== undefined && !force) {
    return yield* new CopyError({ path: there, detail: "it is there already; take another name, or --force" })
  }
  if (existsSync(file) && !statSync(file).isFile()) {
    return yield* new CopyError({ path: file, detail: "it is no file" })
  }
  return { file, directory }
})

const remove = (path: string) => rmSync(path, { recursive: true, force: true })

/** Names for what is not done yet; gone when the command ends, however it does. */
const partialOf = (file: string) =>
  Effect.acquireRelease(
    Effect.sync(() => `${file}.partial-${process.pid}`),
    (partial) =>
      Effect.sync(() => {
        for (const end of ["", "-journal", "-wal", "-shm", ".spool"]) remove(partial + end)
      })
  )

const take = Effect.fnUntraced(function*(data: string, file: string, directory: string) {
  const takenAt = yield* Clock.currentTimeMillis
  const partial = yield* partialOf(file)
  const source = join(data, "spool")
  const bytesWaiting = `${partial}.spool`
  const tell = (done: number, total: number) => write("copying", done, total, "pages")

  // Twice: what is sent while the database is copied is gone from the spool then, and what comes meanwhile is new.
  yield* copySpool(source, bytesWaiting)
  yield* copyDatabase(join(data, "slackwater.db"), partial, tell).pipe(Effect.ensuring(noProgress))
  yield* copySpool(source, bytesWaiting)

  const held = yield* settle(partial)
  const needed = OutboxStore.use((store) => store.spooled).pipe(
    Effect.provide(outboxIn(partial), { local: true }),
    Effect.mapError(copyError(partial))
  )
  const spool = yield* keepOnly(bytesWaiting, yield* needed)
  yield* Effect.tryPromise({
    try: async () => {
      await sync(partial)
      if (spool.files > 0) await syncAll(bytesWaiting)
      remove(`${file}.spool`)
      if (spool.files > 0) await rename(bytesWaiting, `${file}.spool`)
      await rename(partial, file)
      await sync(directory)
    },
    catch: copyError(file)
  })
  const answer: typeof BackedUp.Type = {
    file,
    bytes: statSync(file).size,
    takenAt,
    ...held,
    spool: spool.files === 0 ? null : { directory: `${file}.spool`, files: spool.files, bytes: spool.bytes },
    missing: spool.missing
  }
  return answer
}, Effect.scoped)

const mega = (bytes: number) => bytes < 1_000_000 ? `${Math.ceil(bytes / 1_000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`

const print = ({ bytes, file, messages, missing, replies, spool }: typeof BackedUp.Type) =>
  [
    `${oneLine(file)}: ${mega(bytes)}, ${messages} messages and ${replies} replies`,
    ...(spool === null
      ? []
      : [`${oneLine(spool.directory)}: ${spool.files} files that wait to be uploaded, ${mega(spool.bytes)}`]),
    ...(missing === 0 ? [] : [`${missing} files were uploaded meanwhile, and are not in it`])
  ].join("\n")

export const backup = Command.make(
  "backup",
  {
    file: Argument.String("file").pipe(
      Argument.withDescription("Where the copy goes; files that wait to be uploaded go to <file>.spool")
    ),
    force: Flag.Boolean("force").pipe(
      Flag.withDescription("Replace a backup that is there already"),
      Flag.withDefault(false)
    ),
    json: rowFlags.json
  },
  Effect.fn("backup")(function*({ file: given, force, json }) {
    const dataDir = yield* reading(setting("dataDir"))
    const { directory, file } = yield* targetOf(given, dataDir, force)
    if (!(yield* Beside.isThere(dataDir))) {
      return yield* new DatabaseError({ reason: new Missing({ path: join(resolve(dataDir), "slackwater.db") }) })
    }
    const answer = yield* take(realpathSync(dataDir), file, directory)
    yield* Console.log(json ? jsonText(answer) : print(answer))
  })
).pipe(
  Command.withDescription("Copy the database to a file while a gateway runs, with the files that wait to be uploaded"),
  Command.withExamples([
    { command: "slackwater backup /backups/slackwater-$(date +%F).db", description: "Once a day, from cron" },
    { command: "slackwater backup /backups/latest.db --force", description: "Always under the same name" }
  ])
)
