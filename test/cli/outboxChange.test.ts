/** `slackwater outbox retry` and `discard`: rows settled by hand, never by accident. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { RowChange } from "../../src/cli/rowChange.ts"
import { execute, outbox, outboxJson, rowsIn, seed, statesIn } from "./outboxSeed.ts"
import { bin, directory, has, outcome, quick, start } from "./process.ts"

const changeOf = outboxJson(RowChange)
const ids = (count: number, from = 1) => Array.from({ length: count }, (_, index) => index + from)

/** A row in each state, the ones that commands leave among them. */
const one = Effect.fnUntraced(function*(cwd: string) {
  yield* seed(cwd, [
    { text: "sent", state: "delivered" },
    { text: "waits" },
    { text: "in hand" },
    { text: "old", state: "expired", error: "Expired" },
    { text: "dead", state: "failed_terminal", error: "Permanent" },
    { text: "perhaps", state: "unknown", error: "Ambiguous" },
    { text: "progress", state: "failed_terminal", error: "Interim", interim: true },
    { text: "dropped", state: "failed_terminal", error: "Discarded" },
    { text: "looked for", state: "unknown", error: "Ambiguous" }
  ])
  execute(
    cwd,
    `UPDATE slackwater_outbox SET state = 'sending', owner = 'somebody', sent_at = 1 WHERE id = 3;
    UPDATE slackwater_outbox SET held = 0 WHERE id = 9`
  )
})

describe("by number", () => {
  it.live("retry queues what may be sent again, and says why it leaves the rest", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* one(cwd)
      const args = ["retry", ...ids(7).map(String), "--yes"]
      assert.deepStrictEqual(yield* changeOf(cwd, ...args), {
        action: "retry",
        dryRun: false,
        changed: [4, 5, 6],
        left: [
          { why: "delivered", ids: [1] },
          { why: "waits to be sent already", ids: [2] },
          { why: "in hand: it is being sent", ids: [3] },
          { why: "progress, which is sent live or not at all", ids: [7] }
        ]
      })
      const states = ["delivered", "queued", "sending", "queued", "queued", "queued", "failed_terminal"]
      assert.deepStrictEqual(statesIn(cwd).slice(0, 7), states)
      // Repeated it is harmless.
      const before = rowsIn(cwd)
      assert.deepStrictEqual((yield* changeOf(cwd, ...args)).changed, [])
      assert.deepStrictEqual(rowsIn(cwd), before)
    }))

  it.live("discard ends what waits or ended, and says why it leaves the rest", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* one(cwd)
      const said = yield* outbox(cwd, "discard", ...ids(8).map(String), "--yes")
      assert.strictEqual(
        said,
        `4 replies discarded: 2, 4, 5, 6
left 1: delivered
left 3: in hand: it is being sent
left 7: progress, which has ended
left 8: discarded before
`
      )
      assert.deepStrictEqual(
        rowsIn(cwd).filter((row) => row["error_class"] === "Discarded").map(({ id }) => id),
        [2, 4, 5, 6, 8]
      )
    }))

  it.live("a row that is not there is named and fails (1), after the others", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* one(cwd)
      const { code, stderr, stdout } = yield* outcome(["outbox", "retry", "99", "4", "--yes"], { cwd })
      assert.strictEqual(code, 1)
      assert.match(stderr, /^slackwater: there are no replies 99: .+\n$/)
      assert.strictEqual(stdout, "1 reply to be sent again: 4\nleft 99: there is no such row\n")
      assert.strictEqual(statesIn(cwd)[3], "queued")
    }))
})

