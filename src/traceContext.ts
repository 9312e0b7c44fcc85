/**
 * One trace for one message, across restarts: the context of a trace as it is kept with a row (W3C `traceparent`), and
 * work that goes on in it.
 *
 * A row's trace is the span that committed it. What is done with the row later, in whatever process, is a child of that
 * span; a `kill -9` may have taken the parent itself with it, and then the trace has a gap but is one. What a sampler
 * left out stays left out.
 * Does not: keep anything where nobody listens: then the column is null.
 */
import { Context, Effect, type Fiber, Option, References, Tracer } from "effect"
import { Headers, HttpTraceContext } from "effect/http"

/** Other messages of a turn that its span is linked to, at most. */
const mostLinks = 32

const isId = (id: string, length: number) => id.length === length && /^[0-9a-f]+$/.test(id)

const nobody = Effect.succeed(null)
/** Whether somebody listens. Effect's own tracer keeps spans for nobody, so it counts as nobody. */
export const isHeard = (fiber: Fiber.Fiber<unknown, unknown>): boolean =>
  fiber.getRef(References.TracerEnabled) && fiber.getRef(Tracer.Tracer) !== Tracer.nativeTracer

/** The span in force, to be kept; null where nobody listens. */
export const traceparent: Effect.Effect<string | null> = Effect.withFiber((fiber) => {
  if (!isHeard(fiber)) return nobody
  const span = Context.getOrUndefined(fiber.context, Tracer.ParentSpan)
  if (span === undefined || !isId(span.traceId, 32) || !isId(span.spanId, 16)) return nobody
  return Effect.succeed(`00-${span.traceId}-${span.spanId}-${span.sampled ? "01" : "00"}`)
})

/** What was kept; undefined for nothing, or for what makes no sense. */
export const spanOf = (trace: string | null): Tracer.ExternalSpan | undefined =>
  trace === null ? undefined : Option.getOrUndefined(HttpTraceContext.w3c(Headers.fromInput({ traceparent: trace })))

/** Spans of the effect are children of what was kept. */
export const continuing =
  (trace: string | null) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
    const span = spanOf(trace)
    return span === undefined ? effect : Effect.withParentSpan(effect, span)
  }

/** For a span about several rows: child of the first, linked to the others. */
export const parentAndLinks = (traces: ReadonlyArray<string>) => {
  const [parent, ...others] = [...new Set(traces)].slice(0, mostLinks + 1).flatMap((trace) => spanOf(trace) ?? [])
  const links: Array<Tracer.SpanLink> = others.map((span) => ({ span, attributes: {} }))
  return parent === undefined ? {} : { parent, links }
}

/**
 * The services of a context, without the moment in which it was taken: its span, and what its log lines say. What is
 * provided with it later, for a turn, keeps the turn's own.
 */
export const lasting = <R>(context: Context.Context<R>): Context.Context<R> =>
  Context.omit(Tracer.ParentSpan, References.CurrentLogAnnotations, References.CurrentLogSpans)(
    context
  ) as Context.Context<R>
