/** What the sender does with each kind of row: changes, progress, long texts, blocks that Slack does not take. */
import { assert, describe } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { Outbox } from "../src/Outbox.ts"
import { OutboxStore, type ReplyRecord } from "../src/OutboxStore.ts"
import { NotSent, Permanent, RateLimited } from "../src/SlackApi.ts"
import { post, stateOf, test, unpaced } from "./fixtures/outboxRoom.ts"
import { advance, settle } from "./fixtures/rooms.ts"
import { reset } from "./fixtures/scriptedApi.ts"

const all = Effect.flatMap(OutboxStore, (store) => store.list({}, { limit: 99 }))
const record = (id: number): Effect.Effect<ReplyRecord | undefined, unknown, OutboxStore> =>
  Effect.map(all, (rows) => rows.find((row) => row.id === id))

describe("a change of a reply", () => {
  test("goes out behind it, to the message that it became", (slack) =>
    Effect.gen(function*() {
      const handle = yield* post("draft")
      yield* handle.update("final")
      yield* handle.react("eyes")
      const last = yield* handle.delete()
      yield* settle
      const { ts } = yield* handle.delivered
      assert.deepStrictEqual(slack.sent.map(({ kind, text }) => [kind, text]), [
        ["Post", "draft"],
        ["Update", "final"],
        ["React", ":eyes:"],
        ["Delete", ""]
      ])
      for (const { target } of slack.sent.slice(1)) assert.deepStrictEqual(target, { channel: "C1", ts })
      assert.deepStrictEqual(yield* last.delivered, { channel: "C1", ts })
    }), unpaced)

  test("is asked for again when its answer is in doubt, a bounded number of times", (slack) =>
    Effect.gen(function*() {
      slack.script("fine", reset, reset)
      slack.script("lost", reset, reset, reset, reset)
      const handle = yield* post("draft")
      const fine = yield* handle.update("fine")
      yield* advance("2 minutes", "5 seconds")
      assert.isEmpty(slack.looks)
      assert.strictEqual(yield* stateOf(fine.id), "delivered")
      assert.deepInclude(yield* record(fine.id), { tries: 3, attempts: 2 })
      const lost = yield* handle.update("lost")
      yield* advance("2 minutes", "5 seconds")
      assert.strictEqual(yield* stateOf(lost.id), "failed_terminal")
      assert.deepInclude(yield* record(lost.id), { tries: 3, error: "Ambiguous" })
    }), { ...unpaced, outboxMaxAttempts: 3 })

  test(
    "of a long text updates what is there, posts what is more and deletes what is too much",
    (slack) =>
      Effect.gen(function*() {
        const handle = yield* post("a".repeat(6_000))
        yield* handle.update("b".repeat(9_000))
        yield* handle.update("c")
        yield* settle
        const kinds = slack.sent.map(({ kind, text }) => `${kind} ${text[0] ?? ""}${text.length}`)
        const expected = ["Post a4000", "Post a2000", "Update b4000", "Update b4000", "Post b1000", "Update c1"]
        assert.deepStrictEqual(kinds, [...expected, "Delete 0", "Delete 0"])
      }),
    unpaced
  )

  test("fails when the reply was not sent, and whoever waits hears it", (slack) =>
    Effect.gen(function*() {
      slack.script("draft", new Permanent({ code: "is_archived" }))
      const handle = yield* post("draft")
      const change = yield* handle.update("final")
      const error = yield* Effect.flip(change.delivered)
      assert.include(error.message, "was not sent (is_archived)")
      assert.deepStrictEqual(slack.texts(), ["draft"])
    }), unpaced)

  test("of progress that was never sent is posted itself", (slack) =>
    Effect.gen(function*() {
      slack.script("working", new RateLimited({ retryAfterMs: 1_000 }))
      const handle = yield* post({ text: "working", interim: true })
      yield* settle
      yield* handle.update("done")
      yield* advance("3 seconds", "500 millis")
      assert.deepStrictEqual(slack.sent.map(({ kind, text }) => [kind, text]), [["Post", "working"], ["Post", "done"]])
    }), unpaced)
})

describe("progress", () => {
  for (const reason of [new NotSent({ detail: "ECONNREFUSED" }), reset, new Permanent({ code: "is_archived" })]) {
    test(`is given up at the first failure (${reason._tag}), and is no dead letter`, (slack) =>
      Effect.gen(function*() {
        slack.script("working", reason)
        const handle = yield* post({ text: "working", interim: true })
        const waiting = yield* Effect.forkChild(Effect.exit(handle.delivered))
        yield* post("answer")
        yield* advance("3 seconds", "500 millis")
        assert.deepStrictEqual(slack.texts(), ["working", "answer"])
        assert.isEmpty(slack.looks)
        assert.deepInclude(yield* record(handle.id), {
          state: "failed_terminal",
          reason: "interim",
          error: reason._tag,
          tries: 1
        })
        assert.strictEqual((yield* Effect.flatMap(OutboxStore, (store) => store.counts)).failed_terminal, 0)
        const exit = waiting.pollUnsafe()
        assert.isTrue(exit !== undefined && Exit.isSuccess(exit) && Exit.isFailure(exit.value))
      }), unpaced)
  }
})

