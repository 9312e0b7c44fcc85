/** A post that is enqueued in the host's own transaction goes out if, and only if, that commits. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Latch, Logger, References, Scope } from "effect"
import type { SqlClient } from "effect/sql"
import { GatewayStatus, Handler, Outbox } from "slackwater"
import { LocalSlack } from "slackwater/testing"
import { answered, answers, connected, dm, eventually, withSlack } from "./fixtures/gateway.ts"
import { insertOrder, inTransaction, orders, startHost, stored } from "./fixtures/host.ts"

const mention = { channel: "C0GENERAL", user: "U0ALICE" }
const undo = Effect.fail("undo" as const)

const enqueue = (text: string, key?: string) =>
  Outbox.use((outbox) => outbox.enqueue({ channel: "C0GENERAL", text, ...(key === undefined ? {} : { key }) }))

/** An order and what is said about it. */
const placeOrder = Effect.fn("placeOrder")(function*(id: string) {
  yield* insertOrder(id)
  return yield* enqueue(`order ${id}`, id)
})

/** What comes after everything that was committed before it: the lane is the channel. */
const allSent = Effect.andThen(enqueue("the last"), answered("C0GENERAL", "the last"))

const sends = Effect.flatMap(
  LocalSlack,
  (slack) =>
    Effect.map(
      slack.journal,
      (entries) => entries.filter((entry) => entry._tag === "ApiCall" && entry.method === "chat.postMessage").length
    )
)

const inHost = <A, E>(
  test: Effect.Effect<A, E, Outbox | SqlClient.SqlClient | LocalSlack | GatewayStatus | Scope.Scope>
) => withSlack(Effect.flatMap(startHost(), (host) => Effect.provideContext(test, host)))

describe("a host's transaction", () => {
  it.live("that commits posts once", () =>
    inHost(Effect.gen(function*() {
      const handle = yield* inTransaction(placeOrder("1"))
      assert.strictEqual((yield* handle.delivered).channel, "C0GENERAL")
      yield* allSent
      assert.deepStrictEqual(yield* answers("C0GENERAL"), ["order 1", "the last"])
      assert.deepStrictEqual(yield* orders, ["1"])
    })))

  it.live("that rolls back posts nothing and leaves no row", () =>
    inHost(Effect.gen(function*() {
      const failure = yield* Effect.flip(inTransaction(Effect.andThen(placeOrder("1"), undo)))
      assert.strictEqual(failure, "undo")
      assert.deepStrictEqual(yield* stored, [])
      yield* allSent
      assert.deepStrictEqual(yield* answers("C0GENERAL"), ["the last"])
      assert.deepStrictEqual(yield* orders, [])
    })))

  it.live("that is interrupted posts nothing", () =>
    inHost(Effect.gen(function*() {
      const enqueued = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(
        inTransaction(
          placeOrder("1").pipe(Effect.andThen(Deferred.succeed(enqueued, undefined)), Effect.andThen(Effect.never))
        )
      )
      yield* Deferred.await(enqueued)
      yield* Fiber.interrupt(fiber)
      yield* allSent
      assert.deepStrictEqual(yield* answers("C0GENERAL"), ["the last"])
    })))

  it.live("that goes on after a nested one rolled back posts only what is left", () =>
    inHost(Effect.gen(function*() {
      yield* inTransaction(Effect.gen(function*() {
        yield* placeOrder("1")
        yield* Effect.ignore(inTransaction(Effect.andThen(placeOrder("2"), undo)))
        yield* inTransaction(placeOrder("3"))
      }))
      yield* allSent
      assert.deepStrictEqual(yield* answers("C0GENERAL"), ["order 1", "order 3", "the last"])
      assert.deepStrictEqual(yield* orders, ["1", "3"])
    })))

  it.live("that rolls back leaves its key free for the one that commits", () =>
    inHost(Effect.gen(function*() {
      yield* Effect.ignore(inTransaction(Effect.andThen(placeOrder("1"), undo)))
      const first = yield* inTransaction(placeOrder("1"))
      const again = yield* inTransaction(enqueue("order 1", "1"))
      assert.strictEqual(again.id, first.id)
      yield* allSent
      assert.deepStrictEqual(yield* answers("C0GENERAL"), ["order 1", "the last"])
    })))

  it.live("wakes the sender when it has committed, and not before", () =>
    inHost(Effect.gen(function*() {
      const slack = yield* LocalSlack
      yield* connected
      yield* inTransaction(Effect.gen(function*() {
        yield* placeOrder("1")
        // A whole way from Slack to the gateway's door, while the transaction is open.
        yield* slack.say({ ...dm, text: "meanwhile" })
        yield* slack.awaitJournal((entry) => entry._tag === "EnvelopeSent")
        assert.strictEqual(yield* sends, 0)
      }))
      yield* answered("C0GENERAL", "order 1")
      yield* answered("D0ALICE", "You said: meanwhile")
    })))

  it.live("of each of a hundred fibers commits beside inbound messages and their turns", () =>
    inHost(Effect.gen(function*() {
      const slack = yield* LocalSlack
      const ids = Array.from({ length: 100 }, (_, n) => String(n))
      yield* Effect.all([
        Effect.forEach(
          ids,
          (id) =>
            inTransaction(Effect.tap(placeOrder(id), () => Number(id) % 10 === 0 ? Effect.yieldNow : Effect.void)),
          {
            concurrency: "unbounded"
          }
        ),
        Effect.forEach(ids, (id) => Effect.ignore(inTransaction(Effect.andThen(placeOrder(`never ${id}`), undo))), {
          concurrency: "unbounded"
        }),
        Effect.forEach(ids.slice(0, 20), (id) => slack.say({ ...mention, text: `<@U0BOT> m${id}` }), { concurrency: 4 })
      ], { concurrency: "unbounded" })
      const expected = [...ids.map((id) => `order ${id}`), ...ids.slice(0, 20).map((id) => `You said: m${id}`)]
      for (const text of expected) yield* answered("C0GENERAL", text)
      assert.sameMembers([...yield* answers("C0GENERAL")], expected)
      assert.strictEqual((yield* orders).length, 100)
    })))

  it.live("cannot wait inside of itself for a delivery", () =>
    inHost(Effect.gen(function*() {
      const error = yield* inTransaction(Effect.flatMap(placeOrder("1"), (handle) => Effect.flip(handle.delivered)))
      assert.include(String(error.reason._tag === "ReplyFailed" ? error.reason.detail : error), "commits")
      yield* answered("C0GENERAL", "order 1")
    })))

  it.live("takes no write of a fiber that outlived it", () =>
    inHost(
      Effect.gen(function*() {
        const over = yield* Latch.make()
        const late = yield* inTransaction(Effect.forkDetach(Effect.andThen(over.await, placeOrder("late"))))
        yield* over.open
        assert.isTrue(Exit.isFailure(yield* Fiber.await(late)))
        yield* allSent
        assert.deepStrictEqual(yield* stored, ["the last"])
      }).pipe(Effect.tap(() => Effect.void))
    ))

  it.live("in a handler takes the turn's replies with it", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const handler = Handler.make((turn) =>
        Effect.gen(function*() {
          yield* Effect.ignore(inTransaction(Effect.andThen(turn.reply("undone"), undo)))
          yield* inTransaction(turn.reply("kept"))
          return "done"
        })
      )
      yield* startHost({ handler })
      yield* slack.say({ ...dm, text: "go" })
      yield* answered("D0ALICE", "done")
      assert.deepStrictEqual(yield* answers("D0ALICE"), ["kept", "done"])
    }).pipe(withSlack))
})

