/** Spans of a gateway inside somebody else's application go to that application's tracer, each message as one trace. */
import { assert, it } from "@effect/vitest"
import { Effect, Tracer } from "effect"
import { Handler } from "slackwater"
import { LocalSlack } from "slackwater/testing"
import {
  answered,
  dm,
  eventually,
  startGateway,
  temporaryDirectory,
  withDatabase,
  withSlack
} from "./fixtures/gateway.ts"

/** The host's tracer, which remembers. */
const remembering = () => {
  const spans: Array<Tracer.Span> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = Tracer.nativeTracer.span(options)
      spans.push(span)
      return span
    }
  })
  return { spans, tracer }
}

const handler = Handler.make((turn) =>
  Effect.as(turn.step("think", Effect.succeed(1).pipe(Effect.withSpan("the host's own"))), `You said: ${turn.text}`)
)

it.live("a message is one trace in the host's tracer, whatever the host was doing when it started us", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const dataDir = yield* temporaryDirectory
    const { spans, tracer } = remembering()
    const named = (name: string) => spans.filter((span) => span.name === name)
    yield* startGateway(dataDir, handler).pipe(
      Effect.withSpan("the start of the host"),
      Effect.provideService(Tracer.Tracer, tracer)
    )
    for (const text of ["one", "two"]) {
      yield* slack.say({ ...dm, text })
      yield* answered("D0ALICE", `You said: ${text}`)
    }
    yield* eventually("both were sent", Effect.sync(() => named("SlackApi.send").length === 2))
    const accepted = named("Intake.accept").filter(({ attributes }) => attributes.get("conversation") === "D0ALICE")
    const traces = accepted.map(({ traceId }) => traceId)
    assert.strictEqual(new Set(traces).size, traces.length)
    for (const name of ["TurnRunner.run", "Turn.step", "the host's own", "Outbox.send"]) {
      const own = named(name).map(({ traceId }) => traceId)
      assert.lengthOf(own, 2, name)
      assert.strictEqual(new Set(own).size, 2, name)
      for (const trace of own) assert.include(traces, trace, name)
    }
  }).pipe(withSlack))

it.live("where nobody listens no trace is stored", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const dataDir = yield* temporaryDirectory
    yield* startGateway(dataDir, handler)
    yield* slack.say({ ...dm, text: "one" })
    yield* answered("D0ALICE", "You said: one")
    const row = yield* withDatabase(dataDir, (database) =>
      database.prepare(
        "SELECT (SELECT count(trace) FROM slackwater_messages) + (SELECT count(trace) FROM slackwater_outbox) AS n, (SELECT count(*) FROM slackwater_outbox) AS replies"
      ).get())
    assert.deepInclude({ ...row }, { n: 0, replies: 1 })
  }).pipe(withSlack))
