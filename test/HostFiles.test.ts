/** Files that the host posts outside of any turn, with Slack's real client and real files. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import type { SqlClient } from "effect/sql"
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { type FilePost, Outbox } from "slackwater"
import { LocalSlack } from "slackwater/testing"
import { Spool } from "../src/Spool.ts"
import {
  connected,
  echo,
  eventually,
  startGateway,
  temporaryDirectory,
  withDatabase,
  withSlack
} from "./fixtures/gateway.ts"
import { inTransaction, startHost } from "./fixtures/host.ts"
import { post, stateOf, test, unpaced } from "./fixtures/outboxRoom.ts"
import { advance, epoch, ground, inRooms } from "./fixtures/rooms.ts"
import { scriptedApi } from "./fixtures/scriptedApi.ts"

const channel = "C0GENERAL"
const spooled = (directory: string) => {
  const spool = join(directory, "spool")
  return existsSync(spool) ? readdirSync(spool) : []
}
const report = (content: string, given: Partial<FilePost> = {}): FilePost => ({
  channel,
  file: { filename: "report.txt", content, title: "Report", comment: "as promised" },
  ...given
})
const enqueue = (file: FilePost, options?: { readonly notBefore?: Date }) =>
  Effect.flatMap(Outbox, (outbox) => outbox.enqueue(file, options))

/** What the files in the channel say, in order. */
const files = Effect.gen(function*() {
  const slack = yield* LocalSlack
  const posted = (yield* slack.messages(channel)).flatMap((message) => message.files ?? [])
  return yield* Effect.forEach(
    posted,
    ({ id }) => Effect.promise(() => fetch(`${slack.url}/_local/files/${id}`).then((answer) => answer.text()))
  )
})
const spoolEmpties = (directory: string) =>
  eventually("the spool is empty", Effect.sync(() => spooled(directory).length === 0))

describe("a file that the host enqueues", () => {
  it.live("is posted with its title and comment, and is gone from the spool", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      const directory = yield* temporaryDirectory
      const gateway = yield* startGateway(directory, echo)
      const handle = yield* Effect.provideContext(enqueue(report("all is well")), gateway)
      const { ts } = yield* handle.delivered
      const [message] = yield* slack.messages(channel)
      assert.deepInclude(message, { ts, text: "as promised" })
      assert.strictEqual(message?.files?.[0]?.title, "Report")
      assert.deepStrictEqual(yield* files, ["all is well"])
      yield* spoolEmpties(directory)
    })))

  it.live("outlives a restart, and is made once for its key", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      const directory = yield* temporaryDirectory
      yield* slack.faults({ apiDown: true })
      const scope = yield* Scope.make()
      const first = yield* startGateway(directory, echo).pipe(Effect.provideService(Scope.Scope, scope))
      const one = yield* Effect.provideContext(enqueue(report("first", { key: "r" })), first)
      const same = yield* Effect.provideContext(enqueue(report("changed since", { key: "r" })), first)
      assert.strictEqual(same.id, one.id)
      assert.lengthOf(spooled(directory), 1)
      yield* Scope.close(scope, Exit.void)
      yield* slack.faults({ apiDown: null })
      const second = yield* startGateway(directory, echo)
      yield* eventually("the file", Effect.map(files, ({ length }) => length === 1))
      const again = yield* Effect.provideContext(enqueue(report("and again", { key: "r" })), second)
      assert.strictEqual(again.id, one.id)
      yield* again.delivered
      assert.deepStrictEqual(yield* files, ["first"])
      yield* spoolEmpties(directory)
    })))

  it.live("that is too large, or has no name, is refused and leaves nothing behind", () =>
    withSlack(Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      const gateway = yield* startGateway(directory, echo, { maxUpload: 3 })
      const reasons = yield* Effect.forEach(
        [report("four"), report("one", { file: { filename: " ", content: "one" } })],
        (file) => Effect.map(Effect.flip(enqueue(file)), (error) => "reason" in error ? error.reason._tag : "")
      ).pipe(Effect.provideContext(gateway))
      assert.deepStrictEqual(reasons, ["FileRefused", "ReplyFailed"])
      assert.isEmpty(spooled(directory))
      const rows = yield* withDatabase(directory, (db) => db.prepare("SELECT * FROM slackwater_outbox").all())
      assert.isEmpty(rows)
    })))

  test("waits for its \"not before\", and holds nobody up", (slack) =>
    Effect.gen(function*() {
      const later = yield* enqueue(report("later", { channel: "C1" }), { notBefore: new Date(epoch + 60_000) })
      yield* post("now")
      yield* advance("59 seconds", "1 second")
      assert.deepStrictEqual(slack.sent.map(({ kind }) => kind), ["Post"])
      yield* advance("2 seconds", "1 second")
      assert.deepStrictEqual(slack.sent.map(({ kind }) => kind), ["Post", "Upload"])
      assert.strictEqual(yield* stateOf(later.id), "delivered")
    }), unpaced)
})

