/**
 * How a command beside the gateway says that it changed the database: it touches the file `wake` in the data directory.
 *
 * Guarantees: a touch wakes the rooms at once, many together wake them few times, and nobody polls. A file that is
 * removed or replaced is watched anew; what was touched meanwhile counts. Where files cannot be watched an alarm says
 * so, and the rooms' own sweep finds every change within a minute.
 * Does not: carry anything. What changed is in the database.
 */
import { Cause, Clock, Effect, FileSystem, Latch, Layer, Path, Stream } from "effect"
import { GatewayConfig } from "./GatewayConfig.ts"
import { GatewayStatus } from "./GatewayStatus.ts"
import { Supervisor } from "./Supervisor.ts"

/** Between two wake-ups, and before a file that is gone is made again. */
const pause = "50 millis"
const againAfter = "1 minute"

const fileIn = (dataDir: string) => Effect.map(Path.Path, (path) => path.join(dataDir, "wake"))

/** Makes it if need be. */
const ensure = Effect.fnUntraced(function*(file: string) {
  const fs = yield* FileSystem.FileSystem
  yield* fs.writeFileString(file, "", { flag: "a", mode: 0o600 })
})

/** For commands, after their commit. A gateway that cannot be told finds out within a minute. */
export const touch = Effect.fn("WakeFile.touch")(function*(dataDir: string) {
  const fs = yield* FileSystem.FileSystem
  const file = yield* fileIn(dataDir)
  yield* ensure(file)
  const now = (yield* Clock.currentTimeMillis) / 1_000
  yield* fs.utimes(file, now, now)
}, Effect.catch((error) => Effect.logWarning("could not wake the gateway; it looks within a minute", error)))

/** Runs `wake` whenever the file was touched. */
export const layer = <R>(wake: Effect.Effect<void, never, R>) =>
  Layer.effectDiscard(Effect.gen(function*() {
    const { dataDir } = yield* GatewayConfig
    const fs = yield* FileSystem.FileSystem
    const status = yield* GatewayStatus
    const supervisor = yield* Supervisor
    const file = yield* fileIn(dataDir)
    const touched = yield* Latch.make()

    // What happened while nobody watched counts as a touch.
    const watched = fs.watch(file, { onReady: () => touched.openUnsafe() }).pipe(
      Stream.takeWhile(({ _tag }) => _tag === "Update"),
      Stream.runForEach(() => touched.open)
    )

    const watch = Effect.gen(function*() {
      yield* ensure(file)
      yield* status.clear("wake-file")
      yield* watched
      yield* Effect.sleep(pause)
    }).pipe(
      // Node throws where the system has no watches left.
      Effect.catchCause((cause) => {
        if (Cause.hasInterruptsOnly(cause)) return Effect.failCause(cause)
        const text = `cannot watch ${file} (${
          String(Cause.squash(cause))
        }): what commands change is seen within a minute`
        return Effect.andThen(status.raise("wake-file", text), Effect.sleep(againAfter))
      })
    )

    yield* supervisor.fork("wake-file", Effect.forever(watch))
    yield* supervisor.fork(
      "wake-up",
      Effect.forever(
        touched.await.pipe(
          Effect.andThen(touched.close),
          Effect.andThen(wake),
          Effect.andThen(Effect.sleep(pause))
        )
      )
    )
  }))
