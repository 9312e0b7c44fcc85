/** What an operator wanted holds although the gateway is killed before it could hear of it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { LocalSlack } from "slackwater/testing"
import { answered, answers, temporaryDirectory, withSlack } from "../fixtures/gateway.ts"
import { connectGateway, count, ending, type Gateway, query, start, stop, until, within } from "./harness.ts"

const alice = { channel: "D0ALICE", user: "U0ALICE" }
const queued = "SELECT count(*) FROM slackwater_messages WHERE state = 'queued'"

const command = Effect.fnUntraced(function*(dataDir: string, ...args: ReadonlyArray<string>) {
  const child = yield* start(["src/bin.ts", ...args], { SLACKWATER_DATA_DIR: dataDir })
  assert.strictEqual((yield* ending(child)).code, 0, child.stderr())
})

/** The command is through before the gateway, which stands still, can do anything about it; then it is dead. */
const killedBehind = Effect.fnUntraced(function*(gateway: Gateway, ...args: ReadonlyArray<string>) {
  gateway.signal("SIGSTOP")
  yield* command(gateway.dataDir, ...args)
  gateway.signal("SIGKILL")
  yield* ending(gateway)
})

describe("kill -9 behind a command", () => {
  it.live("a turn that was cancelled does not run again, and the next message is handled", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dataDir = yield* temporaryDirectory
      const file = join(yield* temporaryDirectory, "steps")
      const steps = () => existsSync(file) ? readFileSync(file, "utf8").trimEnd().split("\n").length : 0
      const first = yield* connectGateway(dataDir, { TEST_LEDGER: file }, "steps")
      yield* slack.say({ ...alice, text: "go" })
      yield* until("the seventh step is at work", () => steps() === 7, first)
      const [turn] = query(dataDir, "SELECT id FROM slackwater_turns WHERE state = 'running'")
      yield* killedBehind(first, "cancel", String(turn?.["id"]))
      const next = yield* connectGateway(dataDir)
      yield* slack.say({ ...alice, text: "m1" })
      yield* answered("D0ALICE", "ended m1")
      assert.strictEqual((yield* stop(next)).code, 0)
      assert.strictEqual(steps(), 7, "no step was repeated")
      assert.deepStrictEqual(yield* answers("D0ALICE"), ["began m1", "ended m1"])
      const dead = query(dataDir, "SELECT reason FROM slackwater_messages WHERE state = 'failed'")
      assert.deepStrictEqual(dead.map((row) => row["reason"]), ["cancelled by hand"])
    }).pipe(withSlack))

  it.live("what was paused waits after the next start, acked, until it is resumed", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dataDir = yield* temporaryDirectory
      const first = yield* connectGateway(dataDir)
      yield* killedBehind(first, "pause")
      const next = yield* connectGateway(dataDir)
      assert.include(next.stderr(), "everything is paused since")
      yield* slack.say({ ...alice, text: "m1" })
      yield* until("it is stored", () => count(dataDir, queued) === 1, next)
      yield* within("it is acked", Effect.repeat(slack.unacked, { until: (left) => left.length === 0 }), next)
      assert.deepStrictEqual(yield* answers("D0ALICE"), [])
      yield* command(dataDir, "resume")
      yield* answered("D0ALICE", "ended m1")
      assert.strictEqual((yield* stop(next)).code, 0)
    }).pipe(withSlack))
})
