/**
 * The disk under the database: every statement of a process goes through here, whoever makes it.
 *
 * `node:sqlite` has no place to hook into, so its classes are wrapped once: a statement can be told that the file is
 * locked, that the disk is full or does not answer, and the process can die before or after it. A commit is synced, so
 * what lies in the files between two statements is what a power cut leaves: at a death they are copied, and the next
 * incarnation finds the copy. All of it lies in memory where the system has a tmpfs.
 * Reading here goes past all that: `committed` sees what another process would.
 */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { DatabaseSync, type SQLInputValue, StatementSync } from "node:sqlite"
import { Killed, type Machine, type Process } from "./Machine.ts"

/** What a statement is, as far as faults tell them apart. */
export type Kind = "begin" | "commit" | "rollback" | "write" | "read" | "setup"

const kindOf = (sql: string): Kind => {
  const word = /^\s*(\w+)/.exec(sql)?.[1]?.toUpperCase() ?? ""
  switch (word) {
    case "BEGIN":
      return "begin"
    case "COMMIT":
    case "END":
      return "commit"
    case "ROLLBACK":
      return "rollback"
    case "INSERT":
    case "UPDATE":
    case "DELETE":
    case "REPLACE":
      return "write"
    case "SELECT":
      return "read"
    case "WITH":
      return /\b(INSERT|UPDATE|DELETE)\b/.test(sql) ? "write" : "read"
    default:
      return "setup"
  }
}

interface Known {
  readonly kind: Kind
  /** The tables that it may change. */
  readonly tables: ReadonlyArray<string>
}

const known = new Map<string, Known>()
const knownOf = (sql: string): Known => {
  const before = known.get(sql)
  if (before !== undefined) return before
  const tables = [...sql.matchAll(/(?:INTO|UPDATE|FROM) slackwater_(\w+)/g)].map(([, table = ""]) => table)
  const found = { kind: kindOf(sql), tables }
  known.set(sql, found)
  return found
}

const sqliteError = (errcode: number, text: string) =>
  Object.assign(new Error(text), { code: "ERR_SQLITE_ERROR", errcode, errstr: text })
const trouble = {
  busy: () => sqliteError(5, "database is locked"),
  full: () => sqliteError(13, "database or disk is full"),
  ioerr: () => sqliteError(10, "disk I/O error")
}
export type Trouble = keyof typeof trouble

/** What the seed does to statements. */
export interface Fate {
  /** Before it runs: an error instead of it, or time that passes. */
  readonly before: (kind: Kind, inTransaction: boolean) => { readonly fails?: Trouble; readonly takes?: number }
  /** A point at which the process may die. */
  readonly point: (point: `${"before" | "after"} ${Kind}`) => void
  readonly committed: (tables: ReadonlySet<string>) => void
  readonly mark: (coincidence: string) => void
}

const real = {
  exec: DatabaseSync.prototype.exec,
  prepare: DatabaseSync.prototype.prepare,
  close: DatabaseSync.prototype.close,
  all: StatementSync.prototype.all,
  get: StatementSync.prototype.get,
  run: StatementSync.prototype.run
}

type Run = (this: StatementSync, ...given: Array<SQLInputValue>) => unknown

const file = "slackwater.db"
/** The disk of the history that runs: one at a time. */
let disk: Disk | undefined
const use = (next: Disk) => {
  disk = next
}
const databaseOf = new WeakMap<StatementSync, DatabaseSync>()
/** Whether the faults are about this one; the lock file is left alone. */
const isOurs = new WeakMap<DatabaseSync, boolean>()

const ours = (db: DatabaseSync): boolean => {
  const known = isOurs.get(db)
  if (known !== undefined) return known
  const is = basename(db.location() ?? "") === file
  isOurs.set(db, is)
  return is
}

let histories = 0
let installed = false
const install = () => {
  if (installed) return
  installed = true
  DatabaseSync.prototype.exec = function(this: DatabaseSync, sql: string) {
    return through(this, sql, () => real.exec.call(this, sql))
  }
  DatabaseSync.prototype.prepare = function(this: DatabaseSync, ...given: Parameters<typeof real.prepare>) {
    disk?.opened(this)
    const statement = real.prepare.apply(this, given)
    databaseOf.set(statement, this)
    return statement
  }
  for (const name of ["all", "get", "run"] as const) {
    Object.assign(StatementSync.prototype, {
      [name](this: StatementSync, ...given: Array<SQLInputValue>) {
        const db = databaseOf.get(this)
        const run = () => (real[name] as Run).apply(this, given)
        return db === undefined ? run() : through(db, this.sourceSQL, run)
      }
    })
  }
}

const through = <A>(db: DatabaseSync, sql: string, run: () => A): A =>
  disk === undefined ? run() : disk.through(db, sql, run)

