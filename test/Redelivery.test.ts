/**
 * Slack says the same thing more than once: repeated envelopes, retries 1 to 3, two events about one message, one message
 * under two teams. Whatever has become of the first meanwhile, it is one turn.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Duration, Effect, Exit, Scope } from "effect"
import { Handler, MessageStore, type Turn } from "slackwater"
import { LocalSlack } from "slackwater/testing"
import {
  answered,
  answers,
  connected,
  dm,
  eventually,
  startGateway,
  temporaryDirectory,
  withDatabase,
  withSlack
} from "./fixtures/gateway.ts"

const place = { channel: "C0GENERAL", user: "U0BOB" }

/** Slack repeats nothing by itself here; the tests do. */
const silent = { faults: { retryDelaysMs: [] } }

/** Notes what each run was given, and waits for `go` where there is one. */
const noting = (go: Effect.Effect<void> = Effect.void) => {
  const runs: Array<string> = []
  const handler = Handler.make((turn) => {
    runs.push(turn.text)
    return Effect.as(go, `answer to ${turn.text}`)
  })
  return { runs, handler }
}

/** Says it, and answers the event that Slack sent for it. */
const say = Effect.fnUntraced(function*(text: string) {
  const slack = yield* LocalSlack
  const after = (yield* slack.journal).at(-1)?.n ?? 0
  yield* slack.say({ ...dm, text })
  const sent = yield* slack.awaitJournal((entry) => entry._tag === "EnvelopeSent" && entry.type === "message", {
    after
  })
  if (sent._tag !== "EnvelopeSent" || sent.eventId === undefined) return yield* Effect.die(new Error("not an event"))
  return { envelopeId: sent.envelopeId, eventId: sent.eventId }
})

/** The same frame again (attempt 0), and then as Slack's retries 1, 2 and 3; waits until each was acked. */
const repeat = Effect.fnUntraced(function*(event: { readonly envelopeId: string; readonly eventId: string }) {
  const slack = yield* LocalSlack
  const attempts: Array<number> = []
  for (const id of [event.envelopeId, event.eventId, event.eventId, event.eventId]) {
    const after = (yield* slack.journal).at(-1)?.n ?? 0
    yield* eventually("it is sent again", slack.redeliver(id))
    const sent = yield* slack.awaitJournal(
      (entry) => entry._tag === "EnvelopeSent" && entry.eventId === event.eventId,
      { after }
    )
    if (sent._tag === "EnvelopeSent") attempts.push(sent.attempt)
    yield* slack.awaitJournal((entry) => entry._tag === "AckReceived" && entry.eventId === event.eventId, { after })
  }
  assert.deepStrictEqual(attempts, [0, 1, 2, 3])
})

/** Says one more thing elsewhere and waits for its answer: what came before it had its chance to become a turn. */
const afterwards = Effect.gen(function*() {
  const slack = yield* LocalSlack
  yield* slack.say({ channel: "D0BOB", user: "U0BOB", text: "afterwards" })
  yield* answered("D0BOB", "answer to afterwards")
})

const once = Effect.fnUntraced(function*(runs: ReadonlyArray<string>) {
  yield* afterwards
  assert.deepStrictEqual(runs.filter((text) => text !== "afterwards"), ["hello"])
  assert.deepStrictEqual(yield* answers("D0ALICE"), ["answer to hello"])
})

