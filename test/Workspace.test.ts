/** A data directory belongs to one workspace, and nothing is sent before Slack has said which one the token is of. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Exit, Layer, Scope } from "effect"
import { Gateway, Handler, Outbox, Supervisor } from "slackwater"
import { LocalSlack } from "slackwater/testing"
import {
  answered,
  answers,
  echo,
  eventually,
  settingsFor,
  startGateway,
  temporaryDirectory,
  withDatabase,
  withSlack
} from "./fixtures/gateway.ts"

const isCall = (method: string) => (entry: { readonly _tag: string; readonly method?: string }) =>
  entry._tag === "ApiCall" && entry.method === method

/** Only the way out, in the present scope. */
const outboxAlone = Effect.fnUntraced(function*(dataDir: string) {
  return yield* Layer.build(Gateway.layerOutbox(settingsFor(yield* LocalSlack, dataDir)))
})

/** A directory with a reply that waits, filled by a gateway that could not send, and given to another workspace. */
const ofAnotherWorkspace = Effect.gen(function*() {
  const slack = yield* LocalSlack
  const dataDir = yield* temporaryDirectory
  const scope = yield* Scope.make()
  const context = yield* Scope.provide(outboxAlone(dataDir), scope)
  yield* Context.get(context, Outbox).enqueue({ channel: "C0GENERAL", text: "first" })
  yield* answered("C0GENERAL", "first")
  yield* slack.faults({ rateLimit: { method: "chat.postMessage", retryAfterSeconds: 60 } })
  yield* Context.get(context, Outbox).enqueue({ channel: "C0GENERAL", text: "meant for others" })
  const waits = withDatabase(
    dataDir,
    (database) => database.prepare("SELECT 1 FROM slackwater_outbox WHERE state = 'failed_retryable'").get()
  )
  yield* eventually("it waits", Effect.map(waits, (row) => row !== undefined))
  yield* Scope.close(scope, Exit.void)
  yield* slack.clearFaults
  yield* withDatabase(dataDir, (database) => database.exec("UPDATE slackwater_workspace SET team = 'T0OTHER'"))
  return dataDir
})

const sentence = (dataDir: string) =>
  `the data in ${dataDir} belong to workspace T0OTHER, and SLACK_BOT_TOKEN to T0LOCAL; ` +
  "give T0LOCAL its own SLACKWATER_DATA_DIR, or use the token of T0OTHER"

describe("the data of another workspace", () => {
  it.live("end the gateway with 78 and a sentence that names both, and nothing is connected or sent", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dataDir = yield* ofAnotherWorkspace
      const before = (yield* slack.journal).length
      const context = yield* startGateway(dataDir, echo)
      const failure = yield* Effect.flip(Context.get(context, Supervisor).fatal)
      assert.strictEqual(failure.exitCode, 78)
      assert.strictEqual(failure.message, sentence(dataDir))
      const calls = (yield* slack.journal).slice(before)
      assert.isEmpty(calls.filter((entry) => !isCall("auth.test")(entry)))
      assert.strictEqual(yield* slack.connections, 0)
    }).pipe(withSlack))

  it.live("are not sent by the outbox alone either, and their replies wait for the right token", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dataDir = yield* ofAnotherWorkspace
      yield* Effect.scoped(Effect.gen(function*() {
        const context = yield* outboxAlone(dataDir)
        const failure = yield* Effect.flip(Context.get(context, Supervisor).fatal)
        assert.strictEqual(failure.exitCode, 78)
        assert.strictEqual(failure.message, sentence(dataDir))
      }))
      assert.deepStrictEqual(yield* answers("C0GENERAL"), ["first"])
      yield* withDatabase(dataDir, (database) => database.exec("UPDATE slackwater_workspace SET team = 'T0LOCAL'"))
      yield* outboxAlone(dataDir)
      yield* answered("C0GENERAL", "meant for others")
      const looked = (yield* slack.journal).filter(isCall("conversations.history"))
      assert.isEmpty(looked, "it was never sent, so there is nothing to look for")
    }).pipe(withSlack))
})

describe("a start while Slack cannot say who we are", () => {
  it.live("sends nothing and loses nothing; once it is said, everything goes out, and it is not asked again", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dataDir = yield* temporaryDirectory
      yield* slack.faults({ httpStatus: { method: "auth.test", status: 503, times: 4 } })
      const outbox = Context.get(yield* outboxAlone(dataDir), Outbox)
      for (const text of ["one", "two"]) yield* outbox.enqueue({ channel: "C0GENERAL", text })
      yield* answered("C0GENERAL", "two")
      assert.deepStrictEqual(yield* answers("C0GENERAL"), ["one", "two"])
      const calls = (yield* slack.journal).flatMap((entry) => entry._tag === "ApiCall" ? [entry] : [])
      assert.deepStrictEqual(calls.map(({ method, ok }) => [method, ok]), [
        ...Array.from({ length: 4 }, () => ["auth.test", false]),
        ["auth.test", true],
        ["chat.postMessage", true],
        ["chat.postMessage", true]
      ])
      const attempts = yield* withDatabase(
        dataDir,
        (database) => database.prepare("SELECT sum(attempts) AS n FROM slackwater_outbox").get()
      )
      assert.strictEqual(attempts?.["n"], 0)
    }).pipe(withSlack))

  it.live("handles what it had stored all the same", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dataDir = yield* temporaryDirectory
      const heard: Array<string> = []
      const never = Handler.make(() => Effect.never)
      const scope = yield* Scope.make()
      yield* Scope.provide(startGateway(dataDir, never, { shutdownTimeout: Duration.seconds(1) }), scope)
      yield* slack.say({ channel: "D0ALICE", user: "U0ALICE", text: "stored" })
      yield* eventually("acked", Effect.map(slack.unacked, (ids) => ids.length === 0))
      yield* Scope.close(scope, Exit.void)
      yield* slack.faults({ apiDown: true })
      yield* startGateway(
        dataDir,
        Handler.make((turn) => Effect.as(Effect.sync(() => heard.push(turn.text)), "answer"))
      )
      yield* eventually("it is handled", Effect.sync(() => heard.length === 1))
      yield* slack.faults({ apiDown: null })
      yield* answered("D0ALICE", "answer")
    }).pipe(withSlack))
})
