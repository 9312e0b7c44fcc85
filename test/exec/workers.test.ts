/** Commands that are kept for many turns. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { join } from "node:path"
import { LocalSlack } from "slackwater/testing"
import { isAlive, linesOf, program, startExec } from "../fixtures/exec.ts"
import { answered, answers, dm, eventually, temporaryDirectory, withSlack } from "../fixtures/gateway.ts"

const bob = { channel: "D0BOB", user: "U0BOB" }

/** Says which process answers, and writes its pid into the file when it starts. */
const counted = (file: string, on = "") => `
  appendFileSync(${JSON.stringify(file)}, process.pid + "\\n")
  let turns = 0
  while (true) {
    const turn = await hear()
    if (turn === undefined) break
    ${on}
    say({ type: "done", reply: turn.text + ": " + ++turns })
  }
`

describe("a kept worker", () => {
  it.live("answers turn after turn in one process, and one that said error is as good as before", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      const file = join(yield* temporaryDirectory, "pids")
      const refuses = `if (turn.text === "b" && turn.attempt === 1) { say({ type: "error", message: "no" }); continue }`
      yield* startExec(yield* program(counted(file, refuses)), { workers: 1 })
      for (const [n, text] of ["a", "b", "c"].entries()) {
        yield* slack.say({ ...dm, text })
        yield* answered("D0ALICE", `${text}: ${n + 1}`)
      }
      assert.lengthOf(linesOf(file), 1)
    })))

  it.live("that dies in the middle of a turn fails that run only, and another one takes its place", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      const file = join(yield* temporaryDirectory, "pids")
      const dies = `if (turn.text === "die" && turn.attempt === 1) process.exit(9)
        if (turn.text === "wait") await ask({ type: "reply", text: "waiting" }).then(() => hear())`
      yield* startExec(yield* program(counted(file, dies)), {
        workers: 2,
        // Bob's turn never ends.
        settings: { shutdownTimeout: Duration.seconds(1) }
      })
      yield* slack.say({ ...bob, text: "wait" })
      yield* answered("D0BOB", "waiting")
      yield* slack.say({ ...dm, text: "die" })
      yield* answered("D0ALICE", "die: 1")
      assert.lengthOf(linesOf(file), 3)
      // Bob's worker was not touched.
      assert.isTrue(isAlive(Number(linesOf(file)[0])))
    })))

  it.live("that dies or speaks between turns is replaced before the next one", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      const file = join(yield* temporaryDirectory, "pids")
      const after = `
        if (turn.text === "dies") setTimeout(() => process.exit(1), 50)
        if (turn.text === "speaks") setTimeout(() => say({ type: "status", text: "late" }), 50)`
      yield* startExec(yield* program(counted(file, after)), { workers: 1 })
      for (const [n, text] of ["dies", "speaks"].entries()) {
        yield* slack.say({ ...dm, text })
        yield* answered("D0ALICE", `${text}: 1`)
        const pid = Number(linesOf(file)[n])
        yield* eventually("it is gone", Effect.sync(() => !isAlive(pid)))
      }
      yield* slack.say({ ...dm, text: "last" })
      yield* answered("D0ALICE", "last: 1")
      assert.lengthOf(linesOf(file), 3)
      assert.deepStrictEqual(yield* answers("D0ALICE"), ["dies: 1", "speaks: 1", "last: 1"])
    })))

  it.live("is never given two turns at once: with two of them the third conversation waits", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      const file = join(yield* temporaryDirectory, "pids")
      yield* startExec(yield* program(counted(file, "await ask({ type: \"history\" })")), { workers: 2 })
      const channels = [dm, bob, { channel: "C0GENERAL", user: "U0ALICE" }]
      for (const place of channels) yield* slack.say({ ...place, text: "<@U0BOT> hello" })
      for (const { channel } of channels) {
        yield* eventually(
          `an answer in ${channel}`,
          Effect.map(answers(channel), (texts) => texts.some((text) => text.startsWith("hello: ")))
        )
      }
      assert.isAtMost(linesOf(file).length, 2)
    })))
})
