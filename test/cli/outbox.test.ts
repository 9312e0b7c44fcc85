/** `slackwater outbox list` and `show`: what is there, readable and harmless. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync } from "node:fs"
import { OutboxPage, OutboxRow } from "../../src/OutboxRow.ts"
import { dataIn, execute, outbox, outboxJson, rowsIn, seed } from "./outboxSeed.ts"
import { directory, outcome } from "./process.ts"

const pageOf = outboxJson(OutboxPage)
const rowOf = outboxJson(OutboxRow)

const some = (cwd: string) =>
  seed(cwd, [
    { text: "sent", state: "delivered" },
    { text: "waits" },
    { text: "old", state: "expired", error: "Credentials", channel: "C0GENERAL", thread: "1700000000.000100" },
    { text: "perhaps", state: "unknown", error: "Ambiguous" },
    { text: "dead", state: "failed_terminal", error: "Permanent", reason: "is_archived", channel: "C0GENERAL" }
  ])

describe("list", () => {
  it.live("shows all that is not delivered, oldest first, and with --state what is asked for", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* some(cwd)
      const idsOf = (...args: ReadonlyArray<string>) =>
        Effect.map(pageOf(cwd, "list", ...args), ({ rows }) => rows.map(({ id }) => id))
      assert.deepStrictEqual(yield* idsOf(), [2, 3, 4, 5])
      assert.deepStrictEqual(yield* idsOf("--state", "delivered", "--state", "unknown,queued"), [1, 2, 4])
      assert.deepStrictEqual(yield* idsOf("--channel", "C0GENERAL"), [3, 5])
      assert.deepStrictEqual(yield* idsOf("--conversation", "C0GENERAL/1700000000.000100"), [3])
      assert.deepStrictEqual(yield* idsOf("--error", "Permanent"), [5])
      assert.deepStrictEqual(yield* idsOf("--state", "expired", "--error", "Permanent"), [])
      assert.strictEqual(yield* outbox(cwd, "list", "--state", "sending"), "no such rows\n")
      assert.strictEqual(
        yield* outbox(cwd, "list", "--channel", "C0NOBODY"),
        "no such rows; those that were delivered: --state delivered\n"
      )
    }))

  it.live("goes page by page, and says where the next one begins", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* some(cwd)
      const first = yield* pageOf(cwd, "list", "--limit", "2")
      assert.deepStrictEqual([first.rows.map(({ id }) => id), first.next], [[2, 3], 3])
      const last = yield* pageOf(cwd, "list", "--limit", "2", "--after", "3")
      assert.deepStrictEqual([last.rows.map(({ id }) => id), last.next], [[4, 5], null])
      assert.match(yield* outbox(cwd, "list", "--limit", "2"), /^more: the same with --after 3$/m)
    }))

  it.live("is a table with one line a row", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* some(cwd)
      const [head = "", ...rows] = (yield* outbox(cwd, "list")).trimEnd().split("\n")
      assert.match(head, /^ID +STATE +AGE +CHANNEL +TRIES +ERROR +TEXT$/)
      assert.strictEqual(rows.length, 4)
      assert.match(rows[2] ?? "", /^4 +unknown \(held\) +\d+[smh] +D0ALICE +0 +Ambiguous +perhaps$/)
    }))

  it.live("changes nothing, and makes nothing where there is no database (74)", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      for (const args of [["list"], ["show", "1"], ["retry", "1"], ["discard", "1"]]) {
        const { code, stderr, stdout } = yield* outcome(["outbox", ...args], { cwd })
        assert.deepStrictEqual([code, stdout], [74, ""])
        assert.match(stderr, /^slackwater: .*slackwater\.db is not there; set SLACKWATER_DATA_DIR to .+\n$/)
      }
      assert.isFalse(existsSync(dataIn(cwd)))
      yield* some(cwd)
      const before = rowsIn(cwd)
      yield* outbox(cwd, "list")
      assert.deepStrictEqual(rowsIn(cwd), before)
    }))

  it.live("a database that is broken is said to be (74)", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* some(cwd)
      execute(cwd, "DROP TABLE slackwater_outbox")
      const { code, stderr } = yield* outcome(["outbox", "list"], { cwd })
      assert.strictEqual(code, 74)
      assert.match(stderr, /^slackwater: list: the database is not available \(.*no such table.*\)\n$/)
    }))
})

describe("show", () => {
  it.live("tells everything of a row, and how to settle it", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* some(cwd)
      const shown = yield* outbox(cwd, "show", "3")
      for (
        const line of [
          /^Reply 3: expired$/m,
          /^ +channel +C0GENERAL$/m,
          /^ +thread +1700000000\.000100$/m,
          /^ +key +seed:2$/m,
          /^ +sent +never$/m,
          /^ +error +Credentials$/m,
          /^ +enqueued at +\d{4}-\d\d-\d\dT/m,
          /^ +\| old$/m,
          /^slackwater outbox retry 3 /m,
          /^slackwater outbox discard 3 /m
        ]
      ) assert.match(shown, line)
      assert.notMatch(yield* outbox(cwd, "show", "1"), /slackwater outbox/)
      const row = yield* rowOf(cwd, "show", "5")
      assert.deepInclude(row, {
        id: 5,
        state: "failed_terminal",
        error: "Permanent",
        reason: "is_archived",
        text: "dead"
      })
    }))

  it.live("a row that is not there is a failure (1)", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* some(cwd)
      const { code, stderr, stdout } = yield* outcome(["outbox", "show", "99"], { cwd })
      assert.deepStrictEqual([code, stdout], [1, ""])
      assert.match(stderr, /^slackwater: there is no reply 99: .*; see slackwater outbox list\n$/)
    }))
})

it.live("what strangers wrote does not reach the terminal as it is, and JSON keeps it", () =>
  Effect.gen(function*() {
    const cwd = yield* directory
    const text = "\u001b[2J\u009b31mred\u0007\u202egnp\n\u001b]0;title\u0007"
    yield* seed(cwd, [{ text, state: "failed_terminal", error: "\u001b[31mBad", reason: "\u001b[5m\nline" }])
    for (const args of [["list"], ["show", "1"], ["list", "--json"], ["show", "1", "--json"]]) {
      assert.notMatch((yield* outbox(cwd, ...args)).replaceAll("\n", ""), /[\p{C}\p{Zl}\p{Zp}]/u)
    }
    assert.strictEqual((yield* rowOf(cwd, "show", "1")).text, text)
  }))