describe("a transaction that stays open", () => {
  it.live("is logged once with its span and is an alarm, and acks go on when it ends", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const log = Logger.make((line) => {
        const { alarm } = line.fiber.getRef(References.CurrentLogAnnotations)
        if (alarm === "database:host") lines.push(`${line.logLevel} ${String(line.message)}`)
      })
      yield* Effect.gen(function*() {
        const slack = yield* LocalSlack
        const host = yield* startHost()
        yield* Effect.gen(function*() {
          const status = yield* GatewayStatus
          yield* connected
          const release = yield* Latch.make()
          const holder = yield* Effect.forkChild(
            inTransaction(Effect.andThen(insertOrder("1"), release.await)).pipe(Effect.withSpan("nightly report"))
          )
          yield* slack.say({ ...dm, text: "anybody there?" })
          yield* eventually("the alarm", Effect.map(status.notReady, (reasons) => reasons.includes("database")))
          assert.isNotEmpty(yield* slack.unacked)
          yield* release.open
          yield* Fiber.join(holder)
          yield* answered("D0ALICE", "You said: anybody there?")
          yield* eventually("its end", Effect.map(status.snapshot, ({ alarms }) => alarms.length === 0))
          yield* eventually("acks", Effect.map(slack.unacked, (left) => left.length === 0))
        }).pipe(Effect.provideContext(host))
      }).pipe(Effect.provide(Logger.layer([log]), { local: true }))
      assert.strictEqual(lines.length, 2, lines.join("\n"))
      assert.match(lines[0] ?? "", /^Error a transaction of the host \(span nightly report\) keeps the database/)
      assert.match(lines[1] ?? "", /^Info/)
    }).pipe(withSlack))

  it.live("does not keep the gateway from closing", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const host = yield* startHost({ scope, settings: { shutdownTimeout: Duration.seconds(1) } })
      yield* Effect.gen(function*() {
        const [open, release] = [yield* Latch.make(), yield* Latch.make()]
        const holder = yield* Effect.forkChild(inTransaction(Effect.andThen(open.open, release.await)))
        yield* open.await
        // The writer has this one in hand, and waits for the connection.
        const caught = yield* Effect.forkChild(enqueue("caught"), { startImmediately: true })
        yield* Scope.close(scope, Exit.void)
        assert.isUndefined(holder.pollUnsafe())
        assert.isTrue(Exit.isFailure(yield* Fiber.await(caught)))
        yield* release.open
        yield* Fiber.join(holder)
        assert.deepStrictEqual(yield* stored, [])
      }).pipe(Effect.provideContext(host))
    }).pipe(withSlack))
})

describe("two gateways in one process", () => {
  it.live("with a client each share nothing", () =>
    Effect.gen(function*() {
      const [one, two] = [yield* startHost(), yield* startHost()]
      // The transaction of the one says nothing about the outbox of the other.
      const crossed = Effect.andThen(enqueue("of the second").pipe(Effect.provideContext(two)), undo)
      yield* Effect.ignore(inTransaction(crossed)).pipe(Effect.provideContext(one))
      yield* inTransaction(placeOrder("2")).pipe(Effect.provideContext(two))
      yield* allSent.pipe(Effect.provideContext(two))
      assert.deepStrictEqual(yield* answers("C0GENERAL"), ["of the second", "order 2", "the last"])
      assert.deepStrictEqual(yield* stored.pipe(Effect.provideContext(one)), [])
      assert.deepStrictEqual(yield* orders.pipe(Effect.provideContext(one)), [])
    }).pipe(withSlack))
})
