/** `slackwater outbox` beside a running gateway: what it changes takes effect at once, and it races nobody. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { RowChange } from "../../src/cli/rowChange.ts"
import { LocalSlack } from "../../src/testing/index.ts"
import { awaitReplies, type Gateway, gateway } from "./gateway.ts"
import { execute, outbox, outboxJson, seed, statesIn } from "./outboxSeed.ts"
import { directory, echo, eventually, outcome } from "./process.ts"

const withSlack = Effect.provide(LocalSlack.layer())
const changeOf = outboxJson(RowChange)

/** Waits until an alarm says this. */
const alarm = ({ running, status }: Gateway, says: RegExp) =>
  eventually(
    `the alarm ${String(says)}`,
    status,
    (now) => now?.alarms.some(({ text }) => says.test(text)) === true,
    running
  )

/** Far below the minute in which the gateway looks by itself. */
const noAlarm = ({ running, status }: Gateway) =>
  eventually("no alarm", status, (now) => now?.alarms.length === 0, running)

it.live("what grew too old while the token was refused goes out with one retry, each once and in order", () =>
  Effect.gen(function*() {
    const refused = yield* gateway(echo)
    const { cwd, slack } = refused
    const send = (text: string) => outcome(["send", "--channel", "D0ALICE", "--text", text], { cwd })
    assert.strictEqual((yield* send("before")).code, 0)
    yield* awaitReplies(refused, 1)
    const error = ["auth.test", "chat.postMessage"].map((method) => ({ method, code: "token_revoked" }))
    yield* slack.faults({ error })
    for (const text of ["one", "two", "three", "four", "five"]) {
      assert.strictEqual((yield* send(text)).code, 0)
    }
    yield* alarm(refused, /token_revoked/)
    yield* refused.running.signal("SIGTERM")
    assert.deepStrictEqual(yield* refused.running.ended, { code: 0, signal: null })

    // A day later the token is another one.
    execute(cwd, "UPDATE slackwater_outbox SET lives_from = lives_from - 90000000 WHERE state <> 'delivered'")
    yield* slack.faults({ error: null })
    const started = yield* gateway(echo, {}, cwd)
    yield* alarm(started, /^5 replies grew too old .*state expired/)
    assert.deepStrictEqual(yield* started.replies, ["before"])

    assert.deepStrictEqual((yield* changeOf(cwd, "retry", "--state", "expired", "--yes")).changed, [2, 3, 4, 5, 6])
    yield* awaitReplies(started, 6)
    yield* noAlarm(started)
    assert.deepStrictEqual((yield* changeOf(cwd, "retry", "--state", "expired", "--yes")).changed, [])
    yield* eventually("all settled", started.status, (now) => now?.outbox.delivered === 6, started.running)
    assert.deepStrictEqual(yield* started.replies, ["before", "one", "two", "three", "four", "five"])
  }).pipe(withSlack))

it.live("a reply that nobody can find out about is settled by the command its alarm names", () =>
  Effect.gen(function*() {
    const cwd = yield* directory
    yield* seed(cwd, ["lost", "there"].map((text) => ({ text, state: "unknown", error: "Ambiguous" })))
    const started = yield* gateway(echo, {}, cwd)
    yield* alarm(started, /^2 replies may have arrived.*slackwater outbox list --state unknown.*outbox retry <id>/)
    assert.match(yield* outbox(cwd, "list", "--state", "unknown"), /^2 +unknown \(held\) .* there$/m)
    yield* outbox(cwd, "discard", "2")
    assert.match(yield* outbox(cwd, "show", "1"), /^slackwater outbox retry 1 +sends it again; it may be in Slack/m)
    yield* outbox(cwd, "retry", "1")
    assert.deepStrictEqual(yield* awaitReplies(started, 1), ["lost"])
    yield* noAlarm(started)
  }).pipe(withSlack))

it.live("a reply that is on its way is left alone, and is delivered", () =>
  Effect.gen(function*() {
    const started = yield* gateway(echo)
    const { cwd, running, slack } = started
    yield* slack.faults({ delayMs: { method: "chat.postMessage", ms: 5_000, times: 1 } })
    yield* outcome(["send", "--channel", "D0ALICE", "--text", "on its way"], { cwd })
    yield* eventually("in hand", Effect.sync(() => statesIn(cwd)), ([state]) => state === "sending", running)
    // However slow this machine is: the answer is not heard before the commands are through.
    yield* running.signal("SIGSTOP")
    for (const action of ["retry", "discard"]) {
      const { changed, left } = yield* changeOf(cwd, action, "1")
      assert.deepStrictEqual([changed, left], [[], [{ why: "in hand: it is being sent", ids: [1] }]])
    }
    yield* running.signal("SIGCONT")
    yield* eventually("delivered", Effect.sync(() => statesIn(cwd)), ([state]) => state === "delivered", running)
    assert.deepStrictEqual(yield* started.replies, ["on its way"])
  }).pipe(withSlack))
