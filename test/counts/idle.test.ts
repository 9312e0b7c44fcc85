/** A gateway to which nothing is said asks its database nothing: the whole of it over a real file, in virtual time. */
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { defaultActivation } from "../../src/Activation.ts"
import * as Gateway from "../../src/Gateway.ts"
import { GatewayStatus } from "../../src/GatewayStatus.ts"
import { Handler } from "../../src/Handler.ts"
import { Responder } from "../../src/Responder.ts"
import { SimulatedSlack } from "../../src/testing/SimulatedSlack.ts"
import { temporaryDirectory } from "../fixtures/gateway.ts"
import { advance, inRooms } from "../fixtures/rooms.ts"
import { settings } from "../fixtures/stores.ts"
import { counted } from "./sqlite.ts"

/** From its sockets to its health server, but for the bytes between Slack and us. */
const gateway = Effect.map(temporaryDirectory, (dataDir) =>
  Gateway.way(defaultActivation, undefined).pipe(
    Layer.provide([SimulatedSlack.connection, SimulatedSlack.api]),
    Layer.provideMerge(Gateway.ground),
    Layer.provide([Handler.layer(Handler.make(({ text }) => Effect.succeed(`You said: ${text}`))), Responder.layer()]),
    Layer.provideMerge(SimulatedSlack.layer()),
    Layer.provideMerge(settings({ dataDir, port: 0 })),
    Layer.orDie
  ))

it.effect(
  "five seconds in which nothing is said take no statement, and five minutes one of each at most a minute",
  () =>
    Effect.gen(function*() {
      const { reset, seen } = yield* counted
      yield* Effect.gen(function*() {
        const { act } = yield* SimulatedSlack
        yield* advance("10 seconds", "250 millis")
        assert.isTrue(
          (yield* act((world, now) => world.say({ channel: "D0BOB", user: "U0BOB", text: "hello" }, now))).ok
        )
        yield* advance("3 seconds", "250 millis")
        assert.strictEqual((yield* (yield* GatewayStatus).snapshot).outbox.delivered, 1)
        reset()
        yield* advance("5 seconds", "250 millis")
        assert.deepStrictEqual([...seen.texts.keys()], [])
        let silent = 0
        for (let from = 0; from < 300; from += 5) {
          const before = seen.statements
          yield* advance("5 seconds", "1 second")
          if (seen.statements === before) silent += 1
        }
        // Three sweeps, each once a minute.
        for (const [text, times] of seen.texts) assert.isAtMost(times, 5, text)
        assert.isAtLeast(silent, 60 - 3 * 5)
        assert.isAtMost(seen.statements, 5 * 9 + 20)
      }).pipe(inRooms(yield* gateway))
    }),
  60_000
)