describe("a long text", () => {
  test("is posted in parts and order, and delivered with the last", (slack) =>
    Effect.gen(function*() {
      const text = "x".repeat(9_000)
      const handle = yield* post(text)
      assert.deepStrictEqual(yield* handle.delivered, { channel: "C1", ts: "1.000000" })
      assert.strictEqual(slack.texts().join(""), text)
      assert.strictEqual(new Set(slack.sent.map(({ key }) => key)).size, 3)
    }), unpaced)

  test("goes no further than a part that fails", (slack) =>
    Effect.gen(function*() {
      slack.script("y".repeat(4_000), new Permanent({ code: "is_archived" }))
      const handle = yield* post("x".repeat(4_000) + "y".repeat(4_000) + "z")
      yield* post("behind")
      const error = yield* Effect.flip(handle.delivered)
      assert.include(error.message, "is_archived")
      yield* settle
      assert.deepStrictEqual(slack.texts().map((text) => text[0]), ["x", "y", "b"])
    }), unpaced)

  test("stays whole where there are blocks, whose fallback it is", (slack) =>
    Effect.gen(function*() {
      yield* post({ text: "x".repeat(9_000), blocks: [{ type: "divider" }] })
      yield* settle
      assert.deepStrictEqual(slack.sent.map(({ hasBlocks, text }) => [text.length, hasBlocks]), [[9_000, true]])
    }), unpaced)

  test("of markdown is cut at what Slack takes of that", (slack) =>
    Effect.gen(function*() {
      yield* post({ markdown: "x".repeat(13_000) })
      yield* settle
      assert.deepStrictEqual(slack.texts().map(({ length }) => length), [12_000, 1_000])
    }), unpaced)
})

describe("blocks that Slack does not take", () => {
  test("are left out once, and the text goes alone", (slack) =>
    Effect.gen(function*() {
      slack.script("hello", new Permanent({ code: "invalid_blocks" }))
      const handle = yield* post({ text: "hello", blocks: [{ type: "nonsense" }] })
      yield* handle.delivered
      assert.deepStrictEqual(slack.sent.map(({ hasBlocks }) => hasBlocks), [true, false])
      assert.deepInclude(yield* record(handle.id), { degraded: true, attempts: 0, tries: 2 })
    }), unpaced)

  test("end the row where there is no text, or none is taken either", (slack) =>
    Effect.gen(function*() {
      slack.script("", new Permanent({ code: "invalid_blocks" }))
      slack.script("hello", new Permanent({ code: "invalid_blocks" }), new Permanent({ code: "invalid_blocks" }))
      const alone = yield* post({ blocks: [{ type: "nonsense" }] })
      const both = yield* post({ text: "hello", blocks: [{ type: "nonsense" }] })
      yield* advance("1 second")
      assert.strictEqual(yield* stateOf(alone.id), "failed_terminal")
      assert.strictEqual(yield* stateOf(both.id), "failed_terminal")
      assert.strictEqual(slack.sent.length, 3)
    }), unpaced)
})

describe("enqueue", () => {
  for (const content of [{ text: "" }, { text: " \n" }, { blocks: [] }, { text: "a", markdown: "b" }]) {
    test(`refuses ${JSON.stringify(content)}, and no row is made`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(post(content))
        assert.strictEqual(error.reason._tag, "ReplyFailed")
        assert.isEmpty(yield* all)
      }))
  }

  test("refuses a time that is none, and no row is made", () =>
    Effect.gen(function*() {
      const outbox = yield* Outbox
      const error = yield* Effect.flip(outbox.enqueue({ channel: "C1", text: "x" }, { notBefore: new Date(NaN) }))
      assert.strictEqual(error._tag, "TurnError")
      assert.match(error.message, /notBefore/)
    }))

  test("keeps a post until its time has come", (slack) =>
    Effect.gen(function*() {
      const outbox = yield* Outbox
      const start = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
      yield* outbox.enqueue({ channel: "C1", text: "later" }, { notBefore: new Date(start + 60_000) })
      yield* post("now")
      yield* advance("59 seconds", "1 second")
      assert.deepStrictEqual(slack.texts(), ["now"])
      yield* advance("1 second")
      assert.deepStrictEqual(slack.texts(), ["now", "later"])
    }), unpaced)
})
