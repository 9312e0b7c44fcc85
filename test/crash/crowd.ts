/** People who talk in many conversations: two direct messages, threads in them, and threads in a channel. */
import { Effect } from "effect"
import type { random } from "./harness.ts"
import { openLedger, type Place } from "./ledger.ts"

interface Conversation {
  readonly place: Place
  /** The name of what was said last. */
  last?: string
}

/**
 * An empty ledger, and people who fill it. `talk` has one of them open a thread and at most so many others go on with
 * what they were talking about, but only where the last word was acknowledged.
 */
export const crowd = Effect.fnUntraced(function*(
  dice: ReturnType<typeof random>,
  { longestWaitMs = 200, mentioning = false }: {
    readonly longestWaitMs?: number
    /** In threads too, so that they are answered also where the past was deleted. */
    readonly mentioning?: boolean
  } = {}
) {
  const ledger = yield* openLedger
  const conversations: Array<Conversation> = [
    { place: { channel: "D0ALICE", user: "U0ALICE" } },
    { place: { channel: "D0BOB", user: "U0BOB" } }
  ]
  const mention = (place: Place) => mentioning && place.channel.startsWith("C") ? "<@U0BOT> " : ""
  const talk = Effect.fnUntraced(function*(times: number) {
    for (const conversation of dice.shuffle(conversations).slice(0, times)) {
      if (conversation.last !== undefined && !(yield* ledger.isAcked(conversation.last))) continue
      const words = `${mention(conversation.place)}wait=${dice.below(longestWaitMs)}`
      const { name, ts } = yield* ledger.say(conversation.place, words)
      conversation.last = name
      // What is said at the top of a direct message may become a thread of its own, beside it.
      const { channel, thread_ts, user } = conversation.place
      if (thread_ts === undefined && dice.below(3) === 0) {
        conversations.push({ place: { channel, user, thread_ts: ts } })
      }
    }
    const user = dice.pick(["U0ALICE", "U0BOB"])
    const { name, ts } = yield* ledger.say({ channel: "C0GENERAL", user }, `wait=${dice.below(longestWaitMs)}`)
    conversations.push({ place: { channel: "C0GENERAL", user, thread_ts: ts }, last: name })
  })
  return { ledger, talk }
})
