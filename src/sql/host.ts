/** The public names of `slackwater/sqlite`. */
export { SqliteMigrator } from "@effect/sql-sqlite-node"
export * as SqliteClient from "./SqliteClient.ts"
