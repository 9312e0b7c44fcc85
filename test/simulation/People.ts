/** What people do in Slack during a history: drawn beforehand, each deed at its moment. */
import type { Dice } from "./Dice.ts"
import type { Ledger } from "./Ledger.ts"
import type { Slack } from "./Slack.ts"

export interface Deed {
  readonly at: number
  readonly number: number
  readonly does: "mention" | "direct" | "reply" | "chatter" | "command"
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
        : "command",
      place: stream.between(0, 1),
      poison: mayPoison && stream.chance(0.2)
    })
    const gap = stream.next()
    at += gap < 0.25
      ? 0
      : gap < 0.5
      ? stream.between(0, 60)
      : gap < 0.8
      ? stream.between(60, 3_000)
      : gap < 0.97
      ? stream.between(3_000, 40_000)
      : stream.between(40_000, 200_000)
  }
  return deeds.filter((deed) => !dice.omitted.deeds.has(deed.number))
}

/** A message that people can answer in its thread. */
export interface Root {
  readonly channel: string
  readonly ts: string
  readonly direct: boolean
}

/** Does it now, and writes down what may be expected of it. */
export const perform = (
  { does, number, place, poison }: Deed,
  { dice, ledger, now, roots, slack }: {
    readonly slack: Slack
    readonly ledger: Ledger
    readonly roots: Array<Root>
    readonly now: number
    readonly dice: Dice
  }
): void => {
  const tag = `m${number}`
  const user = personOf(place)
  const channel = channels[place] ?? "C0ONE"
  const say = (said: { channel: string; text: string; thread_ts?: string }, addressed: boolean | "maybe") => {
    const posted = slack.act((world, at) => world.say({ user, ...said }, at))
    if (!posted.ok) return
    const { channel, thread_ts: threadTs } = said
    ledger.said.push({ tag, kind: "message", channel, ts: posted.ts, threadTs, addressed, at: now, poison })
    if (threadTs === undefined) roots.push({ channel, ts: posted.ts, direct: channel.startsWith("D") })
  }
  switch (does) {
    case "mention":
      return say({ channel, text: `<@U0BOT> ${tag}` }, true)
    case "direct":
      return say({ channel: directOf(place), text: tag }, true)
    case "chatter":
      return say({ channel, text: tag }, false)
    case "command": {
      const command = { command: "/ask", text: tag, user, channel }
      const sent = slack.act((world, at) => world.command(command, "http://slack.invalid", at))
      // Slack repeats no command; one that is not stored in time is not done.
      if (sent.ok) {
        const expected = { kind: "command" as const, ts: "", threadTs: undefined, addressed: "maybe" as const }
        ledger.said.push({ tag, channel, at: now, poison, ...expected })
      }
      return
    }
    case "reply": {
      if (roots.length === 0) return
      const root = dice.once(`deed ${number}`).pick(roots)
      // Whether the bot takes part in a channel's thread depends on when it is asked.
      say({ channel: root.channel, text: tag, thread_ts: root.ts }, root.direct ? true : "maybe")
    }
  }
}
