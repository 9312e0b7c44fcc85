/**
 * SimulatedSlack: the gateway's two doors to Slack over a SlackWorld, without sockets, HTTP or Slack's clients.
 *
 * Owns the way between the world and the ports: frames become what a connection brings, acks become frames, and calls
 * are answered by the world with the faults that are switched on. Everything happens in the time of Effect's Clock, so
 * a TestClock runs a day in seconds, and the same day again.
 * Does not: simulate what goes over HTTP beside the Web API (the bytes of an upload, a `response_url`), or lose bytes on
 * the way: what the world sends to a connection that is open arrives.
 * On shutdown its fiber ends.
 */
import { Clock, Context, Deferred, Duration, Effect, Latch, Layer, Queue, Redacted } from "effect"
import { isRefusal } from "../Endings.ts"
import type { Settings } from "../GatewayConfig.ts"
import { byCode, httpStatus, rateLimit } from "../slack/classify.ts"
import { envelopeOf } from "../slack/SocketMode.ts"
import * as WebApi from "../slack/WebApi.ts"
import { Ambiguous, type SlackApiReason } from "../SlackApi.ts"
import {
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
import { SlackWorld, type WorldOptions } from "./SlackWorld.ts"
import { type Answer, answerApi } from "./WebApi.ts"

/** Not an address that anything could reach. */
const origin = "http://slack.invalid"
/** As the adapter of the real client. */
const startTimeout = Duration.seconds(15)

export interface SimulatedSlackOptions extends Omit<WorldOptions, "startedAt"> {
  /** How long it takes to open a connection (default 200 ms). */
  readonly openingTakes?: Duration.Input
}

/** What the world knows as one connection. */
interface Line {
  readonly frame: (text: string) => void
  readonly close: () => void
}

export class SimulatedSlack extends Context.Service<SimulatedSlack, {
  readonly world: SlackWorld
  /** Does something in the world now, and sends what follows from it. */
  readonly act: <A>(run: (world: SlackWorld, now: number) => A) => Effect.Effect<A>
  /** Resets connections, all or one of them; answers how many. */
  readonly drop: (connection?: string) => Effect.Effect<number>
  readonly open: SlackConnection["Service"]["open"]
  readonly call: (
    token: string,
    timeout: Duration.Duration
  ) => (method: string, params: Record<string, unknown>) => Effect.Effect<object, SlackApiReason>
}>()("slackwater/testing/SimulatedSlack") {
  static readonly layer = (options: SimulatedSlackOptions = {}) => Layer.effect(this, make(options))

  /** The door in. */
  static readonly connection = Layer.effect(
    SlackConnection,
    Effect.map(this, ({ open }) => SlackConnection.of({ open }))
  )

  /** The door out: the adapter of the gateway, whose calls the world answers. */
  static readonly api = WebApi.layer.pipe(
    Layer.provide(Layer.effect(
      WebApi.Caller,
      Effect.map(this, ({ call }) => (config: Settings) => call(Redacted.value(config.botToken), config.requestTimeout))
    ))
  )
}

const make = Effect.fnUntraced(function*({ openingTakes = "200 millis", ...options }: SimulatedSlackOptions) {
  const clock = yield* Clock.Clock
  const now = () => clock.currentTimeMillisUnsafe()
  const world = new SlackWorld({ ...options, startedAt: now() })
  const lines = new Map<string, Line>()
  const wake = Latch.makeUnsafe()
  let sleepsUntil = Infinity

  const changed = () => {
    for (const output of world.drain().output) {
      const line = lines.get(output.connection)
      if (output._tag === "Frame") line?.frame(output.text)
      else line?.close()
    }
    if ((world.nextDue ?? Infinity) < sleepsUntil) wake.openUnsafe()
  }

  const act = <A>(run: (world: SlackWorld, now: number) => A) =>
    Effect.sync(() => {
      const result = run(world, now())
      changed()
      return result
    })

  const ended = (connection: string) => {
    if (!lines.delete(connection)) return false
    world.closed(connection, now())
    changed()
    return true
  }

  const call = (token: string, timeout: Duration.Duration) =>
    Effect.fnUntraced(function*(method: string, params: Record<string, unknown>) {
      if (world.faults.current.apiDown === true) return yield* noAnswer("ECONNRESET")
      const { action, delayMs } = yield* act(() => answerApi(world, { method, params, token, origin }, now()))
      const waits = Math.min(delayMs, Duration.toMillis(timeout))
      if (waits > 0) yield* Effect.sleep(waits)
      return yield* waits < delayMs ? noAnswer("timeout", true) : answered(action, method, timeout)
    })

  /** A ticket for one connection, as `apps.connections.open` gives it. */
  const ticket = call("xapp-simulated", startTimeout)("apps.connections.open", {}).pipe(
    Effect.mapError((reason) => new SlackConnectionError({ reason: asConnectionReason(reason) })),
    Effect.map((answer) => new URL(String(fieldIn(answer, "url"))).searchParams.get("ticket") ?? "")
  )

  const connect = Effect.gen(function*() {
    yield* Effect.sleep(openingTakes)
    const { hangUpgrade, refuseWebSocket } = world.faults.current
    const given = yield* ticket
    if (refuseWebSocket !== undefined && refuseWebSocket !== false) {
      return yield* unreachable("the WebSocket was refused")
    }
    if (hangUpgrade === true) return yield* Effect.never
    const incoming = yield* Queue.unbounded<Incoming>()
    const disconnecting = yield* Deferred.make<string>()
    const closed = yield* Deferred.make<void>()
    const hello = yield* Deferred.make<unknown>()
    const id = world.open(given, now())
    if (id === undefined) return yield* unreachable("the ticket is not known")
    let heardAt = now()
    yield* Effect.addFinalizer(() => Effect.sync(() => ended(id)))
    lines.set(id, {
      close: () => {
        ended(id)
        Deferred.doneUnsafe(closed, Effect.void)
      },
      frame: (text) => {
        heardAt = now()
        const frame: unknown = JSON.parse(text)
        const type = fieldIn(frame, "type")
        const envelope = envelopeOf(frame)
        if (type === "hello") Deferred.doneUnsafe(hello, Effect.succeed(frame))
        else if (type === "disconnect") {
          Deferred.doneUnsafe(disconnecting, Effect.succeed(String(fieldIn(frame, "reason"))))
        } else if (envelope !== undefined) {
          Queue.offerUnsafe(incoming, {
            envelope,
            arrivedAt: heardAt,
            ack: (payload = {}) =>
              Effect.suspend(() =>
                lines.has(id)
                  ? act(() => world.received(id, JSON.stringify({ envelope_id: envelope.id, payload }), now()))
                  : unreachable("the connection is gone")
              )
          })
        }
      }
    })
    changed()
    const said = yield* Effect.raceAllFirst([
      Deferred.await(hello),
      Effect.flatMap(
        Deferred.await(disconnecting),
        (reason) => new SlackConnectionError({ reason: new TurnedAway({ reason }) })
      ),
      Effect.andThen(Deferred.await(closed), unreachable("closed before Slack's hello"))
    ])
    const lifetime = fieldIn(fieldIn(said, "debug_info"), "approximate_connection_time")
    return {
      incoming,
      disconnecting: Deferred.await(disconnecting),
      closed: Deferred.await(closed),
      connections: Number(fieldIn(said, "num_connections")),
      approximateConnectionMs: typeof lifetime === "number" ? lifetime * 1_000 : null,
      lastHeardAt: Effect.sync(() => {
        // Pings and pongs go to and fro all the time.
        const { noPings, noPongs } = world.faults.current
        if (lines.has(id) && !(noPings === true && noPongs === true)) heardAt = now()
        return heardAt
      })
    } satisfies Connection
  })

  const clockwork = Effect.gen(function*() {
    wake.closeUnsafe()
    sleepsUntil = world.nextDue ?? Infinity
    yield* sleepsUntil === Infinity
      ? wake.await
      : Effect.raceFirst(Effect.sleep(Math.max(0, sleepsUntil - now())), wake.await)
    yield* act(() => world.tick(now()))
  })
  yield* Effect.forkScoped(Effect.forever(clockwork))

  return SimulatedSlack.of({
    world,
    act,
    call,
    drop: (only) =>
      Effect.sync(() => {
        const dropped = [...lines].filter(([id]) => only === undefined || id === only)
        for (const [, line] of dropped) line.close()
        return dropped.length
      }),
    open: Effect.timeoutOrElse(connect, {
      duration: startTimeout,
      orElse: () => unreachable(`no hello within ${Duration.format(startTimeout)}`)
    })
  })
})

const unreachable = (detail: string) => new SlackConnectionError({ reason: new Unreachable({ detail }) })
const noAnswer = (detail: string, late = false) => Effect.fail(new Ambiguous({ detail, late }))

const asConnectionReason = (reason: SlackApiReason) => {
  if (reason._tag === "RateLimited") return new TooManyRequests({ retryAfterMs: reason.retryAfterMs })
  if ("code" in reason && isRefusal(reason.code)) return new Refused({ code: reason.code })
  return new Unreachable({ detail: "detail" in reason ? reason.detail : reason._tag })
}

/** What comes of an answer, as the client's rejections mean it. */
const answered = (
  action: Answer["action"],
  method: string,
  timeout: Duration.Duration
): Effect.Effect<object, SlackApiReason> => {
  if (action._tag === "Reset") return noAnswer("UND_ERR_SOCKET")
  if (action._tag !== "Ok" && action._tag !== "Answer") {
    return Effect.andThen(Effect.sleep(timeout), noAnswer("timeout", true))
  }
  if (action._tag === "Answer" && action.status === 429) {
    return Effect.fail(rateLimit(Number(action.headers["retry-after"])))
  }
  if (action._tag === "Answer" && action.status !== 200) return Effect.fail(httpStatus(action.status))
  const body = parsed(action.body)
  return fieldIn(body, "ok") === true ? Effect.succeed(body) : Effect.fail(byCode(fieldIn(body, "error"), body, method))
}

const parsed = (text: string): object => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === "object" && value !== null ? value : {}
  } catch {
    return { error: text }
  }
}
