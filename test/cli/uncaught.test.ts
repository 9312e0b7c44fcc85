/** Errors of the handler's module that nobody caught: what belongs to a turn fails the turn, the rest ends the process. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { LocalSlack } from "../../src/testing/index.ts"
import { withDatabase } from "../fixtures/gateway.ts"
import { awaitReplies, type Gateway, gateway } from "./gateway.ts"
import { eventually, fixture } from "./process.ts"

const withSlack = Effect.provide(LocalSlack.layer())

describe("what a turn left behind", () => {
  for (const what of ["promise", "timer"]) {
    it.live(`a ${what} that fails is a failed attempt of that turn, and the next one answers`, () =>
      Effect.gen(function*() {
        const started = yield* gateway(fixture("strays"), { SLACKWATER_RETRY_DELAY: "10 millis" })
        yield* started.say(what)
        assert.deepStrictEqual(yield* awaitReplies(started, 1), [`done: ${what}`])
        assert.match(started.running.stderr, /a promise nobody waits for|a timer that throws/)
        yield* started.running.signal("SIGTERM")
        assert.deepStrictEqual(yield* started.running.ended, { code: 0, signal: null }, started.running.output)
      }).pipe(withSlack))
  }

  it.live("one that always does it ends as a dead letter, and others are answered", () =>
    Effect.gen(function*() {
      const started = yield* gateway(fixture("strays"), { SLACKWATER_RETRY_DELAY: "10 millis" })
      yield* started.say("timer always")
      yield* started.running.awaitOutput(/"the turn failed for good"/)
      assert.strictEqual((yield* started.status)?.inbox.failed, 1)
      yield* started.say("well")
      assert.include(yield* awaitReplies(started, 2), "done: well")
    }).pipe(withSlack))

  it.live("what fails after its turn is logged, and all goes on", () =>
    Effect.gen(function*() {
      const started = yield* gateway(fixture("strays"))
      yield* started.say("late")
      yield* started.running.awaitOutput(/left something behind that failed.*too late to matter/)
      yield* started.say("well")
      assert.deepStrictEqual(yield* awaitReplies(started, 2), ["done: late", "done: well"])
    }).pipe(withSlack))
})

const begun = (started: Gateway) =>
  eventually("a turn runs", started.status, (status) => status?.inbox.processing === 1, started.running)

describe("what is no turn's", () => {
  it.live("ends the process in order, with its stack: 70, and turns in flight have their time", () =>
    Effect.gen(function*() {
      const started = yield* gateway(fixture("floating"))
      yield* started.say("go")
      yield* begun(started)
      writeFileSync(join(started.cwd, "throw"), "")
      yield* started.running.awaitOutput(/"stopping"/)
      writeFileSync(join(started.cwd, "go"), "")
      assert.deepStrictEqual(yield* started.running.ended, { code: 70, signal: null }, started.running.output)
      assert.match(
        started.running.stderr,
        /^slackwater: nobody caught this: Error: nobody's timer\n\s+at .*floating/m
      )
      assert.deepStrictEqual(yield* started.replies, ["done: go"])
    }).pipe(withSlack))

  it.live("counts against the turns that were still running at the end of it", () =>
    Effect.gen(function*() {
      const started = yield* gateway(fixture("floating"), { SLACKWATER_SHUTDOWN_TIMEOUT: "300 millis" })
      yield* started.say("never")
      yield* begun(started)
      writeFileSync(join(started.cwd, "throw"), "")
      assert.deepStrictEqual(yield* started.running.ended, { code: 70, signal: null }, started.running.output)
      rmSync(join(started.cwd, "throw"))
      const next = yield* gateway(fixture("floating"), {}, started.cwd)
      assert.match(next.running.stderr, /"previousStop":"crash"/)
      const crashes = withDatabase(
        join(started.cwd, "slackwater-data"),
        (database) => database.prepare("SELECT max(crashes) AS n FROM slackwater_turns").get()?.["n"]
      )
      yield* eventually("a crash is counted", crashes, (n) => n === 1, next.running)
    }).pipe(withSlack))
})
