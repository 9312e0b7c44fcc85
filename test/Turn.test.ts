/** One run of a turn: where it answers, what it reads, what its answers mean, and its idempotency keys. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type InboundMessage, OwnerId, type Reply, textOf, TurnId } from "../src/Message.ts"
import type { MessageStore } from "../src/MessageStore.ts"
import type { Outbox } from "../src/Outbox.ts"
import type { NewReply } from "../src/OutboxStore.ts"
import { type ReplyDoor, ReplyHandle } from "../src/ReplyHandle.ts"
import { StoreError, TurnLost } from "../src/StoreError.ts"
import { answersOf, destinationOf, makeRun } from "../src/Turn.ts"
import { inbound, key, tsAt } from "./fixtures/messages.ts"

const inChannel: Partial<InboundMessage> = { channel: "C1", direct: false, conversation: key("C1/1.0"), ts: "1.0" }

describe("where a turn answers", () => {
  const table: ReadonlyArray<readonly [string, Partial<InboundMessage>, unknown]> = [
    ["a message in a channel in the thread that it begins", inChannel, { channel: "C1", threadTs: "1.0" }],
    ["a mention likewise", { ...inChannel, kind: "app_mention" }, { channel: "C1", threadTs: "1.0" }],
    ["a message in a thread in that thread", { ...inChannel, threadTs: "0.5" }, { channel: "C1", threadTs: "0.5" }],
    ["a direct message without a thread", {}, { channel: "D1" }],
    ["a thread of a direct message in that thread", { threadTs: "0.5" }, { channel: "D1", threadTs: "0.5" }],
    ["a slash command in its channel", { ...inChannel, kind: "slash_command" }, { channel: "C1" }],
    ["a reaction in its channel", { ...inChannel, kind: "event" }, { channel: "C1" }]
  ]
  for (const [sentence, message, destination] of table) {
    it(`answers ${sentence}`, () => assert.deepStrictEqual(destinationOf([inbound(message)]), destination as never))
  }

  it("answers an event that has only a user in a direct message to them", () => {
    const { channel: _, ...message } = inbound({ kind: "event" })
    assert.deepStrictEqual(destinationOf([message]), { channel: "U1" })
  })

  it("answers nowhere when there is neither channel nor user", () => {
    const { channel: _, user: __, ...message } = inbound({ kind: "event" })
    assert.isUndefined(destinationOf([message]))
    assert.isUndefined(destinationOf([]))
  })
})

describe("a turn's text", () => {
  const table: ReadonlyArray<readonly [string, ReadonlyArray<string>, string]> = [
    ["leaves a leading mention of the bot out", ["<@U0BOT> hello"], "hello"],
    ["leaves it out behind spaces too", ["  <@U0BOT>\nhello"], "hello"],
    ["keeps a mention in the middle", ["hello <@U0BOT>"], "hello <@U0BOT>"],
    ["keeps a mention of somebody else", ["<@U1> hello"], "<@U1> hello"],
    ["leaves only the first mention out", ["<@U0BOT> <@U0BOT>"], "<@U0BOT>"],
    ["keeps white space that somebody typed", ["  code"], "  code"],
    ["has one line per message", ["<@U0BOT> a", "b", ""], "a\nb\n"]
  ]
  for (const [sentence, texts, expected] of table) {
    it(`the text ${sentence}`, () => assert.strictEqual(textOf(texts.map((text) => inbound({ text }))), expected))
  }
})

describe("what a handler returned", () => {
  const door: ReplyDoor = { delivered: () => Effect.never, change: () => Effect.never }
  const standing = { rows: [1], lane: key("D1"), destination: { channel: "D1" } }
  const handle = new ReplyHandle(door, [1], { messages: standing })
  const good: ReadonlyArray<readonly [string, unknown, ReadonlyArray<Reply>]> = [
    ["nothing", undefined, []],
    ["null", null, []],
    ["a text", "a", [{ text: "a" }]],
    ["a reply", { text: "a", blocks: [], key: "k" }, [{ text: "a", blocks: [], key: "k" }]],
    ["blocks alone", { blocks: [{ type: "divider" }] }, [{ blocks: [{ type: "divider" }] }]],
    ["markdown", { markdown: "**a**" }, [{ markdown: "**a**" }]],
    ["several of both", ["a", { text: "b" }], [{ text: "a" }, { text: "b" }]],
    ["a handle", handle, []],
    ["the promise style's handle", { id: 1, delivered: () => Promise.resolve() }, []],
    ["handles and gaps among texts", [handle, "a", undefined, null], [{ text: "a" }]],
    ["an empty list", [], []]
  ]
  for (const [what, answer, expected] of good) {
    it(`is understood: ${what}`, () => assert.deepStrictEqual(answersOf(answer), expected))
  }

  const mistakes = [42, true, {}, "", " \n", { text: 1 }, { text: "" }, { blocks: [] }, { text: "a", markdown: "b" }]
  for (const answer of [...mistakes, ["a", 1], [["a"]], () => "a", Symbol("a")]) {
    it(`is a mistake: ${JSON.stringify(answer) ?? String(answer)}`, () => assert.isString(answersOf(answer)))
  }
})

/** An outbox that remembers what it was given. */
const recording = (failure?: StoreError) => {
  const rows: Array<NewReply> = []
  const outbox: Outbox["Service"] = {
    enqueue: () => Effect.die("not here"),
    complete: (_replies, write) => Effect.asVoid(write(undefined)),
    wake: Effect.void,
    lookAround: Effect.void,
    status: () => Effect.void,
    stage: () => Effect.die("not here"),
    keep: () => Effect.die("not here"),
    drop: () => Effect.void,
    streamed: () => Effect.succeed(null),
    delivered: () => Effect.never,
    commit: (replies) =>
      failure !== undefined ? Effect.fail(failure) : Effect.sync(() => {
        rows.push(...replies)
        return replies.map((reply, index) => ({
          id: index,
          state: "queued" as const,
          channel: reply.destination.channel,
          ts: null,
          reason: null,
          interim: false,
          held: false
        }))
      })
  }
  return { rows, outbox }
}

