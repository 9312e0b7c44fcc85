/**
 * What the measurements stand on: the gateway's own file as `src/sql` opens it (WAL, `synchronous=FULL`), in a directory
 * that goes afterwards, and a count of the statements and fibers that run over it.
 *
 * The directory is made in the one that `SLACKWATER_BENCH_DIR` names, else among the temporary ones: name a directory
 * on the disk that is meant, since a temporary one may be memory.
 */
import { ConfigProvider, Effect, Layer, Metric, Redacted } from "effect"
import { SqlClient, Statement } from "effect/sql"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { GatewayConfig, type Settings } from "../src/GatewayConfig.ts"
import { Shutdown } from "../src/Shutdown.ts"
import * as SqlControl from "../src/sql/Control.ts"
import * as Database from "../src/sql/Database.ts"
import { GroupCommit } from "../src/sql/GroupCommit.ts"
import * as SqlMessageStore from "../src/sql/MessageStore.ts"
import * as SqlOutboxStore from "../src/sql/OutboxStore.ts"
import { Supervisor } from "../src/Supervisor.ts"

/** Goes with the scope. */
export const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(process.env["SLACKWATER_BENCH_DIR"] ?? tmpdir(), "slackwater-bench-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** Both stores over the file in `dataDir`. */
export const ground = (dataDir: string, given: Partial<Settings> = {}) =>
  Layer.mergeAll(SqlMessageStore.layer, SqlOutboxStore.layer, SqlControl.layer).pipe(
    Layer.provideMerge(GroupCommit.layer),
    Layer.provideMerge(Layer.mergeAll(Supervisor.layer, Shutdown.layer)),
    Layer.provideMerge(Database.layer),
    Layer.provideMerge(
      GatewayConfig.layer({
        appToken: Redacted.make("xapp-bench"),
        botToken: Redacted.make("xoxb-bench"),
        dataDir,
        ...given
      }).pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord({}))))
    ),
    Layer.fresh
  )

/** Bytes of the pages that are in use. */
export const used = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const [found] = yield* sql<{ readonly bytes: number }>`SELECT (page_count - freelist_count) * page_size AS bytes
    FROM pragma_page_count, pragma_freelist_count, pragma_page_size`
  return found?.bytes ?? 0
})

/** Counts what runs inside of it. */
export const counting = () => {
  const seen = { statements: 0, fibers: 0 }
  const around = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    effect.pipe(
      Effect.provideService(Statement.CurrentTransformer, (self) =>
        Effect.sync(() => {
          seen.statements += 1
          return self
        })),
      Effect.provideService(Metric.FiberRuntimeMetrics, {
        recordFiberStart: () => {
          seen.fibers += 1
        },
        recordFiberEnd: () => {
          seen.fibers -= 1
        }
      })
    )
  return { seen, around }
}

export const percentile = (sorted: ReadonlyArray<number>, share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0

export const row = (cells: ReadonlyArray<string | number>): string => `| ${cells.join(" | ")} |`
