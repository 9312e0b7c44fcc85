/** `slackwater prune`: without a gateway, beside one, and what must stay. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as Beside from "../../src/sql/Beside.ts"
import { LocalSlack } from "../../src/testing/index.ts"
import { past, present } from "../fixtures/past.ts"
import { epoch } from "../fixtures/time.ts"
import { answered } from "./answered.ts"
import { awaitReplies, gateway } from "./gateway.ts"
import { dataIn, execute } from "./outboxSeed.ts"
import { bin, contents, directory, echo, has, outcome, slackwater, start } from "./process.ts"

const day = 86_400_000

/** So many finished messages, with as many turns, keys and replies, a third of which are the host's; `days` old. */
const old = Effect.fnUntraced(function*(cwd: string, n: number, days: number) {
  yield* Effect.andThen(past(n), present(5, epoch)).pipe(Effect.provide(Beside.layer(dataIn(cwd)), { local: true }))
  const shift = Date.now() - days * day - epoch
  for (const [table, column] of [["messages", "finished_at"], ["turns", "finished_at"], ["outbox", "finished_at"]]) {
    execute(cwd, `UPDATE slackwater_${table} SET ${column} = ${column} + ${shift} WHERE ${column} IS NOT NULL`)
  }
  execute(cwd, `UPDATE slackwater_message_keys SET seen_at = seen_at + ${shift}`)
})

const countsIn = (cwd: string) => {
  const db = new DatabaseSync(join(dataIn(cwd), "slackwater.db"), { readOnly: true, timeout: 5_000 })
  const count = (what: string) => Number(db.prepare(`SELECT count(*) AS n FROM slackwater_${what}`).get()?.["n"])
  try {
    return {
      messages: count("messages WHERE finished_at IS NOT NULL"),
      turns: count("turns WHERE finished_at IS NOT NULL"),
      replies: count("outbox WHERE finished_at IS NOT NULL"),
      keys: count("message_keys"),
      waiting: count("messages WHERE finished_at IS NULL") + count("outbox WHERE finished_at IS NULL")
    }
  } finally {
    db.close()
  }
}

const prune = Effect.fnUntraced(function*(cwd: string, ...args: ReadonlyArray<string>) {
  const { code, stderr, stdout } = yield* outcome(["prune", ...args, "--json"], { cwd })
  assert.deepStrictEqual([code, stderr], [0, ""])
  return answered("prune", stdout)
})

describe("without a gateway", () => {
  it.live("by age: says with --dry-run what would go, deletes it with --yes, and nothing is left for a second time", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* old(cwd, 1_800, 8)
      const before = countsIn(cwd)
      assert.deepStrictEqual(before, { messages: 1_800, turns: 1_800, replies: 1_800, keys: 1_800, waiting: 15 })
      assert.deepStrictEqual((yield* prune(cwd, "--older-than", "9d", "--dry-run")).rows, {
        messages: 0,
        turns: 0,
        replies: 0,
        keys: 1_800
      })
      const all = { messages: 1_800, turns: 1_800, replies: 1_800, keys: 1_800 }
      const foreseen = yield* prune(cwd, "--older-than", "7d", "--dry-run")
      assert.deepStrictEqual(foreseen, { dryRun: true, olderThanMs: 7 * day, keep: null, rows: all })
      assert.deepStrictEqual(countsIn(cwd), before)
      assert.deepStrictEqual(yield* prune(cwd, "--older-than", "7 days", "--yes"), { ...foreseen, dryRun: false })
      assert.deepStrictEqual(countsIn(cwd), { messages: 0, turns: 0, replies: 0, keys: 0, waiting: 15 })
      const again = yield* prune(cwd, "--older-than", "7d", "-y")
      assert.deepStrictEqual(again.rows, { messages: 0, turns: 0, replies: 0, keys: 0 })
    }))

  it.live("keys, and what the host posted under its own, stay for their horizon, however young the rest may go", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* old(cwd, 300, 2)
      const { rows } = yield* prune(cwd, "--older-than", "1h", "--yes")
      assert.deepStrictEqual(rows, { messages: 300, turns: 300, replies: 200, keys: 0 })
      assert.deepStrictEqual(countsIn(cwd), { messages: 0, turns: 0, replies: 100, keys: 300, waiting: 15 })
    }))

  it.live("by number: all but the newest", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* old(cwd, 300, 8)
      const { keep, olderThanMs, rows } = yield* prune(cwd, "--keep", "30", "--yes")
      assert.deepStrictEqual([keep, olderThanMs], [30, null])
      assert.deepInclude(rows, { messages: 270, replies: 270 })
      assert.deepInclude(countsIn(cwd), { messages: 30, replies: 30, waiting: 15 })
    }))

  it.live("without a word as the gateway does: by the settings", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* old(cwd, 100, 8)
      const usual = yield* prune(cwd, "--dry-run")
      assert.deepStrictEqual([usual.olderThanMs, usual.keep, usual.rows.messages], [30 * day, 1_000_000, 0])
      const env = { SLACKWATER_RETENTION: "1 day", SLACKWATER_RETENTION_COUNT: "off" }
      const { stdout } = yield* outcome(["prune", "--dry-run"], { cwd, env })
      assert.strictEqual(stdout, "would delete 100 messages, 100 turns, 100 replies and 100 keys\n")
    }))

  it.live("is finished by the same command after kill -9", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* old(cwd, 6_000, 8)
      const running = yield* slackwater(["prune", "--older-than", "7d", "--yes"], { cwd })
      while (countsIn(cwd).messages === 6_000 && !running.hasEnded) yield* Effect.sleep("2 millis")
      yield* running.signal("SIGKILL")
      yield* running.ended
      const left = countsIn(cwd)
      assert.isBelow(left.messages, 6_000)
      assert.strictEqual((yield* prune(cwd, "--older-than", "7d", "--yes")).rows.messages, left.messages)
      assert.deepStrictEqual(countsIn(cwd), { messages: 0, turns: 0, replies: 0, keys: 0, waiting: 15 })
    }))
})

