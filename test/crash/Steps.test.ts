/** What a process leaves half done: a turn in the middle of its steps, an open quiet window, messages behind a turn. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { LocalSlack } from "slackwater/testing"
import { answered, answers, temporaryDirectory, withSlack } from "../fixtures/gateway.ts"
import { connectGateway, count, ending, query, stop, until } from "./harness.ts"
import { openLedger } from "./ledger.ts"

const alice = { channel: "D0ALICE", user: "U0ALICE" }

const running = "SELECT count(*) FROM slackwater_turns WHERE state = 'running'"
const waiting = "SELECT count(*) FROM slackwater_messages WHERE state = 'queued'"

describe("kill -9 in the seventh of ten steps", () => {
  it.live("repeats the seventh, none of those before it, and answers once", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dataDir = yield* temporaryDirectory
      const file = join(yield* temporaryDirectory, "steps")
      const steps = () => existsSync(file) ? readFileSync(file, "utf8").trimEnd().split("\n").map(Number) : []
      const start = connectGateway(dataDir, { TEST_LEDGER: file }, "steps")
      const killed = yield* start
      yield* slack.say({ ...alice, text: "go" })
      yield* until("the seventh step is at work", () => steps().length === 7, killed)
      killed.signal("SIGKILL")
      yield* ending(killed)
      assert.strictEqual(count(dataDir, "SELECT count(*) FROM slackwater_steps"), 6)
      const next = yield* start
      const squares = "squares: 1 4 9 16 25 36 49 64 81 100"
      yield* answered("D0ALICE", squares)
      assert.strictEqual((yield* stop(next)).code, 0)
      assert.deepStrictEqual(steps(), [1, 2, 3, 4, 5, 6, 7, 7, 8, 9, 10])
      assert.deepStrictEqual(yield* answers("D0ALICE"), [squares])
    }).pipe(withSlack))
})

describe("kill -9 in an open quiet window", () => {
  it.live("costs nothing: the next start makes one turn of it, at once", () =>
    Effect.gen(function*() {
      const ledger = yield* openLedger
      const dataDir = yield* temporaryDirectory
      const settings = { SLACKWATER_DEBOUNCE: "1 hour" }
      const killed = yield* connectGateway(dataDir, settings)
      for (let n = 0; n < 3; n++) yield* ledger.acked((yield* ledger.say(alice)).name)
      killed.signal("SIGKILL")
      yield* ending(killed)
      const rows = query(dataDir, "SELECT state, due_at - received_at AS window FROM slackwater_messages")
      assert.deepStrictEqual(rows.map((row) => row["state"]), ["queued", "queued", "queued"])
      for (const row of rows) assert.isAtLeast(Number(row["window"]), 3_500_000)
      const next = yield* connectGateway(dataDir, settings)
      yield* answered("D0ALICE", "ended m1 m2 m3")
      assert.strictEqual((yield* stop(next)).code, 0)
      const { doubled, lost, outOfOrder } = yield* ledger.verdict
      assert.deepStrictEqual({ lost, doubled, outOfOrder }, { lost: 0, doubled: 0, outOfOrder: 0 })
    }).pipe(withSlack))
})

describe("nine messages behind the one that is being handled", () => {
  for (const signal of ["SIGKILL", "SIGTERM"] as const) {
    it.live(`outlive ${signal}, and are answered once and in order`, () =>
      Effect.gen(function*() {
        const ledger = yield* openLedger
        const dataDir = yield* temporaryDirectory
        const settings = { SLACKWATER_SHUTDOWN_TIMEOUT: "2 seconds" }
        const first = yield* connectGateway(dataDir, { ...settings, TEST_HANG: "1" })
        yield* ledger.say(alice, "hang")
        yield* until("it is being handled", () => count(dataDir, running) === 1, first)
        for (let n = 0; n < 9; n++) yield* ledger.acked((yield* ledger.say(alice)).name)
        yield* stop(first, signal)
        assert.strictEqual(count(dataDir, waiting), signal === "SIGTERM" ? 10 : 9)
        const next = yield* connectGateway(dataDir, settings)
        yield* answered("D0ALICE", "ended m2 m3 m4 m5 m6 m7 m8 m9 m10")
        assert.strictEqual((yield* stop(next)).code, 0)
        const { doubled, lost, outOfOrder } = yield* ledger.verdict
        assert.deepStrictEqual({ lost, doubled, outOfOrder }, { lost: 0, doubled: 0, outOfOrder: 0 })
      }).pipe(withSlack))
  }
})
