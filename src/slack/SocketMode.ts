/**
 * One Socket Mode connection through `@slack/socket-mode`, whose transport and keepalive we use and whose
 * dispatching and reconnecting we do not.
 *
 * Faults of client 3.1.0 that this file keeps away (each measured): its dispatcher rejects unhandled on `null` frames
 * and on envelopes without an event, so frames are read here; it closes the socket at a `disconnect` frame and loses
 * what is behind it, so that frame is only reported; `start` has no bound and connects even after `disconnect`, so it
 * is bounded and disconnected again when it arrives late; it says nothing of a close by a peer that keeps TCP open for
 * up to 20 s, so we look; it reconnects on its own and gives up silently, so that is off; its constructor changes the
 * options object, so each client gets its own.
 * On close: listeners off, disconnect; a peer that does not answer is not waited for, and its socket is destroyed.
 */
import { SocketModeClient } from "@slack/socket-mode"
import { WebAPIPlatformError } from "@slack/web-api"
import { Clock, Deferred, Duration, Effect, Layer, Queue, Redacted } from "effect"
import { subscribe, unsubscribe } from "node:diagnostics_channel"
import { isRefusal } from "../Endings.ts"
import type { Envelope } from "../Envelope.ts"
import { GatewayConfig } from "../GatewayConfig.ts"
import {
  type AckPayload,
  type Connection,
  type Incoming,
  Refused,
  SlackConnection,
  SlackConnectionError,
  TooManyRequests,
  TurnedAway,
  Unreachable
} from "../SlackConnection.ts"
import { fieldIn } from "../untrustedJson.ts"
import { classify } from "./classify.ts"
import { silent } from "./silent.ts"

/** Envelopes a connection may have waiting. Beyond it they are dropped unacked: Slack delivers them again. */
const buffer = 1_024
/** Covers the open call, the handshake and Slack's hello (ms). */
const startTimeout = 15_000
/** The client's default of 5 s reconnects healthy sockets on a busy event loop (bolt-js #2496). */
const clientPingTimeout = 15_000
const closeGrace = Duration.seconds(2)
/** How often a connection is looked at that nobody may have said to be closed. */
const lookEvery = Duration.seconds(2)
/** undici announces on them what happens to the WebSockets of this process. */
const signsOfLife = ["undici:websocket:open", "undici:websocket:ping", "undici:websocket:pong"]

/** Hands every frame to us instead of to the client's own dispatcher; only `hello` goes on, for `start` waits for it. */
class Client extends SocketModeClient {
  frame: (data: unknown) => void = () => {}

  protected override async onWebSocketMessage(data: string | ArrayBuffer, isBinary: boolean): Promise<void> {
    if (isBinary) return
    const parsed = parse(typeof data === "string" ? data : new TextDecoder().decode(data))
    if (fieldIn(parsed, "type") === "hello") await super.onWebSocketMessage(data, isBinary)
    this.frame(parsed)
  }
}

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export const envelopeOf = (frame: unknown): Envelope | undefined => {
  const id = fieldIn(frame, "envelope_id")
  const type = fieldIn(frame, "type")
  if (typeof id !== "string" || id === "" || typeof type !== "string") return undefined
  const retryNum = fieldIn(frame, "retry_attempt")
  const retryReason = fieldIn(frame, "retry_reason")
  return {
    id,
    type,
    payload: fieldIn(frame, "payload"),
    retryNum: typeof retryNum === "number" ? retryNum : 0,
    retryReason: typeof retryReason === "string" ? retryReason : ""
  }
}

const unreachable = (detail: string) => new SlackConnectionError({ reason: new Unreachable({ detail }) })

/** Why `apps.connections.open` or the handshake failed. */
const startFailure = (error: unknown, lastError: string | undefined): SlackConnectionError => {
  if (error === undefined) return unreachable(lastError || "the WebSocket was closed before Slack's hello")
  const code = error instanceof WebAPIPlatformError ? error.data.error : undefined
  if (code !== undefined && isRefusal(code)) {
    return new SlackConnectionError({ reason: new Refused({ code }) })
  }
  const reason = classify(error, "apps.connections.open")
  if (reason._tag === "RateLimited") {
    return new SlackConnectionError({ reason: new TooManyRequests({ retryAfterMs: reason.retryAfterMs }) })
  }
  return unreachable(code ?? ("detail" in reason ? reason.detail : reason._tag))
}