describe("an event that comes again, as the same frame and as retries 1 to 3, is one turn", () => {
  it.live("while it waits in its quiet window", () =>
    Effect.gen(function*() {
      const { handler, runs } = noting()
      const gateway = yield* startGateway(yield* temporaryDirectory, handler, { debounce: Duration.seconds(2) })
      yield* repeat(yield* say("hello"))
      assert.strictEqual((yield* Context.get(gateway, MessageStore).counts).queued, 1)
      yield* once(runs)
    }).pipe((test) => withSlack(test, silent)))

  it.live("while it is being handled", () =>
    Effect.gen(function*() {
      const go = yield* Deferred.make<void>()
      const { handler, runs } = noting(Deferred.await(go))
      const gateway = yield* startGateway(yield* temporaryDirectory, handler)
      const event = yield* say("hello")
      const counts = Context.get(gateway, MessageStore).counts
      yield* eventually("it is being handled", Effect.map(counts, ({ processing }) => processing === 1))
      yield* repeat(event)
      assert.strictEqual((yield* counts).processing, 1)
      yield* Deferred.succeed(go, undefined)
      yield* once(runs)
    }).pipe((test) => withSlack(test, silent)))

  it.live("after it is done, on the same connection and on another", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const { handler, runs } = noting()
      yield* startGateway(yield* temporaryDirectory, handler)
      const event = yield* say("hello")
      yield* answered("D0ALICE", "answer to hello")
      yield* repeat(event)
      const after = (yield* slack.journal).at(-1)?.n ?? 0
      yield* slack.dropConnections
      yield* slack.awaitJournal((entry) => entry._tag === "ConnectionOpened", { after })
      yield* eventually("it is sent again", slack.redeliver(event.eventId))
      yield* slack.awaitJournal((entry) => entry._tag === "AckReceived" && entry.eventId === event.eventId, { after })
      yield* once(runs)
    }).pipe((test) => withSlack(test, silent)))

  it.live("after a restart, done or not", () =>
    Effect.gen(function*() {
      const dataDir = yield* temporaryDirectory
      const stuck = noting(Effect.never)
      const { handler, runs } = noting()
      const events: Array<Effect.Success<ReturnType<typeof say>>> = []
      for (const one of [handler, stuck.handler]) {
        const scope = yield* Scope.make()
        const settings = { shutdownTimeout: Duration.seconds(1) }
        const gateway = yield* Scope.provide(startGateway(dataDir, one, settings), scope)
        events.push(yield* say("hello"))
        const { counts } = Context.get(gateway, MessageStore)
        yield* eventually(
          "handled, or in the middle of it",
          Effect.map(counts, (n) => one === handler ? n.done === 1 : n.processing === 1)
        )
        if (one === handler) yield* answered("D0ALICE", "answer to hello")
        yield* Scope.close(scope, Exit.void)
      }
      yield* startGateway(dataDir, handler)
      for (const event of events) yield* repeat(event)
      yield* afterwards
      yield* eventually("both answered", Effect.map(answers("D0ALICE"), (said) => said.length === 2))
      assert.deepStrictEqual(runs.filter((text) => text !== "afterwards"), ["hello", "hello"])
      assert.deepStrictEqual(stuck.runs, ["hello"])
      assert.lengthOf(yield* answers("D0ALICE"), 2)
    }).pipe((test) => withSlack(test, silent)))

  it.live("when it is a slash command or a button, which Slack sends as the same frame only", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const kinds: Array<string> = []
      const handler = Handler.make((turn: Turn) => {
        kinds.push(...turn.messages.map(({ kind }) => kind))
        return Effect.void
      })
      yield* startGateway(yield* temporaryDirectory, handler)
      yield* slack.awaitJournal((entry) => entry._tag === "ConnectionOpened")
      yield* connected
      const button = {
        type: "block_actions",
        user: { id: "U0ALICE" },
        channel: { id: "D0ALICE" },
        trigger_id: "1.2.3",
        actions: [{ action_id: "yes", action_ts: "1790000000.000001" }]
      }
      for (
        const envelopeId of [
          yield* slack.command({ channel: "D0ALICE", user: "U0ALICE", command: "/ask", text: "hello" }),
          yield* slack.sendEnvelope("interactive", button)
        ]
      ) {
        const isAck = (entry: { readonly _tag: string; readonly envelopeId?: string }) =>
          entry._tag === "AckReceived" && entry.envelopeId === envelopeId
        const first = yield* slack.awaitJournal(isAck)
        assert.isTrue(yield* slack.redeliver(envelopeId))
        yield* slack.awaitJournal(isAck, { after: first.n })
      }
      yield* slack.say({ ...dm, text: "last" })
      yield* eventually("the last one is handled", Effect.sync(() => kinds.includes("message")))
      assert.deepStrictEqual(kinds.toSorted(), ["interactive", "message", "slash_command"])
    }).pipe((test) => withSlack(test, silent)))
})

/** An event as Slack frames it, with what the test wants in it. */
const frame = (id: string, event: Record<string, unknown>, team = "T0LOCAL") =>
  JSON.stringify({
    envelope_id: `envelope-${id}`,
    type: "events_api",
    accepts_response_payload: false,
    retry_attempt: 0,
    retry_reason: "",
    payload: { type: "event_callback", team_id: team, event_id: id, event }
  })

const bring = Effect.fnUntraced(function*(id: string, event: Record<string, unknown>, team?: string) {
  const slack = yield* LocalSlack
  yield* eventually("a connection", slack.sendRaw(frame(id, event, team)))
  yield* slack.awaitJournal((entry) => entry._tag === "AckReceived" && entry.envelopeId === `envelope-${id}`)
})

