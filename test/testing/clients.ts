/**
 * Slack's own clients, pointed at a LocalSlack. They are the judge: what they accept is the protocol.
 */
import { LogLevel, SocketModeClient } from "@slack/socket-mode"
import { WebClient } from "@slack/web-api"
import { Effect, Queue } from "effect"
import { LocalSlack } from "../../src/testing/index.ts"

export interface Delivered {
  readonly envelope_id: string
  readonly type: string
  readonly body: {
    readonly event_id: string
    readonly team_id: string
    readonly event: Record<string, unknown> & { readonly type: string; readonly text?: string; readonly ts?: string }
  }
  readonly retry_num?: number
  readonly retry_reason?: string
  readonly ack: (response?: unknown) => Promise<void>
}

const silent = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  setLevel: () => undefined,
  getLevel: () => LogLevel.ERROR,
  setName: () => undefined
}

/** A client that is not started: `start` it, or see it fail. */
export const socketClient = Effect.gen(function*() {
  const slack = yield* LocalSlack
  const client = yield* Effect.acquireRelease(
    Effect.sync(() =>
      new SocketModeClient({
        appToken: "xapp-1",
        autoReconnectEnabled: false,
        logLevel: LogLevel.ERROR,
        logger: silent,
        clientOptions: { slackApiUrl: slack.apiUrl, retryConfig: { retries: 0 }, timeout: 2_000 }
      })
    ),
    (client) => Effect.promise(() => client.disconnect()).pipe(Effect.timeoutOption("1 second"), Effect.ignoreCause)
  )
  const delivered = yield* Queue.unbounded<Delivered>()
  const frames = yield* Queue.unbounded<string>()
  client.on("slack_event", (event: Delivered) => {
    Queue.offerUnsafe(delivered, event)
  })
  client.on("ws_message", (data: unknown) => {
    Queue.offerUnsafe(frames, String(data))
  })
  const start = Effect.tryPromise({ try: () => client.start(), catch: (cause) => cause as SlackFailure | undefined })
  return { client, start, delivered: Queue.take(delivered), frames: Queue.take(frames) }
})

/** A connected client. */
export const connect = Effect.gen(function*() {
  const socket = yield* socketClient
  yield* Effect.orDie(socket.start)
  return socket
})

export const ack = (event: Delivered) => Effect.promise(() => event.ack())

export const webClient = (options: { readonly token?: string; readonly timeout?: number } = {}) =>
  Effect.map(LocalSlack, (slack) =>
    new WebClient(options.token ?? "xoxb-1", {
      slackApiUrl: slack.apiUrl,
      retryConfig: { retries: 0 },
      rejectRateLimitedCalls: true,
      timeout: options.timeout ?? 2_000,
      logger: silent
    }))

/** A call of the real client as an Effect that fails with whatever the client rejects with. */
export const call = <A>(run: () => Promise<A>) =>
  Effect.tryPromise({ try: run, catch: (cause) => cause as SlackFailure })

/** The parts of the client's errors that tests look at. */
export interface SlackFailure {
  readonly code?: string
  readonly data?: { readonly error?: string }
  readonly retryAfter?: number
  readonly statusCode?: number
}
