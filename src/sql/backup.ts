/**
 * A copy of the database as it is at one moment, taken beside whoever writes it: one file, that stands alone.
 *
 * SQLite's online backup, and not `VACUUM INTO`: it runs in another thread a few megabytes at a time, so it can say how
 * far it is and be stopped. On its own it begins anew whenever another process writes (measured: 260 times in 4 s, and
 * never done); a read transaction that is held meanwhile keeps it to that moment. In WAL mode a reader holds up no
 * writer: the gateway goes on, only its WAL grows until the copy is done.
 * Guarantees: what `copyDatabase` and `settle` leave is complete, checked (`quick_check`) and in rollback-journal mode,
 * so that nothing belongs to it but the one file; a gateway that opens it switches to WAL again.
 * Does not: own the directory, run in the owning process (see OwnerLock), or choose names.
 */
import { SqliteClient } from "@effect/sql-sqlite-node"
import { Effect, Layer, Runtime, Schema } from "effect"
import { closeSync, openSync } from "node:fs"
import { backup, DatabaseSync } from "node:sqlite"
import { Supervisor } from "../Supervisor.ts"
import { unusable } from "./DatabaseError.ts"
import { GroupCommit } from "./GroupCommit.ts"
import * as OutboxStore from "./OutboxStore.ts"

/** Pages that are copied in one go: about four megabytes. */
const together = 1_000
/** Another program may hold the file for a moment (ms). */
const patience = 5_000
const stopsWithin = "10 seconds"

/** It was not made. Whatever was written is not a backup. */
export class CopyError extends Schema.TaggedError<CopyError>()("CopyError", {
  path: Schema.String,
  detail: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 1
  override get message(): string {
    return `the backup was not made: ${this.path}: ${
      this.detail.replaceAll(/\s+/g, " ")
    }; see that there is room and that it can be written`
  }
}

export const copyError = (path: string) => (error: unknown) =>
  error instanceof CopyError
    ? error
    : new CopyError({ path, detail: error instanceof Error ? error.message : String(error) })

/** A moment of the database, held by a read transaction. */
const heldOpen = (file: string) =>
  Effect.acquireRelease(
    Effect.try({
      try: () => {
        const db = new DatabaseSync(file, { readOnly: true, timeout: patience })
        try {
          db.exec("BEGIN")
          db.prepare("SELECT count(*) FROM sqlite_schema").get()
          return db
        } catch (error) {
          db.close()
          throw error
        }
      },
      catch: (error) => unusable(file, error)
    }),
    (db) => Effect.sync(() => db.close())
  )

/** Copies `file` to `target`, which must not be there yet; mode 0600. */
export const copyDatabase = Effect.fn("copyDatabase")(function*(
  file: string,
  target: string,
  tell: (done: number, total: number) => void
) {
  const db = yield* heldOpen(file)
  yield* Effect.try({
    // Made by us, since SQLite would make it readable for everybody.
    try: () => closeSync(openSync(target, "wx", 0o600)),
    catch: copyError(target)
  })
  let stopped = false
  let running: Promise<unknown> = Promise.resolve()
  yield* Effect.tryPromise({
    try: () => {
      const copying = backup(db, target, {
        rate: together,
        progress: ({ remainingPages, totalPages }) => {
          if (stopped) throw new Error("stopped")
          tell(totalPages - remainingPages, totalPages)
        }
      })
      running = copying.catch(() => undefined)
      return copying
    },
    catch: copyError(target)
  }).pipe(
    // The other thread works with the connection until it is told to stop.
    Effect.onInterrupt(() => {
      stopped = true
      return Effect.asVoid(Effect.timeoutOption(Effect.promise(() => running), stopsWithin))
    })
  )
}, Effect.scoped)

export interface Settled {
  readonly schema: number
  readonly messages: number
  readonly replies: number
}

/** Makes the copy stand alone, checks it, and answers what it holds. */
export const settle = (target: string): Effect.Effect<Settled, CopyError> =>
  Effect.try({
    try: () => {
      const db = new DatabaseSync(target, { timeout: patience })
      const number = (statement: string) => Number(Object.values(db.prepare(statement).get() ?? {})[0] ?? 0)
      try {
        db.exec("PRAGMA synchronous = FULL")
        db.exec("PRAGMA journal_mode = DELETE")
        const found = Object.values(db.prepare("PRAGMA quick_check(1)").get() ?? {})[0]
        if (found !== "ok") throw new Error(`the copy is damaged (${String(found)})`)
        if (number("SELECT count(*) FROM sqlite_schema WHERE name = 'slackwater_schema'") === 0) {
          throw new Error("what was copied is no database of Slackwater's")
        }
        return {
          schema: number("SELECT version FROM slackwater_schema"),
          messages: number("SELECT count(*) FROM slackwater_messages"),
          replies: number("SELECT count(*) FROM slackwater_outbox")
        }
      } finally {
        db.close()
      }
    },
    catch: copyError(target)
  })

/** The replies in the copy, to look at. */
export const outboxIn = (target: string) =>
  OutboxStore.layer.pipe(
    Layer.provide(GroupCommit.layer),
    Layer.provide(Supervisor.layer),
    Layer.provide(SqliteClient.layer({ filename: target, disableWAL: true }))
  )
