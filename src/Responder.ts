/**
 * Answers inside Slack's three seconds: what goes into the ack of a command, a submitted modal or a select menu that
 * asks for its options.
 *
 * Owns the time for it, 2.5 s from the arrival of the envelope, so that the commit and the ack still fit into Slack's
 * three, and the schemas of what may be answered. Never fails: a responder that fails, hangs, throws or answers
 * something else is logged, and the ack is a plain one.
 * Does not: ack, or store anything (Intake). An answer is not durable, and a responder may run twice for one event.
 */
import { Cause, Clock, Context, Duration, Effect, Exit, Fiber, Layer, Option, Predicate, Schema } from "effect"
import type { Envelope } from "./Envelope.ts"
import { type Event, type EventBody, type EventKind, interactionKind } from "./Event.ts"
import { Hiding } from "./Hiding.ts"
import type { AckPayload } from "./SlackConnection.ts"
import { spanned } from "./spanned.ts"
import { answers, counted } from "./Telemetry.ts"
import { lasting } from "./traceContext.ts"
import { messageOf } from "./Turn.ts"

const View = Schema.Struct({ type: Schema.String })
const PlainText = Schema.Struct({ type: Schema.Literal("plain_text"), text: Schema.String })
const Choices = Schema.Array(Schema.Struct({ text: PlainText, value: Schema.String }))
  .check(Schema.isMaxLength(100))

const responses = {
  /** A message that only the person sees, or, with `in_channel`, everybody. */
  slashCommand: Schema.Struct({
    text: Schema.String,
    response_type: Schema.optionalKey(Schema.Literals(["ephemeral", "in_channel"])),
    blocks: Schema.optionalKey(Schema.Array(Schema.Unknown))
  }),
  /** `errors`, by block id: the modal stays open and no turn begins. */
  viewSubmission: Schema.Union([
    Schema.Struct({
      response_action: Schema.Literal("errors"),
      errors: Schema.Record(Schema.String, Schema.String)
    }),
    Schema.Struct({ response_action: Schema.Literals(["update", "push"]), view: View }),
    Schema.Struct({ response_action: Schema.Literal("clear") })
  ]),
  blockSuggestion: Schema.Union([
    Schema.Struct({ options: Choices }),
    Schema.Struct({
      option_groups: Schema.Array(Schema.Struct({ label: PlainText, options: Choices })).check(Schema.isMaxLength(100))
    })
  ])
}

type Responses = typeof responses
/** What can be answered in the ack. */
export type AnswerableKind = keyof Responses
/** What Slack takes as the answer to this kind. */
export type AckAnswer<K extends AnswerableKind> = Responses[K]["Type"]
type Maybe<A> = A | undefined | void
type Given<A, R> = A | Promise<A> | Effect.Effect<A, unknown, R>
type Entry<Body, A, R> = (body: Body) => Given<A, R>

/** Answers by kind: a value, a promise or an Effect of it; nothing for a plain ack. */
export type Respond<R = never> = {
  readonly [K in AnswerableKind]?: Entry<EventBody<K>, Maybe<AckAnswer<K>>, R>
}

export const answerableKinds = Object.keys(responses) as ReadonlyArray<AnswerableKind>
const isAnswerable = (kind: string): kind is AnswerableKind => Object.hasOwn(responses, kind)

/** Whether this is an object of functions, each named after something that can be answered. */
export const isRespond = (value: unknown): value is Respond =>
  Predicate.isObject(value) && Object.entries(value).every(([kind, f]) => isAnswerable(kind) && typeof f === "function")

/** The responder failed; whatever it failed with is the cause. */
class ResponderError extends Schema.TaggedError<ResponderError>()("ResponderError", {
  cause: Schema.Defect()
}) {}

const checks = {
  slashCommand: Schema.decodeUnknownEffect(responses.slashCommand),
  viewSubmission: Schema.decodeUnknownEffect(responses.viewSubmission),
  blockSuggestion: Schema.decodeUnknownEffect(responses.blockSuggestion)
}