/** Where the files of all histories lie. */
const roots: Array<string> = []
export const newRoot = () => {
  const memory = "/dev/shm"
  const root = mkdtempSync(join(existsSync(memory) ? memory : tmpdir(), "slackwater-simulation-"))
  roots.push(root)
  return root
}
process.on("exit", () => {
  for (const root of roots) rmSync(root, { recursive: true, force: true })
})

export class Disk {
  readonly #machine: Machine
  readonly #root: string
  readonly #open = new Set<DatabaseSync>()
  #reader: DatabaseSync | undefined
  readonly #prepared = new Map<string, StatementSync>()
  #lives = 0
  /** Of the open transaction. */
  #writes = 0
  readonly #touched = new Set<string>()
  /** The data directory of the living process, or of the next one. */
  dataDir: string
  process: Process | undefined
  fate: Fate | undefined
  statements = 0
  commits = 0

  constructor(machine: Machine, root: string) {
    install()
    use(this)
    this.#machine = machine
    // A place of its own each time: this process remembers what it owned.
    this.#root = join(root, `${machine.dice.seed}-${++histories}`)
    this.dataDir = this.#next()
    mkdirSync(this.dataDir, { recursive: true, mode: 0o700 })
  }

  #next(): string {
    return join(this.#root, `life-${++this.#lives}`)
  }

  opened(db: DatabaseSync): void {
    this.#open.add(db)
  }

  through<A>(db: DatabaseSync, sql: string, run: () => A): A {
    this.#open.add(db)
    const { fate, process } = this
    if (db === this.#reader || process === undefined || fate === undefined || !ours(db)) return run()
    process.guard()
    const { kind, tables } = knownOf(sql)
    this.statements += 1
    fate.point(`before ${kind}`)
    process.guard()
    const { fails, takes } = fate.before(kind, db.isTransaction)
    if (takes !== undefined) this.#machine.stall(takes)
    if (kind === "begin") this.#writes = 0
    if (fails !== undefined) {
      const [table] = tables
      if (table !== undefined) fate.mark(`${fails}:${table}`)
      if (kind === "commit" && this.#writes > 3) fate.mark("commit:fails with several")
      if (kind === "write" && db.isTransaction && this.#writes > 3) fate.mark("row:fails among others")
      // As SQLite does with many errors: what was written so far is rolled back at once.
      if (fails !== "busy" && db.isTransaction && kind === "commit") real.exec.call(db, "ROLLBACK")
      throw trouble[fails]()
    }
    const result = run()
    if (kind === "write") {
      this.#writes += 1
      for (const table of tables) this.#touched.add(table)
    }
    if ((kind === "commit" || kind === "write") && !db.isTransaction) {
      this.commits += 1
      fate.committed(this.#touched)
      this.#touched.clear()
    }
    fate.point(`after ${kind}`)
    process.guard()
    return result
  }

  /** What another process would find on disk now. */
  committed(): DatabaseSync | undefined {
    if (this.#reader !== undefined) return this.#reader
    const path = join(this.dataDir, file)
    if (!existsSync(path)) return undefined
    this.#reader = new DatabaseSync(path, { readOnly: true })
    return this.#reader
  }

  /** Rows as they are committed; none before there are tables. */
  rows<Row>(sql: string, ...given: ReadonlyArray<SQLInputValue>): ReadonlyArray<Row> {
    const db = this.committed()
    if (db === undefined) return []
    let statement = this.#prepared.get(sql)
    if (statement === undefined) {
      try {
        statement = real.prepare.call(db, sql)
      } catch {
        return []
      }
      this.#prepared.set(sql, statement)
    }
    return (real.all as Run).apply(statement, [...given]) as ReadonlyArray<Row>
  }

  #closeAll(): void {
    for (const db of this.#open) if (db.isOpen) real.close.call(db)
    this.#open.clear()
    if (this.#reader?.isOpen === true) real.close.call(this.#reader)
    this.#reader = undefined
    this.#prepared.clear()
  }

  /** The process is gone: its files stay behind as they are at this moment. */
  died(): void {
    const from = this.dataDir
    this.dataDir = this.#next()
    mkdirSync(this.dataDir, { recursive: true, mode: 0o700 })
    for (const name of readdirSync(from)) {
      if (name === file || name === `${file}-wal`) copyFileSync(join(from, name), join(this.dataDir, name))
    }
    this.#closeAll()
    this.process = undefined
    rmSync(from, { recursive: true, force: true })
  }

  /** The process has ended by itself. */
  ended(): void {
    this.#closeAll()
    this.process = undefined
  }

  /** A text without the place where these files happen to lie. */
  anywhere(text: string): string {
    return text.replaceAll(this.#root, "")
  }

  remove(): void {
    this.#closeAll()
    if (disk === this) disk = undefined
    rmSync(this.#root, { recursive: true, force: true })
  }
}

export { Killed }
