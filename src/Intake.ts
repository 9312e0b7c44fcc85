/**
 * The only place that acknowledges: commit first, then ack.
 *
 * Where the ack may carry an answer, the responder runs before the commit, because what it says decides what is
 * stored: a modal that is answered with errors has not been submitted. Its time is bounded, and a stop cuts it short
 * without costing the event.
 * Guarantees: no envelope is acked before its row is on disk. If the store does not take it there is no ack, and
 * Slack delivers it again; if the ack fails the row is handled all the same. What cannot be understood is kept as
 * `ignored` with the reason, acked, and logged once.
 * Does not: retry (Slack does) or hold anything in memory, but for the first envelope that was refused: it is tried
 * again until the database takes one, so that the alarm ends although Slack sends nothing. The first, for the order.
 */
import { Clock, Context, Duration, Effect, Exit, Latch, Layer, Option } from "effect"
import type { Activate, Activation } from "./Activation.ts"
import { Activity } from "./Activity.ts"
import { Conversations } from "./Conversations.ts"
import { Debouncer } from "./Debouncer.ts"
import { decode, type Decoded, type Envelope, undecodable as asUndecodable } from "./Envelope.ts"
import { eventOf, kindOf } from "./Event.ts"
import { GatewayConfig, type Settings } from "./GatewayConfig.ts"
import { GatewayStatus } from "./GatewayStatus.ts"
import { Handler } from "./Handler.ts"
import type { InboundMessage } from "./Message.ts"
import { type Appended, type ClaimedTurn, MessageStore } from "./MessageStore.ts"
import { Responder } from "./Responder.ts"
import type { Identity } from "./SlackApi.ts"
import type { Incoming } from "./SlackConnection.ts"
import { spanned } from "./spanned.ts"
import { StoreError, StoreUnavailable } from "./StoreError.ts"
import { Supervisor } from "./Supervisor.ts"
import { ackFailures, counted, envelopeAck, envelopeCommit, events, observed } from "./Telemetry.ts"
import { fieldIn, textIn } from "./untrustedJson.ts"

/** The allow-lists: why this message may not start a turn. */
const refusedBy = (config: Settings, message: InboundMessage): string | undefined => {
  const allows = (list: ReadonlyArray<string>, id: string | undefined) =>
    list.length === 0 || (id !== undefined && list.includes(id))
  if (!allows(config.allowTeams, message.team)) return "team not allowed"
  if (message.channel !== undefined && !allows(config.allowChannels, message.channel)) return "channel not allowed"
  if (!allows(config.allowUsers, message.user)) return "user not allowed"
  return undefined
}

/** Slack nests far less; what is nested as deep as the stack goes can be read and not be written. */
const maxDepth = 500

const isTooDeep = (value: unknown, left = maxDepth): boolean =>
  typeof value === "object" && value !== null &&
  (left === 0 || Object.values(value).some((inner) => isTooDeep(inner, left - 1)))

/** Decodes what can be decoded and kept. */
const understand = (envelope: Envelope, self: string, now: number): Effect.Effect<Decoded> =>
  Effect.sync(() => isTooDeep(envelope.payload) ? undefined : decode(envelope, self, now)).pipe(
    Effect.catchDefect(() => Effect.undefined),
    Effect.map((decoded) =>
      decoded ?? asUndecodable({ ...envelope, payload: null }, self, now, "it could not be read or kept")
    )
  )

/** Who wrote the message under which this one stands. */
const beganBy = (message: InboundMessage) => textIn(fieldIn(message.payload, "event"), "parent_user_id")

/** After this long a refused envelope is tried again. */
const refusedPause = Duration.seconds(1)