describe("by state", () => {
  it.live("retry leaves what was discarded, what is still looked for, and progress", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* one(cwd)
      const { changed, left } = yield* changeOf(cwd, "retry", "--state", "failed_terminal,unknown", "--yes")
      assert.deepStrictEqual(changed, [5, 6])
      assert.deepStrictEqual(left.map(({ ids }) => ids), [[7], [8], [9]])
      assert.deepStrictEqual(
        (yield* changeOf(cwd, "retry", "--state", "failed_terminal", "--error", "Discarded", "--yes")).changed,
        [8]
      )
    }))

  it.live("the later parts of a text come back with the one that failed, and never without it", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* seed(cwd, [
        { text: "beginning", state: "expired", error: "Expired" },
        { text: "middle", state: "failed_terminal", error: "Cancelled", part: 1 },
        { text: "end", state: "failed_terminal", error: "Cancelled", part: 2 }
      ])
      assert.deepStrictEqual((yield* changeOf(cwd, "retry", "--state", "failed_terminal", "--yes")).changed, [])
      const { changed, left } = yield* changeOf(cwd, "retry", "--state", "expired,failed_terminal", "--yes")
      assert.deepStrictEqual([changed, left], [[1, 2, 3], []])
    }))

  it.live("channel, conversation and error narrow it", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* seed(cwd, [
        { text: "a", state: "expired", error: "Expired" },
        { text: "b", state: "expired", error: "Expired", channel: "C0GENERAL" },
        { text: "c", state: "expired", error: "Expired", channel: "C0GENERAL", thread: "1700000000.000100" },
        { text: "d", state: "expired", error: "Credentials", channel: "C0GENERAL" }
      ])
      const would = (...args: ReadonlyArray<string>) =>
        Effect.map(changeOf(cwd, "discard", "--state", "expired", "--dry-run", ...args), ({ changed }) => changed)
      assert.deepStrictEqual(yield* would(), [1, 2, 3, 4])
      assert.deepStrictEqual(yield* would("--channel", "C0GENERAL"), [2, 3, 4])
      assert.deepStrictEqual(yield* would("--conversation", "C0GENERAL/1700000000.000100"), [3])
      assert.deepStrictEqual(yield* would("--channel", "C0GENERAL", "--error", "Expired"), [2, 3])
      assert.deepStrictEqual(
        (yield* changeOf(cwd, "discard", "--state", "expired", "--channel", "D0ALICE", "--yes")).changed,
        [1]
      )
      assert.deepStrictEqual(statesIn(cwd), ["failed_terminal", "expired", "expired", "expired"])
    }))

  it.live("a dry run says the same and changes nothing", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* one(cwd)
      const before = rowsIn(cwd)
      const args = ["retry", "--state", "expired,failed_terminal,unknown"]
      const dry = yield* changeOf(cwd, ...args, "--dry-run")
      assert.deepStrictEqual(rowsIn(cwd), before)
      assert.deepStrictEqual({ ...(yield* changeOf(cwd, ...args, "--yes")), dryRun: true }, dry)
      assert.match(yield* outbox(cwd, ...args, "--dry-run"), /^0 replies would be sent again$/m)
    }))

  it.live("hundreds are changed to the last, after a change that was cut off too", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* seed(cwd, ids(350).map((id) => ({ text: `text ${id}`, state: "expired", error: "Expired" })))
      // As a kill in the middle leaves them.
      yield* changeOf(cwd, "retry", ...ids(100).map(String), "--yes")
      const { changed } = yield* changeOf(cwd, "retry", "--state", "expired", "--yes")
      assert.deepStrictEqual(changed, ids(250, 101))
      assert.deepStrictEqual([...new Set(statesIn(cwd))], ["queued"])
    }))
})

