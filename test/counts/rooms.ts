/**
 * Everything that runs in a gateway but its sockets, over a real file: what comes in goes to `Intake`, what goes out to
 * a Slack that is only a function. Nothing here asks the database anything.
 */
import { Clock, Effect, Layer, Queue } from "effect"
import { defaultActivation } from "../../src/Activation.ts"
import { Activity } from "../../src/Activity.ts"
import { Conversations } from "../../src/Conversations.ts"
import { Debouncer } from "../../src/Debouncer.ts"
import type { Envelope } from "../../src/Envelope.ts"
import * as Spool from "../../src/files/Spool.ts"
import type { Settings } from "../../src/GatewayConfig.ts"
import { GatewayStatus } from "../../src/GatewayStatus.ts"
import { type Answer, Handler, type Turn } from "../../src/Handler.ts"
import { Intake } from "../../src/Intake.ts"
import { Outbox } from "../../src/Outbox.ts"
import { Responder } from "../../src/Responder.ts"
import { Retention } from "../../src/Retention.ts"
import { Shutdown } from "../../src/Shutdown.ts"
import { SlackApi } from "../../src/SlackApi.ts"
import * as Stores from "../../src/sql/Stores.ts"
import { Supervisor } from "../../src/Supervisor.ts"
import { temporaryDirectory } from "../fixtures/gateway.ts"
import { epoch } from "../fixtures/rooms.ts"
import { scriptedApi } from "../fixtures/scriptedApi.ts"
import { settings } from "../fixtures/stores.ts"

const identity = { team: "T1", user: "U0BOT", bot: "B0BOT" }

export const envelope = (n: number, channel: string, text = "hello"): Envelope => ({
  id: `envelope-${n}`,
  type: "events_api",
  retryNum: 0,
  retryReason: "",
  payload: {
    type: "event_callback",
    team_id: "T1",
    event_id: `Ev${n}`,
    event: {
      type: "message",
      channel_type: "im",
      channel,
      user: `U${channel}`,
      text,
      ts: `${epoch / 1_000 + n}.000100`
    }
  }
})

/** What was delivered, as the rooms tell it in passing: it costs no statement. */
const makeCount = Effect.map(Queue.unbounded<void>(), (delivered) => ({
  /** One for each reply that was delivered. */
  delivered,
  activity: Layer.effect(
    Activity,
    Effect.map(Activity, ({ hour, took }) => ({
      count: (what) => Effect.sync(() => void (what === "delivered" && Queue.offerUnsafe(delivered, undefined))),
      took,
      hour
    }))
  )
}))

interface Options {
  readonly config?: Partial<Settings>
  readonly handler?: (turn: Turn) => Effect.Effect<Answer, unknown>
  readonly dataDir?: string
}

/** The rooms as a layer, and how something is said in them. */
export const rooms = Effect.fnUntraced(function*({ config, dataDir, handler }: Options = {}) {
  const directory = dataDir ?? (yield* temporaryDirectory)
  const { activity, delivered } = yield* makeCount
  const api = scriptedApi()
  const layer = Intake.layerWith(defaultActivation).pipe(
    Layer.provideMerge(Debouncer.layer),
    Layer.provideMerge(Conversations.layer),
    Layer.provideMerge(Outbox.layer),
    Layer.provide(Responder.layer()),
    Layer.provide(Handler.layer(Handler.make(handler ?? ((turn) => Effect.succeed(`You said: ${turn.text}`))))),
    Layer.provide(Layer.succeed(SlackApi, api.api)),
    Layer.provideMerge(Retention.layer),
    Layer.provideMerge(Spool.layer),
    Layer.provideMerge(GatewayStatus.layer),
    Layer.provideMerge(activity),
    Layer.provideMerge(Stores.own),
    Layer.provideMerge(Layer.mergeAll(Supervisor.layer, Shutdown.layer)),
    Layer.provideMerge(settings({ dataDir: directory, ...config })),
    Layer.orDie
  )
  let said = 0
  /** Comes in as from a socket; ends with its ack. */
  const say = (channel: string, text?: string) =>
    Effect.gen(function*() {
      const intake = yield* Intake
      const arrivedAt = yield* Clock.currentTimeMillis
      yield* intake.accept({ envelope: envelope(++said, channel, text), arrivedAt, ack: () => Effect.void }, identity)
    })
  return { layer, say, delivered, api, dataDir: directory }
})
