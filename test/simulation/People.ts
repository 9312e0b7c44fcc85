/** What people do in Slack during a history: drawn beforehand, each deed at its moment. */
import type { Dice } from "./Dice.ts"

export interface Deed {
  readonly at: number
  readonly number: number
  readonly does: "mention" | "direct" | "reply" | "chatter" | "command" | "edit"
  readonly place: number
  readonly poison: boolean
}

export const channels = ["C0ONE", "C0TWO"]
const people = ["U0ALICE", "U0BOB"]
export const personOf = (place: number) => people[place % people.length] as string
export const directOf = (place: number) => `D0${personOf(place).slice(2)}`

/** Deeds in bursts, with pauses in between. */
export const deedsOf = (dice: Dice): ReadonlyArray<Deed> => {
  const stream = dice.of("people")
  const count = stream.pick([3, 6, 10, 16, 25])
  const mayPoison = stream.chance(0.06)
  const deeds: Array<Deed> = []
  let at = stream.between(0, 3_000)
  for (let number = 0; number < count; number++) {
    const sort = stream.next()
    deeds.push({
      at,
      number,
      does: sort < 0.3
        ? "mention"
        : sort < 0.6
        ? "direct"
        : sort < 0.82
        ? "reply"
        : sort < 0.9
        ? "chatter"
        : sort < 0.96
        ? "command"
        : "edit",
      place: stream.between(0, 1),
      poison: mayPoison && stream.chance(0.2)
    })
    const gap = stream.next()
    at += gap < 0.5
      ? stream.between(0, 60)
      : gap < 0.8
      ? stream.between(60, 3_000)
      : gap < 0.97
      ? stream.between(3_000, 40_000)
      : stream.between(40_000, 200_000)
  }
  return deeds.filter((deed) => !dice.omitted.deeds.has(deed.number))
}
