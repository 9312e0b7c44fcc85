/**
 * `kill -9` between Slack's commit and ours, fifty times: Slack has the reply, and the process that sent it died before
 * it heard so.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { LocalSlack } from "slackwater/testing"
import { answered, temporaryDirectory, withSlack } from "../fixtures/gateway.ts"
import { connectGateway, count, ending, stop, until } from "./harness.ts"
import { openLedger } from "./ledger.ts"

/** Slack has the post, and its answer comes when nobody is there to hear it. */
const lateAnswer = { delayMs: { method: "chat.postMessage", ms: 60_000 } }
const unacked = { retryDelaysMs: Array.from({ length: 500 }, () => 400) }

/** Kills a gateway just behind each of so many posts. */
const killBehindPosts = Effect.fnUntraced(function*(
  dataDir: string,
  kills: number,
  settings: Readonly<Record<string, string>> = {}
) {
  const slack = yield* LocalSlack
  const ledger = yield* openLedger
  for (let kill = 0; kill < kills; kill++) {
    yield* slack.faults(lateAnswer)
    const gateway = yield* connectGateway(dataDir, settings)
    const { name } = yield* ledger.say({ channel: "C0GENERAL", user: "U0BOB" }, "wait=0")
    yield* answered("C0GENERAL", `began ${name}`)
    gateway.signal("SIGKILL")
    yield* ending(gateway)
    yield* slack.faults({ delayMs: null })
  }
  return ledger
})

const inState = (dataDir: string, where: string) =>
  count(dataDir, `SELECT count(*) FROM slackwater_outbox WHERE ${where}`)

describe("a reply that Slack had when the process was killed", () => {
  it.live("is found in Slack's history and not sent again: 50 kills, none missing, none doubled", () =>
    withSlack(
      Effect.gen(function*() {
        const dataDir = yield* temporaryDirectory
        const ledger = yield* killBehindPosts(dataDir, 50)
        const last = yield* connectGateway(dataDir)
        yield* until("all are delivered", () => inState(dataDir, "state = 'delivered'") === 100, last)
        const { doubled, lost, messages, outOfOrder, posts } = yield* ledger.verdict
        assert.deepStrictEqual(
          { messages, posts, lost, doubled, outOfOrder },
          { messages: 50, posts: 100, lost: 0, doubled: 0, outOfOrder: 0 }
        )
        assert.strictEqual(inState(dataDir, "attempts > 0"), 0)
        assert.strictEqual((yield* stop(last)).code, 0)
      }),
      { faults: unacked }
    ), 240_000)

  it.live("is held, neither sent again nor given up, where history cannot be read", () =>
    withSlack(
      Effect.gen(function*() {
        const slack = yield* LocalSlack
        yield* slack.faults({ error: { method: "conversations.replies", code: "missing_scope" } })
        const dataDir = yield* temporaryDirectory
        const ledger = yield* killBehindPosts(dataDir, 5)
        const last = yield* connectGateway(dataDir)
        yield* until("all are held", () => inState(dataDir, "state = 'unknown' AND held = 1") === 5, last)
        const { doubled, posts } = yield* ledger.verdict
        assert.deepStrictEqual({ posts, doubled }, { posts: 5, doubled: 0 })
      }),
      { faults: unacked }
    ), 120_000)

  it.live(
    "is sent again, and so doubled every time, where history cannot be read and the policy says `resend`",
    () =>
      withSlack(
        Effect.gen(function*() {
          const slack = yield* LocalSlack
          yield* slack.faults({ error: { method: "conversations.replies", code: "missing_scope" } })
          const dataDir = yield* temporaryDirectory
          // Fewer than the outbox has workers: each start repeats those before it, and they hang in the late answer.
          const resend = { SLACKWATER_UNKNOWN_POLICY: "resend" }
          const ledger = yield* killBehindPosts(dataDir, 7, resend)
          const last = yield* connectGateway(dataDir, resend)
          yield* until("all are delivered", () => inState(dataDir, "state = 'delivered'") === 14, last)
          const { lost, messages } = yield* ledger.verdict
          assert.deepStrictEqual({ messages, lost }, { messages: 7, lost: 0 })
          const began = [...(yield* ledger.posts).values()].flat().filter((post) => post.startsWith("began"))
          const again = began.filter((post, at) => began.indexOf(post) !== at)
          assert.strictEqual(new Set(again).size, 7)
        }),
        { faults: unacked }
      ),
    120_000
  )
})
