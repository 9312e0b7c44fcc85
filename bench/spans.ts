/**
 * What spans cost a message: appended, claimed and completed with a reply, through group commit, with 16 conversations at
 * once; with spans off (as `slackwater run` has them where nobody listens), with Effect's own tracer, which keeps nothing
 * (an embedding application without telemetry), and with spans as they are exported, but thrown away.
 *
 *     npm run bench:spans [-- messages]      (8,000 unless said otherwise: half a minute)
 *
 * Processor time of the best of five rounds, each way in turn.
 */
import { Clock, Effect, Option, References, Tracer } from "effect"
import process from "node:process"
import { ConversationKey, OwnerId } from "../src/Message.ts"
import { MessageStore } from "../src/MessageStore.ts"
import { directory, ground, row } from "./ground.ts"

const messages = Number(process.argv[2] ?? 8_000)
const rounds = 5
const atOnce = 16
const owner = OwnerId.make("bench")

let next = 1
const one = Effect.fn("Intake.accept")(function*() {
  const store = yield* MessageStore
  const n = next++
  const conversation = ConversationKey.make(`D${n}`)
  const now = yield* Clock.currentTimeMillis
  const ts = `${1_700_000_000 + n}.000100`
  const message = {
    kind: "message" as const,
    conversation,
    team: "T1",
    channel: `D${n}`,
    self: "U0BOT",
    direct: true,
    user: "U1",
    text: "hello",
    ts,
    payload: null
  }
  yield* store.append({ message, keys: [`event:${n}`], receivedAt: now, dueAt: now })
  const { id } = Option.getOrThrow(yield* store.claim(conversation, owner, now))
  const reply = {
    key: `r${n}`,
    lane: conversation,
    destination: { channel: `D${n}` },
    dispatch: { _tag: "Post" as const, text: "hello" }
  }
  yield* store.complete(id, owner, [reply], now)
})

const round = Effect.gen(function*() {
  const before = process.cpuUsage()
  yield* Effect.forEach(Array.from({ length: messages / rounds }), () => one(), { concurrency: atOnce, discard: true })
  const { system, user } = process.cpuUsage(before)
  return (system + user) / (messages / rounds)
})

/** As an exporter's: ids and attributes are made, and nobody keeps them. */
const thrownAway = Tracer.make({
  span: (options) => {
    const span = Tracer.nativeTracer.span(options)
    void span.spanId
    return span
  }
})

const ways: ReadonlyArray<readonly [string, <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>]> = [
  ["off", Effect.provideService(References.TracerEnabled, false)],
  ["Effect's own tracer", (effect) => effect],
  ["exported", Effect.provideService(Tracer.Tracer, thrownAway)]
]

await Effect.runPromise(
  Effect.scoped(Effect.gen(function*() {
    const dataDir = yield* directory
    yield* Effect.gen(function*() {
      const best = new Map(ways.map(([name]) => [name, Infinity]))
      yield* round
      for (let n = 0; n < rounds; n++) {
        for (const [name, way] of ways) best.set(name, Math.min(best.get(name) ?? Infinity, yield* way(round)))
      }
      console.log(row(["spans", "CPU µs each"]))
      for (const [name, micros] of best) console.log(row([name, micros.toFixed(0)]))
    }).pipe(Effect.provide(ground(dataDir)))
  }))
)
