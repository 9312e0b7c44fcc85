/**
 * The start over data in memory, as `../Instance.ts` promises it. See `Database.ts` for what it is for, and what
 * not.
 */
import { Clock, Effect, Layer } from "effect"
import { Instance, type PreviousStop } from "../Instance.ts"
import { OwnerId } from "../Message.ts"
import { call, type Data, Database, waits } from "./Database.ts"
import { cutOff, endInterim, setBack } from "./outboxRows.ts"

/** Records the start of `id`, the only instance that lives. */
export const begin = (data: Data, id: OwnerId, now: number): PreviousStop => {
  const previous = data.instances.at(-1)
  data.instances.push({ id, stoppedAt: null, heardUntil: previous?.heardUntil ?? null })

  // What was not sent live is not sent at all.
  endInterim(data, () => true, now)
  cutOff(data, () => true, "the process ended while it was sent", now)
  for (
    const row of [...data.replies.values()].filter(({ state }) => state === "failed_retryable" || state === "unknown")
  ) {
    row.dueAt = Math.min(row.dueAt, now)
  }
  setBack(data, 0, now)
  // It holds its lane from when somebody can look for it: how long nobody could, the clock does not say for certain.
  for (const row of [...data.replies.values()].filter(({ state }) => state === "unknown")) {
    if (!row.held) row.unknownSince = now
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
    const data = yield* Database
    const startedAt = yield* Clock.currentTimeMillis
    const id = OwnerId.make(`memory-${startedAt.toString(36)}-${data.instances.length + 1}`)
    const previousStop = begin(data, id, startedAt)
    return Instance.named({
      id,
      startedAt,
      previousStop,
      markClean: Effect.flatMap(Clock.currentTimeMillis, (now) =>
        call("markClean")(() => {
          for (const instance of data.instances) if (instance.id === id) instance.stoppedAt = now
        })),
      heardUntil: Effect.sync(() => data.instances.find((instance) => instance.id === id)?.heardUntil ?? null),
      markHeard: (until) =>
        call("markHeard")(() => {
          for (const instance of data.instances) if (instance.id === id) instance.heardUntil = until
        })
    })
  })
)