export class Intake extends Context.Service<Intake, {
  /** Stores the envelope, then acks it. Never fails; interrupted, it cuts the answer short and does the rest. */
  readonly accept: (incoming: Incoming, identity: Identity) => Effect.Effect<void>
  /**
   * Stores what was said while nobody was connected, as Slack's history tells it. What is known already is left as it
   * is, whatever has become of it. None: it makes no sense.
   */
  readonly recover: (
    payload: unknown,
    identity: Identity
  ) => Effect.Effect<Option.Option<Appended["_tag"]>, StoreError>
  /** Whether `accept` asks the responder first, and so may take seconds: others must not wait for it. */
  readonly answers: (envelope: Envelope) => boolean
}>()("slackwater/Intake") {
  static readonly layerWith = (activate: Activate) =>
    Layer.effect(
      Intake,
      Effect.gen(function*() {
        const activity = yield* Activity
        const config = yield* GatewayConfig
        const conversations = yield* Conversations
        const debouncer = yield* Debouncer
        const { handles } = yield* Handler
        const responder = yield* Responder
        const status = yield* GatewayStatus
        const store = yield* MessageStore
        const supervisor = yield* Supervisor
        const refusing = yield* Latch.make()
        let refused: readonly [Incoming, Identity] | undefined

        const decide = Effect.fnUntraced(function*(message: InboundMessage, identity: Identity) {
          const kind = kindOf(message)
          if (kind === "blockSuggestion") return "asks for options"
          const participates = message.threadTs !== undefined && kind === "message" &&
            (beganBy(message) === identity.user || (yield* store.participates(message.conversation)))
          const activation = yield* Effect.sync(() => {
            const decided: Activation | undefined = activate(message, {
              botUser: identity.user,
              botId: identity.bot,
              participates,
              handles
            })
            if (decided?._tag !== "Turn" && decided?._tag !== "Ignore") throw new TypeError("neither Turn nor Ignore")
            return decided
          }).pipe(
            // The user's function: its bug must not cost us the event.
            Effect.catchDefect((defect) =>
              Effect.as(Effect.logError("the activation function threw; the event is kept as ignored", defect), {
                _tag: "Ignore" as const,
                reason: "activation threw"
              })
            )
          )
          return activation._tag === "Ignore" ? activation.reason : undefined
        })

        /** What the ack will say. Cut short by a stop it says nothing, and the event is kept all the same. */
        const answer = (message: InboundMessage, arrivedAt: number) =>
          Effect.map(
            Effect.exit(Effect.interruptible(responder.answer(eventOf(message), arrivedAt))),
            (exit) => Exit.isSuccess(exit) ? exit.value : undefined
          )

        /**
         * Stores it; its quiet window counts, or its turn begins, once `opened` was run. Where nothing can come in between
         * (`mayBegin`), and a slot is free, it is begun at once if it need not wait.
         */
        const keep = Effect.fnUntraced(
          function*(
            message: InboundMessage,
            keys: ReadonlyArray<string>,
            ignored: string | undefined,
            mayBegin: boolean
          ) {
            const { conversation } = message
            yield* Effect.annotateCurrentSpan("conversation", conversation)
            const now = yield* Clock.currentTimeMillis
            const window = yield* debouncer.window(message, now)
            const slot = mayBegin && ignored === undefined && window.endsAt <= now
              ? conversations.promise(conversation)
              : undefined
            const settle = (turn: ClaimedTurn | undefined) => slot === undefined ? Effect.void : slot.settle(turn)
            const appended = yield* Effect.onError(
              store.append({
                message,
                keys,
                receivedAt: now,
                dueAt: window.endsAt,
                cap: config.maxWaiting,
                ...(ignored === undefined ? {} : { ignored }),
                ...(slot === undefined ? {} : { claim: slot.owner })
              }),
              () => settle(undefined)
            )
            const turn = appended._tag === "Queued" ? appended.claimed : undefined
            // A slot for what waits, or does not, is free again at once.
            if (turn === undefined) yield* settle(undefined)
            if (appended._tag === "Overflow") {
              yield* status.raise(
                "conversation-full",
                `${conversation} has ${config.maxWaiting} messages waiting; newer ones are kept as dead letters: slackwater inbox list --state failed --conversation ${conversation}`,
                conversation
              )
            }
            // There was room for this one. Conversations ends the alarm likewise when a turn makes room.
            if (appended._tag === "Queued") yield* status.clear("conversation-full", conversation)
            if (turn !== undefined) return { appended, opened: settle(turn) }
            const waits = appended._tag === "Queued" || (appended._tag === "Duplicate" && appended.revived)
            return { appended, opened: waits ? debouncer.opened(conversation, window) : Effect.void }
          }
        )

        const append = Effect.fnUntraced(
          function*({ arrivedAt, envelope }: Incoming, identity: Identity, isLate: boolean) {
            const { keys, message, undecodable } = yield* understand(
              envelope,
              identity.user,
              yield* Clock.currentTimeMillis
            )
            // Slack tells the person at once that a command or a press of a button failed, and they do it again.
            const tooLate = isLate && envelope.type !== "events_api"
            const refused = undecodable ?? refusedBy(config, message) ?? (tooLate ? "not stored in time" : undefined)
            const payload = refused === undefined ? yield* answer(message, arrivedAt) : undefined
            const hasErrors = payload?.["response_action"] === "errors"
            const ignored = refused ?? (hasErrors ? "answered with errors" : yield* decide(message, identity))
            // A modal answered with errors is not yet submitted; a repetition that finds none is the submission.
            const identities = hasErrors || tooLate ? keys.map((key) => `${key}:${ignored}`) : keys
            const { appended, opened } = yield* keep(message, identities, ignored, !isLate)
            if (undecodable !== undefined && appended._tag === "Ignored") {
              yield* Effect.logWarning("an envelope could not be understood and is kept as ignored").pipe(
                Effect.annotateLogs({ envelope: envelope.id, reason: undecodable })
              )
            }
            yield* counted(
              events,
              undecodable !== undefined
                ? "undecodable"
                : appended._tag === "Duplicate"
                ? appended.revived ? "revived" : "duplicate"
                : appended._tag.toLowerCase()
            )
            return { payload, opened }
          }
        )

        /** Stores it; answers what is to be done then, or nothing when the database did not take it. */
        const take = Effect.fnUntraced(function*(incoming: Incoming, identity: Identity, isLate = false) {
          const stored = yield* append(incoming, identity, isLate).pipe(
            Effect.catchDefect((defect) =>
              new StoreError({ operation: "accept", reason: new StoreUnavailable({ cause: defect }) })
            ),
            Effect.result
          )
          if (stored._tag === "Failure") {
            refused ??= [incoming, identity]
            yield* refusing.open
            yield* status.raise(
              "database:intake",
              `${stored.failure.message}; events are not acked and Slack repeats them`
            )
            return undefined
          }
          refused = undefined
          yield* refusing.close
          yield* status.clear("database:intake")
          return stored.success
        })

        const accept = Effect.fnUntraced(
          function*(incoming: Incoming, identity: Identity) {
            const { ack, arrivedAt, envelope } = incoming
            const { id, retryNum: retry, type } = envelope
            yield* Effect.annotateCurrentSpan({ envelope: id.slice(0, 100), type: type.slice(0, 100), retry })
            const sinceArrival = Effect.map(Clock.currentTimeMillis, (now) => now - arrivedAt)
            const stored = yield* take(incoming, identity)
            if (stored === undefined) return yield* counted(events, "refused")
            yield* observed(envelopeCommit, yield* sinceArrival)
            // Only told: neither the ack nor the turn waits for the other.
            yield* stored.opened
            yield* Effect.matchEffect(ack(stored.payload), {
              onFailure: () => counted(ackFailures),
              onSuccess: () =>
                Effect.flatMap(
                  sinceArrival,
                  (ms) => Effect.andThen(observed(envelopeAck, ms), activity.took("ack", ms))
                )
            })
            yield* activity.count("received")
          },
          Effect.uninterruptible,
          spanned("Intake.accept", { root: true, kind: "consumer" })
        )

        const recover = Effect.fn("Intake.recover", { root: true })(function*(payload: unknown, identity: Identity) {
          const envelope = { id: "", type: "events_api", payload, retryNum: 0, retryReason: "" }
          const now = yield* Clock.currentTimeMillis
          const { keys, message, undecodable } = yield* understand(envelope, identity.user, now)
          // Known by what it is and not by how it came: so it never counts as a twin that says more.
          const own = keys.filter((key) => key.startsWith("message:"))
          if (undecodable !== undefined || own.length === 0) return Option.none()
          const ignored = refusedBy(config, message) ?? (yield* decide(message, identity))
          const { appended, opened } = yield* keep(message, own, ignored, false)
          yield* opened
          return Option.some(appended._tag)
        })

        /** Not acked, also when it is stored in the end: Slack's repetition is recognised. */
        const tryAgain = Effect.gen(function*() {
          yield* refusing.await
          yield* Effect.sleep(refusedPause)
          const stored = refused === undefined ? undefined : yield* take(...refused, true)
          if (stored !== undefined) yield* stored.opened
        })

        yield* supervisor.fork("intake", Effect.forever(tryAgain))

        return Intake.of({ accept, recover, answers: responder.answers })
      })
    )
}
