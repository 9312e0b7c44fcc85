/**
 * What may go wrong in one history, and how often: drawn once, so that some histories know one trouble and others all.
 *
 * Everything ends with `calm`: from then on nothing goes wrong any more, and what is unfinished must come to its end.
 */
import type { Dice } from "./Dice.ts"

export interface Weather {
  /** Of a connection, for each frame or ack on it. */
  readonly drop: number
  /** An ack is lost although the connection stays. */
  readonly ackLost: number
  /** Slack asks to reconnect, for each act of a person. */
  readonly refresh: number
  /** A connection brings nothing any more and nobody says so. */
  readonly deaf: number
  /** Slack sends again what was acked, or sends it twice. */
  readonly again: number
  /** Opening a connection fails. */
  readonly refuse: number
  /** Of each call of the Web API. */
  readonly lost: number
  readonly resetAfter: number
  readonly late: number
  readonly tooMany: number
  readonly serverError: number
  readonly slowAnswer: number
  /** The request does not leave the machine. */
  readonly notSent: number
  /** Slack will not have this post. */
  readonly permanent: number
  /** Of each statement, or of each begin and commit. */
  readonly busy: number
  readonly full: number
  readonly ioerr: number
  readonly slowDisk: number
  /** Of each run of a handler. */
  readonly fail: number
  readonly hang: number
  readonly defect: number
  readonly slow: number
  /** Of each act of a person: what becomes of the process. */
  readonly kill: number
  readonly stop: number
  readonly freeze: number
  readonly reload: number
  readonly clock: number
  /** Somebody pauses, resumes or cancels. */
  readonly wish: number
}

const strengths: { readonly [K in keyof Weather]: readonly [family: string, most: number] } = {
  drop: ["connection", 0.05],
  ackLost: ["connection", 0.1],
  refresh: ["connection", 0.15],
  deaf: ["connection", 0.03],
  again: ["connection", 0.2],
  refuse: ["connection", 0.3],
  lost: ["api", 0.15],
  resetAfter: ["api", 0.2],
  late: ["api", 0.1],
  tooMany: ["api", 0.15],
  serverError: ["api", 0.15],
  slowAnswer: ["api", 0.3],
  notSent: ["api", 0.1],
  permanent: ["api", 0.03],
  busy: ["store", 0.05],
  full: ["store", 0.02],
  ioerr: ["store", 0.02],
  slowDisk: ["store", 0.02],
  fail: ["handler", 0.4],
  hang: ["handler", 0.1],
  defect: ["handler", 0.15],
  slow: ["handler", 0.5],
  kill: ["process", 0.3],
  stop: ["process", 0.15],
  freeze: ["process", 0.05],
  reload: ["process", 0.15],
  clock: ["clock", 0.2],
  wish: ["operator", 0.3]
}

export const weatherOf = (dice: Dice): Weather => {
  const stream = dice.of("weather")
  const families = new Map<string, number>()
  for (const [family] of Object.values(strengths)) {
    if (!families.has(family)) families.set(family, stream.chance(0.7) ? 0.3 + stream.next() : 0)
  }
  const drawn = Object.entries(strengths).map(([name, [family, most]]) => [
    name,
    stream.chance(0.7) ? Math.min(1, most * stream.next() * 1.5) * (families.get(family) ?? 0) : 0
  ])
  return Object.fromEntries(drawn) as Weather
}

export const calm: Weather = Object.fromEntries(Object.keys(strengths).map((name) => [name, 0])) as unknown as Weather
