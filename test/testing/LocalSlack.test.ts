import { assert, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Result, Scope } from "effect"
import { TestClock } from "effect/testing"
import { type JournalEntry, LocalSlack } from "../../src/testing/index.ts"
import { ack, connect, socketClient } from "./clients.ts"

type Entry<T extends JournalEntry["_tag"]> = Extract<JournalEntry, { readonly _tag: T }>
const is = <T extends JournalEntry["_tag"]>(tag: T) => (entry: JournalEntry): entry is Entry<T> => entry._tag === tag
const general = { channel: "C0GENERAL", user: "U0ALICE" }
const withSlack = Effect.provide(LocalSlack.layer())

it.effect("the real client connects and reads hello", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const socket = yield* connect
    const hello = JSON.parse(yield* socket.frames)
    assert.strictEqual(hello.type, "hello")
    assert.strictEqual(hello.num_connections, 1)
    assert.strictEqual(hello.connection_info.app_id, "A0LOCAL")
    assert.strictEqual(yield* slack.connections, 1)
  }).pipe(withSlack))

it.effect("what a person says is delivered as an event, and the ack is seen", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const socket = yield* connect
    const ts = yield* slack.say({ ...general, text: "hello" })
    const event = yield* socket.delivered
    assert.strictEqual(event.type, "events_api")
    assert.include(event.body.event, { type: "message", text: "hello", ts, channel_type: "channel", user: "U0ALICE" })
    yield* ack(event)
    const acked = yield* slack.awaitJournal(is("AckReceived"))
    assert.strictEqual(acked.envelopeId, event.envelope_id)
    assert.strictEqual(acked.eventId, event.body.event_id)
    assert.deepStrictEqual(yield* slack.unacked, [])
  }).pipe(withSlack))

it.effect("an event that is not acked comes again with its retry fields", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const socket = yield* connect
    yield* slack.say({ ...general, text: "hello" })
    const first = yield* socket.delivered
    assert.strictEqual(first.retry_num, 0)
    yield* TestClock.adjust("3 seconds")
    const second = yield* socket.delivered
    assert.strictEqual(second.retry_num, 1)
    assert.strictEqual(second.retry_reason, "timeout")
    assert.strictEqual(second.body.event_id, first.body.event_id)
    yield* ack(second)
    yield* slack.awaitJournal(is("AckReceived"))
    yield* TestClock.adjust("1 hour")
    assert.strictEqual((yield* slack.journal).filter(is("EnvelopeSent")).length, 2)
  }).pipe(withSlack))

it.effect("dropped acks count as none", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    yield* slack.faults({ dropAcks: true })
    const socket = yield* connect
    yield* slack.say({ ...general, text: "hello" })
    yield* ack(yield* socket.delivered)
    assert.isTrue((yield* slack.awaitJournal(is("AckReceived"))).ignored)
    yield* TestClock.adjust("3 seconds")
    assert.strictEqual((yield* socket.delivered).retry_num, 1)
  }).pipe(withSlack))

it.effect("of two connections exactly one gets an event", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const [one, two] = [yield* connect, yield* connect]
    yield* slack.say({ ...general, text: "first" })
    yield* slack.say({ ...general, text: "second" })
    const texts = [(yield* one.delivered).body.event.text, (yield* two.delivered).body.event.text]
    assert.deepStrictEqual(texts.toSorted((a, b) => String(a).localeCompare(String(b))), ["first", "second"])
    assert.strictEqual((yield* slack.journal).filter(is("EnvelopeSent")).length, 2)
  }).pipe(withSlack))

it.effect("a mention is a message and an app_mention with the same ts", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const socket = yield* connect
    const ts = yield* slack.say({ ...general, text: "<@U0BOT> hi" })
    const [message, mention] = [yield* socket.delivered, yield* socket.delivered]
    assert.deepStrictEqual([message.body.event.type, mention.body.event.type], ["message", "app_mention"])
    assert.deepStrictEqual([message.body.event.ts, mention.body.event.ts], [ts, ts])
    assert.notStrictEqual(message.body.event_id, mention.body.event_id)
    assert.notProperty(mention.body.event, "channel_type")
  }).pipe(withSlack))

it.effect("an event that happens while nobody is connected arrives on connect", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    yield* slack.say({ ...general, text: "early" })
    yield* TestClock.adjust("1 hour")
    const socket = yield* connect
    const event = yield* socket.delivered
    assert.strictEqual(event.body.event.text, "early")
    assert.strictEqual(event.retry_num, 0)
  }).pipe(withSlack))

it.effect("an event that happens while nobody is connected is lost when the fault says so", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    yield* slack.faults({ deliverWhileDown: false })
    yield* slack.say({ ...general, text: "early" })
    const socket = yield* connect
    yield* slack.say({ ...general, text: "later" })
    assert.strictEqual((yield* socket.delivered).body.event.text, "later")
    assert.strictEqual((yield* slack.journal).filter(is("EnvelopeLost")).length, 1)
  }).pipe(withSlack))

