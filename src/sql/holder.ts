/**
 * Who holds a client's connection with a transaction, by the span of the transaction.
 *
 * A span says when it has ended, so a transaction that was rolled back behind our back is not taken for the holder.
 */
import { Context, Effect, Option, Tracer } from "effect"
import type { SqlClient } from "effect/sql"

/** Per client (its transaction service is one of a kind): the last transaction that was seen. */
const lastSeen = new WeakMap<object, Tracer.Span>()

/** The outermost transaction around a span. */
const transactionAround = (span: Tracer.AnySpan | undefined): Tracer.Span | undefined => {
  let found: Tracer.Span | undefined
  for (let at = span; at?._tag === "Span"; at = Option.getOrUndefined(at.parent)) {
    if (at.name === "sql.transaction") found = at
  }
  return found
}

/** Run inside a transaction: remembers it as the one that holds the connection. */
export const rememberTransaction =
  (sql: Pick<SqlClient.SqlClient, "transactionService">) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.withFiber((fiber) => {
      const span = transactionAround(Context.getOrUndefined(fiber.context, Tracer.ParentSpan))
      if (span !== undefined) lastSeen.set(sql.transactionService, span)
      return effect
    })

/** What opened the transaction that is open now; undefined if that is not known. */
export const holderOf = (sql: SqlClient.SqlClient): string | undefined => {
  const span = lastSeen.get(sql.transactionService)
  if (span === undefined || span.status._tag === "Ended") return undefined
  const parent = Option.getOrUndefined(span.parent)
  return parent === undefined
    ? undefined
    : `span ${parent._tag === "Span" ? parent.name : parent.spanId}`
}
