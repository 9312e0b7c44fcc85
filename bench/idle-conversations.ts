/**
 * What conversations leave behind in memory: N of them each send one message, which goes the whole way (Intake, store,
 * quiet window, handler, outbox, an answer from a Slack that is only a function), and then all is silent.
 *
 *     npm run bench:idle [-- conversations]     (20,000 unless said otherwise: about two minutes)
 */
import { Clock, Duration, Effect, Layer } from "effect"
import process from "node:process"
import { defaultActivation } from "../src/Activation.ts"
import { Conversations } from "../src/Conversations.ts"
import { Debouncer } from "../src/Debouncer.ts"
import type { Envelope } from "../src/Envelope.ts"
import * as Spool from "../src/files/Spool.ts"
import { GatewayStatus } from "../src/GatewayStatus.ts"
import { Handler } from "../src/Handler.ts"
import { Intake } from "../src/Intake.ts"
import { Outbox } from "../src/Outbox.ts"
import { OutboxStore } from "../src/OutboxStore.ts"
import { Responder } from "../src/Responder.ts"
import { Retention } from "../src/Retention.ts"
import { SlackApi } from "../src/SlackApi.ts"
import * as SqlInstance from "../src/sql/Instance.ts"
import { counting, directory, ground, row } from "./ground.ts"

const conversations = Number(process.argv[2] ?? 20_000)
const warmUp = 2_000
/** A sweep, and a while of nothing. */
const silence = Duration.seconds(61)
/** Envelopes that wait for their ack at once. */
const atOnce = 64

const identity = { team: "T1", user: "U0BOT", bot: "B0BOT" }
const slack = Layer.succeed(SlackApi, {
  identity: Effect.succeed(identity),
  answers: Effect.succeed(true),
  send: ({ channel }) => Effect.map(Clock.currentTimeMillis, (now) => ({ channel, ts: (now / 1_000).toFixed(6) })),
  setStatus: () => Effect.void,
  find: ({ channel }) => Effect.succeed({ channel, ts: null, newest: null }),
  conversations: () => Effect.succeed({ items: [], cursor: undefined }),
  history: () => Effect.succeed({ items: [], cursor: undefined }),
  replies: () => Effect.succeed({ items: [], cursor: undefined })
})

const envelope = (n: number): Envelope => ({
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
      channel: `D${n}`,
      user: `U${n}`,
      text: "hello",
      ts: `${1_700_000_000 + n}.000100`
    }
  }
})

const rooms = (dataDir: string) =>
  Intake.layerWith(defaultActivation).pipe(
    Layer.provideMerge(Debouncer.layer),
    Layer.provideMerge(Conversations.layer),
    Layer.provideMerge(Outbox.layer),
    Layer.provide(
      Layer.mergeAll(
        slack,
        Responder.layer(),
        Handler.layer(Handler.make((turn) => Effect.succeed(`You said: ${turn.text}`)))
      )
    ),
    Layer.provideMerge(Retention.layer),
    Layer.provideMerge(Spool.layer),
    Layer.provideMerge(GatewayStatus.layer),
    Layer.provideMerge(SqlInstance.layer),
    Layer.provideMerge(ground(dataDir, { debounce: Duration.millis(50) }))
  )

const { around, seen } = counting()

const memory = Effect.gen(function*() {
  for (let n = 0; n < 5; n++) {
    globalThis.gc?.()
    yield* Effect.sleep("100 millis")
  }
  const { heapUsed, rss } = process.memoryUsage()
  return { heap: heapUsed / 2 ** 20, rss: rss / 2 ** 20, fibers: seen.fibers }
})

/** Sends a message from each of these conversations and waits until all are answered. */
const speak = Effect.fnUntraced(function*(from: number, to: number) {
  const intake = yield* Intake
  const outbox = yield* OutboxStore
  yield* Effect.forEach(
    Array.from({ length: to - from }, (_, n) => from + n),
    (n) => intake.accept({ envelope: envelope(n), arrivedAt: 0, ack: () => Effect.void }, identity),
    { concurrency: atOnce, discard: true }
  )
  while ((yield* outbox.counts).delivered < to) yield* Effect.sleep("500 millis")
})

const program = Effect.gen(function*() {
  // So that what is measured is not the compiler's warming up.
  yield* speak(0, warmUp)
  yield* Effect.sleep("1 second")
  const before = yield* memory
  const started = yield* Clock.currentTimeMillis
  yield* speak(warmUp, warmUp + conversations)
  const took = ((yield* Clock.currentTimeMillis) - started) / 1_000
  yield* Effect.sleep("1 second")
  const after = yield* memory
  seen.statements = 0
  yield* Effect.sleep(silence)
  const statements = seen.statements
  const { conversations: { active }, inbox } = yield* (yield* GatewayStatus).snapshot
  console.log([
    `${conversations} conversations of one message and one answer each: ${took.toFixed(1)} s, ${
      Math.round(conversations / took)
    } conversations/s; done ${inbox.done - warmUp}, active ${active}`,
    "",
    row(["after a collection", "heap MiB", "RSS MiB", "fibers"]),
    row(["---", "---", "---", "---"]),
    row(["before the first", before.heap.toFixed(1), before.rss.toFixed(0), before.fibers]),
    row(["after the last", after.heap.toFixed(1), after.rss.toFixed(0), after.fibers]),
    "",
    `heap per conversation: ${Math.round((after.heap - before.heap) * 2 ** 20 / conversations)} bytes`,
    `statements in ${Duration.format(silence)} of silence: ${statements}`
  ].join("\n"))
})

if (globalThis.gc === undefined) throw new Error("run it as `npm run bench:idle`: node needs --expose-gc")
await Effect.runPromise(
  Effect.scoped(
    Effect.flatMap(directory, (dataDir) => around(Effect.provide(program, rooms(dataDir))))
  )
)