it.effect("a ticket opens one connection", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const response = yield* Effect.promise(() =>
      fetch(`${slack.apiUrl}apps.connections.open`, { method: "POST", headers: { authorization: "Bearer xapp-1" } })
    )
    const { url } = (yield* Effect.promise(() => response.json())) as { readonly url: string }
    const tryOpen = Effect.callback<"open" | "refused">((resume) => {
      const socket = new WebSocket(url)
      socket.onopen = () => resume(Effect.succeed("open"))
      socket.onerror = () => resume(Effect.succeed("refused"))
    })
    assert.deepStrictEqual([yield* tryOpen, yield* tryOpen], ["open", "refused"])
  }).pipe(withSlack))

it.effect("a disconnect frame carries its reason, and nothing is routed to that connection any more", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const [old] = [yield* connect]
    yield* old.frames
    assert.strictEqual(yield* slack.disconnect("refresh_requested"), 1)
    assert.include(JSON.parse(yield* old.frames), { type: "disconnect", reason: "refresh_requested" })
    const fresh = yield* connect
    yield* slack.say({ ...general, text: "after" })
    assert.strictEqual((yield* fresh.delivered).body.event.text, "after")
  }).pipe(withSlack))

it.effect("dropping the connections is seen by the client and by the journal", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const socket = yield* connect
    const disconnected = Effect.callback<void>((resume) => {
      socket.client.once("disconnected", () => resume(Effect.void))
    })
    assert.strictEqual(yield* slack.dropConnections, 1)
    yield* disconnected
    assert.strictEqual((yield* slack.awaitJournal(is("ConnectionClosed"))).live, 0)
  }).pipe(withSlack))

it.effect("redelivery by event id is the next retry, by envelope id the same frame", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const socket = yield* connect
    yield* slack.say({ ...general, text: "again" })
    const first = yield* socket.delivered
    yield* ack(first)
    assert.isTrue(yield* slack.redeliver(first.body.event_id))
    assert.strictEqual((yield* socket.delivered).retry_num, 1)
    assert.isTrue(yield* slack.redeliver(first.envelope_id))
    assert.strictEqual((yield* socket.delivered).envelope_id, first.envelope_id)
    assert.isFalse(yield* slack.redeliver("Ev-unknown"))
  }).pipe(withSlack))

it.effect("raw frames reach the client as they are", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const socket = yield* connect
    yield* socket.frames
    assert.isTrue(yield* slack.sendRaw("not json"))
    assert.strictEqual(yield* socket.frames, "not json")
  }).pipe(withSlack))

it.effect("a command is an envelope whose ack carries the answer", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const socket = yield* connect
    const id = yield* slack.sendEnvelope("slash_commands", { command: "/do", text: "it" })
    const command = yield* socket.delivered
    assert.strictEqual(command.type, "slash_commands")
    yield* Effect.promise(() => command.ack({ text: "done" }))
    const acked = yield* slack.awaitJournal(is("AckReceived"))
    assert.deepStrictEqual([acked.envelopeId, acked.payload], [id, { text: "done" }])
  }).pipe(withSlack))

it.effect("apps.connections.open fails with the code it is told", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    yield* slack.faults({ openError: "token_revoked" })
    const failure = yield* Effect.flip((yield* socketClient).start)
    assert.include(String(failure), "token_revoked")
  }).pipe(withSlack))

it.live("a refused upgrade, a missing hello and a missing answer all leave the client unconnected", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    for (const fault of ["refuseWebSocket", "noHello", "hangUpgrade"] as const) {
      yield* slack.faults({ [fault]: true })
      const socket = yield* socketClient
      const outcome = yield* Effect.result(Effect.timeout(socket.start, "100 millis"))
      assert.isTrue(Result.isFailure(outcome), fault)
      yield* slack.clearFaults
    }
    assert.strictEqual(yield* slack.connections, 0)
  }).pipe(withSlack))

it.live("a port in use is a typed failure", () =>
  Effect.gen(function*() {
    const { port } = yield* LocalSlack
    const failure = yield* Effect.flip(Effect.scoped(Layer.build(LocalSlack.layer({ port }))))
    assert.deepStrictEqual([failure.reason._tag, failure.message], [
      "PortInUse",
      `LocalSlack: port ${port} is in use`
    ])
  }).pipe(withSlack))

it.live("closing ends every connection within a second, also while an answer is held back", () =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const context = yield* Layer.buildWithScope(
      LocalSlack.layer({ faults: { delayMs: { method: "*", ms: 60_000 } } }),
      scope
    )
    const slack = Context.get(context, LocalSlack)
    const unanswered = yield* Effect.forkChild(Effect.exit(Effect.promise(() => fetch(`${slack.apiUrl}auth.test`))))
    yield* slack.awaitJournal(is("ApiCall"))
    yield* slack.faults({ delayMs: null })
    const { client } = yield* Effect.provideContext(connect, context)
    const disconnected = yield* Deferred.make<void>()
    client.once("disconnected", () => {
      Deferred.doneUnsafe(disconnected, Effect.void)
    })
    yield* Effect.timeout(Scope.close(scope, Exit.void), "1500 millis")
    yield* Deferred.await(disconnected)
    assert.isTrue(Exit.isFailure(yield* Fiber.join(unanswered)))
  }))
