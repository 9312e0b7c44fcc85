/**
 * What a message with its reply costs the database, from its append to the note that it was delivered: counts, which are
 * the same on every machine. Everything of a gateway but its sockets, over a real file; a Slack that answers at once.
 *
 * Each count is held where it stands, so that it can only fall.
 */
import { assert, it } from "@effect/vitest"
import { Clock, Duration, Effect, Queue } from "effect"
import type { Settings } from "../../src/GatewayConfig.ts"
import { MessageStore } from "../../src/MessageStore.ts"
import { arrival } from "../fixtures/messages.ts"
import { advance, inRooms, settle } from "../fixtures/rooms.ts"
import { rooms } from "./rooms.ts"
import { counted, type Seen } from "./sqlite.ts"

/** At most so many for a message. The goal for sixteen is 0.3 commits. */
const alone = { commits: 3, statements: 10 }
const afterWindow = { commits: 4, statements: 12 }
const amongSixteen = { commits: 0.3, statements: 1 }

const unpaced = { debounce: Duration.zero, paceInterval: Duration.zero }

const each = ({ commits, prepares, statements }: Seen, messages: number) => ({
  commits: commits / messages,
  statements: statements / messages,
  prepares: prepares / messages
})

/** Messages in one conversation, each said when the one before it was answered: what they cost each. */
const oneByOne = Effect.fnUntraced(function*(config: Partial<Settings>) {
  const { reset, seen } = yield* counted
  const { delivered, layer, say } = yield* rooms({ config: { ...unpaced, ...config } })
  const messages = 10
  return yield* Effect.gen(function*() {
    for (let n = -5; n < messages; n++) {
      if (n === 0) reset()
      yield* say("D1")
      if (config.debounce !== undefined) yield* advance(config.debounce)
      yield* Queue.take(delivered)
      yield* settle
    }
    return each(seen, messages)
  }).pipe(inRooms(layer))
})

/** Messages of which sixteen are under way at any time, each in a conversation of its own. */
const sixteenAtOnce = Effect.gen(function*() {
  const { reset, seen } = yield* counted
  const { delivered, layer, say } = yield* rooms({ config: unpaced })
  // Statements of every size are met before.
  const [before, messages] = [300, 200]
  let last = 0
  const next = Effect.suspend(() => say(`D${last++}`))
  return yield* Effect.gen(function*() {
    for (let n = 0; n < 16; n++) yield* Effect.forkChild(next)
    for (let n = 0; n < before + messages; n++) {
      if (n === before) reset()
      yield* Queue.take(delivered)
      yield* Effect.forkChild(next)
    }
    return each(seen, messages)
  }).pipe(inRooms(layer))
})

it.effect("a message and its reply, alone and without a quiet window, take few commits and statements", () =>
  Effect.gen(function*() {
    const found = yield* oneByOne({})
    assert.isAtMost(found.commits, alone.commits)
    assert.isAtMost(found.statements, alone.statements)
    assert.strictEqual(found.prepares, 0)
  }))

it.effect("a message that ends its quiet window, and its reply, take few commits and statements", () =>
  Effect.gen(function*() {
    const found = yield* oneByOne({ debounce: Duration.millis(500) })
    assert.isAtMost(found.commits, afterWindow.commits)
    assert.isAtMost(found.statements, afterWindow.statements)
    assert.strictEqual(found.prepares, 0)
  }))

it.effect("with sixteen conversations under way messages share their commits and statements", () =>
  Effect.gen(function*() {
    const found = yield* sixteenAtOnce
    assert.isAtMost(found.commits, amongSixteen.commits)
    assert.isAtMost(found.statements, amongSixteen.statements)
    assert.strictEqual(found.prepares, 0)
  }))

it.effect("nothing is prepared anew however many channels their pace holds back", () =>
  Effect.gen(function*() {
    const { reset, seen } = yield* counted
    const { delivered, layer, say } = yield* rooms({ config: { debounce: Duration.zero, paceBurst: 1 } })
    const messages = 10
    yield* Effect.gen(function*() {
      for (let n = -5; n < messages; n++) {
        if (n === 0) reset()
        // Other channels wait each time, and another number of them.
        const channels = Array.from({ length: 1 + (n + 5) % 5 }, (_, channel) => `D${channel}`)
        yield* Effect.forEach([...channels, ...channels], (channel) => say(channel), { concurrency: "unbounded" })
        yield* advance("3 seconds", "500 millis")
        // The second of each finds its conversation busy, or not: then they have one answer.
        yield* Queue.takeBetween(delivered, channels.length, Infinity)
      }
      assert.deepStrictEqual(seen.prepared, [])
    }).pipe(inRooms(layer))
  }))

it.effect("a hundred messages that arrive in one tick are one commit", () =>
  Effect.gen(function*() {
    const { reset, seen } = yield* counted
    const { layer } = yield* rooms()
    yield* Effect.gen(function*() {
      const store = yield* MessageStore
      const now = yield* Clock.currentTimeMillis
      const hundred = Array.from({ length: 100 }, () => arrival({}, { receivedAt: now, dueAt: now + 60_000 }))
      reset()
      yield* Effect.forEach(hundred, (message) => store.append(message), { concurrency: "unbounded" })
      assert.strictEqual(seen.commits, 1)
    }).pipe(inRooms(layer))
  }))
