/** What the outbox knows of files, on every adapter. Part of OutboxStoreContract. */
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { OwnerId } from "../../src/Message.ts"
import { at, failure, post } from "../fixtures/messages.ts"
import { epoch } from "../fixtures/time.ts"
import { add } from "./OutboxRowsContract.ts"
import { claim, type Test } from "./OutboxStoreGuards.ts"
import { Restart } from "./Restart.ts"

const me = OwnerId.make("me")
const now = epoch

const upload = (name: string) =>
  post(name, name, { dispatch: { _tag: "Upload", spool: name, filename: "a.txt", bytes: 1 } })

export const filesContract = (test: Test) =>
  describe("a file", () => {
    test("has its id remembered by whoever sends it, and by nobody else, also over a crash", (store) =>
      Effect.gen(function*() {
        const [a = 0] = yield* add(store, upload("a"))
        yield* store.remember(a, me, "F0", now)
        assert.strictEqual((yield* claim(store))[0]?.remote, null)
        yield* store.remember(a, OwnerId.make("other"), "F1", now)
        yield* store.remember(a, me, "F2", now)
        yield* (yield* Restart).crash
        assert.deepInclude((yield* store.claimUnknown(now, 9))[0], { id: a, remote: "F2" })
        yield* store.absent(a, now)
        assert.strictEqual((yield* claim(store))[0]?.remote, "F2")
      }))

    test("is looked for from when it was shared on, however long its bytes took", (store) =>
      Effect.gen(function*() {
        const [a = 0] = yield* add(store, upload("a"))
        yield* claim(store)
        yield* store.remember(a, OwnerId.make("other"), "F1", now + 500_000)
        yield* store.remember(a, me, "F2", now + 600_000)
        const lookAt = now + 601_000
        yield* store.unknown(a, me, failure("reset"), { now: lookAt, lookAt, late: false })
        assert.deepInclude((yield* store.claimUnknown(lookAt, 9))[0], { id: a, remote: "F2", sentAt: now + 600_000 })
      }))

    test("is needed until it is delivered or discarded", (store) =>
      Effect.gen(function*() {
        const [a = 0, b = 0, c = 0] = yield* add(store, upload("a"), upload("b"), upload("c"), post("d"))
        assert.deepStrictEqual(yield* store.spooled, ["a", "b", "c"])
        yield* claim(store)
        yield* store.delivered(a, me, at("5.5"), now)
        yield* store.failed(b, me, failure("is_archived", "Permanent"), now)
        yield* store.failed(c, me, failure("is_archived", "Permanent"), now)
        yield* store.discard({ ids: [c] }, now)
        assert.deepStrictEqual(yield* store.spooled, ["b"])
        yield* store.retry({ ids: [b] }, now)
        assert.deepStrictEqual(yield* store.spooled, ["b"])
        yield* store.retry({ ids: [c] }, now)
        assert.deepStrictEqual(yield* store.spooled, ["b", "c"], "what was discarded is needed again")
      }))
  })
