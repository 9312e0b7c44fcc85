/** What the heartbeat file says, and when it is not written, in virtual time with real files and the real writer. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, FileSystem, Layer, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { mkdirSync, readdirSync, readFileSync, rmdirSync, statSync } from "node:fs"
import { join } from "node:path"
import { GatewayStatus } from "../src/GatewayStatus.ts"
import * as Heartbeat from "../src/Heartbeat.ts"
import { Heartbeat as Beat, heartbeatFile } from "../src/heartbeatFile.ts"
import { Shutdown } from "../src/Shutdown.ts"
import { GroupCommit, storeWriter } from "../src/sql/GroupCommit.ts"
import { StoreError, StoreUnavailable } from "../src/StoreError.ts"
import { StoreWriter } from "../src/StoreWriter.ts"
import { version } from "../src/version.ts"
import { temporaryDirectory } from "./fixtures/gateway.ts"
import { ground, inRooms, Rooms } from "./fixtures/rooms.ts"
import { advance, epoch, settle, until } from "./fixtures/time.ts"

const decode = Schema.decodeUnknownSync(Schema.fromJsonString(Beat))

interface Beats {
  readonly dataDir: string
  readonly read: () => Beat
  /** Seconds since the last one. */
  readonly age: Effect.Effect<number>
}

type Given = GatewayStatus | Shutdown | GroupCommit | SqlClient.SqlClient | Rooms

const test = <A, E>(
  sentence: string,
  body: (beats: Beats) => Effect.Effect<A, E, Given>,
  writer: Layer.Layer<never, never, GroupCommit> = storeWriter
) =>
  it.effect(sentence, () =>
    Effect.gen(function*() {
      const dataDir = yield* temporaryDirectory
      const file = join(dataDir, heartbeatFile)
      const read = () => decode(readFileSync(file, "utf8"))
      const age = Effect.map(Clock.currentTimeMillis, (now) => (now - read().at) / 1_000)
      const layer = Heartbeat.layer(4711).pipe(
        Layer.provideMerge(writer),
        Layer.provideMerge(ground({ dataDir })),
        Layer.provide(files),
        Layer.provide(NodeServices.layer)
      )
      return yield* inRooms(layer)(Effect.andThen(written, body({ dataDir, read, age })))
    }))

/** Calls to the real file system that are under way, in other threads. */
let writing = 0
const counted = <A, E>(call: Effect.Effect<A, E>) =>
  Effect.suspend(() => {
    writing += 1
    return Effect.ensuring(
      call,
      Effect.sync(() => {
        writing -= 1
      })
    )
  })
const files = Layer.effect(
  FileSystem.FileSystem,
  Effect.map(FileSystem.FileSystem, (fs) => ({
    ...fs,
    writeFileString: (...given) => counted(fs.writeFileString(...given)),
    rename: (...given) => counted(fs.rename(...given))
  }))
)
const written = Effect.andThen(
  until("the files are written", Effect.andThen(settle, Effect.sync(() => writing === 0))),
  settle
)

/** Lets time pass for as long as files take none. */
const seconds = Effect.fnUntraced(function*(count: number) {
  for (let second = 0; second < count; second++) {
    yield* advance("1 second")
    yield* written
  }
})

const alarms = Effect.flatMap(
  GatewayStatus,
  (status) => Effect.map(status.snapshot, ({ alarms }) => alarms.map(({ code }) => code))
)

/** Time passes in which the event loop does not turn. */
const standStill = (seconds: number) =>
  Effect.map(Clock.Clock, (clock) => {
    const by = BigInt(seconds) * 1_000_000_000n
    Object.assign(clock, { monotonicTimeNanos: Effect.map(clock.monotonicTimeNanos, (nanos) => nanos + by) })
  })

