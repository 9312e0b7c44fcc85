import { assert, describe, it } from "@effect/vitest"
import { type JournalEntry, SlackWorld } from "../../src/testing/index.ts"

const started = 1_700_000_000_000
const general = { channel: "C0GENERAL", user: "U0ALICE" }

/** A world, and the frames it sent on each connection. */
const makeWorld = (options: Partial<ConstructorParameters<typeof SlackWorld>[0]> = {}) => {
  const world = new SlackWorld({ startedAt: started, ...options })
  const entries: Array<JournalEntry> = []
  const drain = () => {
    const drained = world.drain()
    entries.push(...drained.entries)
    return drained.output
  }
  const frames = () =>
    drain().flatMap((o) => o._tag === "Frame" ? [{ connection: o.connection, ...JSON.parse(o.text) }] : [])
  const connect = (now: number) => {
    const connection = world.open(world.ticket(), now)
    assert.isDefined(connection)
    return connection
  }
  const ackFrame = (envelopeId: string) => JSON.stringify({ envelope_id: envelopeId, payload: {} })
  return { world, connect, frames, drain, entries, ackFrame }
}

/** Ticks whenever something is due, up to a time, and answers what was sent when. */
const run = ({ frames, world }: ReturnType<typeof makeWorld>, until: number) => {
  const sent: Array<{ readonly at: number; readonly frame: ReturnType<typeof frames>[number] }> = []
  for (let due = world.nextDue; due !== undefined && due <= until; due = world.nextDue) {
    world.tick(due)
    for (const frame of frames()) sent.push({ at: due - started, frame })
  }
  return sent
}

describe("redelivery", () => {
  it("follows Slack's schedule and ends after the third retry", () => {
    const one = makeWorld()
    one.connect(started)
    one.world.say({ ...general, text: "hi" }, started)
    const [, first] = one.frames()
    assert.deepStrictEqual([first.retry_attempt, first.retry_reason], [0, ""])
    const sent = run(one, started + 3_600_000)
    assert.deepStrictEqual(sent.map(({ at, frame }) => [at, frame.retry_attempt, frame.retry_reason]), [
      [3_000, 1, "timeout"],
      [63_000, 2, "timeout"],
      [363_000, 3, "timeout"]
    ])
    assert.strictEqual(new Set(sent.map(({ frame }) => frame.envelope_id)).size, 3)
    assert.strictEqual(new Set(sent.map(({ frame }) => frame.payload.event_id)).size, 1)
  })

  it("ends with an ack of any of its envelopes, on any connection", () => {
    const one = makeWorld()
    const [a] = [one.connect(started), one.connect(started)]
    one.world.say({ ...general, text: "hi" }, started)
    const first = one.frames().at(-1)
    assert.strictEqual(run(one, started + 3_000).length, 1)
    one.world.received(a, one.ackFrame(first.envelope_id), started + 4_000)
    assert.deepStrictEqual(run(one, started + 3_600_000), [])
    assert.deepStrictEqual(one.world.unacked, [])
  })

  it("takes another schedule, also none", () => {
    const one = makeWorld({ faults: { retryDelaysMs: [] } })
    one.connect(started)
    one.world.say({ ...general, text: "hi" }, started)
    assert.deepStrictEqual(run(one, started + 3_600_000), [])
    assert.strictEqual(one.world.unacked.length, 1)
  })

  it("waits without using up a retry while nobody is connected", () => {
    const one = makeWorld()
    const connection = one.connect(started)
    one.world.say({ ...general, text: "hi" }, started)
    one.frames()
    one.world.closed(connection, started + 1)
    assert.deepStrictEqual(run(one, started + 3_600_000), [])
    one.connect(started + 7_200_000)
    const again = one.frames().filter((frame) => frame.type === "events_api")
    assert.deepStrictEqual(again.map((frame) => frame.retry_attempt), [1])
  })

  it("goes to a connection that is alive", () => {
    const one = makeWorld()
    const [a, b] = [one.connect(started), one.connect(started)]
    one.world.say({ ...general, text: "hi" }, started)
    const first = one.frames().at(-1)
    one.world.closed(first.connection, started + 1)
    const [retry] = run(one, started + 3_000)
    assert.strictEqual(retry?.frame.connection, first.connection === a ? b : a)
  })
})

describe("connections", () => {
  it("get events in turn", () => {
    const one = makeWorld()
    const open = [one.connect(started), one.connect(started), one.connect(started)]
    one.drain()
    for (const text of ["1", "2", "3", "4"]) one.world.say({ ...general, text }, started)
    const used = one.frames().map((frame) => frame.connection)
    assert.deepStrictEqual(used, [...open, open[0]])
  })

  it("beyond the tenth are turned away", () => {
    const one = makeWorld()
    for (let i = 0; i < 10; i++) one.connect(started)
    one.drain()
    const eleventh = one.connect(started)
    assert.deepStrictEqual(one.drain().map((output) => [output._tag, output.connection]), [
      ["Frame", eleventh],
      ["Close", eleventh]
    ])
    assert.strictEqual(one.world.live.length, 10)
  })

  it("that are told to go get no events and are closed after the grace", () => {
    const one = makeWorld()
    one.connect(started)
    one.world.disconnect("refresh_requested", started)
    one.world.say({ ...general, text: "hi" }, started)
    assert.deepStrictEqual(one.frames().map((frame) => frame.type), ["hello", "disconnect"])
    assert.strictEqual(one.world.nextDue, started + 10_000)
    one.world.tick(started + 10_000)
    assert.deepStrictEqual(one.drain().map((output) => output._tag), ["Close"])
  })

  it("that are warned still get events", () => {
    const one = makeWorld()
    one.connect(started)
    one.world.disconnect("warning", started)
    one.world.say({ ...general, text: "hi" }, started)
    assert.deepStrictEqual(one.frames().map((frame) => frame.type), ["hello", "disconnect", "events_api"])
  })

  it("ignore frames that are no acks", () => {
    const one = makeWorld()
    const connection = one.connect(started)
    for (const text of ["", "null", "[]", "{", "{\"envelope_id\":1}", "7"]) {
      one.world.received(connection, text, started)
    }
    one.drain()
    assert.deepStrictEqual(one.entries.map((entry) => entry._tag), ["ConnectionOpened"])
  })
})

