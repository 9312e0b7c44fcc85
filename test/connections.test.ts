/** Two connections are kept: what ends one of them costs not a single event. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type JournalEntry, LocalSlack } from "slackwater/testing"
import { SimulatedSlack } from "../src/testing/SimulatedSlack.ts"
import { bot } from "../src/testing/Workspace.ts"
import {
  answered,
  answers,
  dm,
  echo,
  eventually,
  startGateway,
  temporaryDirectory,
  withSlack
} from "./fixtures/gateway.ts"
import { test } from "./fixtures/simulatedGateway.ts"
import { advance } from "./fixtures/time.ts"

/** Slack keeps nothing for later. */
const faults = { deliverWhileDown: false }
const isLost = (entry: JournalEntry) => entry._tag === "EnvelopeLost"

/** The connections that were opened and not closed, the oldest first. */
const opened = (journal: ReadonlyArray<JournalEntry>) => {
  const open = new Set<string>()
  for (const entry of journal) {
    if (entry._tag === "ConnectionOpened") open.add(entry.connection)
    if (entry._tag === "ConnectionClosed") open.delete(entry.connection)
  }
  return [...open]
}

describe("with two connections", () => {
  it.live("Slack's refresh of one loses nothing, with Slack's client over real sockets", () =>
    withSlack(
      Effect.gen(function*() {
        const slack = yield* LocalSlack
        const both = eventually(
          "two connections, and no others",
          Effect.gen(function*() {
            return (yield* slack.connections) === 2 && opened(yield* slack.journal).length === 2
          })
        )
        yield* startGateway(yield* temporaryDirectory, echo, { connections: 2 })
        const texts = Array.from({ length: 4 }, (_, round) => `in round ${round}`)
        for (const text of texts) {
          yield* both
          const [oldest] = opened(yield* slack.journal)
          assert.strictEqual(yield* slack.disconnect("refresh_requested", oldest), 1)
          yield* slack.say({ ...dm, text })
          yield* answered(dm.channel, `You said: ${text}`)
        }
        assert.deepStrictEqual(yield* answers(dm.channel), texts.map((text) => `You said: ${text}`))
        assert.deepStrictEqual((yield* slack.journal).filter(isLost), [])
      }),
      { faults, disconnectGraceMs: 500 }
    ))

  test(
    "a reset of one loses nothing",
    { handler: (turn) => turn.reply(turn.text), slack: { faults }, config: { connections: 2 } },
    () =>
      Effect.gen(function*() {
        const { act, drop, world } = yield* SimulatedSlack
        yield* advance("2 minutes", "1 second")
        const texts = Array.from({ length: 6 }, (_, round) => `m${round}`)
        for (const text of texts) {
          assert.strictEqual(world.live.length, 2)
          yield* drop(world.live[0])
          yield* act((_, now) => world.say({ ...dm, text }, now))
          yield* advance("1 minute", "1 second")
        }
        const replies = world.messages(dm.channel).filter(({ user }) => user === bot.userId)
        assert.deepStrictEqual(replies.map(({ text }) => text), texts)
        assert.deepStrictEqual(world.journal.filter(isLost), [])
      })
  )
})
