/** The workspace in memory, as `../Workspace.ts` promises it. See `Database.ts` for what it is for, and what not. */
import { Effect, Layer } from "effect"
import { Workspace } from "../Workspace.ts"
import { call, Database } from "./Database.ts"

export const layer = Layer.effect(
  Workspace,
  Effect.map(
    Database,
    (data) => Workspace.of({ belongsTo: (team) => call("belongsTo")(() => data.workspace ??= team) })
  )
)
