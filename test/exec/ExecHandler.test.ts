/** Handlers that are commands: what they may say, and what becomes of it in Slack. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { LocalSlack } from "slackwater/testing"
import { program, startExec } from "../fixtures/exec.ts"
import { answered, answers, dm, eventually, withSlack } from "../fixtures/gateway.ts"

const say = (text: string) => Effect.flatMap(LocalSlack, (slack) => slack.say({ ...dm, text }))

describe("a command", () => {
  it.live("answers what was said, and is told who said it", () =>
    withSlack(Effect.gen(function*() {
      yield* startExec(
        yield* program(`
        const turn = await hear()
        const [message] = turn.messages
        say({ type: "done", reply: [turn.type, turn.attempt, turn.conversation, turn.text, message.user, message.event].join(" ") })
      `)
      )
      yield* say("hello")
      yield* answered("D0ALICE", "turn 1 D0ALICE hello U0ALICE message")
    })))

  it.live("replies, changes its reply, reacts, uploads, keeps a state and reads what was said", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      yield* startExec(
        yield* program(`
        const turn = await hear()
        say({ type: "reply", request: "first", text: "one moment" })
        say({ type: "update", reply: "first", text: "here it is" })
        say({ type: "react", reply: "first", name: "tada" })
        say({ type: "react", name: "eyes" })
        say({ type: "upload", filename: "a.txt", base64: Buffer.from("bytes").toString("base64") })
        say({ type: "status", text: "is thinking" })
        const count = (turn.state ?? 0) + 1
        say({ type: "state", value: count })
        const { value } = await ask({ type: "history", limit: 10 })
        say({ type: "done", reply: [{ text: "turn " + count + " of " + value.length }, "bye " + count] })
      `)
      )
      yield* say("a")
      yield* answered("D0ALICE", "bye 1")
      const posted = yield* answers("D0ALICE")
      assert.include(posted, "here it is")
      assert.notInclude(posted, "one moment")
      const journal = yield* slack.journal
      const reactions = journal.flatMap((entry) =>
        entry._tag === "ApiCall" && entry.method === "reactions.add" ? [1] : []
      )
      assert.lengthOf(reactions, 2)
      assert.isTrue(
        journal.some((entry) => entry._tag === "ApiCall" && entry.method === "files.completeUploadExternal")
      )
      yield* say("b")
      yield* answered("D0ALICE", "bye 2")
    })))

  it.live("whose run fails after a step runs again with attempt 2, and the step is not repeated", () =>
    withSlack(Effect.gen(function*() {
      yield* startExec(
        yield* program(`
        const turn = await hear()
        const known = (await ask({ type: "step", name: "roll" })).value
        if (!known.done) {
          known.result = { rolled: turn.attempt }
          say({ type: "reply", text: "rolled" })
          await ask({ type: "step", name: "roll", result: known.result })
        }
        say({ type: "reply", text: "rolled" })
        if (turn.attempt === 1) say({ type: "error", message: "not yet" })
        else say({ type: "done", reply: "rolled in run " + known.result.rolled + ", answered in " + turn.attempt })
      `)
      )
      yield* say("go")
      yield* answered("D0ALICE", "rolled in run 1, answered in 2")
      // One reply of the step, one outside of it; the second run recognised its own.
      assert.deepStrictEqual(yield* answers("D0ALICE"), ["rolled", "rolled", "rolled in run 1, answered in 2"])
    })))

  it.live("is told what could not be done where it asked with a request, and goes on", () =>
    withSlack(Effect.gen(function*() {
      yield* startExec(
        yield* program(`
        await hear()
        const refused = [
          await ask({ type: "update", reply: "nobody", text: "x" }),
          await ask({ type: "respond", text: "x" }),
          await ask({ type: "upload", filename: "a.txt" })
        ]
        say({ type: "done", reply: refused.map(({ ok, error }) => ok + " " + error).join("\\n") })
      `)
      )
      yield* say("go")
      yield* eventually("the answer", Effect.map(answers("D0ALICE"), (texts) => texts.length === 1))
      const [text = ""] = yield* answers("D0ALICE")
      assert.match(text, /^false line 1 .* the request of no reply of this run/)
      assert.match(text, /^false this turn has no response_url/m)
      assert.match(text, /^false .*needs one of text, base64 and path/m)
    })))

  it.live("in mode steer is given the messages that join, one for each time it asks", () =>
    withSlack(Effect.gen(function*() {
      yield* startExec(
        yield* program(`
        const turn = await hear()
        say({ type: "reply", text: "and?" })
        const { value } = await ask({ type: "followup" })
        say({ type: "done", followups: 1, reply: turn.text + " " + value.text })
      `),
        { settings: { mode: "steer" } }
      )
      yield* say("one")
      yield* answered("D0ALICE", "and?")
      yield* say("two")
      yield* answered("D0ALICE", "one two")
      assert.deepStrictEqual(yield* answers("D0ALICE"), ["and?", "one two"])
    })))

  it.live("that is done without counting a message that joined runs again with it", () =>
    withSlack(Effect.gen(function*() {
      yield* startExec(
        yield* program(`
        const turn = await hear()
        if (turn.attempt === 1) {
          say({ type: "reply", text: "and?" })
          await ask({ type: "followup" })
        }
        say({ type: "done", reply: "all of it: " + turn.text.replace("\\n", " ") })
      `),
        { settings: { mode: "steer" } }
      )
      yield* say("one")
      yield* answered("D0ALICE", "and?")
      yield* say("two")
      yield* answered("D0ALICE", "all of it: one two")
    })))
})
