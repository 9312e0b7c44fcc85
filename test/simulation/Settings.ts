/** What of a gateway's settings a history draws. */
import { Duration } from "effect"
import type { Mode, Settings } from "../../src/GatewayConfig.ts"
import type { Dice, Stream } from "./Dice.ts"

export const settingsOf = (dice: Dice) => {
  const stream = dice.of("settings")
  const time = (...ms: ReadonlyArray<number>) => Duration.millis(stream.pick(ms))
  return {
    debounce: time(0, 0, 500, 2_000),
    concurrency: stream.pick([1, 2, 4, 16]),
    mode: stream.pick<Mode>(["collect", "collect", "followup", "steer", "interrupt"]),
    maxAttempts: stream.pick([2, 3, 5]),
    maxWaiting: stream.chance(0.1) ? 2 : 1_000,
    retryDelay: time(200, 1_000, 5_000),
    connections: stream.pick([1, 1, 2]),
    handlerTimeout: time(30_000, 60_000),
    paceInterval: time(0, 1_000)
  } satisfies Partial<Settings>
}

export type Drawn = ReturnType<typeof settingsOf>

/** What a reload changes; now and then to something that is refused. */
export const changesOf = (stream: Stream): Partial<Settings> => ({
  debounce: Duration.millis(stream.pick([0, 500])),
  concurrency: stream.chance(0.1) ? -1 : stream.pick([1, 4, 16]),
  mode: stream.pick<Mode>(["collect", "followup"])
})
