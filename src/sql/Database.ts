/**
 * The SQLite file: opened, checked, locked and brought to this release's schema.
 *
 * Guarantees: WAL with `synchronous=FULL`, read back, so that what was committed survives a power cut as far as the
 * disk keeps its promise; one writer, this process; file mode 0600 in a directory of mode 0700. If any of this does
 * not hold the gateway does not start; memory is never a silent substitute.
 * Does not: wait synchronously for locks beyond 100 ms (that would stop acks and pongs); the stores try again.
 */
import { SqliteClient } from "@effect/sql-sqlite-node"
import { Cause, Clock, Context, Effect, Layer, Random, Schedule } from "effect"
import type { Scope } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readSync,
  realpathSync
} from "node:fs"
import { join } from "node:path"
import { GatewayConfig } from "../GatewayConfig.ts"
import { OwnerId } from "../Message.ts"
import { DatabaseError, NotSqlite, unusable } from "./DatabaseError.ts"
import { migrate, refuseNewer } from "./migrations.ts"
import * as OwnerLock from "./OwnerLock.ts"
import { openReader } from "./Reader.ts"

/** The id under which this process owns the data directory. */
export class Owner extends Context.Service<Owner, { readonly id: OwnerId }>()("slackwater/sql/Owner") {}

/** Another program may hold the file for a moment, also while it is opened and its WAL is replayed (ms). */
export const busyFor = 5_000

/** The gateway waits no longer at a stretch while another program writes: nothing else runs meanwhile (ms). */
const busyMs = 100

const isBusy = (error: DatabaseError) =>
  error.reason._tag === "Unusable" && /database is locked/.test(error.reason.detail)

export const untilOpen = <A, R>(effect: Effect.Effect<A, DatabaseError, R>) =>
  Effect.retry(effect, {
    while: isBusy,
    schedule: Schedule.spaced("50 millis").pipe(Schedule.upTo({ duration: busyFor }))
  })

/** Makes the directory if need be. Absolute. */
export const makeDirectory = (dataDir: string) =>
  Effect.try({
    try: () => {
      mkdirSync(dataDir, { recursive: true, mode: 0o700 })
      accessSync(dataDir, constants.R_OK | constants.W_OK | constants.X_OK)
      return realpathSync(dataDir)
    },
    catch: (error) => unusable(dataDir, error)
  })

/** The same, for an owner. */
export const prepareDirectory = (dataDir: string) => Effect.tap(makeDirectory(dataDir), OwnerLock.refuseHeld)

/** A name for this start of the gateway, and when that was. */
export const newOwner = Effect.gen(function*() {
  const now = yield* Clock.currentTimeMillis
  const nonce = yield* Random.nextIntBetween(0, 36 ** 6)
  return { now, id: OwnerId.make(`${now.toString(36)}-${nonce.toString(36).padStart(6, "0")}`) }
})

/** Looks at what is there, before anything is written. */
const inspect = (dataDir: string) =>
  Effect.gen(function*() {
    const directory = yield* prepareDirectory(dataDir)
    const file = join(directory, "slackwater.db")
    const header = yield* Effect.try({
      try: () => {
        if (!existsSync(file)) return ""
        accessSync(file, constants.R_OK | constants.W_OK)
        const bytes = Buffer.alloc(16)
        const descriptor = openSync(file, "r")
        const length = readSync(descriptor, bytes, 0, 16, 0)
        closeSync(descriptor)
        return bytes.subarray(0, length).toString("latin1")
      },
      catch: (error) => unusable(file, error)
    })
    if (header !== "" && header !== "SQLite format 3\0") {
      return yield* new DatabaseError({ reason: new NotSqlite({ path: file }) })
    }
    return { directory, file }
  })

/** What the connection goes by. */
export const pragma = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, name: string) {
  const [row] = yield* sql.unsafe<Record<string, unknown>>(`PRAGMA ${name}`)
  return Object.values(row ?? {})[0]
})

/** Pragma, and what it must read back as. */
// Measured and left as they are, since nothing got faster: cache_size, temp_store, wal_autocheckpoint. Nor does
// secure_delete cost anything that can be measured on the way of a message.
const pragmas = (busyMs: number): ReadonlyArray<readonly [name: string, value: string, readBack: unknown]> => [
  ["journal_mode", "WAL", "wal"],
  ["synchronous", "FULL", 2],
  ["foreign_keys", "ON", 1],
  // What is deleted is overwritten, so that what is forgotten is in no page any more.
  ["secure_delete", "ON", 1],
  ["busy_timeout", String(busyMs), busyMs]
]

/** Sets the file and this connection up; the connection waits for so long, synchronously, while somebody else writes. */
const configure = Effect.fnUntraced(function*(file: string, busyMs: number) {
  const sql = yield* SqlClient.SqlClient
  for (const [name, value, expected] of pragmas(busyMs)) {
    yield* sql.unsafe(`PRAGMA ${name} = ${value}`)
    const found = yield* pragma(sql, name)
    if (found !== expected) {
      return yield* unusable(file, `PRAGMA ${name} is ${String(found)} and not ${String(expected)}`)
    }
  }
  yield* Effect.try({ try: () => chmodSync(file, 0o600), catch: (error) => unusable(file, error) })
})

/** Opens the file and sets it up; the schema is `upToDate`'s, once we know that it is not newer. */
export const openFile = Effect.fnUntraced(function*(
  file: string,
  busyMs: number,
  upToDate: Effect.Effect<void, SqlError.SqlError | DatabaseError, SqlClient.SqlClient>
) {
  const scope: Scope.Scope = yield* Effect.scope
  const context = yield* untilOpen(
    Layer.buildWithScope(SqliteClient.layer({ filename: file, disableWAL: true }), scope).pipe(
      // The driver opens the file in a constructor that throws. WAL is set below, once we know that the file is ours.
      Effect.catchCause((cause) => Effect.fail(unusable(file, Cause.squash(cause))))
    )
  )
  yield* untilOpen(
    Effect.gen(function*() {
      yield* refuseNewer(file)
      yield* configure(file, busyMs)
      yield* upToDate
    }).pipe(
      Effect.provideContext(context),
      Effect.mapError((error) => error._tag === "DatabaseError" ? error : unusable(file, error))
    )
  )
  return context
})

const open = Effect.gen(function*() {
  const { dataDir } = yield* GatewayConfig
  const { directory, file } = yield* inspect(dataDir)
  const { id, now } = yield* newOwner
  yield* OwnerLock.acquire(directory, join(directory, "owner.lock"), id, now)
  const context = yield* openFile(file, busyMs, migrate)
  const reader = yield* openReader(file, busyMs)
  return Context.add(Context.merge(context, reader), Owner, { id })
})

/** The gateway's own file in `dataDir`. */
export const layer = Layer.effectContext(open)
