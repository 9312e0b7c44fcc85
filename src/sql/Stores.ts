/**
 * All that is kept, over one database: the two stores, this gateway's own row, whose data it is, and the one writer
 * they share.
 *
 * `own`: a file in the data directory. `host`: the database of the `SqlClient` in the context.
 */
import { Effect, Layer } from "effect"
import { Instance as InstancePort } from "../Instance.ts"
import { asConfigured } from "./blanking.ts"
import * as Checkpoint from "./Checkpoint.ts"
import * as Control from "./Control.ts"
import * as Database from "./Database.ts"
import { GroupCommit, storeWriter } from "./GroupCommit.ts"
import * as HostDatabase from "./HostDatabase.ts"
import * as HostTransaction from "./HostTransaction.ts"
import * as Instance from "./Instance.ts"
import * as MessageStore from "./MessageStore.ts"
import * as OutboxStore from "./OutboxStore.ts"
import * as size from "./size.ts"
import * as Workspace from "./Workspace.ts"

export type Where = "own" | "host"

/** A start that is given up before the rest is built stops in order too: from its row on, its end is certain. */
const started = Layer.effectContext(
  Effect.uninterruptible(Layer.build(Layer.fresh(InstancePort.cleanStop).pipe(Layer.provideMerge(Instance.layer))))
)

const above = <E, R>(database: Layer.Layer<Layer.Success<typeof Database.layer>, E, R>) =>
  started.pipe(
    Layer.provideMerge(Workspace.layer),
    Layer.provideMerge(MessageStore.layer),
    Layer.provideMerge(Control.layer),
    Layer.provideMerge(OutboxStore.layer),
    Layer.provide(asConfigured),
    Layer.provideMerge([storeWriter, size.layer]),
    Layer.provideMerge(GroupCommit.layer),
    Layer.provideMerge(HostTransaction.layer),
    Layer.provideMerge(database)
  )

/** The host sees to the WAL of its own file. */
export const own = Layer.provideMerge(Checkpoint.layer, above(Database.layer))
export const layer = (where: Where) => where === "host" ? above(HostDatabase.layer) : own
