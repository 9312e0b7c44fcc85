/** A dead letter that is retried by hand, through a whole gateway: what it had begun to say is said once, to its end. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Effect } from "effect"
import { Handler, type Turn } from "slackwater"
import { LocalSlack } from "slackwater/testing"
import { MessageStore } from "../src/MessageStore.ts"
import * as WakeFile from "../src/WakeFile.ts"
import {
  answers,
  dm,
  eventually,
  startGateway,
  temporaryDirectory,
  withDatabase,
  withSlack
} from "./fixtures/gateway.ts"

const first = `${"one ".repeat(80)}\n\n`

const isSettled = (dataDir: string) =>
  withDatabase(
    dataDir,
    (database) =>
      database.prepare("SELECT 1 FROM slackwater_outbox WHERE state NOT IN ('delivered', 'failed_terminal')").all()
        .length === 0
  )

/** Fails once, is retried once, and answers what the bot's messages say in the end. */
const retried = Effect.fnUntraced(function*(handler: (turn: Turn) => Effect.Effect<unknown, unknown>) {
  const slack = yield* LocalSlack
  const dataDir = yield* temporaryDirectory
  const options = { maxAttempts: 1, failureNotice: "That did not work." }
  const context = yield* startGateway(dataDir, Handler.make((turn) => Effect.asVoid(handler(turn))), options)
  const store = Context.get(context, MessageStore)
  yield* slack.say({ ...dm, text: "go" })
  const ended = (state: "failed" | "done") =>
    eventually(state, Effect.map(store.counts, (counts) => counts[state] === 1))
  yield* ended("failed")
  yield* eventually("everything is sent", isSettled(dataDir))
  yield* store.retry({ states: ["failed"] }, yield* Clock.currentTimeMillis)
  yield* Effect.provide(WakeFile.touch(dataDir), NodeServices.layer)
  yield* ended("done")
  yield* eventually("everything is sent", isSettled(dataDir))
  return yield* answers(dm.channel)
})

describe("a turn that is retried by hand", () => {
  it.live("goes on in the stream it had begun: one message has the whole text", () =>
    withSlack(Effect.gen(function*() {
      const said = yield* retried((turn) =>
        Effect.gen(function*() {
          const stream = yield* turn.stream()
          yield* stream.append(first)
          if (turn.attempt === 1) return yield* Effect.fail("not yet")
          yield* stream.append("and two")
          return yield* stream.stop()
        })
      )
      assert.deepStrictEqual(said, [`${first}and two`, "That did not work."])
    })))

  it.live("says nothing twice, and another answer is a new reply", () =>
    withSlack(Effect.gen(function*() {
      const said = yield* retried((turn) =>
        Effect.gen(function*() {
          yield* turn.reply("one moment")
          const handle = yield* turn.reply({ text: "thinking", key: "thinking" })
          if (turn.attempt === 1) return yield* Effect.fail("not yet")
          return yield* handle.update("here it is")
        })
      )
      assert.deepStrictEqual(said, ["one moment", "here it is", "That did not work."])
    })))
})
