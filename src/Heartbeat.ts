/**
 * Judges the process itself, and writes `heartbeat.json` into the data directory for whoever watches from outside.
 *
 * Guarantees: the file is replaced atomically, mode 0600, every five seconds, and only while the process is healthy:
 * the database takes writes (no `database` alarm, and its writer committed something or was probed lately) and the
 * event loop turns. A process that is wedged, hangs in its database or stands still again and again lets its heartbeat
 * grow old. An outage of the network is not a wedge: the heartbeat stays fresh and says `network: down`. Neither is a
 * drain: it lies below the rooms. After a clean stop the file says `stopped`; after `kill -9` it just grows old.
 * Does not: end the process. Whoever reads the file decides (`slackwater healthcheck`, systemd's watchdog).
 * On shutdown: writes a last time.
 */
import { Clock, Effect, Fiber, FileSystem, Layer, Path, SubscriptionRef } from "effect"
import { GatewayConfig } from "./GatewayConfig.ts"
import { GatewayStatus } from "./GatewayStatus.ts"
import { type Heartbeat, heartbeatFile } from "./heartbeatFile.ts"
import { Instance } from "./Instance.ts"
import { monotonicMillis } from "./monotonic.ts"
import { Shutdown } from "./Shutdown.ts"
import { StoreWriter } from "./StoreWriter.ts"
import { Supervisor } from "./Supervisor.ts"
import { eventLoopDelay, gauged } from "./Telemetry.ts"
import { version } from "./version.ts"

/** The event loop is looked at this often (ms; a block is seen shorter by as much), and the file written every so many looks. */
const lookEvery = 250
const looksPerBeat = 20
/** Acks and pongs have seconds; a loop that stood still this long endangers them (ms). */
const slow = 2_000
/** A heartbeat is not written when the loop stood still this long since the last one (ms). */
const wedged = 10_000
/** A writer that committed nothing for so long is probed, and one that fails more often (ms). */
const idle = 30_000
const probeAgain = 5_000
/** It hangs when a probe waits longer than so many heartbeats; counted and not timed, for we may stand still ourselves. */
const beatsPerProbe = 3

/** `pid`: which process this is; a room does not know. */
export const layer = (pid: number) =>
  Layer.effectDiscard(Effect.gen(function*() {
    const config = yield* GatewayConfig
    const fs = yield* FileSystem.FileSystem
    const instance = yield* Instance
    const path = yield* Path.Path
    const shutdown = yield* Shutdown
    const status = yield* GatewayStatus
    const supervisor = yield* Supervisor
    const writer = yield* StoreWriter
    const file = path.join(config.dataDir, heartbeatFile)
    let worstDelay = 0
    let probing = false
    let beatsWaited = 0

    const replace = Effect.fnUntraced(function*(phase: Heartbeat["phase"]) {
      const at = yield* Clock.currentTimeMillis
      const { generation, state } = yield* SubscriptionRef.get(status.socket)
      const content: Heartbeat = {
        at,
        instance: instance.id,
        pid,
        version,
        phase,
        generation,
        socket: state,
        network: yield* status.network
      }
      yield* fs.writeFileString(`${file}.tmp`, JSON.stringify(content), { mode: 0o600 })
      yield* fs.rename(`${file}.tmp`, file)
      yield* status.beat(at)
      yield* status.clear("heartbeat")
    }, Effect.catch((error) => status.raise("heartbeat", `cannot write ${file}: ${error.message}`)))

    let last: Fiber.Fiber<void> | undefined
    /** One after the other: what the system was told to write is written, whoever is interrupted meanwhile. */
    const write = Effect.fnUntraced(function*(phase: Heartbeat["phase"]) {
      if (last !== undefined) yield* Fiber.await(last)
      last = yield* Effect.forkDetach(replace(phase), { startImmediately: true })
      yield* Fiber.join(last)
    })

    /** A commit is proof that the writer lives; where there is none for long, a probe must be. */
    const proofs = Effect.gen(function*() {
      const left = idle - (yield* writer.idleFor)
      if (left <= 0) {
        probing = true
        yield* writer.probe
      }
      yield* status.clear("database:writer")
      return left > 0 ? left : idle
    }).pipe(
      Effect.catch((error) =>
        Effect.as(status.raise("database:writer", `the database takes no writes: ${error.message}`), probeAgain)
      ),
      Effect.ensuring(Effect.sync(() => {
        probing = false
      })),
      Effect.flatMap(Effect.sleep)
    )

    const isHealthy = Effect.gen(function*() {
      beatsWaited = probing ? beatsWaited + 1 : 0
      if (beatsWaited > beatsPerProbe) {
        const seconds = Math.round((yield* writer.idleFor) / 1_000)
        const text =
          `the database's writer hangs: it has committed nothing for ${seconds} s, and does not answer a probe`
        yield* status.raise("database:writer", text)
      }
      return worstDelay < wedged && !(yield* status.notReady).includes("database")
    })

    const beat = Effect.gen(function*() {
      yield* gauged(eventLoopDelay, worstDelay / 1_000)
      yield* status.setEventLoopDelay(worstDelay)
      if (worstDelay < slow) yield* status.clear("event-loop")
      if (yield* isHealthy) yield* write(yield* SubscriptionRef.get(shutdown.phase))
      worstDelay = 0
    })

    const look = Effect.gen(function*() {
      const before = yield* monotonicMillis
      yield* Effect.sleep(lookEvery)
      const late = (yield* monotonicMillis) - before - lookEvery
      worstDelay = Math.max(worstDelay, late)
      if (late < slow) return
      yield* status.raise(
        "event-loop",
        `the event loop stood still for ${
          Math.round(late / 1_000)
        } s: acks and pongs waited; move long synchronous work ` +
          "out of the handler"
      )
    })

    // Made first, so that it runs when the fiber below is gone.
    yield* Effect.addFinalizer(() => shutdown.within("clean", write("stopped")))
    yield* supervisor.fork("writer-proofs", Effect.forever(proofs))
    yield* supervisor.fork(
      "heartbeat",
      Effect.forever(Effect.andThen(beat, Effect.repeat(look, { times: looksPerBeat - 1 })))
    )
  }))
