/** `slackwater inbox retry` and `discard`: messages settled by hand, never by accident. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { RowChange } from "../../src/cli/rowChange.ts"
import { inbox, inboxJson, messagesIn, seed, some, statesIn } from "./inboxSeed.ts"
import { execute } from "./outboxSeed.ts"
import { bin, directory, has, outcome, quick, start } from "./process.ts"

const changeOf = inboxJson(RowChange)
const ids = (count: number, from = 1) => Array.from({ length: count }, (_, index) => index + from)

describe("by number", () => {
  it.live("retry queues what may be handled again, whole turns at a time, and says why it leaves the rest", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* some(cwd)
      const args = ["retry", "1", "2", "3", "4", "6", "7", "--yes"]
      assert.deepStrictEqual(yield* changeOf(cwd, ...args), {
        action: "retry",
        dryRun: false,
        changed: [2, 4, 5, 6],
        left: [
          { why: "done", ids: [1] },
          { why: "waits for its turn already", ids: [3] },
          { why: "in hand: a turn runs with it", ids: [7] }
        ]
      })
      assert.deepStrictEqual(statesIn(cwd), ["done", ...ids(5).map(() => "queued"), "processing"])
      // Repeated it is harmless.
      const before = messagesIn(cwd)
      assert.deepStrictEqual((yield* changeOf(cwd, ...args)).changed, [])
      assert.deepStrictEqual(messagesIn(cwd), before)
    }))

  it.live("discard ends what waits or failed, one message and not its turn, and says why it leaves the rest", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* some(cwd)
      const args = ["discard", "1", "2", "3", "4", "6", "7", "--yes"]
      assert.strictEqual(
        yield* inbox(cwd, ...args),
        `3 messages discarded: 2, 3, 4
left 1: done
left 6: ignored, so no turn takes it
left 7: in hand: a turn runs with it
`
      )
      assert.deepStrictEqual(statesIn(cwd), [
        "done",
        "ignored",
        "ignored",
        "ignored",
        "failed",
        "ignored",
        "processing"
      ])
      assert.match(yield* inbox(cwd, ...args), /^left 2, 3, 4: discarded before$/m)
    }))

  it.live("a message that is not there is named and fails (1), after the others", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* some(cwd)
      const { code, stderr, stdout } = yield* outcome(["inbox", "retry", "99", "2", "--yes"], { cwd })
      assert.strictEqual(code, 1)
      assert.match(stderr, /^slackwater: there are no messages 99: .+; see slackwater inbox list\n$/)
      assert.strictEqual(stdout, "1 message to be handled again: 2\nleft 99: there is no such row\n")
    }))

  it.live("without numbers or a state, with both, or with what is none, it refuses (64)", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* some(cwd)
      const before = messagesIn(cwd)
      const wrong = [
        [[], /which rows\? Give their numbers, or --state/],
        [["2", "--state", "failed"], /give numbers of rows or --state, not both/],
        [["2", "--reason", "boom"], /give numbers of rows or --state, not both/],
        [["two"], /"two" is no number of a row/],
        [["--state", "done"], /--state is "done", and must be of/],
        [["--reason", "boom"], /which rows\?/]
      ] as const
      for (const [args, says] of wrong) {
        const { code, stderr } = yield* outcome(["inbox", "retry", ...args, "--yes"], { cwd })
        assert.strictEqual(code, 64)
        assert.match(stderr, says)
      }
      assert.deepStrictEqual(messagesIn(cwd), before)
    }))
})

describe("by state", () => {
  it.live("retry leaves what was ignored, unless its reason is named", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* some(cwd)
      const { changed, left } = yield* changeOf(cwd, "retry", "--state", "failed,ignored", "--yes")
      assert.deepStrictEqual(changed, [2, 4, 5])
      assert.deepStrictEqual(left, [{
        why: "ignored (not addressed); its number, or --reason, has it handled all the same",
        ids: [6]
      }])
      const named = ["--state", "ignored", "--reason", "not addressed"]
      assert.deepStrictEqual((yield* changeOf(cwd, "retry", ...named, "--yes")).changed, [6])
    }))

  it.live("channel, conversation, reason and age narrow it, and a dry run says it and changes nothing", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* seed(cwd, [
        { texts: ["a"], end: "failed", age: 7_200_000 },
        { texts: ["b"], end: "failed", conversation: "C0GENERAL", reason: "no such model" },
        { texts: ["c", "d"], end: "failed", conversation: "C0GENERAL/1.0" }
      ])
      const before = messagesIn(cwd)
      const would = (...args: ReadonlyArray<string>) =>
        Effect.map(changeOf(cwd, "retry", "--state", "failed", "--dry-run", ...args), ({ changed }) => changed)
      assert.deepStrictEqual(yield* would(), [1, 2, 3, 4])
      assert.deepStrictEqual(yield* would("--channel", "C0GENERAL"), [2, 3, 4])
      assert.deepStrictEqual(yield* would("--conversation", "C0GENERAL/1.0"), [3, 4])
      assert.deepStrictEqual(yield* would("--reason", "model"), [2])
      assert.deepStrictEqual(yield* would("--newer-than", "1 hour"), [2, 3, 4])
      assert.deepStrictEqual(yield* would("--older-than", "1 hour"), [1])
      // What comes along is told beforehand.
      assert.deepStrictEqual((yield* changeOf(cwd, "retry", "3", "--dry-run")).changed, [3, 4])
      assert.match(yield* inbox(cwd, "discard", "3", "--dry-run"), /^1 message would be discarded: 3$/m)
      assert.deepStrictEqual(messagesIn(cwd), before)
    }))

  it.live("hundreds are changed to the last, after a change that was cut off too", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* seed(cwd, [{ texts: ["one of many"], end: "failed" }])
      execute(
        cwd,
        `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 349)
        INSERT INTO slackwater_messages (conversation, slack_ts, message, state, reason, due_at, received_at, finished_at)
        SELECT conversation, slack_ts, message, state, 'full', due_at, received_at, finished_at FROM slackwater_messages, n`
      )
      // As a kill in the middle leaves them.
      yield* changeOf(cwd, "retry", ...ids(100).map(String), "--yes")
      const { changed } = yield* changeOf(cwd, "retry", "--state", "failed", "--yes")
      assert.deepStrictEqual(changed, ids(250, 101))
      assert.deepStrictEqual([...new Set(statesIn(cwd))], ["queued"])
    }))
})

it.live("without a terminal more than one needs --yes (64), and nothing is changed", () =>
  Effect.gen(function*() {
    const cwd = yield* directory
    yield* some(cwd)
    const before = messagesIn(cwd)
    for (const which of [["--state", "failed"], ["2", "4"]]) {
      for (const action of ["retry", "discard"]) {
        const { code, stderr } = yield* outcome(["inbox", action, ...which], { cwd, input: "y\n" })
        assert.strictEqual(code, 64)
        assert.match(stderr, /^slackwater: this is no terminal, .* then add --yes; see slackwater inbox /)
      }
    }
    assert.deepStrictEqual(messagesIn(cwd), before)
    assert.strictEqual(yield* inbox(cwd, "retry", "4"), "2 messages to be handled again: 4, 5\n")
  }))

describe.skipIf(process.platform !== "linux" || !has("script"))("in a terminal", () => {
  const inTerminal = Effect.fnUntraced(function*(cwd: string, command: string) {
    const line = `stty cols 80; exec "${process.execPath}" "${bin}" inbox ${command}`
    return yield* start("script", ["-qefc", line, "/dev/null"], { cwd, env: { ...quick, HOME: cwd, SHELL: "/bin/sh" } })
  })

  it.live("more than one message is asked for; only a yes is one", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* some(cwd)
      const before = messagesIn(cwd)
      const refused = yield* inTerminal(cwd, "retry --state failed")
      yield* refused.awaitOutput(/3 messages: 2, 4, 5\. .*Have them handled again\? \[y\/N\]/)
      yield* refused.type("n\n")
      assert.deepStrictEqual(yield* refused.ended, { code: 1, signal: null })
      assert.match(refused.output, /nothing was changed/)
      assert.deepStrictEqual(messagesIn(cwd), before)
      const agreed = yield* inTerminal(cwd, "retry --state failed")
      yield* agreed.awaitOutput(/\[y\/N\]/)
      yield* agreed.type("y\n")
      assert.deepStrictEqual(yield* agreed.ended, { code: 0, signal: null })
      assert.match(agreed.output, /3 messages to be handled again: 2, 4, 5/)
    }))
})
