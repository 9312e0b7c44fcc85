/** Which entry of a route is called with what, and that calls of one turn do not get in each other's way. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect } from "effect"
import { SqlClient } from "effect/sql"
import { type EventKind, eventKinds } from "../src/Event.ts"
import { Handler } from "../src/Handler.ts"
import type { InboundMessage } from "../src/Message.ts"
import { callsOf, handledBy } from "../src/Route.ts"
import { happen, inbox, replies, test } from "./fixtures/conversationsRoom.ts"
import { tsAt } from "./fixtures/messages.ts"
import { advance, settle } from "./fixtures/rooms.ts"

const f = () => undefined
const plan = (entries: ReadonlyArray<string>, kinds: ReadonlyArray<EventKind>) => {
  const routes = Object.fromEntries(entries.map((name) => [name, f]))
  const { calls, skipped } = callsOf(routes, kinds.map((kind) => ({ kind, body: {} }) as never))
  return {
    calls: calls.map(({ entry, from, index, to }) => `${index} ${entry} ${from}-${to - 1}`),
    skipped: skipped.map(({ kind }) => kind)
  }
}

describe("a route", () => {
  it("calls its entry once for messages in a row, and once for every other event", () => {
    assert.deepStrictEqual(
      plan(["message", "blockAction"], ["message", "message", "blockAction", "blockAction", "message"]).calls,
      ["0 message 0-1", "1 blockAction 2-2", "2 blockAction 3-3", "3 message 4-4"]
    )
  })

  it("takes mentions for messages where it has no entry for them, and only there", () => {
    const kinds: ReadonlyArray<EventKind> = ["appMention", "message"]
    assert.deepStrictEqual(plan(["message"], kinds).calls, ["0 message 0-1"])
    assert.deepStrictEqual(plan(["message", "appMention"], kinds).calls, ["0 appMention 0-0", "1 message 1-1"])
  })

  it("leaves what has no entry to `otherwise`, and skips it where there is none", () => {
    const kinds: ReadonlyArray<EventKind> = ["message", "shortcut", "message"]
    assert.deepStrictEqual(plan(["message", "otherwise"], kinds).calls, [
      "0 message 0-0",
      "1 otherwise 1-1",
      "2 message 2-2"
    ])
    assert.deepStrictEqual(plan(["message"], kinds), {
      calls: ["0 message 0-0", "1 message 2-2"],
      skipped: ["shortcut"]
    })
  })

  it("handles the kinds it names; `otherwise` asks for messages, commands and interactions, and not for the rest", () => {
    assert.deepStrictEqual([...handledBy({ message: f, reactionAdded: f })], ["message", "appMention", "reactionAdded"])
    const rest = handledBy({ otherwise: f })
    assert.deepStrictEqual(eventKinds.filter((kind) => !rest.has(kind)), [
      "botMessage",
      "messageChanged",
      "messageDeleted",
      "reactionAdded",
      "reactionRemoved",
      "blockSuggestion",
      "appHomeOpened",
      "memberJoinedChannel",
      "memberLeftChannel",
      "unknown"
    ])
  })

  it("refuses an entry that is none, when it is made", () => {
    const mistaken: object = { mesage: f }
    assert.throws(() => Handler.routePromise(mistaken), /no entry of a route: mesage/)
    assert.isUndefined(Handler.fromExport(mistaken))
    assert.isUndefined(Handler.fromExport({ message: "hi" }))
    assert.isUndefined(Handler.fromExport({}))
  })

  it("is what a module may export, as it is or as an object of functions", () => {
    const handler = Handler.route({ message: () => Effect.void })
    assert.strictEqual(Handler.fromExport(handler), handler)
    assert.isTrue(Handler.fromExport({ slashCommand: f })?.handles?.has("slashCommand"))
    assert.isUndefined(Handler.fromExport(f)?.handles)
  })

  it.effect("needs what its entries need", () => {
    class Greeting extends Context.Service<Greeting, string>()("test/Greeting") {}
    class Name extends Context.Service<Name, string>()("test/Name") {}
    const handler = Handler.route({ message: () => Greeting, blockAction: () => Name })
    const run = handler.run({ events: [], messages: [] } as never)
    return Effect.map(
      run.pipe(Effect.provideService(Greeting, "hi"), Effect.provideService(Name, "Al")),
      (answer) => assert.deepStrictEqual(answer, [])
    )
  })
})

const button = (value: string, second: number): Partial<InboundMessage> => ({
  kind: "interactive",
  subtype: "block_actions",
  ts: tsAt(second),
  text: "",
  payload: { type: "block_actions", user: { id: "U1" }, actions: [{ type: "button", action_id: "go", value }] }
})
const line = (text: string, second: number): Partial<InboundMessage> => ({
  text,
  ts: tsAt(second),
  payload: { event: { type: "message", channel: "D1", ts: tsAt(second), text } }
})
const mixed = [line("one", 1), line("two", 2), button("red", 3), line("three", 4)]

describe("a turn of mixed kinds", () => {
  const seen: Array<unknown> = []
  test(
    "is several calls in Slack's order, each with its own part, and one completion",
    Handler.route({
      message: (turn, message) => {
        seen.push([turn.text, turn.messages.length, turn.events.map(({ kind }) => kind), message.text])
        return Effect.succeed(`said ${turn.text}`)
      },
      blockAction: (turn, { actions: [{ value }] }) => {
        seen.push([value, turn.messages.length])
        return Effect.succeed([`pressed ${value}`, "twice"])
      }
    }),
    () =>
      Effect.gen(function*() {
        yield* settle
        yield* happen("D1", mixed)
        yield* settle
        assert.deepStrictEqual(seen, [
          ["one\ntwo", 2, ["message", "message"], "two"],
          ["red", 1],
          ["three", 1, ["message"], "three"]
        ])
        assert.deepStrictEqual(yield* replies, ["said one\ntwo", "pressed red", "twice", "said three"])
        assert.deepInclude(yield* inbox, { done: 4, queued: 0, processing: 0 })
      })
  )

  test(
    "answers in the order of what happened, also where a later call replies while it runs",
    Handler.route({
      message: (turn) => Effect.succeed(`said ${turn.text}`),
      blockAction: (turn, { actions: [{ value }] }) => turn.reply(`pressed ${value}`)
    }),
    () =>
      Effect.gen(function*() {
        yield* settle
        yield* happen("D1", mixed)
        yield* settle
        assert.deepStrictEqual(yield* replies, ["said one\ntwo", "pressed red", "said three"])
      })
  )

  const steps: Array<string> = []
  let failed = false
  test(
    "has steps and keys of its own in every call, and a re-run repeats none of them",
    Handler.routePromise({
      message: async (turn) => {
        const text = await turn.step("think", () => {
          steps.push(turn.text)
          return turn.text
        })
        await turn.reply({ text: `first ${text}`, key: "first" })
        await turn.reply("the same")
        return { text: `last ${text}`, key: "last" }
      },
      blockAction: () => {
        if (failed) return "pressed"
        failed = true
        throw new Error("not yet")
      }
    }),
    () =>
      Effect.gen(function*() {
        yield* settle
        yield* happen("D1", mixed)
        yield* advance("1 minute")
        assert.deepStrictEqual(steps, ["one\ntwo", "three"])
        assert.deepStrictEqual(yield* replies, [
          "first one\ntwo",
          "the same",
          "last one\ntwo",
          "pressed",
          "first three",
          "the same",
          "last three"
        ])
        assert.deepInclude(yield* inbox, { done: 4, failed: 0 })
      })
  )

  test(
    "is done where no entry is for it",
    Handler.route({ slashCommand: () => Effect.succeed("never") }),
    () =>
      Effect.gen(function*() {
        yield* happen("D1", mixed)
        yield* settle
        assert.deepStrictEqual(yield* replies, [])
        assert.deepInclude(yield* inbox, { done: 4 })
      })
  )

  const asked = (which: string, second: number): Partial<InboundMessage> => ({
    kind: "slash_command",
    ts: tsAt(second),
    text: which,
    payload: {
      command: "/do",
      text: which,
      user_id: "U1",
      channel_id: "D1",
      response_url: `https://hooks.slack.com/${which}`
    }
  })
  const talk = [line("one", 1), asked("a", 2), line("two", 3), asked("b", 4)]
  const aimed = [
    "React D1/1 eyes",
    `Post first ${tsAt(1)}`,
    "Update again",
    "Respond https://hooks.slack.com/a got it",
    `React D1/3 eyes`,
    `Post first ${tsAt(3)}`,
    "Update again",
    "Respond https://hooks.slack.com/b got it"
  ]
  /** The calls that were committed, in order: what they are aimed at, and what they say. */
  const committed = Effect.flatMap(SqlClient.SqlClient, (sql) =>
    Effect.map(
      sql<{ readonly dispatch: string }>`SELECT dispatch FROM slackwater_outbox ORDER BY id`,
      (rows) =>
        rows.map((row) => {
          const { _tag, name, target, text, url } = JSON.parse(row.dispatch) as Record<string, unknown> & {
            readonly target?: { readonly channel: string; readonly ts: string }
          }
          const at = target === undefined ? undefined : `${target.channel}/${Number(target.ts) - Number(tsAt(0))}`
          return [_tag, at, url, name, text].filter((word) => word !== undefined && word !== "").join(" ")
        })
    ))
  const ofItsOwn = {
    "as Effects": Handler.route({
      message: (turn, { ts }) =>
        Effect.gen(function*() {
          yield* turn.react("eyes")
          const reply = yield* turn.reply({ text: `first ${ts}`, key: "first" })
          yield* reply.update({ text: "again", key: "again" })
        }),
      slashCommand: (turn) => turn.respond({ text: "got it", key: "got it" })
    }),
    "as promises": Handler.routePromise({
      message: async (turn, { ts }) => {
        await turn.react("eyes")
        const reply = await turn.reply({ text: `first ${ts}`, key: "first" })
        await turn.update(reply, { text: "again", key: "again" })
      },
      slashCommand: (turn) => turn.respond({ text: "got it", key: "got it" }).then(() => undefined)
    })
  }
  for (const [style, handler] of Object.entries(ofItsOwn)) {
    test(
      `reacts to, responds to and changes what each call is about, with keys of its own, ${style}`,
      handler,
      () =>
        Effect.gen(function*() {
          yield* settle
          yield* happen("D1", talk)
          yield* settle
          assert.deepStrictEqual(yield* committed, aimed)
        })
    )
  }

  const unlike: Array<unknown> = []
  test(
    "gives an event that looks as no other of its kind to the entry for unknown ones",
    Handler.route({
      blockAction: () => Effect.die("not one of mine"),
      unknown: (_turn, body) => Effect.sync(() => void unlike.push(body))
    }),
    () =>
      Effect.gen(function*() {
        const payload = { type: "block_actions", user: { id: "U1" }, actions: [] }
        yield* happen("D1", [{ ...button("red", 1), payload }])
        yield* settle
        assert.deepStrictEqual(unlike, [payload])
      })
  )
})
