/**
 * What is used here of each peer. They are installed by `npm run bench` alone, and the check of types goes without them.
 */

declare module "plainjob" {
  interface Queue {
    readonly add: (type: string, data: unknown) => { readonly id: number }
    readonly countJobs: (which: { readonly status: JobStatus }) => number
    readonly close: () => void
  }
  export enum JobStatus {
    Pending = 0,
    Processing = 1
  }
  interface Logger {
    readonly error: (message: string) => void
    readonly warn: (message: string) => void
    readonly info: (message: string) => void
    readonly debug: (message: string) => void
  }
  export const better: (database: import("better-sqlite3").Database) => { readonly driver: "better-sqlite3" }
  export const defineQueue: (options: {
    readonly connection: ReturnType<typeof better>
    readonly logger: Logger
    readonly serializer: (data: unknown) => string
  }) => Queue
  export const defineWorker: (
    type: string,
    run: (job: { readonly data: string }) => Promise<void>,
    options: { readonly queue: Queue; readonly logger: Logger; readonly pollIntervall: number }
  ) => { readonly start: () => Promise<void>; readonly stop: () => Promise<void> }
}

declare module "better-sqlite3" {
  export class Database {
    constructor(file: string)
    pragma(text: string, options?: { readonly simple: boolean }): unknown
    exec(sql: string): unknown
    close(): unknown
  }
  export default Database
}

declare module "bullmq" {
  interface Connection {
    readonly host: string
    readonly port: number
    readonly maxRetriesPerRequest: null
  }
  export class Queue {
    constructor(name: string, options: { readonly connection: Connection })
    add(name: string, data: unknown): Promise<unknown>
    getJobCounts(...types: ReadonlyArray<string>): Promise<Partial<Record<string, number>>>
    obliterate(options: { readonly force: boolean }): Promise<void>
    close(): Promise<void>
  }
  export class Worker {
    constructor(
      name: string,
      run: (job: { readonly data: unknown }) => Promise<void>,
      options: { readonly connection: Connection; readonly concurrency: number }
    )
    on(event: "error", listener: (error: Error) => void): this
    waitUntilReady(): Promise<unknown>
    close(): Promise<void>
  }
}

declare module "ioredis" {
  export class Redis {
    constructor(options: { readonly host: string; readonly port: number })
    config(what: "GET", key: string): Promise<ReadonlyArray<unknown>>
    info(section: string): Promise<string>
    disconnect(): void
  }
}

declare module "pg" {
  interface Found {
    readonly rows: ReadonlyArray<Record<string, unknown>>
    readonly rowCount: number | null
  }
  interface Options {
    readonly connectionString?: string
    readonly options?: string
    readonly max?: number
  }
  export class Pool {
    constructor(options: Options)
    query(sql: string): Promise<Found>
    on(event: "error", listener: (error: Error) => void): this
    on(event: "connect", listener: (client: Client) => void): this
    end(): Promise<void>
  }
  export class Client {
    on(event: "error", listener: (error: Error) => void): this
    constructor(options: Options)
    connect(): Promise<void>
    query(sql: string): Promise<Found>
    end(): Promise<void>
  }
}

declare module "graphile-worker" {
  import type { Pool } from "pg"
  export class Logger {
    constructor(factory: () => () => void)
  }
  export const makeWorkerUtils: (options: { readonly pgPool: Pool; readonly logger: Logger }) => Promise<{
    readonly migrate: () => Promise<void>
    readonly addJob: (task: string, payload: unknown) => Promise<unknown>
    readonly release: () => Promise<void>
  }>
  export const run: (options: {
    readonly pgPool: Pool
    readonly logger: Logger
    readonly noHandleSignals: boolean
    readonly crontab: string
    readonly taskList: Record<string, (payload: unknown) => Promise<void>>
    readonly preset: unknown
  }) => Promise<{ readonly stop: () => Promise<void> }>
}

declare module "pg-boss" {
  export class PgBoss {
    constructor(options: {
      readonly connectionString: string
      readonly options: string
      readonly max: number
      readonly supervise: boolean
      readonly schedule: boolean
    })
    on(event: "error", listener: (error: Error) => void): this
    start(): Promise<unknown>
    createQueue(name: string): Promise<void>
    deleteQueue(name: string): Promise<void>
    send(name: string, data: unknown): Promise<unknown>
    fetch(
      name: string,
      options: { readonly batchSize: number }
    ): Promise<ReadonlyArray<{ readonly id: string; readonly data: unknown }>>
    complete(name: string, ids: ReadonlyArray<string>): Promise<unknown>
    stop(options: { readonly graceful: boolean }): Promise<void>
  }
}

declare module "linkedom" {
  interface Element {
    textContent: string
    readonly outerHTML: string
    readonly setAttribute: (name: string, value: string) => void
    readonly prepend: (child: Element) => void
  }
  export const parseHTML: (html: string) => { readonly document: { readonly createElement: (tag: string) => Element } }
}

declare module "@observablehq/plot" {
  import type { parseHTML } from "linkedom"
  type Document = ReturnType<typeof parseHTML>["document"]
  interface Mark {
    readonly mark: true
  }
  type MakeMark = <A>(data: ReadonlyArray<A>, options: Record<string, unknown>) => Mark
  export const plot: (
    options: { readonly document: Document; readonly marks: ReadonlyArray<Mark> } & Record<string, unknown>
  ) => ReturnType<Document["createElement"]>
  export const ruleY: MakeMark
  export const dot: MakeMark
  export const text: MakeMark
}
