/**
 * The servers that some rows need: a Redis of our own for each of its rounds, and a database of our own in the PostgreSQL
 * that is there. Both go with the bench, also when it is interrupted.
 *
 * `DATABASE_URL`, or `PGHOST` and its kin, say where PostgreSQL is; without them it is looked for where Debian puts its
 * socket, and the database is made as the user that runs this.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { connect, createServer } from "node:net"
import os from "node:os"
import { join } from "node:path"
import process from "node:process"
import type { Row } from "./Measured.ts"
import { pg } from "./peers.ts"
import { sleep } from "./Way.ts"

export interface Server {
  readonly env: Readonly<Record<string, string>>
  readonly stop: () => Promise<void>
}

/** Why it cannot be had. */
export class Missing extends Error {}

const freePort = () =>
  new Promise<number>((resolve, reject) => {
    const server = createServer()
    server.on("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })

const answers = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect(port, "127.0.0.1")
    socket.on("connect", () => {
      socket.destroy()
      resolve(true)
    })
    socket.on("error", () => resolve(false))
  })

const ended = (child: ChildProcess) =>
  child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve()
    : new Promise<void>((resolve) => child.once("exit", () => resolve()))

const redis = async (appendfsync: string, directory: string): Promise<Server> => {
  if (spawnSync("redis-server", ["--version"]).status !== 0) throw new Missing("no redis-server on the path")
  const folder = mkdtempSync(join(directory, "redis-"))
  const port = await freePort()
  const options = { port, bind: "127.0.0.1", dir: folder, appendonly: "yes", appendfsync, save: "" }
  const child = spawn(
    "redis-server",
    Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]),
    {
      stdio: "ignore"
    }
  )
  for (let patience = 100; !(await answers(port)); patience--) {
    if (patience === 0 || child.exitCode !== null) throw new Missing("redis-server did not start")
    await sleep(50)
  }
  return {
    env: { BENCH_REDIS_PORT: String(port) },
    stop: async () => {
      child.kill()
      await ended(child)
      rmSync(folder, { recursive: true, force: true })
    }
  }
}

const socketFolder = "/var/run/postgresql"

/** Where PostgreSQL is, with this database. */
const addressOf = (database: string | undefined): string => {
  const { DATABASE_URL, PGDATABASE, PGHOST, PGPASSWORD, PGPORT, PGUSER } = process.env
  if (DATABASE_URL !== undefined && DATABASE_URL !== "") {
    const url = new URL(DATABASE_URL)
    if (database !== undefined) url.pathname = `/${database}`
    return url.href
  }
  const host = PGHOST ?? (existsSync(socketFolder) ? socketFolder : "127.0.0.1")
  const query = new URLSearchParams({ host, user: PGUSER ?? os.userInfo().username })
  if (PGPORT !== undefined) query.set("port", PGPORT)
  if (PGPASSWORD !== undefined) query.set("password", PGPASSWORD)
  return `postgres:///${database ?? PGDATABASE ?? "postgres"}?${query.toString()}`
}

const postgres = async (): Promise<Server> => {
  const { Client } = await pg()
  const ask = async (sql: string) => {
    const client = new Client({ connectionString: addressOf(undefined) })
    client.on("error", () => {})
    await client.connect()
    try {
      await client.query(sql)
    } finally {
      await client.end()
    }
  }
  const name = `slackwater_bench_${process.pid}`
  try {
    await ask(`CREATE DATABASE ${name}`)
  } catch (error) {
    throw new Missing(
      `no PostgreSQL: ${error instanceof Error ? error.message || String(Reflect.get(error, "code")) : ""}`
    )
  }
  return {
    env: { BENCH_DATABASE_URL: addressOf(name) },
    stop: () => ask(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
  }
}

export const startServer = (which: NonNullable<Row["server"]>, directory: string): Promise<Server> =>
  which === "postgres" ? postgres() : redis(which.split(" ")[1] ?? "", directory)