export const layer: Layer.Layer<SlackConnection, never, GatewayConfig> = Layer.effect(
  SlackConnection,
  Effect.gen(function*() {
    const config = yield* GatewayConfig

    const open = Effect.gen(function*() {
      const clock = yield* Clock.Clock
      const incoming = yield* Queue.dropping<Incoming>(buffer)
      const disconnecting = yield* Deferred.make<string>()
      const closed = yield* Deferred.make<void>()
      const hello = yield* Deferred.make<unknown>()
      let abandoned = false
      let lastError: string | undefined
      let heardAt = clock.currentTimeMillisUnsafe()
      let observable = false

      const client = new Client({
        appToken: Redacted.value(config.appToken),
        autoReconnectEnabled: false,
        clientPingTimeout,
        logger: silent,
        clientOptions: {
          slackApiUrl: config.slackApiUrl,
          retryConfig: { retries: 0 },
          rejectRateLimitedCalls: true,
          timeout: Duration.toMillis(config.requestTimeout),
          allowAbsoluteUrls: false
        }
      })

      const ack = (envelope: Envelope) => (payload: AckPayload = {}) =>
        Effect.callback<void, SlackConnectionError>((resume) => {
          const socket = client.websocket
          if (abandoned || socket?.isActive() !== true) {
            return resume(Effect.fail(unreachable("the connection is gone")))
          }
          socket.send(JSON.stringify({ envelope_id: envelope.id, payload }), (error) => {
            resume(
              error === undefined || error === null ? Effect.void : Effect.fail(unreachable("the ack was not sent"))
            )
          })
        })

      client.frame = (frame) => {
        if (abandoned) return
        heardAt = clock.currentTimeMillisUnsafe()
        const type = fieldIn(frame, "type")
        if (type === "hello") {
          Deferred.doneUnsafe(hello, Effect.succeed(frame))
          return
        }
        if (type === "disconnect") {
          const reason = fieldIn(frame, "reason")
          Deferred.doneUnsafe(disconnecting, Effect.succeed(typeof reason === "string" ? reason : "unknown"))
          return
        }
        const envelope = envelopeOf(frame)
        if (envelope !== undefined) Queue.offerUnsafe(incoming, { envelope, arrivedAt: heardAt, ack: ack(envelope) })
      }
      const onError = (error: unknown) => {
        lastError = error instanceof Error ? error.message : undefined
      }
      const onDisconnected = () => {
        Deferred.doneUnsafe(closed, Effect.void)
      }
      const onSign = (message: unknown) => {
        // Of all the sockets in the process only this client's counts. A client that hides it cannot be observed.
        const ours = fieldIn(client.websocket, "websocket")
        if (ours === undefined || fieldIn(message, "websocket") !== ours) return
        observable = true
        heardAt = clock.currentTimeMillisUnsafe()
      }
      client.on("error", onError)
      client.on("disconnected", onDisconnected)
      // A start that was abandoned while it asked for the address connects all the same, and may then wait for ever.
      client.once("connecting", () => {
        if (abandoned) queueMicrotask(() => void client.disconnect().catch(() => {}))
      })
      for (const name of signsOfLife) subscribe(name, onSign)

      yield* Effect.addFinalizer(() =>
        Effect.suspend(() => {
          abandoned = true
          client.off("error", onError)
          client.off("disconnected", onDisconnected)
          for (const name of signsOfLife) unsubscribe(name, onSign)
          const disconnect = () => client.disconnect().catch(() => {})
          return Effect.timeoutOrElse(Effect.promise(disconnect), {
            duration: closeGrace,
            // Asked a second time, it destroys the socket instead of waiting for the peer.
            orElse: () => Effect.sync(() => void disconnect())
          })
        })
      )

      const started = client.start()
      /** Whichever comes first says that we are connected. */
      const connected = Effect.raceAllFirst([
        Effect.tryPromise({ try: () => started, catch: (error) => startFailure(error, lastError) }),
        Deferred.await(hello),
        Effect.flatMap(
          Deferred.await(disconnecting),
          (reason) => new SlackConnectionError({ reason: new TurnedAway({ reason }) })
        )
      ])
      // A start that arrives after its time connects all the same: it is disconnected when it does.
      started.then(() => abandoned ? client.disconnect() : undefined).catch(() => {})
      yield* Effect.timeoutOrElse(connected, {
        duration: startTimeout,
        orElse: () => unreachable(`no hello within ${startTimeout / 1_000} s`)
      })
      const frame = yield* Effect.timeoutOption(Deferred.await(hello), "1 second")
      const said = frame._tag === "Some" ? frame.value : undefined
      const connections = fieldIn(said, "num_connections")
      const lifetime = fieldIn(fieldIn(said, "debug_info"), "approximate_connection_time")
      yield* Effect.forkScoped(Effect.gen(function*() {
        // A peer that closes and keeps TCP open: the client takes no more acks, and its "disconnected" comes late.
        while (client.websocket?.isActive() === true) yield* Effect.sleep(lookEvery)
        Deferred.doneUnsafe(closed, Effect.void)
      }))
      return {
        incoming,
        disconnecting: Deferred.await(disconnecting),
        closed: Deferred.await(closed),
        connections: typeof connections === "number" ? connections : null,
        approximateConnectionMs: typeof lifetime === "number" && lifetime > 0 ? lifetime * 1_000 : null,
        lastHeardAt: Effect.sync(() => observable ? heardAt : null)
      } satisfies Connection
    })

    return SlackConnection.of({ open })
  })
)