it.live("beside a gateway that answers meanwhile, which goes on without an alarm", () =>
  Effect.gen(function*() {
    const cwd = yield* directory
    yield* old(cwd, 4_000, 8)
    execute(cwd, "DELETE FROM slackwater_messages WHERE finished_at IS NULL")
    execute(cwd, "DELETE FROM slackwater_turns WHERE finished_at IS NULL")
    execute(cwd, "DELETE FROM slackwater_outbox WHERE finished_at IS NULL")
    const started = yield* gateway(echo, {}, cwd)
    const pruning = yield* slackwater(["prune", "--older-than", "7d", "--yes", "--json"], { cwd })
    for (const text of ["one", "two", "three"]) yield* started.say(text)
    yield* awaitReplies(started, 1)
    assert.deepStrictEqual(yield* pruning.ended, { code: 0, signal: null }, pruning.output)
    const { rows } = answered("prune", pruning.stdout)
    assert.deepStrictEqual(rows, { messages: 4_000, turns: 4_000, replies: 4_000, keys: 4_000 })
    yield* started.say("four")
    yield* awaitReplies(started, 2)
    assert.deepStrictEqual((yield* started.status)?.alarms, [])
    assert.notMatch(started.running.output, /database is locked|"level":"(ERROR|WARN)"/)
  }).pipe(Effect.provide(LocalSlack.layer())))

describe("refuses, and changes nothing", () => {
  const wrong = [
    [["--older-than", "soon", "--yes"], 64, /--older-than is "soon", and must be an age like 7d/],
    [["--older-than", "0d", "--yes"], 64, /must be an age/],
    [["--older-than", "-1 days", "--yes"], 64, /.*/],
    [["--keep", "0", "--yes"], 64, /--keep is 0, and must be 1 or more/],
    [["--older-than", "7d"], 64, /this is no terminal.*--dry-run, then add --yes/]
  ] as const
  for (const [args, code, says] of wrong) {
    it.live(`${code} for prune ${args.join(" ")}`, () =>
      Effect.gen(function*() {
        const cwd = yield* directory
        yield* old(cwd, 10, 40)
        const before = countsIn(cwd)
        const done = yield* outcome(["prune", ...args], { cwd })
        assert.strictEqual(done.code, code)
        assert.match(done.stderr, says)
        assert.deepStrictEqual(countsIn(cwd), before)
      }))
  }

  it.live("74 where there is no database, and makes none", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      assert.strictEqual((yield* outcome(["prune", "--yes"], { cwd })).code, 74)
      assert.deepStrictEqual(contents(cwd), {})
    }))
})

describe.skipIf(!has("script"))("on a terminal", () => {
  it.live("asks, takes only a yes, and shows how far it is", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      yield* old(cwd, 1_600, 8)
      const typed = Effect.fnUntraced(function*(answer: string) {
        const line = `${process.execPath} ${bin} prune --older-than 7d`
        const terminal = yield* start("script", ["-qec", line, "/dev/null"], { cwd })
        yield* terminal.awaitOutput(/This deletes 1600 messages, 1600 turns, 1600 replies and 1600 keys for good/)
        yield* terminal.type(`${answer}\r`)
        yield* terminal.ended
        return terminal.output
      })
      assert.match(yield* typed("n"), /nothing was changed/)
      assert.strictEqual(countsIn(cwd).messages, 1_600)
      const said = yield* typed("y")
      assert.match(said, /deleting \d+ of \d+ rows/)
      assert.match(said, /deleted 1600 messages/)
      assert.strictEqual(countsIn(cwd).messages, 0)
    }))
})
