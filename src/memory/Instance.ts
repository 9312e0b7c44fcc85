/**
 * The start over data in memory, as `../Instance.ts` promises it: what dead instances held is given back. See
 * `Database.ts` for what it is for, and what not.
 */
import { Clock, Effect, Layer } from "effect"
import { GatewayConfig } from "../GatewayConfig.ts"
import { Instance, type PreviousStop } from "../Instance.ts"
import { OwnerId } from "../Message.ts"
import { suspectAfter } from "../MessageStore.ts"
import { call, type Data, Database, waits } from "./Database.ts"
import { cutOff, endInterim, endStreams } from "./outboxRows.ts"

const crashed = "the process ended in the middle of this turn, again and again"

/** Records the start of `id`, the only instance that lives. */
export const recover = (data: Data, id: OwnerId, maxCrashes: number, now: number): PreviousStop => {
  const previous = data.instances.at(-1)
  data.instances.push({ id, stoppedAt: null })

  for (const turn of [...data.turns.values()].filter(({ state }) => state === "running")) {
    const crashes = turn.crashes + 1
    // A suspect runs with nobody beside it who is in doubt too, so the crash is held against it alone.
    const isDead = maxCrashes > 0 && crashes >= suspectAfter + maxCrashes
    for (const row of [...data.messages.values()].filter((row) => row.turn === turn.id && row.state === "processing")) {
      Object.assign(row, isDead ? { state: "failed", reason: crashed, finishedAt: now } : { state: "queued" })
    }
    const end = isDead ? { state: "failed", error: crashed, finishedAt: now } : { state: "waiting", dueAt: now }
    Object.assign(turn, { owner: null, crashes, ...end })
    if (isDead) endStreams(data, turn.id, now)
  }
  // What was not sent live is not sent at all.
  endInterim(data, () => true, now)
  cutOff(data, () => true, "the process ended while it was sent", now)
  for (
    const row of [...data.replies.values()].filter(({ state }) => state === "failed_retryable" || state === "unknown")
  ) {
    row.dueAt = Math.min(row.dueAt, now)
  }
  for (const row of [...data.messages.values()].filter(waits)) {
    row.dueAt = Math.min(row.dueAt, now)
  }

  if (previous === undefined) return "none"
  return previous.stoppedAt === null ? "crash" : "clean"
}

/** Another instance starts over the same data. */
export const layer = Layer.effect(
  Instance,
  Effect.gen(function*() {
    const { maxCrashes } = yield* GatewayConfig
    const data = yield* Database
    const startedAt = yield* Clock.currentTimeMillis
    const id = OwnerId.make(`memory-${startedAt.toString(36)}-${data.instances.length + 1}`)
    const previousStop = recover(data, id, maxCrashes, startedAt)
    return Instance.of({
      id,
      startedAt,
      previousStop,
      markClean: Effect.flatMap(Clock.currentTimeMillis, (now) =>
        call("markClean")(() => {
          for (const instance of data.instances) if (instance.id === id) instance.stoppedAt = now
        }))
    })
  })
)
