/**
 * Keeps a second gateway off the same data directory.
 *
 * `owner.lock` is a small SQLite file in rollback-journal mode: the owner's row is committed, so that others can read
 * who owns the directory, and then a `BEGIN IMMEDIATE` is held open, whose lock the kernel frees the moment the
 * process is gone, `kill -9` included. A copied file carries no lock.
 *
 * Never open or copy `owner.lock`, the database or its WAL with `fs` while they are open here: closing any descriptor
 * of a file drops all POSIX locks this process has on it (measured). So this process's own directories are listed in
 * memory and refused before a file is touched.
 */
import { Effect, Schedule } from "effect"
import type { Scope } from "effect"
import { chmodSync, existsSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { DatabaseError, Owned, Unusable } from "./DatabaseError.ts"

/** Of several that start at the same moment one must win: nobody is refused before it has asked for this long (ms). */
const contested = 1_000

/** Directories owned by this process. POSIX locks are per process, so the list must be too. */
const held = new Set<string>()

const detailOf = (error: unknown) => error instanceof Error ? error.message : String(error)

const isBusy = (error: unknown) => error instanceof Error && (Reflect.get(error, "errcode") as unknown) === 5

const ownerIn = (db: DatabaseSync): string => {
  try {
    const row = db.prepare("SELECT owner, pid, since FROM owner").get()
    return row === undefined
      ? "unknown"
      : `pid ${String(row["pid"])}, since ${new Date(Number(row["since"])).toISOString()}`
  } catch {
    return "unknown"
  }
}

const take = (file: string, owner: string, now: number): DatabaseSync => {
  const db = new DatabaseSync(file, { timeout: 0 })
  try {
    db.exec("PRAGMA journal_mode = DELETE")
    db.exec("BEGIN IMMEDIATE")
    db.exec(
      "CREATE TABLE IF NOT EXISTS owner (id INTEGER PRIMARY KEY CHECK (id = 1), owner TEXT, pid INTEGER, since INTEGER)"
    )
    db.prepare("INSERT OR REPLACE INTO owner VALUES (1, ?, ?, ?)").run(owner, process.pid, now)
    db.exec("COMMIT")
    db.exec("BEGIN IMMEDIATE")
    chmodSync(file, 0o600)
    return db
  } catch (error) {
    // What we wrote and could not commit must not name us as the owner.
    if (db.isTransaction) db.exec("ROLLBACK")
    const reason = isBusy(error)
      ? new Owned({ path: file, owner: ownerIn(db) })
      : new Unusable({ path: file, detail: detailOf(error) })
    db.close()
    throw new DatabaseError({ reason })
  }
}

/** Refuses a directory that this very process owns already. */
export const refuseHeld = (directory: string): Effect.Effect<void, DatabaseError> =>
  Effect.suspend(() =>
    held.has(directory)
      ? Effect.fail(
        new DatabaseError({ reason: new Owned({ path: directory, owner: `this process, pid ${process.pid}` }) })
      )
      : Effect.void
  )

/** Who owns the directory now, if anybody does. For commands: nothing is held when it returns. */
export const ownerOf = (file: string): Effect.Effect<string | undefined, DatabaseError> =>
  Effect.try({
    try: () => {
      if (!existsSync(file)) return undefined
      const db = new DatabaseSync(file, { timeout: 0 })
      try {
        db.exec("BEGIN IMMEDIATE")
        db.exec("ROLLBACK")
        return undefined
      } catch (error) {
        if (isBusy(error)) return ownerIn(db)
        throw error
      } finally {
        db.close()
      }
    },
    catch: (error) => new DatabaseError({ reason: new Unusable({ path: file, detail: detailOf(error) }) })
  })

/** Owns the directory until the scope closes. `directory` is absolute. */
export const acquire = (
  directory: string,
  file: string,
  owner: string,
  now: number
): Effect.Effect<void, DatabaseError, Scope.Scope> =>
  Effect.asVoid(Effect.acquireRelease(
    Effect.try({
      try: () => {
        const db = take(file, owner, now)
        held.add(directory)
        return db
      },
      catch: (error) =>
        error instanceof DatabaseError
          ? error
          : new DatabaseError({ reason: new Unusable({ path: file, detail: detailOf(error) }) })
    }).pipe(Effect.retry({
      while: (error) => error.reason._tag === "Owned",
      schedule: Schedule.spaced("20 millis").pipe(Schedule.jittered, Schedule.upTo({ duration: contested }))
    })),
    (db) =>
      Effect.sync(() => {
        held.delete(directory)
        db.close()
      })
  ))
