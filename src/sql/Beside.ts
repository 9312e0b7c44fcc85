/**
 * The database of a data directory, opened beside whoever owns it: for commands.
 *
 * Guarantees: what is committed here is as durable as what the gateway commits, and a gateway is never kept from
 * starting or working: the owner lock is not taken, every write is one short transaction. A database of a newer release
 * is refused; one that is not at this release's schema yet is brought there only while no gateway owns it. Where the
 * owner keeps its rows in its host's database the command is refused, and nothing is made.
 * Does not: tell the gateway (WakeFile does), or recover what a dead gateway held (its next start does).
 */
import { Effect, Layer, Schedule } from "effect"
import { existsSync, statSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { Supervisor } from "../Supervisor.ts"
import * as Control from "./Control.ts"
import { busyFor, makeDirectory, openFile } from "./Database.ts"
import { DatabaseError, Elsewhere, Missing, OlderSchema } from "./DatabaseError.ts"
import { GroupCommit } from "./GroupCommit.ts"
import { current, latest, migrate } from "./migrations.ts"
import * as OutboxStore from "./OutboxStore.ts"
import * as OwnerLock from "./OwnerLock.ts"

/** An owner that has the lock has made its file by then (ms). */
const startsWithin = 2_000

/**
 * Refuses where rows would never be seen: the owner of the directory has them in its host's database. One that has just
 * been started makes its file within moments, so nobody is refused before that time is up.
 */
const refuseElsewhere = (file: string, lock: string) =>
  Effect.gen(function*() {
    if (existsSync(file)) return
    const owner = yield* OwnerLock.ownerOf(lock)
    if (owner === undefined) return
    return yield* new DatabaseError({ reason: new Elsewhere({ path: file, owner }) })
  }).pipe(Effect.retry({
    while: (error) => error.reason._tag === "Elsewhere",
    schedule: Schedule.spaced("50 millis").pipe(Schedule.upTo({ duration: startsWithin }))
  }))

const nearestThere = (path: string): string => existsSync(path) ? path : nearestThere(dirname(path))

/** Whether there is a database with anything in it; fails as `layer` does where none could be made. Makes nothing. */
export const isThere = Effect.fnUntraced(function*(dataDir: string) {
  const path = resolve(dataDir)
  const file = join(path, "slackwater.db")
  yield* makeDirectory(nearestThere(path))
  yield* refuseElsewhere(file, join(path, "owner.lock"))
  return existsSync(file) && statSync(file).size > 0
})

/** Brings the schema up to date, unless that is its owner's to do, or nothing may be changed. */
const upToDate = Effect.fnUntraced(function*(file: string, lock: string, mayChange: boolean) {
  const found = yield* current
  if (found === latest) return
  const owner = (yield* OwnerLock.ownerOf(lock)) ?? null
  if (owner !== null || !mayChange) {
    return yield* new DatabaseError({ reason: new OlderSchema({ path: file, found, known: latest, owner }) })
  }
  yield* migrate
})

interface Options {
  /** False: the database is read only as it is. */
  readonly mayChange?: boolean
  /** False: where there is no database none is made, nor a directory for it. */
  readonly mayMake?: boolean
}

const open = Effect.fnUntraced(function*(dataDir: string, { mayChange = true, mayMake = true }: Options) {
  const missing = () => new DatabaseError({ reason: new Missing({ path: join(dataDir, "slackwater.db") }) })
  if (!mayMake && !existsSync(dataDir)) return yield* missing()
  const directory = yield* makeDirectory(dataDir)
  const file = join(directory, "slackwater.db")
  const lock = join(directory, "owner.lock")
  yield* refuseElsewhere(file, lock)
  if (!mayMake && !existsSync(file)) return yield* missing()
  return yield* openFile(file, busyFor, upToDate(file, lock, mayChange))
})

/** What is in the data directory: the outbox, and the work as an operator sees it. */
export const layer = (dataDir: string, options: Options = {}) =>
  Layer.mergeAll(OutboxStore.layer, Control.layer).pipe(
    Layer.provide(GroupCommit.layer),
    Layer.provide(Supervisor.layer),
    Layer.provide(Layer.effectContext(open(dataDir, options)))
  )
