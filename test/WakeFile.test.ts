/** A touched file wakes: with real files, watched by the real system. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { Effect, Layer, SubscriptionRef } from "effect"
import { existsSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"
import { GatewayStatus, type SocketState } from "../src/GatewayStatus.ts"
import { Supervisor } from "../src/Supervisor.ts"
import * as WakeFile from "../src/WakeFile.ts"
import { eventually, temporaryDirectory } from "./fixtures/gateway.ts"
import { settings } from "./fixtures/stores.ts"

/** Watches in a directory, and tells how often it woke and which alarms were raised. */
const watching = Effect.fnUntraced(function*(dataDir: string) {
  const seen = { wakes: 0, alarms: new Array<string>() }
  const status = Layer.mock(GatewayStatus)({
    socket: yield* SubscriptionRef.make<SocketState>({
      state: "starting",
      generation: 0,
      connectedSince: null,
      disconnectedSince: null,
      silence: null,
      reconnects: 0,
      connections: 0
    }),
    raise: (_, text) => Effect.sync(() => void seen.alarms.push(text)),
    clear: () => Effect.void
  })
  yield* Layer.build(
    WakeFile.layer(Effect.sync(() => void seen.wakes++)).pipe(
      Layer.provide([status, Supervisor.layer, settings({ dataDir }), NodeServices.layer])
    )
  )
  return seen
})

const touch = (dataDir: string) => Effect.provide(WakeFile.touch(dataDir), NodeServices.layer)

/** Started, and quiet since. */
const started = Effect.fnUntraced(function*(dataDir: string) {
  const seen = yield* watching(dataDir)
  yield* eventually("it watches", Effect.sync(() => seen.wakes === 1))
  return seen
})

it.live("makes its file, for nobody else to read, and wakes when that is touched", () =>
  Effect.gen(function*() {
    const dataDir = yield* temporaryDirectory
    const seen = yield* started(dataDir)
    assert.strictEqual(statSync(join(dataDir, "wake")).mode & 0o777, 0o600)
    yield* touch(dataDir)
    yield* eventually("a touch wakes", Effect.sync(() => seen.wakes === 2))
    yield* touch(dataDir)
    yield* eventually("another one too", Effect.sync(() => seen.wakes === 3))
  }))

it.live("many touches together wake few times", () =>
  Effect.gen(function*() {
    const dataDir = yield* temporaryDirectory
    const seen = yield* started(dataDir)
    yield* Effect.forEach(Array.from({ length: 400 }), () => touch(dataDir), { concurrency: 40, discard: true })
    yield* eventually("they wake", Effect.sync(() => seen.wakes > 1))
    assert.isAtMost(seen.wakes, 100)
  }))

it.live("a touch makes the file where there is none; one that was removed is watched again", () =>
  Effect.gen(function*() {
    const dataDir = yield* temporaryDirectory
    yield* touch(dataDir)
    assert.isTrue(existsSync(join(dataDir, "wake")))
    const seen = yield* started(dataDir)
    rmSync(join(dataDir, "wake"))
    yield* eventually("it is made again", Effect.sync(() => existsSync(join(dataDir, "wake"))))
    yield* eventually("what happened meanwhile counts", Effect.sync(() => seen.wakes === 2))
    yield* touch(dataDir)
    yield* eventually("a touch wakes", Effect.sync(() => seen.wakes === 3))
  }))

it.live("what cannot be watched raises an alarm, and nothing else happens", () =>
  Effect.gen(function*() {
    const dataDir = join(yield* temporaryDirectory, "gone")
    const seen = yield* watching(dataDir)
    yield* eventually("an alarm", Effect.sync(() => seen.alarms.length > 0))
    assert.match(seen.alarms[0] ?? "", /cannot watch .*wake .*within a minute/)
    yield* touch(dataDir)
    assert.strictEqual(seen.wakes, 0)
  }))
