/**
 * What the files of the database weigh. Asked of the file system by name: nothing is opened, since closing any
 * descriptor of a database would drop the locks that this process has on it.
 */
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { statSync } from "node:fs"
import { DatabaseSize } from "../DatabaseSize.ts"

const sizeOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.size ?? 0

export const layer = Layer.effect(
  DatabaseSize,
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const [main] = yield* sql<{ readonly file: string }>`SELECT file FROM pragma_database_list WHERE name = 'main'`
    const file = main?.file ?? ""
    return Effect.sync(() => file === "" ? null : { database: sizeOf(file), wal: sizeOf(`${file}-wal`) }).pipe(
      Effect.catchDefect(() => Effect.succeed(null))
    )
  }).pipe(Effect.orElseSucceed(() => Effect.succeed(null)))
)
