/** What an operator mends, what time does to a row, and what is known about it, on every adapter. */
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { OwnerId } from "../../src/Message.ts"
import { at, failure, key, post } from "../fixtures/messages.ts"
import { epoch } from "../fixtures/time.ts"
import { add, record, stateOf, update } from "./OutboxRowsContract.ts"
import { claim, claimOrExpire, type Test } from "./OutboxStoreGuards.ts"
import { Restart } from "./Restart.ts"

const me = OwnerId.make("me")
const now = epoch

export const byHandContract = (test: Test) => {
  describe("by hand", () => {
    test("a retry gives new attempts and a new life, and is recorded", (store) =>
      Effect.gen(function*() {
        const [id = 0] = yield* add(store, post("a"))
        yield* claim(store)
        yield* store.unknown(id, me, failure("reset", "Ambiguous"), { now, lookAt: now, late: true })
        yield* store.absent(id, now)
        yield* claimOrExpire(store, now + 500, { expireBefore: now + 1 })
        assert.strictEqual(yield* stateOf(store, id), "expired")
        assert.deepStrictEqual(yield* store.retry({ states: ["expired"] }, now + 1_000), [id])
        assert.deepInclude(yield* record(store, id), { state: "queued", attempts: 0, tries: 1, retriedAt: now + 1_000 })
        const [row] = yield* claim(store, now + 1_000, { expireBefore: now + 1 })
        assert.strictEqual(row?.id, id)
      }))

    test("a retry forgets why the row ended, with the parts behind it: its next failure is the first of a new life", (store) =>
      Effect.gen(function*() {
        const [a = 0, b = 0] = yield* add(store, post("t"), post("t#1", "D1", { part: 1 }))
        yield* store.discard({ ids: [a] }, now)
        assert.deepStrictEqual(yield* store.retry({ ids: [a] }, now + 1), [a, b])
        for (const id of [a, b]) {
          assert.deepInclude(yield* record(store, id), { state: "queued", error: null, reason: null, failedAt: null })
        }
        yield* store.refused({ error: "Credentials", reason: "token_revoked" }, now + 1)
        for (const id of [a, b]) assert.deepInclude(yield* record(store, id), { state: "queued", error: "Credentials" })
      }))

    test("an unknown row may be sent again, and looks that are under way change nothing then", (store) =>
      Effect.gen(function*() {
        const [id = 0] = yield* add(store, post("a"))
        yield* claim(store)
        yield* store.unknown(id, me, failure("reset", "Ambiguous"), { now, lookAt: now, late: false })
        yield* store.retry({ ids: [id] }, now)
        yield* store.absent(id, now)
        yield* store.looked(id, { lookAt: now + 9, counts: true, newest: null, held: true })
        assert.deepInclude(yield* record(store, id), { state: "queued", attempts: 0, looks: 0, held: false })
      }))

    test("a discard ends what waits, with the parts behind it, and leaves what is sent alone", (store) =>
      Effect.gen(function*() {
        const [a = 0, b = 0, c = 0] = yield* add(store, post("t"), post("t#1", "D1", { part: 1 }), post("sent", "D2"))
        yield* claim(store, now, { exclude: ["D1"] })
        assert.deepStrictEqual(yield* store.discard({ ids: [a, c] }, now), [a])
        assert.deepInclude(yield* record(store, a), {
          state: "failed_terminal",
          reason: "discarded",
          error: "Discarded"
        })
        assert.strictEqual(yield* stateOf(store, b), "failed_terminal")
        assert.strictEqual(yield* stateOf(store, c), "sending")
      }))

    test("lists page by page what was asked for, with everything that is known", (store) =>
      Effect.gen(function*() {
        yield* add(store, post("a"), post("b", "D2"), post("c"))
        const first = yield* store.list({ lane: key("D1") }, { limit: 1 })
        assert.deepStrictEqual(first.map(({ text }) => text), ["a"])
        const rest = yield* store.list({ lane: key("D1"), states: ["queued"] }, { after: first[0]?.id ?? 0, limit: 9 })
        assert.deepStrictEqual(rest.map(({ text }) => text), ["c"])
        assert.deepStrictEqual(yield* store.list({ states: [] }, { limit: 9 }), [])
      }))

    test("lists rows of several states in their order, and no more than a page of them", (store) =>
      Effect.gen(function*() {
        const [a = 0, b = 0, c = 0, d = 0] = yield* add(
          store,
          post("a"),
          post("b", "D2"),
          post("c", "D3"),
          post("d", "D4")
        )
        yield* claim(store, now, { exclude: ["D2", "D4"] })
        yield* store.discard({ ids: [d] }, now)
        yield* store.delivered(a, me, at("1.1"), now)
        const states = ["failed_terminal", "queued", "sending", "delivered"] as const
        const page = (after: number) =>
          Effect.map(
            store.list({ states }, { after, limit: 3 }),
            (rows) => rows.map(({ id, state }) => [id, state])
          )
        assert.deepStrictEqual(yield* page(0), [[a, "delivered"], [b, "queued"], [c, "sending"]])
        assert.deepStrictEqual(yield* page(c), [[d, "failed_terminal"]])
      }))

    test("counts what waits, for its first send or for another", (store) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* store.backlog, { queued: 0, oldestQueuedAt: null })
        const [, , c = 0] = yield* add(store, post("a"), post("b", "D2"), post("c", "D3"))
        yield* claim(store, now, { exclude: ["D2", "D3"] })
        yield* store.discard({ ids: [c] }, now)
        const { oldestQueuedAt, queued } = yield* store.backlog
        assert.strictEqual(queued, 1)
        assert.isNumber(oldestQueuedAt)
      }))

    test("lists the newest first, page by page, of one state or of several", (store) =>
      Effect.gen(function*() {
        yield* add(store, post("a"), post("b"), post("c"), post("d"), post("e"))
        const pages = Effect.fnUntraced(function*(states?: ReadonlyArray<"queued" | "expired">) {
          const seen: Array<number> = []
          let before = Number.MAX_SAFE_INTEGER
          while (true) {
            const rows = yield* store.list(states === undefined ? {} : { states }, { before, limit: 2 })
            seen.push(...rows.map(({ id }) => id))
            if (rows.length < 2) return seen
            before = rows.at(-1)?.id ?? 0
          }
        })
        const all = yield* pages()
        assert.deepStrictEqual(all, all.toSorted((a, b) => b - a))
        assert.strictEqual(all.length, 5)
        assert.deepStrictEqual(yield* pages(["expired", "queued"]), all)
      }))

    test("lists the rows of a channel, also where Slack put them into another one", (store) =>
      Effect.gen(function*() {
        const [person = 0, , there = 0] = yield* add(store, post("a", "U1"), post("b", "D2"), post("c", "D1/1.1"))
        yield* claim(store)
        yield* store.delivered(person, me, at("1.1", "D1"), now)
        const idsOf = (channel: string) =>
          Effect.map(store.list({ channel }, { limit: 9 }), (rows) => rows.map(({ id }) => id))
        assert.deepStrictEqual(yield* idsOf("D1"), [person, there])
        assert.deepStrictEqual(yield* idsOf("U1"), [person])
        assert.deepStrictEqual(yield* idsOf("C9"), [])
      }))

    test("never shows the address of an answer to a command", (store) =>
      Effect.gen(function*() {
        const url = "https://hooks.slack.com/secret"
        yield* add(store, post("a", "D1", { dispatch: { _tag: "Respond", url, text: "hi" } }))
        assert.notInclude(JSON.stringify(yield* store.list({}, { limit: 1 })), "secret")
      }))
  })

  describe("time", () => {
    test("keeps a row until its \"not before\", holds nobody up till then, and its life begins there", (store) =>
      Effect.gen(function*() {
        const [later = 0] = yield* add(store, post("later", "D1", { notBefore: now + 1_000 }), post("now"))
        const [row] = yield* claim(store)
        assert.strictEqual(row?.key, "now")
        yield* store.delivered(row?.id ?? 0, me, at("1.1"), now)
        assert.strictEqual((yield* store.nextDueAt(now, [], [])).send, now + 1_000)
        const [due] = yield* claim(store, now + 1_000, { expireBefore: now + 1_000 })
        assert.strictEqual(due?.id, later)
      }))

    test("that is set back keeps the order of a lane, and leaves a \"not before\" alone", (store) =>
      Effect.gen(function*() {
        const [, later = 0] = yield* add(store, post("a"), post("later", "D2", { notBefore: now + 1_000 }))
        const before = now - 3_600_000
        yield* store.enqueue([post("b")], null, before)
        assert.deepStrictEqual(yield* claim(store, before), [], "the second does not overtake the first")
        yield* store.setBack(3_600_000, before)
        assert.deepStrictEqual((yield* claim(store, before)).map((row) => row.key), ["a"])
        assert.deepInclude(yield* record(store, later), { state: "queued", dueAt: now + 1_000 })
      }))

    test("that is set back leaves what is tried again, looked for or held its time, and no more", (store) =>
      Effect.gen(function*() {
        const [a = 0, b = 0, c = 0] = yield* add(store, post("a"), post("b", "D2"), post("c", "D3"))
        yield* claim(store)
        yield* store.notSent(a, me, failure("refused"), { now, dueAt: now + 500, countAttempt: false })
        yield* store.unknown(b, me, failure("reset"), { now, lookAt: now + 500, late: false })
        yield* store.unknown(c, me, failure("reset"), { now: now - 7_200_000, lookAt: now + 500, late: false })
        yield* store.setBack(3_600_000, now - 3_599_900)
        assert.deepInclude(yield* record(store, a), { dueAt: now - 3_599_500 })
        assert.deepInclude(yield* record(store, b), { dueAt: now - 3_599_500, unknownSince: now - 3_600_000 })
        assert.deepInclude(yield* record(store, c), { dueAt: now - 3_599_500, unknownSince: now - 7_200_000 })
      }))

    test("that was set back while nobody ran makes due at a start what it was due before", (store) =>
      Effect.gen(function*() {
        const [a = 0] = yield* add(store, post("a"))
        yield* TestClock.setTime(now - 3_600_000)
        yield* (yield* Restart).restart
        assert.deepInclude(yield* record(store, a), { state: "queued", dueAt: now - 3_600_000 })
      }))

    test("expires what waits and is too old, for the failure that kept it waiting", (store) =>
      Effect.gen(function*() {
        const [a] = yield* add(store, post("a"))
        yield* store.enqueue([post("b")], null, now + 10)
        const failed = failure("grew too old", "Credentials")
        assert.strictEqual(yield* store.expire(now + 5, failed, now + 20), 1)
        assert.deepInclude(yield* record(store, a), { state: "expired", ...failed, failedAt: now + 20 })
        assert.strictEqual((yield* store.list({ states: ["expired"], error: "Credentials" }, { limit: 9 })).length, 1)
      }))

    test("remembers why it waits, where it is due and has met no failure yet, and nothing else changes", (store) =>
      Effect.gen(function*() {
        yield* add(store, post("met", "D1"))
        const [met] = yield* claim(store)
        yield* store.notSent(met?.id ?? 0, me, failure("refused"), { now, dueAt: now, countAttempt: false })
        const [due] = yield* add(store, post("due", "D2"))
        const [later] = yield* add(store, post("later", "D3", { notBefore: now + 1_000 }))
        const [progress] = yield* add(store, post("progress", "D4", { interim: true }))
        const before = yield* record(store, due)
        const failed = failure("token_revoked", "Credentials")
        yield* store.refused(failed, now + 5)
        assert.deepStrictEqual(yield* record(store, due), { ...before, ...failed, failedAt: now + 5 } as typeof before)
        assert.strictEqual((yield* record(store, met?.id))?.reason, "refused")
        for (const id of [later, progress]) assert.isNull((yield* record(store, id))?.error ?? null)
        assert.strictEqual((yield* claim(store, now + 5, { exclude: ["D1", "D3", "D4"] }))[0]?.id, due)
      }))

    test("sends one row of a lane at a time, also when an older one becomes due meanwhile", (store) =>
      Effect.gen(function*() {
        yield* add(store, post("later", "D1", { notBefore: now + 1_000 }), post("now"))
        yield* claim(store)
        yield* TestClock.setTime(now + 1_000)
        assert.deepStrictEqual(yield* claim(store, now + 1_000), [])
      }))
  })

  test("knows every failure of a row: its class, its words, its time, and how often it was tried", (store) =>
    Effect.gen(function*() {
      const [id = 0] = yield* add(store, post("a"))
      yield* claim(store)
      yield* store.notSent(id, me, failure("ECONNREFUSED"), { now: now + 1, dueAt: now, countAttempt: false })
      assert.deepInclude(yield* record(store, id), {
        error: "NotSent",
        reason: "ECONNREFUSED",
        failedAt: now + 1,
        tries: 1,
        attempts: 0
      })
      yield* claim(store)
      yield* store.failed(id, me, failure("is_archived", "Permanent"), now + 2)
      assert.deepInclude(yield* record(store, id), {
        error: "Permanent",
        reason: "is_archived",
        failedAt: now + 2,
        tries: 2
      })
    }))

  test("leaves the blocks out once they were refused, and only then", (store) =>
    Effect.gen(function*() {
      const dispatch = { _tag: "Post", text: "a", blocks: [{ type: "divider" }] } as const
      const [id = 0] = yield* add(store, post("a", "D1", { dispatch }))
      assert.deepStrictEqual((yield* claim(store))[0]?.dispatch, dispatch)
      yield* store.notSent(id, me, failure("invalid_blocks", "Permanent"), {
        now,
        dueAt: now,
        countAttempt: false,
        degrade: true
      })
      const [row] = yield* claim(store)
      assert.deepInclude(row, { dispatch: { _tag: "Post", text: "a" }, attempts: 0 })
      assert.deepInclude(yield* record(store, id), { degraded: true })
    }))

  test("knows the keys of a place, and no others", (store) =>
    Effect.gen(function*() {
      yield* add(store, post("t:1:abc"), post("t:1:def", "D2"), post("t:10:abc", "D3"), post("s:1:abc", "D4"))
      assert.deepStrictEqual(yield* store.keysAt("t:1:"), ["t:1:abc", "t:1:def"])
    }))

  test(
    "tells what was said: as it reads now, without progress, reactions and what was taken back",
    (store, messages) =>
      Effect.gen(function*() {
        const [a = 0, b = 0] = yield* add(store, post("a"), post("b"), post("progress", "D1", { interim: true }))
        yield* add(
          store,
          update(a, "a, corrected"),
          post("gone", "D1", { target: b, dispatch: { _tag: "Delete" } }),
          post("eyes", "D1", { target: a, dispatch: { _tag: "React", name: "eyes" } })
        )
        const said = yield* messages.history(key("D1"), 9)
        assert.deepStrictEqual(said.map((entry) => entry._tag === "Reply" ? entry.text : ""), ["a, corrected"])
      })
  )
}
