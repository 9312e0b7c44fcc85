/** A day against a simulated Slack: one without a word, and ones with talk and with Slack's refresh every six minutes. */
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import type { Turn } from "../src/Handler.ts"
import { MessageStore } from "../src/MessageStore.ts"
import { SimulatedSlack } from "../src/testing/SimulatedSlack.ts"
import { bot } from "../src/testing/Workspace.ts"
import { Watchdog } from "../src/Watchdog.ts"
import { passDay, test } from "./fixtures/simulatedGateway.ts"
import { alarms, socket } from "./fixtures/socketRoom.ts"

const echo = (turn: Turn) => turn.reply(`You said: ${turn.text}`)

/** When a connection was opened, by its id. */
const openings = Effect.map(SimulatedSlack, ({ world }) =>
  new Map(
    world.journal.flatMap((entry) => entry._tag === "ConnectionOpened" ? [[entry.connection, entry.at] as const] : [])
  ))

const calm = Effect.gen(function*() {
  assert.strictEqual(yield* (yield* Watchdog).forced, 0)
  assert.deepStrictEqual(yield* alarms, [])
  assert.strictEqual((yield* socket).state, "connected")
})

describe("a day without a word", () => {
  const keeps = { faults: { approximateConnectionTime: 1_000_000 } }
  test("sees one connection where Slack keeps it", { handler: echo, slack: keeps }, (lines) =>
    Effect.gen(function*() {
      yield* passDay(() => Effect.succeed(false), 60_000)
      assert.strictEqual((yield* openings).size, 1)
      assert.strictEqual((yield* socket).reconnects, 0)
      assert.deepStrictEqual(lines.filter((line) => !line.startsWith("Info")), [])
      yield* calm
    }))

  test("sees a new connection before each planned end, and no other", { handler: echo }, () =>
    Effect.gen(function*() {
      yield* passDay(() => Effect.succeed(false), 60_000)
      assert.strictEqual((yield* openings).size, 5)
      yield* calm
    }))
})

/**
 * Every three minutes or so somebody says something somewhere. Slack refreshes each connection six minutes after it was
 * opened, without a warning, and repeats an event that was acked. Answers what was said, and the smallest number of live
 * connections after the first.
 */
const busyDay = Effect.gen(function*() {
  const { act, world } = yield* SimulatedSlack
  const said: Array<string> = []
  const opened = new Map<string, number>()
  let seen = 0
  let least = Infinity
  const look = () => {
    for (const entry of world.journalAfter(seen)) {
      seen = entry.n
      if (entry._tag === "ConnectionOpened") opened.set(entry.connection, entry.at)
      if (entry._tag === "ConnectionOpened" || entry._tag === "ConnectionClosed") least = Math.min(least, entry.live)
    }
    if (opened.size > 0) least = Math.min(least, world.live.length)
  }
  const say = (n: number) =>
    act((_, now) => {
      const text = `m${n}.`
      said.push(text)
      // Direct messages are one conversation, mentions a new one each.
      const what = n % 3 === 0
        ? { channel: "D0ALICE", text }
        : { channel: "C0GENERAL", text: `<@${bot.userId}> ${text}` }
      assert.isTrue(world.say({ ...what, user: "U0ALICE" }, now).ok)
    })
  yield* passDay((ms) =>
    Effect.gen(function*() {
      look()
      const old = yield* act((_, now) => world.live.filter((id) => now - (opened.get(id) ?? now) >= 360_000))
      const earlier = world.journalAfter(seen - 40).findLast((entry) => entry._tag === "AckReceived")?.eventId
      for (const id of old) {
        yield* act((_, now) => world.disconnect("refresh_requested", now, id))
        look()
        // At the worst moment; and Slack says something once more that it was told is taken.
        yield* say(said.length)
        if (earlier !== undefined) yield* act((_, now) => world.redeliver(earlier, now))
      }
      const talks = ms % 180_000 === 60_000
      if (talks) yield* say(said.length)
      return talks || old.length > 0
    })
  )
  look()
  return { said, least }
})

/** How often the bot answered each of them. */
const answers = (said: ReadonlyArray<string>) =>
  Effect.map(SimulatedSlack, ({ world }) => {
    const posts = ["C0GENERAL", "D0ALICE"].flatMap((channel) => world.messages(channel)).filter(({ user }) =>
      user === bot.userId
    )
    const words = posts.flatMap(({ text }) => text.split(/\s+/))
    return said.map((word) => words.filter((one) => one === word).length)
  })

describe("a day of talk with Slack's refresh every six minutes", () => {
  for (const [connections, deliverWhileDown] of [[1, true], [2, false]] as const) {
    const slack = { faults: { deliverWhileDown, retryDelaysMs: [3_000, 60_000, 300_000] } }
    test(
      `loses nothing and doubles nothing with ${
        connections === 1 ? "one connection" : "two, at no moment without one"
      }`,
      { handler: echo, slack, config: { connections } },
      () =>
        Effect.gen(function*() {
          const { said, least } = yield* busyDay
          const { world } = yield* SimulatedSlack
          const opened = yield* openings
          assert.isAbove(opened.size, 230 * connections)
          assert.isAbove(said.length, 700)
          assert.deepStrictEqual((yield* answers(said)).filter((times) => times !== 1), [])
          assert.deepStrictEqual(world.unacked, [])
          assert.deepStrictEqual(world.journal.filter(({ _tag }) => _tag === "EnvelopeLost"), [])
          if (connections === 2) assert.isAtLeast(least, 1)
          assert.isAtMost(Math.max(...world.journal.map((entry) => "live" in entry ? entry.live : 0)), connections + 1)
          assert.include(yield* (yield* MessageStore).counts, { queued: 0, processing: 0, failed: 0 })
          yield* calm
        })
    )
  }
})
