/**
 * What people said, what the bot answered, and whether the two fit.
 *
 * Every message has a name of its own (`m12`), and the handler (`programs/scripted.ts`) repeats the names of its turn
 * in two posts. So each name must be covered by one `began` and one `ended`, in its own conversation, and the posts of
 * a conversation must name its messages in the order in which they were said.
 *
 * A person says the next thing in a conversation only after the last one was acknowledged: from then on the order is
 * promised, whatever Slack has to deliver again.
 */
import { Effect } from "effect"
import { LocalSlack } from "slackwater/testing"

/** Where something is said. */
export interface Place {
  readonly channel: string
  readonly user: string
  readonly thread_ts?: string
}

interface Entry {
  readonly name: string
  readonly conversation: string
  /** What Slack sent for it: one event, or two for a mention. */
  readonly events: ReadonlyArray<string>
}

export interface Verdict {
  readonly messages: number
  readonly posts: number
  readonly lost: number
  readonly doubled: number
  readonly outOfOrder: number
}

const conversationOf = (channel: string, thread: string | undefined) =>
  thread === undefined ? channel : `${channel}/${thread}`

/** An empty ledger for the LocalSlack in the context. */
export const openLedger = Effect.gen(function*() {
  const slack = yield* LocalSlack
  const entries: Array<Entry> = []

  /** Says `<name> <words>`; answers the name and the message's `ts`. */
  const say = Effect.fnUntraced(function*(place: Place, words = "") {
    const name = `m${entries.length + 1}`
    const mention = place.channel.startsWith("C") && place.thread_ts === undefined ? "<@U0BOT> " : ""
    const before = new Set(yield* slack.unacked)
    const ts = yield* slack.say({ ...place, text: `${mention}${name} ${words}`.trim() })
    const events = (yield* slack.unacked).filter((id) => !before.has(id))
    const root = place.thread_ts ?? (mention === "" ? undefined : ts)
    entries.push({ name, conversation: conversationOf(place.channel, root), events })
    return { name, ts }
  })

  /** Whether Slack has an ack for the message: one of a mention's two events is enough, they are one message. */
  const isAcked = (name: string) =>
    Effect.map(
      slack.unacked,
      (unacked) =>
        entries.some((entry) => entry.name === name && entry.events.some((event) => !unacked.includes(event)))
    )

  /** Waits for the ack, which must be yet to come or in the journal still; answers its journal entry. */
  const acked = (name: string) => {
    const events = entries.find((entry) => entry.name === name)?.events ?? []
    return slack.awaitJournal((entry) =>
      entry._tag === "AckReceived" && !entry.ignored && entry.eventId !== undefined && events.includes(entry.eventId)
    )
  }

  /** The bot's posts by conversation, in Slack's order. */
  const posts = Effect.gen(function*() {
    const found = new Map<string, Array<string>>()
    for (const channel of ["C0GENERAL", "D0ALICE", "D0BOB"]) {
      for (const message of yield* slack.messages(channel)) {
        if (message.bot_id === undefined) continue
        const conversation = conversationOf(channel, message.thread_ts)
        found.set(conversation, [...found.get(conversation) ?? [], message.text])
      }
    }
    return found
  })

  const verdict = Effect.map(posts, (found): Verdict => {
    const times = new Map<string, number>()
    const covered = new Set<string>()
    for (const [conversation, here] of found) {
      for (const post of here) {
        for (const name of namesIn(post)) {
          const what = `${wordOf(post)} ${name}`
          times.set(what, (times.get(what) ?? 0) + 1)
          covered.add(`${conversation} ${what}`)
        }
      }
    }
    let lost = 0
    let doubled = 0
    for (const { conversation, name } of entries) {
      for (const word of ["began", "ended"]) {
        if (!covered.has(`${conversation} ${word} ${name}`)) lost += 1
        doubled += Math.max(0, (times.get(`${word} ${name}`) ?? 0) - 1)
      }
    }
    const said = new Map<string, Array<string>>()
    for (const { conversation, name } of entries) said.set(conversation, [...said.get(conversation) ?? [], name])
    let outOfOrder = 0
    for (const [conversation, names] of said) outOfOrder += disorder(found.get(conversation) ?? [], names)
    const all = [...found.values()].reduce((sum, here) => sum + here.length, 0)
    return { messages: entries.length, posts: all, lost, doubled, outOfOrder }
  })

  /** Everything that was sent, acknowledged and posted, by conversation: for whoever has to find out what went wrong. */
  const record = Effect.gen(function*() {
    const found = yield* posts
    const unacked = new Set(yield* slack.unacked)
    return [...new Set(entries.map((entry) => entry.conversation))].map((conversation) => ({
      conversation,
      sent: entries.filter((entry) => entry.conversation === conversation).map(({ events, name }) => ({
        name,
        events,
        acked: events.filter((event) => !unacked.has(event))
      })),
      posted: found.get(conversation) ?? []
    }))
  })

  return { say, isAcked, acked, posts, verdict, record }
})

const wordOf = (post: string) => post.split(" ")[0]
const namesIn = (post: string) => post.split(" ").slice(1)

/** Posts that do not stand where they should: began X, ended X, began Y, ended Y, as it was said. */
const disorder = (posts: ReadonlyArray<string>, said: ReadonlyArray<string>): number => {
  let wrong = 0
  let last = -1
  for (const [at, post] of posts.entries()) {
    if (at % 2 === 1) {
      if (post !== (posts[at - 1] ?? "").replace("began", "ended")) wrong += 1
      continue
    }
    const places = namesIn(post).map((name) => said.indexOf(name))
    if (!post.startsWith("began ") || places.some((place, i) => place <= (places[i - 1] ?? last))) wrong += 1
    last = Math.max(last, ...places)
  }
  return wrong
}
