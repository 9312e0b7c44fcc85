/**
 * The only place that acknowledges: commit first, then ack.
 *
 * Guarantees: no envelope is acked before its row is on disk. If the store does not take it there is no ack, and
 * Slack delivers it again; if the ack fails the row is handled all the same. What cannot be understood is kept as
 * `ignored` with the reason, acked, and logged once.
 * Does not: retry (Slack does) or hold anything in memory, but for the first envelope that was refused: it is tried
 * again until the database takes one, so that the alarm ends although Slack sends nothing. The first, for the order.
 */
import { Clock, Context, Duration, Effect, Latch, Layer } from "effect"
import type { Activate, Activation } from "./Activation.ts"
import { Debouncer } from "./Debouncer.ts"
import { decode, type Decoded, type Envelope, undecodable as asUndecodable } from "./Envelope.ts"
import { GatewayConfig, type Settings } from "./GatewayConfig.ts"
import { GatewayStatus } from "./GatewayStatus.ts"
import type { InboundMessage } from "./Message.ts"
import { MessageStore } from "./MessageStore.ts"
import type { Identity } from "./SlackApi.ts"
import type { SlackConnectionError } from "./SlackConnection.ts"
import { StoreError, StoreUnavailable } from "./StoreError.ts"
import { Supervisor } from "./Supervisor.ts"
import { ackFailures, counted, events } from "./Telemetry.ts"

/** The allow-lists: why this message may not start a turn. */
const refusedBy = (config: Settings, message: InboundMessage): string | undefined => {
  const allows = (list: ReadonlyArray<string>, id: string | undefined) =>
    list.length === 0 || (id !== undefined && list.includes(id))
  if (!allows(config.allowTeams, message.team)) return "team not allowed"
  if (message.channel !== undefined && !allows(config.allowChannels, message.channel)) return "channel not allowed"
  if (!allows(config.allowUsers, message.user)) return "user not allowed"
  return undefined
}

/** Decodes, and makes sure that what came can be written down: JSON may be nested deeper than it can be encoded. */
const understand = (envelope: Envelope, self: string, now: number): Effect.Effect<Decoded> =>
  Effect.sync(() => {
    JSON.stringify(envelope.payload)
    return decode(envelope, self, now)
  }).pipe(
    Effect.catchDefect(() =>
      Effect.sync(() => asUndecodable({ ...envelope, payload: null }, self, now, "it could not be read or kept"))
    )
  )

/** After this long a refused envelope is tried again. */
const refusedPause = Duration.seconds(1)

export class Intake extends Context.Service<Intake, {
  /** Stores the envelope, then acks it. Never fails; cannot be interrupted half-way. */
  readonly accept: (
    envelope: Envelope,
    ack: Effect.Effect<void, SlackConnectionError>,
    identity: Identity
  ) => Effect.Effect<void>
}>()("slackwater/Intake") {
  static readonly layerWith = (activate: Activate) =>
    Layer.effect(
      Intake,
      Effect.gen(function*() {
        const config = yield* GatewayConfig
        const debouncer = yield* Debouncer
        const status = yield* GatewayStatus
        const store = yield* MessageStore
        const supervisor = yield* Supervisor
        const refusing = yield* Latch.make()
        let refused: readonly [Envelope, Identity] | undefined

        const append = Effect.fnUntraced(function*(envelope: Envelope, identity: Identity) {
          const now = yield* Clock.currentTimeMillis
          const { keys, message, undecodable } = yield* understand(envelope, identity.user, now)
          const participates = message.threadTs !== undefined && message.kind === "message"
            ? yield* store.participates(message.conversation)
            : false
          const activation = yield* Effect.sync(() => {
            const decided: Activation | undefined = activate(message, {
              botUser: identity.user,
              botId: identity.bot,
              participates
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
          const ignored = undecodable ?? refusedBy(config, message) ??
            (activation._tag === "Ignore" ? activation.reason : undefined)
          const window = yield* debouncer.window(message, now)
          const appended = yield* store.append({
            message,
            keys,
            receivedAt: now,
            dueAt: window.endsAt,
            cap: config.maxWaiting,
            ...(ignored === undefined ? {} : { ignored })
          })
          if (undecodable !== undefined && appended._tag === "Ignored") {
            yield* Effect.logWarning("an envelope could not be understood and is kept as ignored").pipe(
              Effect.annotateLogs({ envelope: envelope.id, reason: undecodable })
            )
          }
          if (appended._tag === "Overflow") {
            yield* status.raise(
              "conversation-full",
              `${message.conversation} has ${config.maxWaiting} messages waiting; newer ones are kept as dead letters`
            )
          }
          const waits = appended._tag === "Queued" || (appended._tag === "Duplicate" && appended.revived)
          yield* counted(
            events,
            undecodable !== undefined
              ? "undecodable"
              : appended._tag === "Duplicate"
              ? appended.revived ? "revived" : "duplicate"
              : appended._tag.toLowerCase()
          )
          return waits ? debouncer.opened(message.conversation, window) : Effect.void
        })

        /** Stores it; answers what is to be done then, or nothing when the database did not take it. */
        const take = Effect.fnUntraced(function*(envelope: Envelope, identity: Identity) {
          const stored = yield* append(envelope, identity).pipe(
            Effect.catchDefect((defect) =>
              new StoreError({ operation: "accept", reason: new StoreUnavailable({ cause: defect }) })
            ),
            Effect.result
          )
          if (stored._tag === "Failure") {
            refused ??= [envelope, identity]
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

        const accept = Effect.fn("Intake.accept")(function*(
          envelope: Envelope,
          ack: Effect.Effect<void, SlackConnectionError>,
          identity: Identity
        ) {
          const stored = yield* take(envelope, identity)
          if (stored === undefined) return yield* counted(events, "refused")
          yield* Effect.catch(ack, () => counted(ackFailures))
          yield* stored
        }, Effect.uninterruptible)

        /** Not acked, also when it is stored in the end: Slack's repetition is recognised. */
        const tryAgain = Effect.gen(function*() {
          yield* refusing.await
          yield* Effect.sleep(refusedPause)
          if (refused !== undefined) yield* (yield* take(...refused)) ?? Effect.void
        })

        yield* supervisor.fork("intake", Effect.forever(tryAgain))

        return Intake.of({ accept })
      })
    )
}
