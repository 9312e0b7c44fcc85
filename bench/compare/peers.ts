/**
 * The packages of `bench/package.json`, and what is used here of each. They are loaded by name, since they are installed by
 * `npm run bench` alone and the check of types goes without them.
 */

const load = async <A>(name: string): Promise<A> => (await import(name)) as A

interface Plainjob {
  readonly JobStatus: { readonly Pending: number; readonly Processing: number }
  readonly better: (database: BetterDatabase) => { readonly driver: "better-sqlite3" }
  readonly defineQueue: (options: {
    readonly connection: { readonly driver: "better-sqlite3" }
    readonly logger: PlainjobLogger
    readonly serializer: (data: unknown) => string
  }) => PlainjobQueue
  readonly defineWorker: (
    type: string,
    run: (job: { readonly data: string }) => Promise<void>,
    options: { readonly queue: PlainjobQueue; readonly logger: PlainjobLogger; readonly pollIntervall: number }
  ) => { readonly start: () => Promise<void>; readonly stop: () => Promise<void> }
}
interface PlainjobQueue {
  readonly add: (type: string, data: unknown) => { readonly id: number }
  readonly countJobs: (which: { readonly status: number }) => number
  readonly close: () => void
}
type PlainjobLogger = Readonly<Record<"error" | "warn" | "info" | "debug", (message: string) => void>>
export const plainjob = () => load<Plainjob>("plainjob")

interface BetterDatabase {
  readonly pragma: (text: string, options?: { readonly simple: boolean }) => unknown
  readonly exec: (sql: string) => unknown
  readonly close: () => unknown
}
export const betterSqlite = () => load<{ readonly default: new(file: string) => BetterDatabase }>("better-sqlite3")

interface RedisAddress {
  readonly host: string
  readonly port: number
  readonly maxRetriesPerRequest: null
}
interface BullQueue {
  readonly add: (name: string, data: unknown) => Promise<unknown>
  readonly getJobCounts: (...types: ReadonlyArray<string>) => Promise<Partial<Record<string, number>>>
  readonly obliterate: (options: { readonly force: boolean }) => Promise<void>
  readonly close: () => Promise<void>
}
interface BullWorker {
  readonly on: (event: "error", listener: (error: Error) => void) => unknown
  readonly waitUntilReady: () => Promise<unknown>
  readonly close: () => Promise<void>
}
interface Bull {
  readonly Queue: new(name: string, options: { readonly connection: RedisAddress }) => BullQueue
  readonly Worker: new(
    name: string,
    run: (job: { readonly data: unknown }) => Promise<void>,
    options: { readonly connection: RedisAddress; readonly concurrency: number }
  ) => BullWorker
}
export const bullmq = () => load<Bull>("bullmq")

interface RedisClient {
  readonly config: (what: "GET", key: string) => Promise<ReadonlyArray<unknown>>
  readonly info: (section: string) => Promise<string>
  readonly disconnect: () => void
}
export const ioredis = () => load<{ readonly Redis: new(address: RedisAddress) => RedisClient }>("ioredis")

interface PgFound {
  readonly rows: ReadonlyArray<Readonly<Record<string, unknown>>>
  readonly rowCount: number | null
}
interface PgClient {
  readonly connect: () => Promise<void>
  readonly query: (sql: string) => Promise<PgFound>
  readonly on: (event: "error", listener: (error: Error) => void) => unknown
  readonly end: () => Promise<void>
}
export interface PgPool {
  readonly query: (sql: string) => Promise<PgFound>
  readonly on: {
    (event: "error", listener: (error: Error) => void): unknown
    (event: "connect", listener: (client: PgClient) => void): unknown
  }
  readonly end: () => Promise<void>
}
interface PgOptions {
  readonly connectionString: string
  readonly options?: string
  readonly max?: number
}
interface Pg {
  readonly Pool: new(options: PgOptions) => PgPool
  readonly Client: new(options: PgOptions) => PgClient
}
export const pg = () => load<Pg>("pg")

interface GraphileLogger {
  readonly error: (message: string) => void
}
interface Graphile {
  readonly Logger: new(factory: () => () => void) => GraphileLogger
  readonly makeWorkerUtils: (options: { readonly pgPool: PgPool; readonly logger: GraphileLogger }) => Promise<{
    readonly migrate: () => Promise<void>
    readonly addJob: (task: string, payload: unknown) => Promise<unknown>
    readonly release: () => Promise<void>
  }>
  readonly run: (options: {
    readonly pgPool: PgPool
    readonly logger: GraphileLogger
    readonly noHandleSignals: boolean
    readonly crontab: string
    readonly taskList: Readonly<Record<string, (payload: unknown) => Promise<void>>>
    readonly preset: unknown
  }) => Promise<{ readonly stop: () => Promise<void> }>
}
export const graphile = () => load<Graphile>("graphile-worker")

interface Boss {
  readonly on: (event: "error", listener: (error: Error) => void) => unknown
  readonly start: () => Promise<unknown>
  readonly createQueue: (name: string) => Promise<void>
  readonly deleteQueue: (name: string) => Promise<void>
  readonly send: (name: string, data: unknown) => Promise<unknown>
  readonly fetch: (
    name: string,
    options: { readonly batchSize: number }
  ) => Promise<ReadonlyArray<{ readonly id: string; readonly data: unknown }>>
  readonly complete: (name: string, ids: ReadonlyArray<string>) => Promise<unknown>
  readonly stop: (options: { readonly graceful: boolean }) => Promise<void>
}
interface BossOptions extends PgOptions {
  readonly supervise: boolean
  readonly schedule: boolean
}
export const pgBoss = () => load<{ readonly PgBoss: new(options: BossOptions) => Boss }>("pg-boss")

interface SvgElement {
  textContent: string
  readonly outerHTML: string
  readonly setAttribute: (name: string, value: string) => void
  readonly prepend: (child: SvgElement) => void
}
interface SvgDocument {
  readonly createElement: (tag: string) => SvgElement
}
export const linkedom = () =>
  load<{ readonly parseHTML: (html: string) => { readonly document: SvgDocument } }>("linkedom")

interface Mark {
  readonly render: unknown
}
type MakeMark = <A>(data: ReadonlyArray<A>, options: Readonly<Record<string, unknown>>) => Mark
interface Plot extends Readonly<Record<"ruleY" | "dot" | "text", MakeMark>> {
  readonly plot: (
    options: Readonly<Record<string, unknown>> & {
      readonly document: SvgDocument
      readonly marks: ReadonlyArray<Mark>
    }
  ) => SvgElement
}
export const observablePlot = () => load<Plot>("@observablehq/plot")
