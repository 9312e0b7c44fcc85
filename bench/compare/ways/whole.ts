/**
 * The whole way through one process: an envelope into Intake, stored, acked, handled by an echo, its reply committed
 * with the turn's completion, claimed by the Outbox and sent to a Slack that answers at once, `delivered` written down.
 * The rooms are those of `src/Gateway.ts` without sockets; no quiet window and no pacing, since they wait on purpose.
 *
 * Handled is a message when its answer leaves for Slack. For the drain everything was paused while it came in.
 */
import { Clock, Duration, Effect, Layer, ManagedRuntime, References } from "effect"
import { SqlClient } from "effect/sql"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { defaultActivation } from "../../../src/Activation.ts"
import { Control } from "../../../src/Control.ts"
import { Conversations } from "../../../src/Conversations.ts"
import { Debouncer } from "../../../src/Debouncer.ts"
import type { Envelope } from "../../../src/Envelope.ts"
import * as Spool from "../../../src/files/Spool.ts"
import { GatewayStatus } from "../../../src/GatewayStatus.ts"
import { Handler } from "../../../src/Handler.ts"
import { Intake } from "../../../src/Intake.ts"
import { Outbox } from "../../../src/Outbox.ts"
import { Responder } from "../../../src/Responder.ts"
import { Retention } from "../../../src/Retention.ts"
import { Shutdown } from "../../../src/Shutdown.ts"
import { SlackApi } from "../../../src/SlackApi.ts"
import { pragma } from "../../../src/sql/Database.ts"
import * as SqlInstance from "../../../src/sql/Instance.ts"
import { ground } from "../../ground.ts"
import { countingCommits } from "../commits.ts"
import { at, type Measure } from "../Measured.ts"
import { payload } from "../payload.ts"
import { commitsOf, measureWay } from "../phases.ts"
import { until, type Way } from "../Way.ts"
import { producingEffects } from "./effects.ts"

const identity = { team: "T0123456789", user: "U0987654321", bot: "B0123456789" }

/** A direct message, each in a conversation of its own. */
const envelope = (n: number): Envelope => {
  const body = JSON.parse(payload(n))
  const { thread_ts: _, ...event } = body.event
  return {
    id: `envelope-${n}`,
    type: "events_api",
    retryNum: 0,
    retryReason: "",
    payload: { ...body, event: { ...event, channel: `D${n}`, channel_type: "im" } }
  }
}

const slack = (sent: (n: number) => void) =>
  Layer.succeed(SlackApi, {
    identity: Effect.succeed(identity),
    answers: Effect.succeed(true),
    send: ({ channel }) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        sent(Number(channel.slice(1)))
        return { channel, ts: (now / 1_000).toFixed(6) }
      }),
    setStatus: () => Effect.void,
    find: ({ channel }) => Effect.succeed({ channel, ts: null, newest: null }),
    conversations: () => Effect.succeed({ items: [], cursor: undefined }),
    history: () => Effect.succeed({ items: [], cursor: undefined }),
    replies: () => Effect.succeed({ items: [], cursor: undefined })
  })

const rooms = (dataDir: string, debounce: Duration.Duration, concurrency: number, sent: (n: number) => void) =>
  Intake.layerWith(defaultActivation).pipe(
    Layer.provideMerge(Debouncer.layer),
    Layer.provideMerge(Conversations.layer),
    Layer.provideMerge(Outbox.layer),
    Layer.provide(
      Layer.mergeAll(
        slack(sent),
        Responder.layer(),
        Handler.layer(Handler.make((turn) => Effect.succeed(`You said: ${turn.text}`)))
      )
    ),
    Layer.provideMerge(Retention.layer),
    Layer.provideMerge(Spool.layer),
    Layer.provideMerge(GatewayStatus.layer),
    Layer.provideMerge(SqlInstance.layer),
    Layer.provideMerge(ground(dataDir, { debounce, concurrency, paceInterval: Duration.zero })),
    Layer.provide(Layer.succeed(References.MinimumLogLevel, "Fatal"))
  )

const unfinished = `SELECT
  (SELECT count(*) FROM slackwater_outbox WHERE state IN ('queued', 'failed_retryable', 'sending', 'unknown')) +
  (SELECT count(*) FROM slackwater_turns WHERE state IN ('running', 'waiting')) AS n`

const open = (directory: string, debounce = Duration.zero) => async (concurrency: number): Promise<Way> => {
  const dataDir = join(directory, `whole-${concurrency}-${Duration.toMillis(debounce)}`)
  let handled: (n: number) => void = () => {}
  const runtime = ManagedRuntime.make(rooms(dataDir, debounce, concurrency, (n) => handled(n)))
  const file = join(dataDir, "slackwater.db")
  const set = (what: "pause" | "resume") =>
    runtime.runPromise(Effect.gen(function*() {
      const control = yield* Control
      yield* control[what](null, yield* Clock.currentTimeMillis)
      yield* Conversations.use(({ lookAround }) => lookAround)
    }))
  const { intake, synchronous } = await runtime.runPromise(Effect.gen(function*() {
    yield* Shutdown.use(({ running }) => running)
    const sql = yield* SqlClient.SqlClient
    return { intake: yield* Intake, synchronous: yield* pragma(sql, "synchronous") }
  }))
  await set("pause")
  const beside = new DatabaseSync(file, { readOnly: true })
  const left = beside.prepare(unfinished)

  return {
    durability: `synchronous=${synchronous === 2 ? "FULL" : String(synchronous)}`,
    produce: (concurrency, next, acked) => {
      const wait = new Map<number, Promise<void> | undefined>()
      return producingEffects(
        (effect) => runtime.runPromise(effect),
        (n) =>
          intake.accept({
            envelope: envelope(n),
            arrivedAt: Date.now(),
            ack: () => Effect.sync(() => void wait.set(n, acked(n)))
          }, identity)
      )(concurrency, next, (n) => {
        const handled = wait.get(n)
        wait.delete(n)
        return handled
      })
    },
    consume: async (_concurrency, each) => {
      handled = each
      await set("resume")
      return () => set("pause")
    },
    settled: () => until("every reply is delivered", () => left.get()?.["n"] === 0),
    countCommits: countingCommits(file, () => new DatabaseSync(file)),
    close: async () => {
      await runtime.dispose()
      beside.close()
    }
  }
}

export const measure: Measure = async (ask) => {
  const measured = await measureWay(open(ask.directory), ask)
  const debounced = await open(ask.directory, Duration.millis(20))(1)
  const { commits } = await commitsOf(debounced, 1)
  await debounced.close()
  return { ...measured, values: { ...measured.values, [at("commitsDebounced", 1)]: commits ?? Number.NaN } }
}
