/**
 * The SQLite client for an application that shares its database with the gateway: `slackwater/sqlite`.
 *
 * It is Effect's driver with the patch that Slackwater brings along (patches/README.md). The driver as published loses
 * acknowledged writes, and the gateway refuses it. Used like the original; a transaction also leaves its span behind,
 * so that the gateway can say which one holds the connection too long.
 */
import { SqliteClient as Driver } from "@effect/sql-sqlite-node"
import { Context, Effect, Layer } from "effect"
import { Reactivity } from "effect/reactivity"
import { SqlClient } from "effect/sql"
import { rememberTransaction } from "./holder.ts"

export const { SqliteClient } = Driver
export type SqliteClient = Driver.SqliteClient
export type SqliteClientConfig = Driver.SqliteClientConfig

export const make = (config: SqliteClientConfig) =>
  Effect.map(Driver.make(config), (client): SqliteClient => {
    const { withTransaction } = client
    return Object.assign(client, {
      withTransaction: <R, E, A>(self: Effect.Effect<A, E, R>) => withTransaction(rememberTransaction(client)(self))
    })
  })

/** The client as `SqlClient` and as `SqliteClient`, with WAL on unless it is disabled. */
export const layer = (config: SqliteClientConfig): Layer.Layer<SqlClient.SqlClient | SqliteClient> =>
  Layer.effectContext(
    Effect.map(
      make(config),
      (client) => Context.make(SqliteClient, client).pipe(Context.add(SqlClient.SqlClient, client))
    )
  ).pipe(Layer.provide(Reactivity.layer))
