/** What the queues over PostgreSQL share: the database that the bench has made for them, and how commits are counted. */
import process from "node:process"
import { pg, type PgPool } from "../peers.ts"

const { Pool } = await pg()

/** `weak`: a commit answers before it is on disk. */
export const connectionTo = (weak: boolean) => ({
  connectionString: process.env["BENCH_DATABASE_URL"] ?? "",
  options: `-c synchronous_commit=${weak ? "off" : "on"}`
})

const show = async (pool: PgPool, name: string) => {
  const { rows } = await pool.query(`SHOW ${name}`)
  return String(rows[0]?.[name])
}

export const durabilityOf = async (pool: PgPool) =>
  `synchronous_commit ${await show(pool, "synchronous_commit")}, fsync ${await show(pool, "fsync")}`

export const versionOf = (pool: PgPool) => show(pool, "server_version")

export const poolOf = (weak: boolean, max: number) => {
  const pool = new Pool({ ...connectionTo(weak), max })
  // Connections that are idle when the database goes.
  pool.on("error", () => {})
  pool.on("connect", (client) => {
    client.on("error", () => {})
  })
  return pool
}

/** Syncs of the write-ahead log, which all commits share that wait for one. */
const syncs = async (pool: PgPool) => {
  const { rows } = await pool.query("SELECT wal_sync FROM pg_stat_wal")
  return Number(rows[0]?.["wal_sync"])
}

export const countingSyncs = (pool: PgPool) => async () => {
  const before = await syncs(pool)
  return async () => {
    // What other backends did is told with a delay of up to a second.
    await new Promise<void>((resolve) => setTimeout(resolve, 1_200))
    return (await syncs(pool)) - before
  }
}
