/** The gateway inside somebody else's application. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Layer, ManagedRuntime, Scope } from "effect"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { Gateway, Handler, Outbox } from "slackwater"
import { LocalSlack } from "slackwater/testing"
import {
  answered,
  answers,
  dm,
  echo,
  eventually,
  localSlack,
  settingsFor,
  startGateway,
  temporaryDirectory,
  withDatabase,
  withSlack
} from "./fixtures/gateway.ts"

/** Starts that have no end in the file. */
const unclean = (dataDir: string) =>
  Effect.map(
    withDatabase(dataDir, (database) =>
      database.prepare("SELECT count(*) AS n FROM slackwater_instances WHERE stopped_at IS NULL").get()),
    (row) =>
      row?.["n"]
  )

describe("embedding", () => {
  it.live("closes in order with the host's scope, and the host lives on", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dataDir = yield* temporaryDirectory
      const begun = yield* Deferred.make<void>()
      const release = yield* Deferred.make<void>()
      const handler = Handler.make((turn) =>
        Deferred.succeed(begun, undefined).pipe(
          Effect.andThen(Deferred.await(release)),
          Effect.as(`You said: ${turn.text}`)
        )
      )
      const listeners = process.listenerCount("SIGTERM")
      const scope = yield* Scope.make()
      yield* startGateway(dataDir, handler).pipe(Scope.provide(scope))
      yield* slack.say({ ...dm, text: "drain me" })
      yield* Deferred.await(begun)
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      // The door closes first, the running turn is drained, its reply goes out, and only then the scope is closed.
      yield* slack.awaitJournal((entry) => entry._tag === "ConnectionClosed")
      yield* Deferred.succeed(release, undefined)
      yield* answered("D0ALICE", "You said: drain me")
      yield* Effect.timeout(Fiber.join(closing), "10 seconds")
      assert.strictEqual(process.listenerCount("SIGTERM"), listeners)
      const rows = yield* withDatabase(dataDir, (database) => ({
        open: database.prepare("SELECT count(*) AS n FROM slackwater_messages WHERE state IN ('queued', 'processing')")
          .get(),
        unclean: database.prepare("SELECT count(*) AS n FROM slackwater_instances WHERE stopped_at IS NULL").get()
      }))
      assert.strictEqual(rows.open?.["n"], 0)
      assert.strictEqual(rows.unclean?.["n"], 0)
    }).pipe(withSlack))

  it.live("closes in order when the host's runtime is disposed of", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dataDir = yield* temporaryDirectory
      const begun = yield* Deferred.make<void>()
      const handler = Handler.make(() =>
        Effect.as(Effect.andThen(Deferred.succeed(begun, undefined), Effect.sleep("200 millis")), "done")
      )
      const runtime = ManagedRuntime.make(Gateway.layer({ handler, config: settingsFor(slack, dataDir) }))
      yield* Effect.promise(() => runtime.runPromise(Effect.void))
      yield* slack.say({ ...dm, text: "hello" })
      yield* Deferred.await(begun)
      yield* Effect.promise(() => runtime.dispose())
      assert.deepStrictEqual(yield* answers("D0ALICE"), ["done"])
      assert.strictEqual(yield* unclean(dataDir), 0)
    }).pipe(withSlack))

  it.live("closes what was built when the host gives up half-way, and the next start finds a clean stop", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dataDir = yield* temporaryDirectory
      const database = join(dataDir, "slackwater.db")
      for (const wait of [0, 1, 5, 20]) {
        const scope = yield* Scope.make()
        const building = yield* Effect.forkChild(
          Layer.buildWithScope(Gateway.layer({ handler: echo, config: settingsFor(slack, dataDir) }), scope)
        )
        // Somewhere in the middle: the file is there, and then some turns of the event loop.
        yield* eventually("the database is there", Effect.sync(() => existsSync(database)))
        for (let turn = 0; turn < wait; turn++) yield* Effect.promise(() => new Promise((next) => setImmediate(next)))
        yield* Fiber.interrupt(building)
        yield* Scope.close(scope, Exit.void)
      }
      const scope = yield* Scope.make()
      yield* startGateway(dataDir, echo).pipe(Scope.provide(scope))
      yield* slack.say({ ...dm, text: "still here" })
      yield* answered("D0ALICE", "You said: still here")
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* unclean(dataDir), 0)
      assert.strictEqual(yield* slack.connections, 0)
    }).pipe(withSlack))

  it.live("posts through the outbox alone, once per key", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dataDir = yield* temporaryDirectory
      yield* Effect.gen(function*() {
        const outbox = yield* Outbox
        const handle = yield* outbox.enqueue({ channel: "C0GENERAL", text: "the build is green", key: "build-1" })
        const again = yield* outbox.enqueue({ channel: "C0GENERAL", text: "the build is green", key: "build-1" })
        assert.strictEqual(again.id, handle.id)
        const { ts } = yield* handle.delivered
        assert.match(ts, /^\d+\.\d{6}$/)
      }).pipe(Effect.provide(Gateway.layerOutbox(settingsFor(slack, dataDir)), { local: true }))
      assert.deepStrictEqual(yield* answers("C0GENERAL"), ["the build is green"])
      assert.strictEqual(yield* slack.connections, 0)
    }).pipe(withSlack))

  it.live("runs two gateways in one process that share nothing", () =>
    Effect.gen(function*() {
      const one = yield* Layer.build(localSlack())
      const two = yield* Layer.build(Layer.fresh(localSlack()))
      const start = (slack: Context.Context<LocalSlack>, name: string) =>
        Effect.gen(function*() {
          yield* startGateway(yield* temporaryDirectory, Handler.make((turn) => turn.reply(`${name}: ${turn.text}`)))
        }).pipe(Effect.provideContext(slack))
      yield* start(one, "first")
      yield* start(two, "second")
      yield* Context.get(one, LocalSlack).say({ ...dm, text: "a" })
      yield* Context.get(two, LocalSlack).say({ ...dm, text: "b" })
      yield* answered("D0ALICE", "first: a").pipe(Effect.provideContext(one))
      yield* answered("D0ALICE", "second: b").pipe(Effect.provideContext(two))
      assert.deepStrictEqual(yield* answers("D0ALICE").pipe(Effect.provideContext(one)), ["first: a"])
      assert.deepStrictEqual(yield* answers("D0ALICE").pipe(Effect.provideContext(two)), ["second: b"])
    }))

  it.live("goes on with one gateway while another of the same process drains and ends", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const begun = yield* Deferred.make<void>()
      const release = yield* Deferred.make<void>()
      const held = Handler.make((turn) =>
        Deferred.succeed(begun, undefined).pipe(Effect.andThen(Deferred.await(release)), Effect.as(turn.text))
      )
      const other = yield* Layer.build(Layer.fresh(localSlack()))
      const scope = yield* Scope.make()
      yield* startGateway(yield* temporaryDirectory, held).pipe(Scope.provide(scope), Effect.provideContext(other))
      yield* Context.get(other, LocalSlack).say({ ...dm, text: "held" })
      yield* Deferred.await(begun)
      yield* startGateway(yield* temporaryDirectory, echo)
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* Context.get(other, LocalSlack).awaitJournal((entry) => entry._tag === "ConnectionClosed")
      yield* slack.say({ ...dm, text: "meanwhile" })
      yield* answered("D0ALICE", "You said: meanwhile")
      yield* Deferred.succeed(release, undefined)
      yield* Fiber.join(closing)
      yield* slack.say({ ...dm, text: "afterwards" })
      yield* answered("D0ALICE", "You said: afterwards")
    }).pipe(withSlack))

  it.live("fails with a typed error, and changes nothing, where another gateway owns the directory", () =>
    Effect.gen(function*() {
      const dataDir = yield* temporaryDirectory
      const handler = Handler.make((turn) => turn.reply(turn.text))
      yield* startGateway(dataDir, handler)
      const error = yield* Effect.flip(startGateway(dataDir, handler))
      assert.strictEqual(error._tag, "DatabaseError")
      assert.include(error.message, "another gateway owns")
    }).pipe(withSlack))
})