it.live("of an outbox that is larger than the memory a page is held at a time", () =>
  Effect.gen(function*() {
    const cwd = yield* directory
    yield* seed(cwd, [{ text: "y".repeat(40_000), state: "expired", error: "Expired" }])
    execute(
      cwd,
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2999)
      INSERT INTO slackwater_outbox (key, lane, channel, kind, dispatch, state, error_class, due_at, enqueued_at, lives_from,
        finished_at) SELECT 'more:' || i, lane, channel, kind, dispatch, state, error_class, 1, 1, 1, 1
      FROM slackwater_outbox, n`
    )
    const args = ["outbox", "retry", "--state", "expired", "--yes"]
    const { code, stderr, stdout } = yield* outcome(args, { cwd, env: { NODE_OPTIONS: "--max-old-space-size=64" } })
    assert.strictEqual(code, 0, stderr)
    assert.match(stdout, /^3000 replies to be sent again: 1, 2, /)
  }))

it.live("without a terminal more than one row needs --yes (64), and nothing is changed", () =>
  Effect.gen(function*() {
    const cwd = yield* directory
    yield* one(cwd)
    const before = rowsIn(cwd)
    for (const which of [["--state", "expired"], ["4", "5"]]) {
      for (const action of ["retry", "discard"]) {
        const { code, stderr } = yield* outcome(["outbox", action, ...which], { cwd, input: "y\n" })
        assert.strictEqual(code, 64)
        assert.match(
          stderr,
          /^slackwater: this is no terminal, so nobody can be asked: look with --dry-run, then add --yes; see slackwater outbox /
        )
      }
    }
    assert.deepStrictEqual(rowsIn(cwd), before)
    assert.strictEqual(yield* outbox(cwd, "retry", "4"), "1 reply to be sent again: 4\n")
  }))

describe.skipIf(process.platform !== "linux" || !has("script"))("in a terminal", () => {
  const inTerminal = Effect.fnUntraced(function*(cwd: string, command: string) {
    const line = `stty cols 80; exec "${process.execPath}" "${bin}" outbox ${command}`
    return yield* start("script", ["-qefc", line, "/dev/null"], { cwd, env: { ...quick, HOME: cwd, SHELL: "/bin/sh" } })
  })

  it.live("more than one row is asked for; only a yes is one", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* one(cwd)
      const before = rowsIn(cwd)
      for (const answer of ["n\n", "\n", "\u0004"]) {
        const running = yield* inTerminal(cwd, "retry --state expired,failed_terminal")
        yield* running.awaitOutput(/2 replies: 4, 5\. .*Send them again\? \[y\/N\]/)
        yield* running.type(answer)
        assert.deepStrictEqual(yield* running.ended, { code: 1, signal: null })
        assert.match(running.output, /nothing was changed/)
        assert.deepStrictEqual(rowsIn(cwd), before)
      }
      const running = yield* inTerminal(cwd, "retry --state expired,failed_terminal")
      yield* running.awaitOutput(/\[y\/N\]/)
      yield* running.type("y\n")
      assert.deepStrictEqual(yield* running.ended, { code: 0, signal: null })
      assert.match(running.output, /2 replies to be sent again: 4, 5/)
    }))

  it.live("one row is not asked for, and Ctrl-C at the question changes nothing (1)", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* one(cwd)
      const single = yield* inTerminal(cwd, "discard --state expired")
      assert.deepStrictEqual(yield* single.ended, { code: 0, signal: null })
      assert.notInclude(single.output, "[y/N]")
      const before = rowsIn(cwd)
      const running = yield* inTerminal(cwd, "discard 2 5")
      yield* running.awaitOutput(/2 replies: 2, 5\. Never send them\? \[y\/N\]/)
      yield* running.type("\u0003")
      assert.deepStrictEqual(yield* running.ended, { code: 1, signal: null })
      assert.deepStrictEqual(rowsIn(cwd), before)
    }))

  it.live("the list fits its width", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* seed(cwd, [{ text: "long 日本語 ".repeat(40), state: "failed_terminal", error: "x".repeat(200) }, {
        text: "b"
      }])
      const running = yield* inTerminal(cwd, "list --state queued")
      yield* running.ended
      const rows = running.stdout.trimEnd().split(/\r?\n/)
      assert.strictEqual(rows.length, 2)
      const wide = yield* inTerminal(cwd, "list --state failed_terminal")
      yield* wide.ended
      for (const line of wide.stdout.trimEnd().split(/\r?\n/)) assert.isAtMost(line.length, 80)
    }))
})