describe("the heartbeat", () => {
  test("is written at once and every five seconds, for the owner alone, and leaves nothing beside it", (beats) =>
    Effect.gen(function*() {
      const first = beats.read()
      assert.deepStrictEqual(first, {
        at: epoch,
        instance: "me",
        pid: 4711,
        version,
        phase: "running",
        generation: 0,
        socket: "starting",
        network: "up"
      })
      assert.strictEqual(statSync(join(beats.dataDir, heartbeatFile)).mode & 0o777, 0o600)
      yield* seconds(61)
      assert.strictEqual(beats.read().at, epoch + 60_000)
      assert.strictEqual((yield* (yield* GatewayStatus).snapshot).heartbeat, epoch + 60_000)
      assert.deepStrictEqual(readdirSync(beats.dataDir), [heartbeatFile])
    }))

  test("stays fresh in an outage, and says that the network is down", (beats) =>
    Effect.gen(function*() {
      yield* (yield* GatewayStatus).setNetwork("down")
      yield* seconds(180)
      assert.isAtMost(yield* beats.age, 5)
      assert.strictEqual(beats.read().network, "down")
    }))

  test("stays fresh in a drain, and says in the end that the gateway stopped", (beats) =>
    Effect.gen(function*() {
      yield* (yield* Shutdown).begin
      yield* seconds(20)
      assert.strictEqual(beats.read().phase, "draining")
      assert.isAtMost(yield* beats.age, 5)
      yield* (yield* Rooms).close
      // The file is real and the clock is not: the deadline of the stop may pass before the disk has answered.
      yield* until("it says that it stopped", Effect.sync(() => beats.read().phase === "stopped"))
    }))

  test("stops while an alarm says that the database takes no writes", (beats) =>
    Effect.gen(function*() {
      const status = yield* GatewayStatus
      yield* status.raise("database:intake", "disk full")
      yield* seconds(60)
      assert.isAtLeast(yield* beats.age, 60)
      yield* status.clear("database:intake")
      yield* seconds(6)
      assert.isAtMost(yield* beats.age, 5)
    }))

  test("is left out when the event loop stood still for long, with an alarm, and goes on when it turns", (beats) =>
    Effect.gen(function*() {
      yield* seconds(6)
      for (let block = 0; block < 4; block++) {
        yield* standStill(11)
        yield* seconds(5)
      }
      assert.isAtLeast(yield* beats.age, 20)
      assert.deepStrictEqual(yield* alarms, ["event-loop"])
      assert.isAtLeast((yield* (yield* GatewayStatus).snapshot).eventLoopDelayMs, 11_000)
      yield* seconds(10)
      assert.isAtMost(yield* beats.age, 5)
      assert.deepStrictEqual(yield* alarms, [])
    }))

  test("goes on through a short block, which is an alarm until it was better for a while", (beats) =>
    Effect.gen(function*() {
      yield* standStill(3)
      yield* seconds(10)
      assert.isAtMost(yield* beats.age, 5)
      yield* seconds(10)
      assert.deepStrictEqual(yield* alarms, [])
    }))

  test("says so when it cannot be written, and when it can again", ({ dataDir, age }) =>
    Effect.gen(function*() {
      const away = `${heartbeatFile}.tmp`
      mkdirSync(join(dataDir, away))
      yield* seconds(10)
      assert.deepStrictEqual(yield* alarms, ["heartbeat"])
      rmdirSync(join(dataDir, away))
      yield* seconds(6)
      assert.deepStrictEqual(yield* alarms, [])
      assert.isAtMost(yield* age, 5)
    }))
})

/** A writer that the test holds. */
const scripted = () => {
  const script = {
    idleFor: 0,
    probes: 0,
    hangs: undefined as Deferred.Deferred<void> | undefined,
    broken: false
  }
  const probe = Effect.gen(function*() {
    script.probes += 1
    if (script.hangs !== undefined) yield* Deferred.await(script.hangs)
    if (script.broken) {
      return yield* new StoreError({
        operation: "probe",
        reason: new StoreUnavailable({ cause: new Error("disk I/O error") })
      })
    }
  })
  return {
    script,
    layer: Layer.succeed(StoreWriter, { idleFor: Effect.sync(() => script.idleFor), probe })
  }
}

describe("the database's writer", () => {
  const working = scripted()
  test("is not probed while it commits, and twice a minute when it has nothing to do", () =>
    Effect.gen(function*() {
      yield* seconds(120)
      assert.strictEqual(working.script.probes, 0)
      working.script.idleFor = 30_000
      yield* seconds(300)
      assert.isAtLeast(working.script.probes, 9)
      assert.isAtMost(working.script.probes, 11)
    }), working.layer)

  const hanging = scripted()
  test("stops the heartbeat when it hangs, with an alarm, until it is free again", (beats) =>
    Effect.gen(function*() {
      const free = yield* Deferred.make<void>()
      Object.assign(hanging.script, { idleFor: 1e9, hangs: free })
      yield* seconds(40)
      assert.isAtMost(yield* beats.age, 5)
      yield* seconds(120)
      assert.isAtLeast(yield* beats.age, 110)
      assert.deepStrictEqual(yield* alarms, ["database:writer"])
      // Those that wait do not pile up behind a writer that hangs.
      assert.isAtMost(hanging.script.probes, 2)
      yield* Deferred.succeed(free, undefined)
      yield* seconds(6)
      assert.isAtMost(yield* beats.age, 5)
      assert.deepStrictEqual(yield* alarms, [])
    }), hanging.layer)

  const broken = scripted()
  test("stops the heartbeat when it fails, until it works again", (beats) =>
    Effect.gen(function*() {
      Object.assign(broken.script, { idleFor: 1e9, broken: true })
      yield* seconds(120)
      assert.deepStrictEqual(yield* alarms, ["database:writer"])
      assert.isAtLeast(yield* beats.age, 80)
      broken.script.broken = false
      yield* seconds(11)
      assert.deepStrictEqual(yield* alarms, [])
      assert.isAtMost(yield* beats.age, 5)
    }), broken.layer)

  test("waits with its probe for a transaction that somebody has open, takes no part in it, and is a proof then", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const { probe } = yield* StoreWriter
      const { idleFor } = yield* GroupCommit
      const held = yield* Deferred.make<void>()
      const open = yield* Effect.forkChild(
        sql.withTransaction(Effect.andThen(sql`CREATE TABLE hosts (n INTEGER)`, Deferred.await(held)))
      )
      yield* settle
      yield* seconds(50)
      const probing = yield* Effect.forkChild(probe)
      yield* settle
      assert.isUndefined(probing.pollUnsafe())
      assert.isAtLeast(yield* idleFor, 50_000)
      assert.include(yield* (yield* GatewayStatus).notReady, "database")
      yield* Deferred.succeed(held, undefined)
      yield* settle
      assert.isDefined(probing.pollUnsafe())
      assert.isDefined(open.pollUnsafe())
      assert.strictEqual(yield* idleFor, 0)
      assert.strictEqual((yield* sql`SELECT * FROM hosts`).length, 0)
      yield* seconds(1)
      assert.deepStrictEqual(yield* alarms, [])
    }))
})
