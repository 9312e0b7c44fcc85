/** Alarms: raised once, over with the last of their causes. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { GatewayStatus } from "../src/GatewayStatus.ts"
import { ground, inRooms, logged } from "./fixtures/rooms.ts"

describe("an alarm", () => {
  const test = <A, E>(
    sentence: string,
    body: (status: GatewayStatus["Service"], lines: ReadonlyArray<string>) => Effect.Effect<A, E>
  ) =>
    it.effect(sentence, () => {
      const log = logged()
      return inRooms(ground().pipe(Layer.provideMerge(log.layer)))(
        Effect.flatMap(GatewayStatus, (status) => body(status, log.lines))
      )
    })

  const codes = (status: GatewayStatus["Service"]) =>
    Effect.map(status.snapshot, ({ alarms }) => alarms.map(({ code, text }) => `${code} ${text}`))

  test("is over when it is cleared for the last of its causes", (status) =>
    Effect.gen(function*() {
      yield* status.raise("full", "D1 is full", "D1")
      yield* status.raise("full", "D2 is full", "D2")
      yield* status.raise("full", "D1 is still full", "D1")
      yield* status.clear("full", "D3")
      yield* status.clear("full", "D1")
      assert.deepStrictEqual(yield* codes(status), ["full D1 is still full"])
      yield* status.clear("full", "D2")
      assert.deepStrictEqual(yield* codes(status), [])
    }))

  test("is logged when it begins and when it is over", (status, lines) =>
    Effect.gen(function*() {
      for (const text of ["away", "still away"]) yield* status.raise("database", text)
      for (let n = 0; n < 2; n++) yield* status.clear("database")
      assert.deepStrictEqual(lines.filter((line) => /away|over/.test(line)), ["Error away", "Info alarm is over"])
    }))

  test("of the database makes the gateway not ready", (status) =>
    Effect.gen(function*() {
      yield* status.raise("database:turns", "away", "turn_1")
      assert.include(yield* status.notReady, "database")
      yield* status.clear("database:turns", "turn_1")
      assert.notInclude(yield* status.notReady, "database")
    }))
})
