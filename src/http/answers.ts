/** How answers look: JSON of a known shape, and errors as one sentence. */
import { Effect, Schema } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import type { StoreError } from "../StoreError.ts"

/** What every error looks like. */
const ErrorAnswer = Schema.Struct({ error: Schema.String })

/** A request that is answered with a sentence and a status. */
export class Refusal extends Schema.TaggedError<Refusal>()("Refusal", {
  status: Schema.Int,
  error: Schema.String,
  headers: Schema.optionalKey(Schema.Record(Schema.String, Schema.String))
}) {
  override get message(): string {
    return this.error
  }
}

export const refusal = ({ error, headers, status }: Refusal) =>
  HttpServerResponse.jsonUnsafe({ error } satisfies typeof ErrorAnswer.Type, { status, headers })

/** An answer of this shape; what went wrong on the way says so. */
export const answering = <A, I>(shape: Schema.Codec<A, I>) => {
  const encode = Schema.encodeEffect(shape)
  return <R>(effect: Effect.Effect<A, Refusal | StoreError, R>) =>
    effect.pipe(
      Effect.flatMap((value) => Effect.orDie(encode(value))),
      Effect.map((json) => HttpServerResponse.jsonUnsafe(json)),
      Effect.catchTags({
        Refusal: (refused) => Effect.succeed(refusal(refused)),
        // The database is away; whoever asks may ask again.
        StoreError: ({ message }) =>
          Effect.succeed(refusal(new Refusal({ status: 503, error: message, headers: { "retry-after": "1" } })))
      })
    )
}

const isJson = (type: string | undefined) => /^application\/json\s*(;|$)/i.test(type ?? "")

/** The body, which must be JSON of this shape; none at all is `{}`. */
export const bodyOf = <A, I>(shape: Schema.Codec<A, I>) => {
  const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(shape))
  return Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const text = yield* Effect.mapError(
      request.text,
      () => new Refusal({ status: 413, error: "the body could not be read, or is too large" })
    )
    if (text !== "" && !isJson(request.headers["content-type"])) {
      return yield* new Refusal({ status: 415, error: "the body must be JSON, with content-type application/json" })
    }
    return yield* Effect.mapError(
      decode(text === "" ? "{}" : text),
      (error) => new Refusal({ status: 400, error: `the body is not what is expected: ${oneLine(error.message)}` })
    )
  })
}

/** The part of the address behind the question mark, decoded. */
export const queryOf = <A, I extends Readonly<Record<string, string | ReadonlyArray<string> | undefined>>>(
  shape: Schema.Codec<A, I>
) =>
  Effect.mapError(
    HttpServerRequest.schemaSearchParams(shape),
    (error) => new Refusal({ status: 400, error: `the query is not what is expected: ${oneLine(error.message)}` })
  )

const mostText = 300
const oneLine = (text: string) => text.replaceAll(/\s+/g, " ").slice(0, mostText)