const isEffect = <A, R>(given: Given<A, R>): given is Effect.Effect<A, unknown, R> => Effect.isEffect(given)
const isPromise = <A, R>(given: Given<A, R>): given is Promise<A> => Predicate.isPromiseLike(given)

/** As it will be on the wire: what JSON cannot say is gone, or an error now and not at the ack. Checked, and whole. */
const asPayload = Effect.fnUntraced(function*(kind: AnswerableKind, answer: object) {
  const payload = JSON.parse(JSON.stringify(answer)) as AckPayload
  yield* checks[kind](payload)
  return payload
})

const kindOfEnvelope = ({ payload, type }: Envelope): EventKind =>
  type === "slash_commands"
    ? "slashCommand"
    : type === "interactive" && Predicate.hasProperty(payload, "type")
    ? interactionKind(payload.type)
    : "unknown"

const defaultBudget = Duration.millis(2_500)

export class Responder extends Context.Service<Responder, {
  /** Whether this may take its time. */
  readonly answers: (envelope: Envelope) => boolean
  /** What to put into the ack of an event that arrived then (epoch ms). Never fails and keeps its time. */
  readonly answer: (event: Event, arrivedAt: number) => Effect.Effect<AckPayload | undefined>
}>()("slackwater/Responder") {
  static readonly layer = <R = never>(respond: Respond<R> = {}, budget: Duration.Duration = defaultBudget) =>
    Layer.effect(
      Responder,
      Effect.gen(function*() {
        const context = lasting(yield* Effect.context<R>())
        const hide = yield* Hiding
        const entries = respond as { readonly [kind: string]: Entry<unknown, Maybe<object>, R> }

        const ask = Effect.fnUntraced(function*(kind: AnswerableKind, body: unknown) {
          const given: Given<Maybe<object> | null, R> = entries[kind]?.(body)
          const answer = isEffect(given)
            ? yield* Effect.provideContext(Effect.mapError(given, (cause) => new ResponderError({ cause })), context)
            : isPromise(given)
            ? yield* Effect.promise(async () => await given)
            : given
          return answer == null ? undefined : yield* asPayload(kind, answer)
        })

        const plain = Effect.fnUntraced(function*(kind: AnswerableKind, outcome: "late" | "failed", error: string) {
          yield* counted(answers, outcome)
          yield* Effect.logWarning("the responder has no answer; the ack is a plain one").pipe(
            Effect.annotateLogs({ kind, error: hide(error) })
          )
          return undefined
        })

        const answer = Effect.fnUntraced(function*({ body, kind }: Event, arrivedAt: number) {
          if (!isAnswerable(kind) || entries[kind] === undefined) return undefined
          const left = arrivedAt + Duration.toMillis(budget) - (yield* Clock.currentTimeMillis)
          if (left <= 0) return yield* plain(kind, "late", "the event has waited too long")
          // Apart, so that one that cannot be interrupted holds nothing up.
          const fiber = yield* Effect.forkDetach(Effect.suspend(() => ask(kind, body)), { startImmediately: true })
          const exit = yield* Fiber.await(fiber).pipe(
            Effect.timeoutOption(left),
            Effect.ensuring(Effect.sync(() => fiber.interruptUnsafe()))
          )
          if (Option.isNone(exit)) return yield* plain(kind, "late", `no answer within ${Duration.format(budget)}`)
          if (Exit.isFailure(exit.value)) {
            const failure = Cause.squash(exit.value.cause)
            return yield* plain(kind, "failed", messageOf(failure instanceof ResponderError ? failure.cause : failure))
          }
          yield* counted(answers, exit.value.value === undefined ? "none" : "answered")
          return exit.value.value
        }, spanned("Responder.answer"))

        return Responder.of({ answers: (envelope) => Object.hasOwn(respond, kindOfEnvelope(envelope)), answer })
      })
    )
}
