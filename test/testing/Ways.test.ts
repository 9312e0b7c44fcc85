/** What the chat page says became of a message: folded from a journal, without sockets. */
import { assert, it } from "@effect/vitest"
import type { GatewayCounts } from "../../src/testing/index.ts"
import { SlackWorld } from "../../src/testing/SlackWorld.ts"
import { type Way, Ways } from "../../src/testing/Ways.ts"

/** A world whose journal feeds the ways, one millisecond a step. */
const make = () => {
  const world = new SlackWorld({ startedAt: 1_000 })
  const ways = new Ways({
    find: (channel, ts) => world.workspace.find(channel, ts),
    isDirect: (channel) => world.workspace.conversation(channel)?.kind === "im"
  })
  let now = 1_000
  let connection = ""
  let envelope = ""
  const settle = () => {
    const { entries, output } = world.drain()
    for (const one of output) if (one._tag === "Frame") envelope = JSON.parse(one.text).envelope_id ?? envelope
    for (const entry of entries) ways.apply(entry)
  }
  const step = <A>(run: (now: number) => A): A => {
    const result = run(++now)
    settle()
    return result
  }
  const dm = world.workspace.conversation("D0ALICE")
  return {
    world,
    connect: () =>
      step((now) => {
        connection = world.open(world.ticket(), now) ?? ""
      }),
    say: (text: string) => step((now) => world.say({ channel: "D0ALICE", user: "U0ALICE", text }, now)),
    ack: () => step((now) => world.received(connection, JSON.stringify({ envelope_id: envelope }), now)),
    reply: (key: string) =>
      step((now) => {
        if (dm === undefined) throw new Error("no direct message")
        world.post(dm, { user: "U0BOT", text: "answer", metadata: { event_type: "e", event_payload: { key } } }, now)
      }),
    seen: (counts: Partial<GatewayCounts> = {}, after = world.journal.at(-1)?.n ?? 0) =>
      step((now) =>
        world.record(
          { _tag: "GatewaySeen", after, phase: "running", queued: 0, processing: 0, replies: 0, ...counts },
          now
        )
      ),
    kill: () =>
      step((now) => {
        world.record({ _tag: "GatewayEnded", code: null, signal: "SIGKILL" }, now)
        world.closed(connection, now)
      }),
    way: (): Way => {
      const [way] = ways.all
      if (way === undefined) throw new Error("no way")
      return way
    },
    kinds: () => ways.all[0]?.steps.map(({ kind }) => kind).join(" ")
  }
}

it("a message that is stored, acked, handled and answered", () => {
  const { ack, connect, kinds, reply, say, seen, way } = make()
  connect()
  say("hello")
  ack()
  seen({ processing: 1 })
  reply("k1")
  assert.isUndefined(way().settledAt)
  seen()
  assert.strictEqual(kinds(), "written sent acked handling replied")
  assert.deepInclude(way(), { replies: 1, repeated: 0 })
  assert.isDefined(way().settledAt)
})

it("what the gateway said before it had the message settles nothing", () => {
  const { ack, connect, say, seen, way, world } = make()
  connect()
  say("hello")
  const before = world.journal.at(-1)?.n ?? 0
  ack()
  seen({}, before)
  assert.isUndefined(way().settledAt)
  seen()
  assert.isDefined(way().settledAt)
})

it("a kill in the middle, and the same message handled again", () => {
  const { ack, connect, kill, kinds, reply, say, seen, way } = make()
  connect()
  say("hello")
  ack()
  seen({ processing: 1 })
  kill()
  connect()
  seen({ processing: 1 })
  reply("k1")
  seen()
  assert.strictEqual(kinds(), "written sent acked handling killed restarted handling replied")
  assert.deepInclude(way(), { replies: 1, repeated: 0 })
})

it("a reply that was posted twice is counted as one that was repeated, also when all seemed done", () => {
  const { ack, connect, reply, say, seen, way } = make()
  connect()
  say("hello")
  ack()
  reply("k1")
  seen()
  reply("k1")
  assert.deepInclude(way(), { replies: 2, repeated: 1 })
})

it("what is said while nobody is connected waits, and is sent when somebody is", () => {
  const { ack, connect, kinds, say } = make()
  say("hello")
  assert.strictEqual(kinds(), "written waiting")
  connect()
  ack()
  assert.strictEqual(kinds(), "written waiting sent acked")
})

it("an ack that Slack does not hear, and the event that comes again", () => {
  const { ack, connect, kinds, say, world } = make()
  connect()
  world.faults.patch({ dropAcks: true })
  say("hello")
  ack()
  world.faults.clear()
  world.tick(10_000)
  ack()
  assert.strictEqual(kinds(), "written sent ackLost sentAgain acked")
})
