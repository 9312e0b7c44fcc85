/**
 * What is done to the gateways, drawn from the seed before the first one starts.
 *
 * Not quite half of the ends are at a named point, each point as often as the others; the rest come at any time, of
 * those some while the process starts, and some beside a trouble. A round is one gateway, from its start to its end;
 * rounds that share a data directory are an epoch, and every epoch begins with an end inside the migration.
 */
import { random } from "../harness.ts"
import { type Point, points, termPoints } from "./points.ts"
import { type TroubleName, troubleNames } from "./troubles.ts"

export type Moment = Point | "while it starts" | "at any time"

export interface Round {
  readonly number: number
  /** Decides everything within the round. */
  readonly seed: number
  readonly signal: "SIGKILL" | "SIGTERM"
  readonly moment: Moment
  readonly trouble: TroubleName | undefined
  /** How long a frozen process stays so. */
  readonly frozenMs: number
}

export interface Wishes {
  readonly kills: number
  readonly terms: number
  readonly seed: number
  readonly frozenMs: number
  /** The only troubles that may come; all of them unless named. */
  readonly troubles?: ReadonlyArray<TroubleName>
}

const namedShare = 0.45
const startingShare = 0.1
const troubledShare = 0.5
/** A process is frozen for the whole time in one of so many rounds that freeze it, and for a tenth in the others. */
const wholeFreezeIn = 4

export const scheduleOf = (
  { frozenMs, kills, seed, terms, troubles = troubleNames }: Wishes
): ReadonlyArray<ReadonlyArray<Round>> => {
  const dice = random(seed)
  let troubled = 0
  let frozen = 0
  const draw = (signal: Round["signal"], times: number, named: ReadonlyArray<Point>) =>
    Array.from({ length: times }, (_, n): Omit<Round, "number"> => {
      const isNamed = n < Math.round(times * namedShare)
      const moment = isNamed
        ? named[n % named.length] ?? "at any time"
        : n >= times * (1 - startingShare)
        ? "while it starts"
        : "at any time"
      const trouble = moment === "at any time" && dice.below(100) < 100 * troubledShare
        ? troubles[troubled++ % troubles.length]
        : undefined
      const isWhole = trouble === "frozen" && frozen++ % wholeFreezeIn === 0
      return { seed: dice.below(2 ** 31), signal, moment, trouble, frozenMs: isWhole ? frozenMs : frozenMs / 10 }
    })
  const all = [...draw("SIGKILL", kills, points), ...draw("SIGTERM", terms, termPoints)]
  const first = all.filter((round) => round.moment === "inside migration")
  const rest = dice.shuffle(all.filter((round) => round.moment !== "inside migration"))
  const epochs = Math.max(1, first.length)
  const length = Math.ceil(rest.length / epochs)
  let number = 0
  return Array.from(
    { length: epochs },
    (_, n) =>
      [...first.slice(n, n + 1), ...rest.slice(n * length, (n + 1) * length)].map((round) => ({
        ...round,
        number: ++number
      }))
  )
}
