/** SQLite compiles a statement once, and not each time it runs: its authorizer is asked whenever something is compiled. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { constants, DatabaseSync } from "node:sqlite"
import { endedBefore } from "../../src/Cutoff.ts"
import { MessageStore } from "../../src/MessageStore.ts"
import { OutboxStore } from "../../src/OutboxStore.ts"
import { arrival } from "../fixtures/messages.ts"
import { epoch, ground, inRooms, me } from "../fixtures/rooms.ts"

/** How often anything was compiled, on all connections that are used from now on. */
const compiled = Effect.acquireRelease(
  Effect.sync(() => {
    const { prepare } = DatabaseSync.prototype
    const heard = new WeakSet<DatabaseSync>()
    const count = { asked: 0, restore: () => {} }
    DatabaseSync.prototype.prepare = function(this: DatabaseSync, ...given: Parameters<typeof prepare>) {
      if (!heard.has(this)) {
        heard.add(this)
        this.setAuthorizer(() => {
          count.asked += 1
          return constants.SQLITE_OK
        })
      }
      return prepare.apply(this, given)
    }
    count.restore = () => {
      DatabaseSync.prototype.prepare = prepare
    }
    return count
  }),
  ({ restore }) => Effect.sync(restore)
)

it.effect("what is looked for over and over is compiled once, whatever the limit", () =>
  Effect.gen(function*() {
    const count = yield* compiled
    yield* Effect.gen(function*() {
      const store = yield* MessageStore
      const outbox = yield* OutboxStore
      yield* store.append(arrival())
      const looks: Record<string, (limit: number) => Effect.Effect<unknown, unknown>> = {
        ready: (limit) => store.ready(epoch, limit),
        recover: (limit) => store.recover([me], epoch, limit),
        unknown: (limit) => outbox.claimUnknown(epoch, limit),
        claim: (limit) =>
          outbox.claim({ owner: me, now: epoch, limit, exclude: [], admit: () => true, expireBefore: 0 }),
        "prune messages": (most) => store.prune({ finishedBefore: endedBefore(1), keysBefore: 1, most }),
        "prune replies": (most) => outbox.prune({ finishedBefore: endedBefore(1), keysBefore: 1, most })
      }
      for (const [name, look] of Object.entries(looks)) {
        yield* look(16)
        count.asked = 0
        yield* look(7)
        yield* look(16)
        assert.strictEqual(count.asked, 0, name)
      }
    }).pipe(inRooms(ground()))
  }))
