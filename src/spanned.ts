/**
 * A span where somebody listens, and nothing where nobody does.
 *
 * `Effect.fn` and `Effect.withSpan` make an error with its stack for each call, and often a span, whoever listens; on a
 * message's way that was a sixth of the processor time. These spans say where they are by their names alone.
 * Does not: decide who listens (traceContext does).
 */
import { Effect, Tracer } from "effect"
import { isHeard } from "./traceContext.ts"

/** As an argument of `Effect.fnUntraced` behind its body, or in a pipe. Options that cost something are a function. */
export const spanned =
  (name: string, options: Tracer.SpanOptionsNoTrace | (() => Tracer.SpanOptionsNoTrace) = {}) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.withFiber((fiber) => {
      if (!isHeard(fiber)) return effect
      const given = typeof options === "function" ? options() : options
      return Effect.useSpan(name, given, (span) => Effect.provideService(effect, Tracer.ParentSpan, span))
    })