const run = (attempt = 1, options: { readonly failure?: StoreError; readonly message?: InboundMessage } = {}) => {
  const { outbox, rows } = recording(options.failure)
  const made = makeRun({
    claimed: {
      id: TurnId.make("turn_1"),
      conversation: key("D1"),
      attempt,
      failures: attempt - 1,
      crashes: 0,
      interrupted: false,
      status: null,
      unreadable: null,
      hasOthers: false,
      ids: [1],
      traces: [],
      receivedAt: 0,
      messages: [options.message ?? inbound({ ts: tsAt(1) })]
    },
    owner: OwnerId.make("me"),
    outbox,
    slackApiUrl: "https://slack.com/api/",
    store: {} as MessageStore["Service"],
    steer: false
  })
  return { ...made, keys: () => rows.map((row) => row.key), committed: rows }
}

describe("idempotency keys", () => {
  const say = Effect.fnUntraced(function*(attempt: number, replies: ReadonlyArray<string | Reply>) {
    const made = run(attempt)
    for (const reply of replies) yield* made.turn.reply(reply)
    return made.keys()
  })

  it.effect("of streams tell their order among the streams of their place, whatever else is said", () =>
    Effect.gen(function*() {
      const begin = Effect.fnUntraced(function*(attempt: number, before: ReadonlyArray<string>) {
        const made = run(attempt)
        for (const text of before) yield* made.turn.reply(text)
        for (let n = 0; n < 2; n++) yield* made.turn.stream()
        made.close()
        return made.committed.flatMap(({ dispatch, key }) => dispatch._tag === "StreamStart" ? [key] : [])
      })
      const keys = yield* begin(1, ["one", "two"])
      assert.strictEqual(new Set(keys).size, 2)
      assert.deepStrictEqual(yield* begin(2, []), keys)
      // They are no texts that a re-run could say otherwise.
      assert.isFalse(keys.some((key) => key.startsWith("turn_1:said:")))
    }))

  it.effect("are the same in a re-run that says the same", () =>
    Effect.gen(function*() {
      const replies = ["a", "b", { text: "c", blocks: [{ type: "divider" }] }]
      const keys = yield* say(1, replies)
      assert.deepStrictEqual(yield* say(2, replies), keys)
      assert.strictEqual(new Set(keys).size, 3)
    }))

  it.effect("differ where the content differs, and where the same is said twice", () =>
    Effect.gen(function*() {
      const [one] = yield* say(1, ["a"])
      const [other] = yield* say(2, ["b"])
      const [withBlocks] = yield* say(2, [{ text: "a", blocks: [] }])
      assert.strictEqual(new Set([one, other, withBlocks]).size, 3)
      assert.strictEqual(new Set(yield* say(1, ["a", "a"])).size, 2)
    }))

  it.effect("are the caller's own where there is one, whatever place and content", () =>
    Effect.gen(function*() {
      const [, one] = yield* say(1, ["x", { text: "a", key: "k" }])
      const [two] = yield* say(2, [{ text: "b", key: "k" }])
      assert.strictEqual(one, two)
      assert.notStrictEqual((yield* say(1, [{ text: "a", key: "0" }]))[0], (yield* say(1, ["a"]))[0])
    }))

  it.effect("of final replies, of the notice and of replies on the way never meet", () =>
    Effect.gen(function*() {
      const made = run()
      yield* made.turn.reply("a")
      const final = yield* made.rows("final", [{ text: "a" }])
      const notice = yield* made.rows("notice", [{ text: "a" }])
      assert.strictEqual(
        new Set([...made.keys(), ...final.map((row) => row.key), ...notice.map((row) => row.key)]).size,
        3
      )
    }))
})

describe("turn.reply", () => {
  it.effect("puts the reply into the turn's lane, where the turn answers", () =>
    Effect.gen(function*() {
      const made = run(1, { message: inbound(inChannel) })
      yield* made.turn.reply({ text: "a", blocks: [1] })
      assert.deepInclude(made.committed[0], {
        lane: key("D1"),
        destination: { channel: "C1", threadTs: "1.0" },
        dispatch: { _tag: "Post", text: "a", blocks: [1] }
      })
    }))

  it.effect("fails with TurnOver once the run is closed, and its signal is aborted", () =>
    Effect.gen(function*() {
      const made = run()
      assert.isFalse(made.turn.signal.aborted)
      made.close()
      assert.isTrue(made.turn.signal.aborted)
      assert.strictEqual((yield* Effect.flip(made.turn.reply("late"))).reason._tag, "TurnOver")
      assert.deepStrictEqual(made.committed, [])
    }))

  it.effect("fails with TurnOver when the store says that the turn is lost", () =>
    Effect.gen(function*() {
      const failure = new StoreError({ operation: "enqueue", reason: new TurnLost({ turn: "turn_1" }) })
      assert.strictEqual((yield* Effect.flip(run(1, { failure }).turn.reply("a"))).reason._tag, "TurnOver")
    }))

  it.effect("fails with a sentence where there is nowhere to answer", () =>
    Effect.gen(function*() {
      const { channel: _, user: __, ...message } = inbound({ kind: "event" })
      const error = yield* Effect.flip(run(1, { message }).turn.reply("a"))
      assert.match(error.message, /nowhere/)
    }))
})
