/** The second connection, over the gateway's own file. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, type Scope } from "effect"
import { SqlClient } from "effect/sql"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { MessageStore } from "../../src/MessageStore.ts"
import { OutboxStore } from "../../src/OutboxStore.ts"
import * as SqlControl from "../../src/sql/Control.ts"
import * as Database from "../../src/sql/Database.ts"
import { GroupCommit } from "../../src/sql/GroupCommit.ts"
import * as SqlMessageStore from "../../src/sql/MessageStore.ts"
import * as SqlOutboxStore from "../../src/sql/OutboxStore.ts"
import { Reader } from "../../src/sql/Reader.ts"
import { Supervisor } from "../../src/Supervisor.ts"
import { temporaryDirectory } from "../fixtures/gateway.ts"
import { arrival } from "../fixtures/messages.ts"
import { settings } from "../fixtures/stores.ts"

type Ground = MessageStore | OutboxStore | SqlClient.SqlClient | Scope.Scope

const overFile = <A, E>(dataDir: string, use: Effect.Effect<A, E, Ground>) =>
  use.pipe(
    Effect.provide(
      Layer.mergeAll(SqlMessageStore.layer, SqlOutboxStore.layer, SqlControl.layer).pipe(
        Layer.provideMerge(GroupCommit.layer),
        Layer.provideMerge(Supervisor.layer),
        Layer.provideMerge(Database.layer),
        Layer.provide(settings({ dataDir }))
      ),
      { local: true }
    )
  )

describe("what operators and metrics read", () => {
  it.live("is as of the last commit, also while somebody holds the connection that writes", () =>
    Effect.gen(function*() {
      const dataDir = yield* temporaryDirectory
      yield* overFile(
        dataDir,
        Effect.gen(function*() {
          const store = yield* MessageStore
          const outbox = yield* OutboxStore
          const sql = yield* SqlClient.SqlClient
          yield* store.append(arrival())
          yield* sql.withTransaction(Effect.gen(function*() {
            yield* sql`DELETE FROM slackwater_messages`
            const read = Effect.all([
              Effect.map(store.counts, ({ queued }) => queued),
              Effect.map(store.backlog, ({ queued }) => queued),
              Effect.map(store.list({}, { limit: 10 }), (rows) => rows.length),
              Effect.map(outbox.counts, ({ queued }) => queued)
            ])
            // As somebody else sees it, who is not in the transaction.
            const elsewhere = yield* Effect.forkDetach(read.pipe(Effect.timeout("2 seconds")), {
              startImmediately: true
            })
            assert.deepStrictEqual(yield* Fiber.join(elsewhere), [1, 1, 1, 0])
          }))
          assert.strictEqual((yield* store.counts).queued, 0)
        })
      )
      assert.isFalse(existsSync(join(dataDir, "slackwater.db-wal")), "the WAL is empty and gone when all is closed")
    }).pipe(Effect.scoped))

  it.live("cannot be written through", () =>
    Effect.gen(function*() {
      const dataDir = yield* temporaryDirectory
      yield* overFile(
        dataDir,
        Effect.gen(function*() {
          const reader = yield* Reader
          assert.isDefined(reader)
          if (reader === undefined) return
          yield* Effect.flip(reader`DELETE FROM slackwater_messages`)
        })
      )
    }).pipe(Effect.scoped))

  it.live("counts a long past slice by slice, and every row once", () =>
    Effect.gen(function*() {
      const dataDir = yield* temporaryDirectory
      yield* overFile(
        dataDir,
        Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          // Many ended in the same millisecond, and the end of a slice is among them.
          yield* sql`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 25000)
            INSERT INTO slackwater_messages (conversation, slack_ts, message, state, due_at, received_at, finished_at)
            SELECT 'C1/' || i, i, '{}', CASE i % 5 WHEN 0 THEN 'failed' WHEN 1 THEN 'ignored' ELSE 'done' END, i, i,
              i / 300 FROM n`
          const { done, failed, ignored } = yield* (yield* MessageStore).counts
          assert.deepStrictEqual({ done, failed, ignored }, { done: 15_000, failed: 5_000, ignored: 5_000 })
        })
      )
    }).pipe(Effect.scoped))
})
