/** `slackwater pause`, `resume` and `cancel`, beside a running gateway and without one. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { CancelReport, PauseChange } from "../../src/cli/controlReports.ts"
import { LocalSlack } from "../../src/testing/index.ts"
import { commandJson } from "./answered.ts"
import { awaitReplies, type Gateway, gateway } from "./gateway.ts"
import { execute, seed } from "./outboxSeed.ts"
import { directory, echo, eventually, fixture, outcome } from "./process.ts"

const withSlack = Effect.provide(LocalSlack.layer())
const paused = commandJson(PauseChange)
const cancelled = commandJson(CancelReport)

const run = Effect.fnUntraced(function*(cwd: string, ...args: ReadonlyArray<string>) {
  const { code, stderr, stdout } = yield* outcome(args, { cwd })
  return { code, said: stdout + stderr }
})

const until = (started: Gateway, what: string, isRight: (now: NonNullable<Status>) => boolean) =>
  eventually(what, started.status, (now) => now !== undefined && isRight(now), started.running)
type Status = Effect.Success<Gateway["status"]>

/** A data directory that a gateway has left. */
const left = Effect.gen(function*() {
  const cwd = yield* directory
  yield* seed(cwd, [])
  return cwd
})

/** The turn that runs, as the log names it. */
const turnOf = ({ cwd, running }: Gateway) =>
  Effect.gen(function*() {
    const { said } = yield* run(cwd, "cancel", "turn_none")
    const [, turn] = /^ +(turn_\w+) +D0ALICE/m.exec(said) ?? []
    return turn ?? (yield* Effect.die(new Error(`no turn in ${said}\n${running.output}`)))
  })

describe("pause and resume", () => {
  it.live("beside a gateway: what comes is stored and acked, nothing is answered, and all of it after the end", () =>
    Effect.gen(function*() {
      const started = yield* gateway(echo)
      const { cwd, say, slack } = started
      assert.match(
        (yield* run(cwd, "pause", "--why", "model is down")).said,
        /^everything is paused: .*`slackwater resume`/s
      )
      yield* until(started, "the alarm", ({ alarms }) => alarms.some(({ code }) => code === "paused"))
      yield* say("one")
      yield* say("two")
      yield* until(started, "stored", ({ inbox }) => inbox.queued === 2)
      yield* eventually("acked", slack.unacked, (left) => left.length === 0, started.running)
      assert.deepInclude((yield* started.status)?.paused, { everything: true, why: "model is down", named: 0 })
      assert.strictEqual((yield* started.get("/readyz")).status, 200, "a pause is no reason to take it out of service")
      assert.deepStrictEqual(yield* started.replies, [])
      assert.match((yield* run(cwd, "resume")).said, /^everything is not paused any more$/m)
      const text = (yield* awaitReplies(started, 1)).join("\n")
      assert.match(text, /one[\s\S]*two/)
      yield* until(started, "no alarm", ({ alarms }) => alarms.length === 0)
    }).pipe(withSlack))

  it.live("one channel: others are answered meanwhile", () =>
    Effect.gen(function*() {
      const started = yield* gateway(echo)
      const { cwd, say, slack } = started
      yield* paused(cwd, ["pause", "D0ALICE"])
      yield* say("held")
      yield* until(started, "stored", ({ inbox }) => inbox.queued === 1)
      yield* slack.say({ channel: "C0GENERAL", user: "U0BOB", text: "<@U0BOT> free" })
      yield* eventually(
        "an answer in the channel",
        slack.messages("C0GENERAL"),
        (messages) => messages.some(({ text }) => text === "You said: free"),
        started.running
      )
      assert.deepStrictEqual(yield* started.replies, [])
      yield* run(cwd, "resume", "D0ALICE")
      yield* awaitReplies(started, 1)
    }).pipe(withSlack))

  it.live("without a gateway: kept, repeated without harm, and each ended by its own name", () =>
    Effect.gen(function*() {
      const cwd = yield* left
      const thread = "C0123ABCD/1700000000.123456"
      assert.isTrue((yield* paused(cwd, ["pause", "--why", "why \u001b[31mnot"])).changed)
      assert.isFalse((yield* paused(cwd, ["pause"])).changed)
      const { conversation, pauses } = yield* paused(cwd, ["pause", thread])
      assert.strictEqual(conversation, thread)
      assert.deepStrictEqual(pauses.map((pause) => pause.conversation), [null, thread])
      const again = yield* run(cwd, "pause")
      assert.match(again.said, /^paused already: everything, since 20.*: why .*not$/m)
      assert.notInclude(again.said, "\u001b")
      const ended = yield* run(cwd, "resume")
      assert.match(ended.said, new RegExp(`by itself\nstill paused:\n  ${thread}, since 20`))
      assert.isFalse((yield* paused(cwd, ["resume"])).changed)
      yield* paused(cwd, ["pause"])
      const every = yield* paused(cwd, ["resume", "--every"])
      assert.deepStrictEqual([every.changed, every.pauses], [true, []])
    }))

  it.live("what cannot be meant is refused, with what to do", () =>
    Effect.gen(function*() {
      const cwd = yield* left
      const refusals = [
        [["pause", "general"], 64, /"general" is no conversation: name a channel like C0123ABCD/],
        [["pause", "C0123ABCD/yesterday"], 64, /is no conversation/],
        [["pause", "--why", ""], 64, /--why must have 1 to 200 characters/],
        [["resume", "C0123ABCD", "--every"], 64, /not both/],
        [["cancel"], 64, /see slackwater cancel --help/]
      ] as const
      for (const [args, code, says] of refusals) {
        const ended = yield* run(cwd, ...args)
        assert.strictEqual(ended.code, code)
        assert.match(ended.said, says)
      }
      const nowhere = yield* directory
      for (const args of [["pause"], ["resume"], ["cancel", "turn_x"]]) {
        const ended = yield* run(nowhere, ...args)
        assert.strictEqual(ended.code, 74)
        assert.match(ended.said, /is not there; set SLACKWATER_DATA_DIR/)
      }
    }))
})

