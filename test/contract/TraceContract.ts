/** The context of a trace stays with what was committed in it, so that a trace goes on in another process. */
import { assert } from "@effect/vitest"
import { Effect, Tracer } from "effect"
import type { OutboxStore } from "../../src/OutboxStore.ts"
import { spanOf } from "../../src/traceContext.ts"
import { arrival, key, post } from "../fixtures/messages.ts"
import { claimed, me, now, type Test } from "./TurnsContract.ts"

/** Somebody listens. */
const listened = Effect.provideService(
  Tracer.Tracer,
  Tracer.make({ span: (options) => Tracer.nativeTracer.span(options) })
)
const inSpan = (traceId: string, sampled = true) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.withParentSpan(effect, Tracer.externalSpan({ traceId, spanId: "00000000000000aa", sampled })).pipe(listened)
const traceOf = (trace: string | null | undefined) => spanOf(trace ?? null)?.traceId
const [one, two] = ["1".repeat(32), "2".repeat(32)]

const claim = (outbox: OutboxStore["Service"]) =>
  outbox.claim({ owner: me, now, limit: 10, exclude: [], admit: () => true, expireBefore: 0 })

export const traceContract = (test: Test) => {
  test("a claimed turn has the traces of its messages, in their order, and again after a crash", (store) =>
    Effect.gen(function*() {
      yield* inSpan(one)(store.append(arrival({ text: "a" })))
      yield* inSpan(two)(store.append(arrival({ text: "b" })))
      yield* store.append(arrival({ text: "nobody listens" }))
      const first = yield* claimed()
      assert.deepStrictEqual(first.traces.map(traceOf), [one, two])
      assert.lengthOf(first.ids, 3)
      assert.strictEqual(first.receivedAt, now)
      yield* store.releaseAll(me, now)
      assert.deepStrictEqual((yield* claimed()).traces, first.traces)
    }))

  test(
    "a reply has the trace of whoever committed it, in a turn and with its completion",
    (store, outbox) =>
      Effect.gen(function*() {
        yield* store.append(arrival({ conversation: key("D1") }))
        const turn = yield* claimed("D1")
        const from = { turn: turn.id, owner: me, attempt: turn.attempt }
        yield* inSpan(one)(outbox.enqueue([post("a", "D1")], from, now))
        yield* inSpan(two)(store.complete(turn.id, me, [post("b", "D2")], now))
        yield* outbox.enqueue([post("c", "D3")], null, now)
        const rows = (yield* claim(outbox)).claimed
        assert.deepStrictEqual(rows.map(({ trace }) => traceOf(trace)), [one, two, undefined])
      })
  )

  test("what a sampler left out stays left out", (store) =>
    Effect.gen(function*() {
      yield* inSpan(one, false)(store.append(arrival()))
      const [trace] = (yield* claimed()).traces
      assert.strictEqual(spanOf(trace ?? null)?.sampled, false)
    }))
}
