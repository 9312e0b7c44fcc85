/**
 * All that is kept, over one database: the two stores, this gateway's own row, whose data it is, and the one writer
 * they share.
 *
 * `own`: a file in the data directory. `host`: the database of the `SqlClient` in the context.
 */
import { Layer } from "effect"
import * as Database from "./Database.ts"
import { GroupCommit } from "./GroupCommit.ts"
import * as HostDatabase from "./HostDatabase.ts"
import * as HostTransaction from "./HostTransaction.ts"
import * as Instance from "./Instance.ts"
import * as MessageStore from "./MessageStore.ts"
import * as OutboxStore from "./OutboxStore.ts"
import * as Workspace from "./Workspace.ts"

export type Where = "own" | "host"

export const layer = (where: Where) =>
  Instance.layer.pipe(
    Layer.provideMerge(Workspace.layer),
    Layer.provideMerge(MessageStore.layer),
    Layer.provideMerge(OutboxStore.layer),
    Layer.provideMerge(GroupCommit.layer),
    Layer.provideMerge(HostTransaction.layer),
    Layer.provideMerge(where === "host" ? HostDatabase.layer : Database.layer)
  )
