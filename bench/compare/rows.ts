/**
 * Who is measured, in the order of the table.
 */
import type { Row } from "./Measured.ts"

const peer = (
  id: string,
  title: string,
  module: string,
  strong: Row["group"],
  more: Pick<Row, "server" | "packages" | "variant"> = {}
): Row => ({ id, title, group: strong, module: `./ways/${module}.ts`, ...more })

const endToEnd = (id: string, title: string, bot: "slackwater" | "bolt"): Row => ({
  id,
  title,
  group: "end to end",
  module: "../endtoend/row.ts",
  variant: { bot },
  ...(bot === "slackwater" ? { isBuilt: true } : {})
})

const sqlite = ["plainjob", "better-sqlite3"]
const postgres = (name: string, variant: Row["variant"] = {}) =>
  ({ server: "postgres", packages: [name, "pg"], variant }) as const

export const rows: ReadonlyArray<Row> = [
  peer("raw", "limit: node:sqlite, group commit", "raw", "limit", { variant: { group: true } }),
  peer("raw-reply", "limit: the same with a reply each", "raw", "limit", { variant: { group: true, reply: true } }),
  peer("raw-unbatched", "node:sqlite, a commit each step", "raw", "limit"),
  peer("store", "Slackwater: store", "store", "store"),
  peer("store-reply", "Slackwater: store, with a reply each", "store", "store", { variant: { reply: true } }),
  peer("plainjob-full", "plainjob", "plainjob", "store", { packages: sqlite, variant: { full: true } }),
  peer("persisted-full", "Effect PersistedQueue", "persistedQueue", "store", { variant: { full: true } }),
  peer("bullmq-always", "BullMQ", "bullmq", "store", { server: "redis always", packages: ["bullmq"] }),
  peer("graphile", "graphile-worker", "graphile", "store", postgres("graphile-worker")),
  peer("pg-boss-100", "pg-boss, 100 a fetch", "pgBoss", "store", postgres("pg-boss", { batch: 100 })),
  peer("pg-boss", "pg-boss, 1 a fetch", "pgBoss", "store", postgres("pg-boss")),
  peer("plainjob", "plainjob", "plainjob", "weaker", { packages: sqlite }),
  peer("persisted", "Effect PersistedQueue", "persistedQueue", "weaker"),
  peer("bullmq-everysec", "BullMQ", "bullmq", "weaker", { server: "redis everysec", packages: ["bullmq"] }),
  peer("graphile-off", "graphile-worker", "graphile", "weaker", postgres("graphile-worker", { weak: true })),
  peer("pg-boss-off", "pg-boss, 100 a fetch", "pgBoss", "weaker", postgres("pg-boss", { weak: true, batch: 100 })),
  peer("whole", "Slackwater: the whole way, with its reply", "whole", "whole"),
  endToEnd("end-to-end", "Slackwater: over real sockets", "slackwater"),
  endToEnd("bolt", "Bolt 5: over real sockets", "bolt")
]