describe("cancel", () => {
  it.live("stops a turn that runs: what it said stands, its messages are dead letters, the next one is answered", () =>
    Effect.gen(function*() {
      const gate = join(yield* directory, "gate")
      const started = yield* gateway(fixture("gated"), { GATE: gate })
      const { cwd, running, say } = started
      yield* say("one")
      yield* awaitReplies(started, 1)
      const turn = yield* turnOf(started)
      assert.deepStrictEqual(yield* cancelled(cwd, ["cancel", turn]), {
        turn,
        cancelled: true,
        wasRunning: true,
        state: "failed"
      })
      yield* running.awaitOutput(/the turn was cancelled by hand/)
      yield* until(
        started,
        "a dead letter",
        ({ conversations, inbox }) => inbox.failed === 1 && conversations.active === 0
      )
      writeFileSync(gate, "")
      yield* say("two")
      assert.deepStrictEqual(yield* awaitReplies(started, 3), ["one moment", "one moment", "here it is: two"])
      assert.match((yield* run(cwd, "cancel", turn)).said, /^turn \w+ is cancelled and does not run again/)
    }).pipe(withSlack))

  it.live("stops a turn that runs on in the rooms of before, while those after a reload work already", () =>
    Effect.gen(function*() {
      const gate = join(yield* directory, "gate")
      const started = yield* gateway(fixture("gated"), { GATE: gate, SLACKWATER_SHUTDOWN_TIMEOUT: "10 minutes" })
      const { cwd, running, say } = started
      yield* say("one")
      yield* awaitReplies(started, 1)
      const turn = yield* turnOf(started)
      yield* running.signal("SIGUSR1")
      yield* running.awaitOutput(/reloaded; the rooms of before end/)
      assert.isTrue((yield* cancelled(cwd, ["cancel", turn])).cancelled)
      yield* running.awaitOutput(/the turn was cancelled by hand/)
      yield* running.awaitOutput(/the rooms of before have ended/)
    }).pipe(withSlack))

  it.live("stops a turn that a drain waits for", () =>
    Effect.gen(function*() {
      const gate = join(yield* directory, "gate")
      const started = yield* gateway(fixture("gated"), { GATE: gate, SLACKWATER_SHUTDOWN_TIMEOUT: "10 minutes" })
      const { cwd, running, say } = started
      yield* say("one")
      yield* awaitReplies(started, 1)
      const turn = yield* turnOf(started)
      yield* running.signal("SIGTERM")
      yield* running.awaitOutput(/"stopping"/)
      assert.isTrue((yield* cancelled(cwd, ["cancel", turn])).cancelled)
      assert.deepStrictEqual(yield* running.ended, { code: 0, signal: null }, running.output)
    }).pipe(withSlack))

  it.live("leaves a turn that has ended as it is, and says so", () =>
    Effect.gen(function*() {
      const gate = join(yield* directory, "gate")
      const started = yield* gateway(fixture("gated"), { GATE: gate })
      const { cwd, say } = started
      yield* say("one")
      yield* awaitReplies(started, 1)
      const turn = yield* turnOf(started)
      writeFileSync(gate, "")
      yield* awaitReplies(started, 2)
      const { cancelled: isCancelled, state } = yield* cancelled(cwd, ["cancel", turn], 1)
      assert.deepStrictEqual([isCancelled, state], [false, "done"])
      const ended = yield* run(cwd, "cancel", turn)
      assert.match(ended.said, /had ended before \(done\); nothing was changed/)
    }).pipe(withSlack))

  it.live("ends a turn that waits to run again, without a gateway, and names none where none runs", () =>
    Effect.gen(function*() {
      const cwd = yield* left
      execute(
        cwd,
        `INSERT INTO slackwater_turns (id, conversation, state, attempt, due_at, created_at)
         VALUES ('turn_a', 'D0ALICE', 'waiting', 1, 0, 0)`
      )
      const none = yield* run(cwd, "cancel", "turn_none")
      assert.strictEqual(none.code, 1)
      assert.match(none.said, /there is no turn "turn_none".*no turn runs now/)
      assert.match((yield* run(cwd, "cancel", "turn_a")).said, /turn_a is cancelled and does not run again/)
    }))
})
