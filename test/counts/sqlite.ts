/**
 * What SQLite was asked to do, whoever asked and through whatever client: the classes of `node:sqlite` are wrapped for as
 * long as a scope lasts.
 *
 * A commit is counted when it kept a change, since only that is a sync; a statement outside of a transaction that
 * changed something is one. Reading and a transaction in which nothing was written cost no sync and count as none.
 */
import { Effect } from "effect"
import { DatabaseSync, StatementSync } from "node:sqlite"

export interface Seen {
  prepares: number
  /** Executions, without BEGIN and COMMIT. */
  statements: number
  commits: number
  /** Rows written, also if that was undone. */
  rows: number
  /** Of what was executed, each text once, and how often. */
  readonly texts: Map<string, number>
  readonly prepared: Array<string>
}

const control = /^\s*(?:BEGIN|COMMIT|END|ROLLBACK|SAVEPOINT|RELEASE|PRAGMA)\b/i

/** Counts from now on, until the scope closes. */
export const counted = Effect.acquireRelease(
  Effect.sync(() => {
    const seen: Seen = { prepares: 0, statements: 0, commits: 0, rows: 0, texts: new Map(), prepared: [] }
    const of = new WeakMap<StatementSync, DatabaseSync>()
    const states = new WeakMap<DatabaseSync, { readonly asked: StatementSync; changes: number; kept: number }>()
    const { exec, prepare } = DatabaseSync.prototype
    const { all, get, iterate, run } = StatementSync.prototype

    /** Everything this connection has ever changed. */
    const changesOf = (asked: StatementSync) => (Reflect.apply(get, asked, []) as { readonly n: number }).n
    const stateOf = (db: DatabaseSync) => {
      let state = states.get(db)
      if (state === undefined) {
        const asked = prepare.call(db, "SELECT total_changes() AS n")
        state = { asked, changes: changesOf(asked), kept: changesOf(asked) }
        states.set(db, state)
      }
      return state
    }

    const around = <A>(db: DatabaseSync | undefined, text: string, call: () => A): A => {
      // One that a client prepared before we came.
      if (db === undefined) throw new Error("a statement of before")
      const state = stateOf(db)
      if (!control.test(text)) {
        seen.statements += 1
        seen.texts.set(text, (seen.texts.get(text) ?? 0) + 1)
      }
      const answer = call()
      if (!db.isOpen) return answer
      const changes = changesOf(state.asked)
      seen.rows += changes - state.changes
      state.changes = changes
      if (db.isTransaction) return answer
      if (changes > state.kept && !/^\s*ROLLBACK/i.test(text)) seen.commits += 1
      state.kept = changes
      return answer
    }

    DatabaseSync.prototype.exec = function(this: DatabaseSync, text) {
      return around(this, text, () => exec.call(this, text))
    }
    DatabaseSync.prototype.prepare = function(this: DatabaseSync, ...given: Parameters<typeof prepare>) {
      seen.prepares += 1
      seen.prepared.push(given[0])
      const statement = prepare.apply(this, given)
      of.set(statement, this)
      return statement
    }
    const wrapped = (method: (...given: Array<never>) => unknown) =>
      function(this: StatementSync, ...given: Array<never>) {
        return around(of.get(this), this.sourceSQL, () => method.apply(this, given))
      }
    Object.assign(StatementSync.prototype, {
      all: wrapped(all),
      get: wrapped(get),
      iterate: wrapped(iterate),
      run: wrapped(run)
    })
    return {
      seen,
      /** From zero again. */
      reset: () => {
        Object.assign(seen, { prepares: 0, statements: 0, commits: 0, rows: 0 })
        seen.texts.clear()
        seen.prepared.length = 0
      },
      restore: () => {
        Object.assign(DatabaseSync.prototype, { exec, prepare })
        Object.assign(StatementSync.prototype, { all, get, iterate, run })
      }
    }
  }),
  ({ restore }) => Effect.sync(restore)
)