describe("messages", () => {
  it("have increasing ts in the whole workspace, also in one millisecond", () => {
    const { world } = makeWorld()
    const all = ["C0GENERAL", "D0ALICE", "C0GENERAL"].map((channel) =>
      world.say({ channel, user: "U0ALICE", text: "x" }, started)
    ).map((posted) => posted.ok ? posted.ts : "")
    assert.deepStrictEqual(all, ["1700000000.000000", "1700000000.000001", "1700000000.000002"])
  })

  it("in a direct message with a mention are no app_mention", () => {
    const one = makeWorld()
    one.connect(started)
    one.world.say({ channel: "D0ALICE", user: "U0ALICE", text: "<@U0BOT> hi" }, started)
    const events = one.frames().slice(1).map((frame) => [frame.payload.event.type, frame.payload.event.channel_type])
    assert.deepStrictEqual(events, [["message", "im"]])
  })

  it("come mention first when told so", () => {
    const one = makeWorld({ faults: { mentionFirst: true } })
    one.connect(started)
    one.world.say({ ...general, text: "<@U0BOT> hi" }, started)
    const types = one.frames().slice(1).map((frame) => frame.payload.event.type)
    assert.deepStrictEqual(types, ["app_mention", "message"])
  })

  it("are refused where Slack would refuse them", () => {
    const { world } = makeWorld()
    const say = (said: Partial<Parameters<SlackWorld["say"]>[0]>) => {
      const posted = world.say({ ...general, text: "x", ...said }, started)
      return posted.ok ? "ok" : posted.error
    }
    assert.deepStrictEqual(
      [
        say({ channel: "C0NONE" }),
        say({ user: "U0NOBODY" }),
        say({ user: "U0BOT" }),
        say({ channel: "D0ALICE", user: "U0BOB" }),
        say({ text: "" }),
        say({ thread_ts: "1.000001" })
      ],
      ["channel_not_found", "user_not_found", "user_not_found", "not_in_channel", "no_text", "thread_not_found"]
    )
  })

  it("that answer a reply join its thread", () => {
    const { world } = makeWorld()
    const say = (text: string, thread_ts?: string) => {
      const posted = world.say({ ...general, text, thread_ts }, started)
      return posted.ok ? posted.ts : posted.error
    }
    const root = say("root")
    say("second", say("first", root))
    assert.deepStrictEqual(world.messages("C0GENERAL").map((m) => m.thread_ts), [undefined, root, root])
  })
})

it("two worlds started at different times share no id", () => {
  const ids = (startedAt: number) => {
    const one = makeWorld({ startedAt })
    one.connect(startedAt)
    one.world.say({ ...general, text: "hi" }, startedAt)
    const frame = one.frames().at(-1)
    return [frame.envelope_id, frame.payload.event_id, frame.payload.event.client_msg_id]
  }
  const all = [...ids(started), ...ids(started + 1)]
  assert.strictEqual(new Set(all).size, all.length)
})

it("the journal is bounded and its numbers go on", () => {
  const { world } = makeWorld({ journalLimit: 100 })
  for (let i = 0; i < 1_000; i++) world.say({ ...general, text: String(i) }, started)
  assert.isAtMost(world.journal.length, 100)
  assert.strictEqual(world.journal.at(-1)?.n, 1_000)
  assert.deepStrictEqual(world.journalAfter(998).map((entry) => entry.n), [999, 1_000])
})

describe("the size of a world", () => {
  it("more people each have a direct message with the bot", () => {
    const { frames, world, ...one } = makeWorld({ people: ["U0CAROL"] })
    one.connect(started)
    assert.deepInclude(world.say({ channel: "D0CAROL", user: "U0CAROL", text: "hi" }, started), { ok: true })
    assert.strictEqual(frames().at(-1)?.payload.event.channel, "D0CAROL")
  })

  it("keeps as many messages of a conversation as it is told, and forgets the threads of those that went", () => {
    const { world } = makeWorld({ messagesKept: 3 })
    const say = (text: string, thread_ts?: string) => {
      const said = world.say({ ...general, text, thread_ts }, started)
      return said.ok ? said.ts : said.error
    }
    const root = say("root")
    for (const text of ["one", "two"]) say(text, root)
    assert.lengthOf(world.workspace.replies("C0GENERAL", root), 2)
    for (const text of ["three", "four"]) say(text)
    assert.deepStrictEqual(world.messages("C0GENERAL").map(({ text }) => text), ["two", "three", "four"])
    assert.isEmpty(world.workspace.replies("C0GENERAL", root))
    assert.strictEqual(say("five", root), "thread_not_found")
  })
})