describe("a copy without a row", () => {
  it.effect("is left alone by rooms that start beside it, and swept by a start after a while", () =>
    inRooms(ground())(
      Effect.gen(function*() {
        const spool = yield* Spool
        const start = Layer.build(Layer.fresh(Outbox.layer).pipe(Layer.provide(scriptedApi().layer)))
        yield* spool.stage("about to get a row", 99)
        yield* start
        assert.lengthOf(yield* spool.list(Infinity), 1)
        yield* advance("61 seconds", "1 second")
        yield* start
        assert.isEmpty(yield* spool.list(Infinity))
      }).pipe(Effect.scoped)
    ))
})

describe("a file in the host's transaction", () => {
  const inHost = <A, E>(
    run: (directory: string) => Effect.Effect<A, E, Outbox | SqlClient.SqlClient | LocalSlack | Scope.Scope>
  ) =>
    withSlack(Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      return yield* Effect.provideContext(run(directory), yield* startHost({ directory }))
    }))
  const undo = Effect.fail("undo")

  it.live("goes out when that commits, however long it is open", () =>
    inHost((directory) =>
      Effect.gen(function*() {
        const slack = yield* LocalSlack
        yield* connected
        yield* inTransaction(Effect.gen(function*() {
          yield* enqueue(report("committed"))
          // A whole way from Slack to the gateway's door, which waits for us.
          const { n } = (yield* slack.journal).at(-1) ?? { n: 0 }
          yield* slack.say({ channel: "D0ALICE", user: "U0ALICE", text: "hello" })
          yield* slack.awaitJournal((entry) => entry._tag === "EnvelopeSent", { after: n })
          assert.lengthOf(spooled(directory), 1)
        }))
        yield* eventually("the file", Effect.map(files, ({ length }) => length === 1))
        assert.deepStrictEqual(yield* files, ["committed"])
        yield* spoolEmpties(directory)
      })
    ))

  it.live("leaves neither row nor bytes when that rolls back", () =>
    inHost((directory) =>
      Effect.gen(function*() {
        yield* Effect.flip(inTransaction(Effect.gen(function*() {
          yield* enqueue(report("never"))
          assert.lengthOf(spooled(directory), 1)
          return yield* undo
        })))
        yield* spoolEmpties(directory)
        yield* enqueue(report("after it"))
        yield* eventually("the file", Effect.map(files, ({ length }) => length === 1))
        assert.deepStrictEqual(yield* files, ["after it"])
      })
    ))

  it.live("of the attempt that commits is there, whatever earlier ones with its key came to", () =>
    inHost((directory) =>
      Effect.gen(function*() {
        for (let n = 1; n <= 20; n++) {
          const attempt = (content: string) => enqueue(report(content, { key: `${n}` }))
          yield* Effect.flip(inTransaction(Effect.andThen(attempt(`rolled back ${n}`), undo)))
          yield* inTransaction(attempt(`committed ${n}`))
        }
        yield* eventually("all files", Effect.map(files, ({ length }) => length === 20))
        assert.deepStrictEqual(yield* files, Array.from({ length: 20 }, (_, n) => `committed ${n + 1}`))
        yield* spoolEmpties(directory)
      })
    ))
})