/** A message of which no event has come yet: it was said while nobody was connected, and Slack keeps none. */
const unheard = Effect.gen(function*() {
  const slack = yield* LocalSlack
  yield* slack.faults({ deliverWhileDown: false })
  const text = "<@U0BOT> hello"
  const ts = yield* slack.say({ ...place, text })
  return { ...place, text, ts, event_ts: ts }
})

const onceInChannel = Effect.fnUntraced(function*(runs: ReadonlyArray<string>) {
  yield* answered("C0GENERAL", "answer to hello")
  yield* afterwards
  assert.deepStrictEqual(runs.filter((text) => text !== "afterwards"), ["hello"])
  assert.deepStrictEqual(yield* answers("C0GENERAL"), ["answer to hello"])
})

describe("one message that comes as two events is one turn", () => {
  it.live("under the two teams of a shared channel (Slack Connect)", () =>
    Effect.gen(function*() {
      const { handler, runs } = noting()
      const event = { type: "message", channel_type: "channel", ...yield* unheard }
      yield* startGateway(yield* temporaryDirectory, handler)
      for (const type of ["message", "app_mention"]) {
        for (const team of ["T0LOCAL", "T0OTHER"]) yield* bring(`${type}-${team}`, { ...event, type }, team)
      }
      yield* onceInChannel(runs)
    }).pipe((test) => withSlack(test, silent)))

  for (const types of [["message", "app_mention"], ["app_mention", "message"]] as const) {
    it.live(`when ${types[0]} comes before a restart and ${types[1]} after it`, () =>
      Effect.gen(function*() {
        const dataDir = yield* temporaryDirectory
        const { handler, runs } = noting()
        const said = yield* unheard
        const scope = yield* Scope.make()
        yield* Scope.provide(startGateway(dataDir, handler), scope)
        // Only a mention starts a turn in a channel; the message alone is ignored at first.
        yield* bring("first", { type: types[0], ...said })
        if (types[0] === "app_mention") yield* answered("C0GENERAL", "answer to hello")
        yield* Scope.close(scope, Exit.void)
        yield* startGateway(dataDir, handler)
        yield* bring("second", { type: types[1], ...said })
        yield* onceInChannel(runs)
        const rows = yield* withDatabase(
          dataDir,
          (database) =>
            database.prepare("SELECT count(*) AS n FROM slackwater_messages WHERE slack_ts = ?").get(said.ts)
        )
        assert.strictEqual(rows?.["n"], 1)
      }).pipe((test) => withSlack(test, silent)))
  }
})

describe("a reply in the thread of a mention that Slack has to deliver again", () => {
  it.live("is handled with the mention, although it came first", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const { handler, runs } = noting()
      const mention = yield* unheard
      const text = "and hurry"
      const ts = yield* slack.say({ ...place, text, thread_ts: mention.ts })
      yield* startGateway(yield* temporaryDirectory, handler)
      yield* bring("reply", { type: "message", channel_type: "channel", ...place, text, ts, thread_ts: mention.ts })
      for (const type of ["message", "app_mention"]) yield* bring(type, { ...mention, type, channel_type: "channel" })
      yield* answered("C0GENERAL", "answer to hello\nand hurry")
      yield* afterwards
      assert.deepStrictEqual(runs, ["hello\nand hurry", "afterwards"])
    }).pipe((test) => withSlack(test, silent)))
})

describe("two people in one thread", () => {
  it.live("who write within one quiet window, also over two connections, make one turn", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const { handler, runs } = noting()
      yield* startGateway(yield* temporaryDirectory, handler, { debounce: Duration.millis(700) })
      const root = yield* slack.say({ ...place, text: "<@U0BOT> what do you think" })
      yield* eventually("acked", Effect.map(slack.unacked, (ids) => ids.length === 0))
      const after = (yield* slack.journal).at(-1)?.n ?? 0
      yield* slack.disconnect("refresh_requested")
      yield* slack.awaitJournal((entry) => entry._tag === "ConnectionOpened", { after })
      yield* slack.say({ channel: "C0GENERAL", user: "U0ALICE", text: "I like it", thread_ts: root })
      yield* slack.say({ ...place, text: "so do I", thread_ts: root })
      yield* eventually("handled", Effect.sync(() => runs.length > 0))
      yield* afterwards
      const [first = "", ...rest] = runs.filter((text) => text !== "afterwards")
      assert.deepStrictEqual(first.split("\n"), ["what do you think", "I like it", "so do I"])
      assert.isEmpty(rest)
    }).pipe((test) => withSlack(test, silent)))
})
