/**
 * Conversations that once spoke cost nothing while they are silent: the rooms over the real file, for an hour of
 * virtual time, once with no past and once with 100,000 conversations in it.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Metric } from "effect"
import { SqlClient, Statement } from "effect/sql"
import { Conversations } from "../src/Conversations.ts"
import { Debouncer } from "../src/Debouncer.ts"
import * as Spool from "../src/files/Spool.ts"
import { GatewayStatus } from "../src/GatewayStatus.ts"
import { Handler } from "../src/Handler.ts"
import { MessageStore } from "../src/MessageStore.ts"
import { Outbox } from "../src/Outbox.ts"
import { OutboxStore } from "../src/OutboxStore.ts"
import { Retention } from "../src/Retention.ts"
import { Shutdown } from "../src/Shutdown.ts"
import * as SqlControl from "../src/sql/Control.ts"
import * as Database from "../src/sql/Database.ts"
import { GroupCommit } from "../src/sql/GroupCommit.ts"
import * as SqlInstance from "../src/sql/Instance.ts"
import * as SqlMessageStore from "../src/sql/MessageStore.ts"
import * as SqlOutboxStore from "../src/sql/OutboxStore.ts"
import { Supervisor } from "../src/Supervisor.ts"
import { temporaryDirectory } from "./fixtures/gateway.ts"
import { inbound, key } from "./fixtures/messages.ts"
import { past } from "./fixtures/past.ts"
import { advance, epoch, inRooms } from "./fixtures/rooms.ts"
import { scriptedApi } from "./fixtures/scriptedApi.ts"
import { settings } from "./fixtures/stores.ts"

/** Everything that runs in a gateway but its door, over a file in which `conversations` have ended. */
const rooms = (dataDir: string, conversations: number, handled: Array<string>) =>
  Debouncer.layer.pipe(
    Layer.provideMerge(Conversations.layer),
    Layer.provideMerge(Outbox.layer),
    Layer.provide(Handler.layer(Handler.make((turn) =>
      Effect.sync(() => {
        handled.push(turn.id)
        return "answer"
      })
    ))),
    Layer.provide(scriptedApi().layer),
    Layer.provideMerge(Retention.layer),
    Layer.provideMerge(Spool.layer),
    Layer.provideMerge(GatewayStatus.layer),
    Layer.provideMerge(SqlInstance.layer),
    Layer.provideMerge(Layer.mergeAll(SqlMessageStore.layer, SqlOutboxStore.layer, SqlControl.layer)),
    Layer.provideMerge(GroupCommit.layer),
    Layer.provideMerge(Layer.effectDiscard(conversations === 0 ? Effect.void : past(conversations, "one each"))),
    Layer.provideMerge(Database.layer),
    Layer.provideMerge(Layer.mergeAll(Supervisor.layer, Shutdown.layer)),
    Layer.provideMerge(settings({ dataDir })),
    Layer.orDie
  )

type Said = Debouncer | MessageStore | OutboxStore

/** What an hour of silence takes, after something was said. */
const silence = (conversations: number, first: Effect.Effect<void, unknown, Said> = Effect.void) =>
  Effect.gen(function*() {
    const dataDir = yield* temporaryDirectory
    const statements: Array<string> = []
    const handled: Array<string> = []
    const fibers = { alive: 0, started: 0 }
    return yield* Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const distinct = yield* sql<{ readonly n: number }>`SELECT count(DISTINCT conversation) AS n
        FROM slackwater_messages`
      const before = { ...fibers }
      yield* Effect.orDie(first)
      statements.length = 0
      const { started: startedBefore } = fibers
      yield* advance("1 hour", "1 minute")
      const said = statements.map((statement) => statement.replace(/\s+/g, " ").trim())
      const { alive, started } = fibers
      const { conversations: { active }, inbox } = yield* (yield* GatewayStatus).snapshot
      return {
        conversations: distinct[0]?.n,
        past: inbox.done + inbox.failed + inbox.ignored,
        idle: {
          active,
          handled: handled.length,
          windows: yield* (yield* Debouncer).flushAll,
          statements: said.length,
          writes: said.filter((statement) => /^(?:INSERT|UPDATE)/.test(statement)),
          fibers: [before.alive, alive],
          started: started - startedBefore
        }
      }
    }).pipe(
      inRooms(rooms(dataDir, conversations, handled)),
      Effect.provideService(Statement.CurrentTransformer, (self) =>
        Effect.sync(() => {
          statements.push(self.compile()[0])
          return self
        })),
      Effect.provideService(Metric.FiberRuntimeMetrics, {
        recordFiberStart: () => {
          fibers.alive += 1
          fibers.started += 1
        },
        recordFiberEnd: () => {
          fibers.alive -= 1
        }
      })
    )
  })

it.effect(
  "100,000 conversations that once spoke take as much as none: no fiber, no window, no statement more",
  () =>
    Effect.gen(function*() {
      const none = yield* silence(0)
      const many = yield* silence(100_000)
      assert.deepStrictEqual([many.conversations, many.past], [100_000, 100_000])
      assert.deepStrictEqual([none.conversations, none.past], [0, 0])
      assert.deepStrictEqual(many.idle, none.idle)
      // What is left is the sweep that finds strays, once a minute in each of two rooms, and one look at what is old.
      assert.deepInclude(many.idle, { active: 0, handled: 0, windows: 0, writes: [] })
      assert.isAtMost(many.idle.statements, 60 * 6 + 10)
      assert.isAbove(many.idle.statements, 60)
      assert.strictEqual(many.idle.fibers[1], many.idle.fibers[0])
      assert.isAbove(many.idle.fibers[0] ?? 0, 4)
    }),
  60_000
)

it.effect(
  // As many as a minute has posts for.
  "250 conversations that have just spoken leave no fiber, no window and no statement behind",
  () =>
    Effect.gen(function*() {
      const speak = (conversations: number) =>
        Effect.gen(function*() {
          const debouncer = yield* Debouncer
          const store = yield* MessageStore
          for (let n = 0; n < conversations; n++) {
            const conversation = key(`D${n}`)
            const message = inbound({ conversation, channel: `D${n}` })
            const window = yield* debouncer.window(message, epoch)
            yield* store.append({ message, keys: [`event:${n}`], receivedAt: epoch, dueAt: window.endsAt })
            yield* debouncer.opened(conversation, window)
          }
          yield* advance("1 minute", "1 second")
          assert.strictEqual((yield* (yield* OutboxStore).counts).delivered, conversations)
        })
      // Since Slack has answered, the outbox looks for replies in each sweep.
      const one = yield* silence(0, speak(1))
      const { idle, past } = yield* silence(0, speak(250))
      assert.deepStrictEqual([past, idle.handled], [250, 250])
      const counts = { handled: 0, statements: 0, started: 0 }
      assert.deepStrictEqual({ ...idle, ...counts }, { ...one.idle, ...counts })
      // The minute in which they spoke moved the sweeps, at most.
      assert.closeTo(idle.statements, one.idle.statements, 5)
      assert.closeTo(idle.started, one.idle.started, 10)
    }),
  60_000
)
