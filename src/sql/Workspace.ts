/** The workspace over SqlClient: one row, written once. Guarantees: `../Workspace.ts`. */
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { Workspace } from "../Workspace.ts"
import { GroupCommit } from "./GroupCommit.ts"
import { statement } from "./transaction.ts"

export const layer = Layer.effect(
  Workspace,
  Effect.gen(function*() {
    const group = yield* GroupCommit
    const sql = yield* SqlClient.SqlClient
    const owner = Effect.map(
      sql<{ readonly team: string }>`SELECT team FROM slackwater_workspace`,
      ([row]) => row?.team
    )
    const settle = Effect.fnUntraced(function*(team: string) {
      yield* sql`INSERT INTO slackwater_workspace (id, team) VALUES (1, ${team}) ON CONFLICT (id) DO NOTHING`
      return (yield* owner) ?? team
    }, group.write("belongsTo"))

    return Workspace.of({
      // Read first: a start need not wait for a file that cannot be written just now.
      belongsTo: Effect.fn("Workspace.belongsTo")(function*(team: string) {
        return (yield* owner.pipe(statement("belongsTo"))) ?? (yield* settle(team))
      })
    })
  })
)
