/** `slackwater inbox list` and `show`: what is there, readable and harmless. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync } from "node:fs"
import { InboxDetail, InboxPage } from "../../src/InboxRow.ts"
import { inbox, inboxJson, messagesIn, seed, some } from "./inboxSeed.ts"
import { dataIn, execute } from "./outboxSeed.ts"
import { directory, outcome } from "./process.ts"

const pageOf = inboxJson(InboxPage)
const detailOf = inboxJson(InboxDetail)

describe("list", () => {
  it.live("shows what waits, runs or is a dead letter, newest first, and with flags what is asked for", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* some(cwd)
      const idsOf = (...args: ReadonlyArray<string>) =>
        Effect.map(pageOf(cwd, "list", ...args), ({ rows }) => rows.map(({ id }) => id))
      assert.deepStrictEqual(yield* idsOf(), [7, 5, 4, 3, 2])
      assert.deepStrictEqual(yield* idsOf("--state", "done", "--state", "ignored,queued"), [6, 3, 1])
      assert.deepStrictEqual(yield* idsOf("--channel", "C0GENERAL"), [5, 4])
      assert.deepStrictEqual(yield* idsOf("--conversation", "D0BOB"), [2])
      assert.deepStrictEqual(yield* idsOf("--reason", "such model"), [5, 4])
      assert.deepStrictEqual(yield* idsOf("--state", "done,failed", "--older-than", "1 hour"), [1])
      assert.deepStrictEqual(yield* idsOf("--state", "done,failed", "--newer-than", "1 hour"), [5, 4, 2])
      assert.strictEqual(
        yield* inbox(cwd, "list", "--channel", "C0NOBODY"),
        "no such messages; those that are settled: --state done,ignored\n"
      )
    }))

  it.live("goes page by page, and says where the next one begins", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* some(cwd)
      const first = yield* pageOf(cwd, "list", "--limit", "2")
      assert.deepStrictEqual([first.rows.map(({ id }) => id), first.next], [[7, 5], 5])
      const last = yield* pageOf(cwd, "list", "--limit", "3", "--before", "5")
      assert.deepStrictEqual([last.rows.map(({ id }) => id), last.next], [[4, 3, 2], null])
      assert.match(yield* inbox(cwd, "list", "--limit", "2"), /^more: the same with --before 5$/m)
    }))

  it.live("is a table with one line a message", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* some(cwd)
      const [head = "", ...rows] = (yield* inbox(cwd, "list")).trimEnd().split("\n")
      assert.match(head, /^ID +STATE +AGE +CONVERSATION +RUNS +REASON +TEXT$/)
      assert.strictEqual(rows.length, 5)
      assert.match(rows[1] ?? "", /^5 +failed +\d+[smh] +C0GENERAL\/1\.0 +1 +no such model +innocent$/)
    }))

  it.live("says what is wrong with a flag (64)", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      const wrong = [
        [["--state", "dead"], /--state is "dead", and must be of queued, processing, done, ignored, failed/],
        [["--older-than", "yesterday"], /--older-than is "yesterday", and must be a time like "2 hours"/],
        [["--newer-than", "Infinity"], /--newer-than is "Infinity"/],
        [["--limit", "0"], /--limit is 0, and must be from 1 to 1000/]
      ] as const
      for (const [args, says] of wrong) {
        const { code, stderr, stdout } = yield* outcome(["inbox", "list", ...args], { cwd })
        assert.deepStrictEqual([code, stdout], [64, ""])
        assert.match(stderr, says)
        assert.match(stderr, /see slackwater inbox list --help/)
      }
    }))

  it.live("changes nothing, and makes nothing where there is no database (74)", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      for (const args of [["list"], ["show", "1"], ["retry", "1"], ["discard", "1"]]) {
        const { code, stderr, stdout } = yield* outcome(["inbox", ...args], { cwd })
        assert.deepStrictEqual([code, stdout], [74, ""])
        assert.match(stderr, /^slackwater: .*slackwater\.db is not there; set SLACKWATER_DATA_DIR to .+\n$/)
      }
      assert.isFalse(existsSync(dataIn(cwd)))
      yield* some(cwd)
      const before = messagesIn(cwd)
      yield* inbox(cwd, "list")
      assert.deepStrictEqual(messagesIn(cwd), before)
    }))
})

describe("show", () => {
  it.live("tells everything of a message, and how to settle it", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* some(cwd)
      const shown = yield* inbox(cwd, "show", "4")
      for (
        const line of [
          /^Message 4: failed$/m,
          /^ +kind +message$/m,
          /^ +conversation +C0GENERAL\/1\.0$/m,
          /^ +reason +no such model$/m,
          /^ +key +event:/m,
          /^ +received at +\d{4}-\d\d-\d\dT/m,
          /^ +runs +1; 1 failed, 0 crashed in a row$/m,
          /^ +turn's state +failed$/m,
          /^ +turn's error +no such model$/m,
          /^ +with messages +5 \(failed\)$/m,
          /^ +\| poison$/m,
          /^slackwater inbox retry 4 +handles it again, with the other of its turn$/m,
          /^slackwater inbox discard 4 +never handles it$/m
        ]
      ) assert.match(shown, line)
      assert.notMatch(yield* inbox(cwd, "show", "1"), /slackwater inbox/)
      const detail = yield* detailOf(cwd, "show", "4")
      assert.deepInclude(detail, { id: 4, state: "failed", reason: "no such model", attempts: 1, retries: 0 })
      assert.deepStrictEqual(detail.turnRecord?.messages.map(({ id, text }) => [id, text]), [
        [4, "poison"],
        [5, "innocent"]
      ])
    }))

  it.live("tells what people did with it, and what was its reason then", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* some(cwd)
      yield* inbox(cwd, "retry", "2")
      yield* inbox(cwd, "discard", "2")
      const { byHand, state } = yield* detailOf(cwd, "show", "2")
      assert.strictEqual(state, "ignored")
      assert.deepStrictEqual(byHand.map(({ action, reason }) => [action, reason]), [["retry", "boom"], [
        "discard",
        null
      ]])
      assert.match(yield* inbox(cwd, "show", "2"), /^ +by hand +retry at \d{4}-.+, after: boom$/m)
    }))

  it.live("a message that is not there is a failure (1), and what is no number is a mistake (64)", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* some(cwd)
      const missing = yield* outcome(["inbox", "show", "99"], { cwd })
      assert.deepStrictEqual([missing.code, missing.stdout], [1, ""])
      assert.match(missing.stderr, /^slackwater: there is no message 99: .*; see slackwater inbox list\n$/)
      const mistaken = yield* outcome(["inbox", "show", "1e3"], { cwd })
      assert.strictEqual(mistaken.code, 64)
      assert.match(mistaken.stderr, /"1e3" is no number of a row/)
    }))

  it.live("a message that cannot be read is shown as far as it can", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* some(cwd)
      execute(cwd, "UPDATE slackwater_messages SET message = '{' WHERE id = 2")
      assert.match(yield* inbox(cwd, "list"), /^2 +failed .*\(cannot be read\)$/m)
      assert.match(yield* inbox(cwd, "show", "2"), /^ +kind +cannot be read: /m)
      assert.deepInclude(yield* detailOf(cwd, "show", "2"), { kind: null, text: "", payload: null })
    }))
})

it.live("what strangers wrote does not reach the terminal as it is, and JSON keeps it", () =>
  Effect.gen(function*() {
    const cwd = yield* directory
    const text = "\u001b[2J\u009b31mred\u0007\u202egnp\n\u001b]0;title\u0007"
    const payload = { event: { text, "\u001b[5m": ["\u2028", text] }, response_url: "https://s3cret" }
    const hostile = { conversation: "D0\u001b[31mX", given: { payload, user: "\u001b[5mU" } }
    yield* seed(cwd, [{ texts: [text], end: "failed", reason: "\u001b[5m\nline", ...hostile }])
    for (const args of [["list"], ["show", "1"], ["list", "--json"], ["show", "1", "--json"]]) {
      const said = yield* inbox(cwd, ...args)
      assert.notMatch(said.replaceAll("\n", ""), /[\p{C}\p{Zl}\p{Zp}]/u)
      assert.notInclude(said, "s3cret")
    }
    const shown = yield* detailOf(cwd, "show", "1")
    assert.deepStrictEqual([shown.text, shown.payload], [text, { ...payload, response_url: "(hidden)" }])
  }))
