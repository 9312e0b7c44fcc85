/** Where somebody listens by OTLP: one message is one trace, from its envelope to its delivered reply, across `kill -9`. */
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { LocalSlack } from "../../src/testing/index.ts"
import { Collector, exportTo, type Span } from "../fixtures/collector.ts"
import { awaitReplies, gateway } from "./gateway.ts"
import { echo, eventually, fixture } from "./process.ts"

const withBoth = Effect.provide(Layer.merge(LocalSlack.layer(), Collector.layer))

const named = (collector: Collector["Service"], ...names: ReadonlyArray<string>) =>
  eventually(
    `spans ${names.join(", ")}`,
    Effect.sync(() => collector.spans()),
    (spans) => names.every((name) => spans.some((span) => span.name === name))
  )

const only = (spans: ReadonlyArray<Span>, name: string, where: (span: Span) => boolean = () => true): Span => {
  const [found, ...others] = spans.filter((span) => span.name === name && where(span))
  if (found === undefined) throw new Error(`no span ${name} among ${spans.map(({ name }) => name).join(", ")}`)
  assert.lengthOf(others, 0, `one span ${name}`)
  return found
}

/** The names from a span up to its root, as far as they are there. */
const ancestors = (spans: ReadonlyArray<Span>, from: Span): ReadonlyArray<string> => {
  const parent = spans.find(({ spanId }) => spanId === from.parentSpanId)
  return parent === undefined ? [from.name] : [from.name, ...ancestors(spans, parent)]
}

it.live("one trace follows a message from its envelope to the delivered reply, across kill -9 in the middle of its turn", () =>
  Effect.gen(function*() {
    const collector = yield* Collector
    const env = exportTo(collector)
    const first = yield* gateway(fixture("halfway"), env)
    yield* first.say("hello")
    yield* named(collector, "Intake.accept", "MessageStore.append", "Turn.step")
    yield* first.running.signal("SIGKILL")
    yield* first.running.ended
    const before = collector.spans().length

    const second = yield* gateway(fixture("halfway"), env, first.cwd)
    yield* awaitReplies(second, 1)
    yield* named(collector, "TurnRunner.run", "Outbox.send")
    yield* second.running.signal("SIGTERM")
    assert.strictEqual((yield* second.running.ended).code, 0)

    const spans = collector.spans()
    const accepted = only(spans.slice(0, before), "Intake.accept")
    assert.isUndefined(accepted.parentSpanId)
    const trace = spans.filter(({ traceId }) => traceId === accepted.traceId)
    const ofFirst = trace.filter((span) => spans.indexOf(span) < before)
    const ofSecond = trace.filter((span) => spans.indexOf(span) >= before)
    assert.deepStrictEqual(
      ancestors(ofFirst, only(ofFirst, "MessageStore.append")),
      ["MessageStore.append", "Intake.accept"]
    )
    const search = { step: "search" }
    assert.include(only(ofFirst, "Turn.step").attributes, search)

    // In the second process everything hangs together, and hangs on what the first one stored.
    const run = only(ofSecond, "TurnRunner.run")
    assert.strictEqual(run.parentSpanId, only(ofFirst, "MessageStore.append").spanId)
    assert.include(run.attributes, { conversation: "D0ALICE", attempt: 2 })
    const steps = ofSecond.filter(({ name }) => name === "Turn.step")
    assert.deepStrictEqual(steps.map(({ attributes }) => attributes["step"]), ["search", "write"])
    for (const step of steps) assert.strictEqual(step.parentSpanId, run.spanId)
    const sent = only(ofSecond, "Outbox.send")
    assert.deepStrictEqual(ancestors(trace, sent), [
      "Outbox.send",
      "MessageStore.complete",
      "TurnRunner.run",
      "MessageStore.append",
      "Intake.accept"
    ])
    const call = only(ofSecond, "SlackApi.call", ({ attributes }) => attributes["method"] === "chat.postMessage")
    assert.deepStrictEqual(ancestors(ofSecond, call).slice(0, 3), ["SlackApi.call", "SlackApi.send", "Outbox.send"])
    assert.include(accepted.resource, { "service.name": "slackwater" })

    // Looking for work is no trace, and neither is the life of the process.
    const roots = new Set(spans.filter(({ parentSpanId }) => parentSpanId === undefined).map(({ name }) => name))
    for (const name of roots) assert.notMatch(name, /^(?:run$|sql|MessageStore|OutboxStore)/)
    assert.notInclude(JSON.stringify(collector.received()), "hello")
  }).pipe(withBoth))

it.live("metrics and logs go to the collector too, as protobuf where nothing else is asked for", () =>
  Effect.gen(function*() {
    const collector = yield* Collector
    const { OTEL_EXPORTER_OTLP_PROTOCOL: _, ...env } = exportTo(collector)
    const { running } = yield* gateway(echo, { ...env, OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20k3y" })
    const came = (path: string, text: string) =>
      eventually(
        path,
        Effect.sync(() => collector.received()),
        (all) => all.some((one) => one.path === path && one.body.includes(text)),
        running
      )
    yield* came("/v1/metrics", "slackwater_inbox_messages")
    yield* came("/v1/logs", "connected to Slack")
    assert.isTrue(collector.received().every(({ type }) => type === "application/x-protobuf"))
    assert.strictEqual(collector.authorization(), "Bearer k3y")
  }).pipe(withBoth))

it.live("a collector that hangs holds nothing up, neither answers nor the stop", () =>
  Effect.gen(function*() {
    const collector = yield* Collector
    collector.be("hangs")
    const started = yield* gateway(echo, { ...exportTo(collector), SLACKWATER_SHUTDOWN_TIMEOUT: "5 seconds" })
    yield* started.say("one")
    yield* awaitReplies(started, 1)
    yield* started.running.signal("SIGTERM")
    // Not 70: the deadline and the timer behind it were not needed.
    assert.strictEqual((yield* started.running.ended).code, 0)
    assert.match(started.running.stderr, /"stopped"/)
  }).pipe(withBoth))

it.live("a collector that refuses is said once", () =>
  Effect.gen(function*() {
    const collector = yield* Collector
    collector.be("refuses")
    const { running, say } = yield* gateway(echo, exportTo(collector))
    yield* say("one")
    yield* running.awaitOutput(/collector of OTEL_EXPORTER_OTLP_ENDPOINT takes nothing/)
    yield* running.signal("SIGTERM")
    assert.strictEqual((yield* running.ended).code, 0)
    assert.strictEqual(running.count(/takes nothing/), 1)
  }).pipe(withBoth))
